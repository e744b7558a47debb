"""What one worker of a sweep holds: from taking a combination to saying what became of it."""

from __future__ import annotations

import os
import threading
import time
import uuid
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pytest_execo.units import iso_date

from ..stores.owners import Owner
from ..stores.store import Attempt, CheckpointStore, Known, Planned, State
from .heart import Heart

__all__ = ("SweepClaims", "is_retried")


@dataclass(frozen=True)
class _Held:
    owner: Owner
    attempt: int
    since: float


class SweepClaims:
    """The claims of one worker, an owner of its own, with its heartbeat.

    Safe to use from several threads. A forked child that uses it becomes an owner of its own: what its parent holds
    stays the parent's, but the child may say what became of it.

    :param store: it is closed with the claims.
    :param heartbeat: seconds between two signs of life.
    :param retries: how often a trial that failed may be taken again.
    """

    def __init__(self, store: CheckpointStore, heartbeat: float, retries: int) -> None:
        self._store = store
        self._heartbeat = heartbeat
        self._retries = retries
        self._held: dict[str, _Held] = {}
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._owner = Owner.current(f"sweeper-{uuid.uuid4().hex[:12]}")
        heart = Heart(self._store, self._owner, self._held, self._heartbeat)
        self._heart = heart
        # When this is closed, when it is collected as garbage, or when Python ends.
        self._end = weakref.finalize(self, heart.end)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the other threads of this worker out. May be nested."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            yield

    def take(self, trial: str) -> bool:
        """Claim a trial; tell whether it is ours now."""
        # Under the lock: two threads must not ask for one trial in the name of one owner.
        with self.locked():
            if trial in self._held:
                return False
            claim = self._store.claim(self._owner, trial)
            if claim is None and self._retries and is_retried(self._store.look([trial])[trial], self._retries):
                self._store.reopen([trial])
                claim = self._store.claim(self._owner, trial)
            if claim is None:
                return False
            self._held[trial] = _Held(self._owner, claim.attempt, time.monotonic())
            self._heart.start()
            return True

    def finish(self, trials: Iterable[Planned], outcome: str, reason: str | None = None) -> None:
        """Note what became of trials, held or not, at once. Those that are not held and done already stay done."""
        with self.locked():
            wanted = {one.trial: one for one in trials}
            loose = [one for one in wanted.values() if one.trial not in self._held]
            known: dict[str, Known] = {}
            if loose:
                known = self._store.look(one.trial for one in loose)
                self._store.plan(loose)
            done = {trial for trial, one in known.items() if one.state is State.PASSED}
            numbers = {
                trial: known[trial].attempt + 1 if trial in known else 1 for trial in wanted if trial not in done
            }
            ended = [self._ended(trial, number, outcome, reason) for trial, number in numbers.items()]
            if len(ended) == 1:
                self._store.finish(*ended[0])
                self._held.pop(ended[0][1].trial, None)
            elif ended:
                self._finish_all(ended)

    def _ended(self, trial: str, number: int, outcome: str, reason: str | None) -> tuple[Owner, Attempt]:
        held = self._held.get(trial)
        if held is None:
            owner, duration = self._owner, None
        else:
            owner, number, duration = held.owner, held.attempt, time.monotonic() - held.since
        session = self._owner.session
        return owner, Attempt(trial, outcome, number, iso_date(), reason=reason, session=session, duration=duration)

    def _finish_all(self, ended: list[tuple[Owner, Attempt]]) -> None:
        # With one sync of the disk. Who is killed right after it has done them, and his claims end with him.
        self._store.ingest([attempt for _, attempt in ended], source=self._owner.session, position=0)
        for owner, attempt in ended:
            if self._held.pop(attempt.trial, None) is not None:
                self._store.release(owner, attempt.trial)

    def give_back(self, trials: Iterable[str] | None = None) -> None:
        """Give back these, as far as they are held; by default all."""
        with self.locked():
            for trial in list(self._held) if trials is None else trials:
                held = self._held.get(trial)
                if held is not None:
                    self._store.release(held.owner, trial)
                    del self._held[trial]

    def close(self) -> None:
        """Give back all, and close the store. Idempotent."""
        self._end()
        self._held.clear()


def is_retried(known: Known, retries: int) -> bool:
    """Whether a trial failed and may be taken again."""
    return known.state is State.FAILED and known.failures <= retries
