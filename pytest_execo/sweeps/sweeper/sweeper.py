"""The sweeper: the verbs that execo users know, over our store, for scripts without pytest."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from pytest_execo.errors import InvalidInput

from ..stores.opening import is_url, open_store
from ..stores.sqlite_reader import refuse_damaged
from ..stores.store import CheckpointStore, Known, Planned, State
from .claims import SweepClaims, is_retried
from .combinations import Combination, Combinations, Sweeps, combination, combinations_of, shuffled
from .place import TEST, campaign_of
from .queue import SweepQueue
from .stats import SweepStats

__all__ = ("Filter", "ParamSweeper")

_log = logging.getLogger(__name__)

Filter: TypeAlias = Callable[[list[Combination]], Iterable[Mapping[str, Any]]]
"""Given the remaining combinations, returns those that are wanted now, in the order of preference."""

_MAX_HEARTBEAT = 30.0


class ParamSweeper:
    """Hands out the combinations of a sweep, each to one worker, and remembers on disk what became of them.

    ::

        with ParamSweeper("results", {"size": [1, 10], "tool": ["md5sum", "sha256sum"]}) as sweeper:
            for comb in sweeper:
                run(comb["size"], comb["tool"])
                sweeper.done(comb)

    As many processes, threads and machines as wanted may work on one place, each with a sweeper of its own or
    sharing one. What a verb said is on the disk when it returns. A combination that was got and not finished comes
    back by itself when its sweeper is closed, collected as garbage, or its process ends, however it ends; on
    another machine within a minute.

    Names and order of arguments are execo's; ``docs/sweeper.md`` says what differs.

    :param persistence_dir: a directory, made when it is missing; or ``"postgresql://…"`` for several machines.
    :param sweeps: a :class:`~pytest_execo.sweeps.Space`; factors and their levels, with dicts for conditional ones
        (:func:`~pytest_execo.sweeps.sweep_combinations`); or the combinations, as mappings. Default: all that the
        place knows. Sweepers with different sweeps may share a place; each hands out its own.
    :param save_sweeps: without meaning, for scripts that give it: sweeps are always kept.
    :param name: which sweep it is, in a database, where it is needed. For a directory it is only shown.
    :param seed: hand them out in a random order that this determines, each repetition in its own. Default: in the
        order of the sweep.
    :param retries: how often a combination that failed is handed out again, after all the others.
    :param heartbeat: seconds between two signs of life to other machines, which take a worker for dead after 60.
    :raises InvalidSpace: sweeps that are none, in one line.
    :raises CheckpointError: the place can't be used, in one line.
    """

    def __init__(
        self,
        persistence_dir: str | PathLike[str],
        sweeps: Sweeps | None = None,
        save_sweeps: bool = False,
        name: str | None = None,
        *,
        seed: int | str | None = None,
        retries: int = 0,
        heartbeat: float = 15.0,
    ) -> None:
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise InvalidInput(f"retries is {retries!r}; write a whole number from 0")
        if not 0 < heartbeat <= _MAX_HEARTBEAT:
            raise InvalidInput(f"heartbeat is {heartbeat!r}; write seconds, up to {_MAX_HEARTBEAT:g}")
        combinations = None if sweeps is None else combinations_of(sweeps)
        self._retries = retries
        self._seed = seed
        self._store, self.name = _open(persistence_dir, name)
        self._claims = SweepClaims(self._store, heartbeat, retries)
        self._set(combinations)

    name: str
    """The name of the sweep; of a directory, unless it was given another."""

    def set_sweeps(self, sweeps: Sweeps | None = None, save_sweeps: bool = False) -> None:
        """Hand out these combinations from now on. ``None``: all that the place knows.

        Nothing that is known of any combination is lost by it.

        :raises InvalidSpace: sweeps that are none, in one line.
        """
        self._set(None if sweeps is None else combinations_of(sweeps))

    # taking

    def get_next(self, filtr: Filter | None = None) -> Combination | None:
        """Take a combination that nobody has; ``None`` when there is none, now.

        Others may be at work on the last ones, and give them back. A filter is called without any lock held; it is
        given all that remain, which takes time with many.
        """
        batch = self.get_next_batch(1, filtr)
        return batch[0] if batch else None

    def get_next_batch(self, num_combs: int, filtr: Filter | None = None) -> list[Combination]:
        """Take up to that many combinations that nobody has; fewer when there are no more.

        :raises InvalidInput: the filter gave a combination that is not in this sweep.
        """
        found: list[Combination] = []
        if num_combs < 1:
            return found
        if filtr is not None:
            for trial in self._filtered(filtr):
                if (taken := self._take(trial)) is not None:
                    found.append(taken)
                    if len(found) == num_combs:
                        break
            return found
        with self._claims.locked():
            for trial in self._queue.offers():
                if (taken := self._take(trial)) is not None:
                    found.append(taken)
                    if len(found) == num_combs:
                        break
        return found

    def __iter__(self) -> Iterator[Combination]:
        """Take one combination after another, until none is left."""
        while (taken := self.get_next()) is not None:
            yield taken

    # what became of it

    def done(self, comb: Mapping[str, Any]) -> None:
        """Note that it is done, for ever; it is on the disk when this returns.

        One that was not got from :meth:`get_next`, or is not in the sweep, is noted too.
        """
        self._claims.finish([_planned(comb)], "passed")

    def skip(self, comb: Mapping[str, Any], reason: str | None = None) -> None:
        """Note that it is not to be run, by anybody, until :meth:`reset`."""
        self._claims.finish([_planned(comb)], "skipped", reason)

    def fail(self, comb: Mapping[str, Any], reason: str) -> None:
        """Note that it failed. It is handed out again while its failures are not more than ``retries``."""
        self._claims.finish([_planned(comb)], "failed", reason)

    def cancel(self, comb: Mapping[str, Any]) -> None:
        """Give it back, to be handed out again, to anybody. Of one that is not held: nothing."""
        self.cancel_batch([comb])

    def done_batch(self, combs: Iterable[Mapping[str, Any]]) -> None:
        """:meth:`done` of each, faster: on the disk all at once."""
        self._claims.finish(map(_planned, combs), "passed")

    def skip_batch(self, combs: Iterable[Mapping[str, Any]]) -> None:
        """:meth:`skip` of each, faster."""
        self._claims.finish(map(_planned, combs), "skipped")

    def cancel_batch(self, combs: Iterable[Mapping[str, Any]]) -> None:
        """:meth:`cancel` of each."""
        self._claims.give_back([_planned(comb).trial for comb in combs])

    def reset(self, reset_inprogress: bool = False) -> None:
        """Hand out again what was skipped or failed; what is done stays done.

        :param reset_inprogress: give back what this sweeper holds, too. What others hold stays theirs: it comes
            back when they are closed or dead.
        """
        with self._claims.locked():
            finished = (State.SKIPPED, State.FAILED)
            self._store.reopen(
                trial for trial, known in self._store.look(self._sweeps).items() if known.state in finished
            )
            if reset_inprogress:
                self._claims.give_back()
            self._queue.restart()

    def update(self) -> None:
        """Look again from the first combination on. Never needed: :meth:`get_next` does so before it gives up."""
        with self._claims.locked():
            self._queue.restart()

    def full_update(self) -> None:
        """:meth:`update`, as in execo."""
        self.update()

    # asking

    def stats(self) -> SweepStats:
        """Return the combinations by state, all of one moment, with what all the other workers hold and did."""
        with self._claims.locked():
            known = self._store.look(self._sweeps)
            sets: dict[str, list[Combination]] = {name: [] for name in SweepStats._fields}
            for trial, comb in self._sweeps.items():
                sets[self._column(known[trial])].append(comb)
            sets["sweeps"] = list(self._sweeps.values())
            return SweepStats(**{name: Combinations(listed) for name, listed in sets.items()})

    def get_sweeps(self) -> Combinations:
        """Return all the combinations of this sweep."""
        return Combinations(self._sweeps.values())

    def get_remaining(self) -> Combinations:
        """Return what is to do and nobody holds."""
        return self.stats().remaining

    def get_inprogress(self) -> Combinations:
        """Return what is held by a worker that lives, on any machine."""
        return self.stats().inprogress

    def get_skipped(self) -> Combinations:
        """Return what was skipped, by anybody."""
        return self.stats().skipped

    def get_done(self) -> Combinations:
        """Return what is done."""
        return self.stats().done

    def get_failed(self) -> Combinations:
        """Return what failed and is not tried again."""
        return self.stats().failed

    def __str__(self) -> str:
        stats = self.stats()
        failed = f", {len(stats.failed)} failed" if stats.failed else ""
        return (
            f"{self.name} <{len(stats.sweeps)} total, {len(stats.done)} done, {len(stats.skipped)} skipped{failed}, "
            f"{len(stats.inprogress)} in progress, {len(stats.remaining)} remaining>"
        )

    def __repr__(self) -> str:
        return f"<ParamSweeper {self.name} of {len(self._sweeps)} combinations in {self._store.where}>"

    # life cycle

    def close(self) -> None:
        """Give back what is held and let go of the place. Idempotent."""
        self._claims.close()

    def __enter__(self) -> ParamSweeper:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # how it works

    def _set(self, combinations: list[Combination] | None) -> None:
        with self._claims.locked():
            listed = self._known() if combinations is None else combinations
            if self._seed is not None:
                listed = shuffled(listed, self._seed)
            planned = [_planned(comb) for comb in listed]
            self._store.plan(planned)
            self._sweeps = {one.trial: comb for one, comb in zip(planned, listed, strict=True)}
            is_open = partial(_is_open, retries=self._retries)
            self._queue = SweepQueue(self._store, list(self._sweeps), is_open, failed_too=bool(self._retries))

    def _known(self) -> list[Combination]:
        known = [planned for planned, _ in self._store.trials() if planned.test == TEST]
        # A store may write a text in another way than we do.
        return [combination(json.loads(planned.params), planned.repetition) for planned in known]

    def _filtered(self, filtr: Filter) -> Iterator[str]:
        for wanted in filtr(list(self.get_remaining())):
            trial = _planned(wanted).trial
            if trial not in self._sweeps:
                raise InvalidInput(f"the filter gave {wanted!r}, which is not in the sweep; return some of what it got")
            yield trial

    def _take(self, trial: str) -> Combination | None:
        comb = self._sweeps.get(trial)
        return comb if comb is not None and self._claims.take(trial) else None

    def _column(self, known: Known) -> str:
        return "remaining" if _is_open(known, self._retries) else _COLUMNS[known.state]


_COLUMNS = {
    State.TODO: "remaining",
    State.CLAIMED: "inprogress",
    State.PASSED: "done",
    State.SKIPPED: "skipped",
    State.FAILED: "failed",
}


def _open(place: str | PathLike[str], name: str | None) -> tuple[CheckpointStore, str]:
    where, campaign = campaign_of(place, name)
    if not is_url(where):
        refuse_damaged(Path(where))
    store = open_store(where, campaign=campaign, durable=True)
    if name:
        return store, name
    directory = Path(place)
    if (directory / "done").is_file() and not any(True for _ in store.trials()):
        _log.warning(
            "%s: the sweep of execo in there is not read; pytest-execo import-execo %s --into %s takes it over",
            directory, directory, directory,
        )  # fmt: skip
    return store, directory.resolve().name


def _is_open(known: Known, retries: int) -> bool:
    return known.state is State.TODO or is_retried(known, retries)


def _planned(levels: Mapping[str, Any]) -> Planned:
    comb = combination(levels)
    # trial_id(), with the canonical JSON of the levels that is there already.
    text = f'["{TEST}",{comb.text},{comb.repetition}]'
    trial = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Planned(trial, TEST, comb.text, comb.repetition)
