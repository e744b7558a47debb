"""Where trials are written down: the campaign directory, its records, and the checkpoint over them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CampaignError
from ..results import (
    Campaign,
    RecordWriter,
    read_records,
    sync_store,
)
from ..results.provenance import git_state
from ..results.quarantine import Fault
from ..sweeps import Attempt, CheckpointStore, Claim, Known, Owner, Planned, State
from ..units import iso_date
from .place import Place
from .settings import Settings
from .start import Start
from .trial_of import TrialOf

__all__ = ("Past", "Recording", "Refusal", "Result")

# Seconds; a sixth of the age at which a claim counts as abandoned on another machine.
_HEARTBEAT = 10.0


@dataclass(frozen=True)
class Refusal:
    """Why a trial is not to be had: ``"done"`` by another session meanwhile, or ``"held"`` by one that lives."""

    kind: str


@dataclass(frozen=True)
class Past:
    """An attempt that was recorded: what a rule or a search learns from."""

    params_json: str
    repetition: int
    outcome: str
    measurements: Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """How an attempt at a trial ended: what the record says, less what is the same for the whole session."""

    attempt: int
    outcome: str
    reason: str | None
    error: Mapping[str, Any] | None
    #: Unix date.
    started_at: float
    #: Seconds.
    duration: float
    nodes: Sequence[str]
    #: The id of the lease that they belonged to.
    lease: str | None
    measurements: Mapping[str, Any]
    attachments: Sequence[str]
    #: The digest of the test's source.
    source: str | None


class Recording:
    """The campaign of a run. Read before the run (:meth:`look`), open while it runs (:meth:`open` … :meth:`close`).

    Not safe to use from several threads at once: :class:`~.experiment.Experiment` sees to that.
    """

    def __init__(self, start: Start, settings: Settings, testbed: str) -> None:
        self._start = start
        self._settings = settings
        self._place = Place(start, settings, testbed)
        self._campaign: Campaign | None = None
        self._store: CheckpointStore | None = None
        self._writer: RecordWriter | None = None
        self._owner: Owner | None = None
        self._beat = threading.Event()
        self._beating: threading.Thread | None = None
        self._planned: set[str] = set()
        self._commit: dict[str, Any] = {}
        #: Lines of record files that could not be read in this session.
        self.faults: list[Fault] = []

    @property
    def directory(self) -> Path | None:
        """The directory of the campaign; ``None`` while it is still to be made."""
        return self._place.directory

    @property
    def seed(self) -> int:
        """The seed of the campaign; of one that is made by this session, the seed it will get."""
        return self._place.seed

    # before the run

    def look(self, trials: Sequence[str]) -> dict[str, Known]:
        """Return what is known of these trials. Trials of which nothing is known may be left out."""
        identity = self._place.identity()
        if identity is None or not trials:
            return {}
        with self._place.open_store(identity["id"]) as store:
            if self.directory is not None and (self.directory / "records").is_dir():
                self.faults += sync_store(store, self.directory / "records")
            return store.look(trials)

    # during the run

    @property
    def opened(self) -> bool:
        """Whether the campaign is on disk."""
        return self._campaign is not None

    @property
    def campaign(self) -> Campaign:
        """The open campaign."""
        assert self._campaign is not None
        return self._campaign

    @property
    def _open_parts(self) -> tuple[CheckpointStore, Owner, RecordWriter]:
        assert self._store is not None
        assert self._owner is not None
        assert self._writer is not None
        return self._store, self._owner, self._writer

    def open(self, planned: Iterable[Planned], again: Mapping[str, int]) -> None:
        """Create or go on with the campaign, and bring the checkpoint up to date with its records.

        :param planned: all trials of sweeps that were collected.
        :param again: trials to run again, each with the number of its last attempt when that was decided: what another
            session has done since stays done.
        """
        with self._place.made() as directory:
            self._open(directory, planned, again)

    def _open(self, directory: Path, planned: Iterable[Planned], again: Mapping[str, int]) -> None:
        shared = self._place.join(directory)
        campaign = Campaign.open(
            directory,
            testbed=self._place.testbed,
            site=self._settings.site,
            command=list(self._start.command),
            seed=self.seed if shared is None else int(shared["seed"]),
            identity=None if shared is None else shared["id"],
            source=self._start.root,
        )
        self._place.seed = campaign.seed
        self._store = self._place.open_store(campaign.id)
        campaign.describe(checkpoint=self._store.where, order=self._settings.order)
        self.faults += sync_store(self._store, campaign.records_dir)
        known = list(planned)
        self._store.plan(known)
        self._planned = {trial.trial for trial in known}
        now = self._store.look(again).items()
        self._store.reopen([trial for trial, known in now if known.attempt == again[trial]])
        self._owner = Owner.current(campaign.session, records=str(campaign.records_path))
        self._writer = RecordWriter(campaign.records_path)
        state = git_state(self._start.root) or {}
        self._commit = {"commit": state.get("commit"), "dirty": state.get("dirty")}
        self._campaign = campaign
        self._beating = threading.Thread(target=self._heartbeats, name="pytest-execo heartbeat", daemon=True)
        self._beating.start()

    def _heartbeats(self) -> None:
        store, owner, _ = self._open_parts
        while not self._beat.wait(_HEARTBEAT):
            with contextlib.suppress(CampaignError):  # told by the next claim, which nobody suppresses
                store.heartbeat(owner)

    @property
    def written(self) -> Path | None:
        """The record file of this session; ``None`` when no trial ended."""
        path = self.campaign.records_path
        return path if path.exists() else None

    def claim(self, trial: TrialOf) -> int | Refusal:
        """Take a trial; return the number of this attempt, or why it is not to be had."""
        store, owner, writer = self._open_parts
        # Better before the trial than after it.
        writer.check_room()
        # A test without @sweep runs in each session, so there is nothing to share out.
        if not trial.resumable:
            return store.look([trial.id])[trial.id].attempt + 1
        if trial.id not in self._planned:  # chosen by a search while the run goes on
            store.plan([trial.planned()])
            self._planned.add(trial.id)
        claim = store.claim(owner, trial.id)
        if claim is None:
            state = store.look([trial.id])[trial.id].state
            return Refusal("held" if state in (State.TODO, State.CLAIMED) else "done")
        if claim.inherited is not None and self._was_recorded(claim):
            store.release(owner, trial.id)
            return Refusal("done")
        return claim.attempt

    def _was_recorded(self, claim: Claim) -> bool:
        """Tell whether the dead owner of a claim had written its record, and not lived to note it in the checkpoint."""
        store, _, _ = self._open_parts
        assert claim.inherited is not None
        # All records there: an heir may have died as well before it had read them.
        directory = Path(claim.inherited.records).parent
        if claim.inherited.records and directory.is_dir():
            self.faults += sync_store(store, directory)
        return any(one.attempt >= claim.attempt and one.outcome != "pending" for one in store.attempts(claim.trial))

    def durations(self) -> list[tuple[str, str, float]]:
        """Return how long the latest trials took: test, parameters as canonical JSON, seconds; oldest first."""
        store, _, _ = self._open_parts
        return store.durations()

    def retries(self) -> int:
        """Return how many retries the campaign has taken."""
        store, _, _ = self._open_parts
        return store.retries()

    def finish(self, trial: TrialOf, result: Result, *, again: bool = False) -> None:
        """Write the record, and only then the checkpoint: records are the truth.

        :param again: the trial is to do again.
        """
        store, owner, writer = self._open_parts
        ended_at = iso_date(result.started_at + result.duration)
        writer.write(
            {
                "schema": "pytest-execo/record/1",
                "campaign": self.campaign.id,
                "session": self.campaign.session,
                "trial": trial.id,
                "test": trial.test,
                "params": trial.params,
                "repetition": trial.repetition,
                "attempt": result.attempt,
                "outcome": result.outcome,
                "reason": result.reason,
                "started_at": iso_date(result.started_at),
                "ended_at": ended_at,
                "duration": result.duration,
                "nodes": list(result.nodes),
                "lease": result.lease,
                "measurements": dict(result.measurements),
                "attachments": list(result.attachments),
                "error": None if result.error is None else dict(result.error),
                "source": {"digest": result.source, **self._commit},
            }
        )
        store.finish(
            owner,
            Attempt(
                trial.id,
                result.outcome,
                result.attempt,
                ended_at,
                reason=result.reason,
                source=result.source,
                session=self.campaign.session,
                duration=result.duration,
            ),
        )
        if again:
            store.reopen([trial.id])

    def give_up(self, trial: TrialOf, attempt: int, reason: str) -> None:
        """Record an attempt whose process died: pending, and the claim goes back."""
        now = time.time()
        self.finish(trial, Result(attempt, "pending", reason, None, now, 0.0, (), None, {}, (), None))

    def past(self, tests: Collection[str]) -> dict[str, list[Past]]:
        """Return the finished trials of these tests in the order of their ends: the last attempt at each."""
        if self.directory is None or not (self.directory / "records").is_dir():
            return {}
        last: dict[str, dict[str, Any]] = {}
        for record in read_records(self.directory / "records"):
            if record["test"] in tests and record["outcome"] != "pending":
                known = last.get(record["trial"])
                if known is None or (record["attempt"], record["ended_at"]) > (known["attempt"], known["ended_at"]):
                    last[record["trial"]] = record
        from ..sweeps import canonical_json

        past: dict[str, list[Past]] = {}
        for record in sorted(last.values(), key=lambda one: str(one["ended_at"])):
            params = canonical_json(record["params"])
            known_past = Past(params, int(record["repetition"]), record["outcome"], record["measurements"])
            past.setdefault(record["test"], []).append(known_past)
        return past

    def done_elsewhere(self, trials: Sequence[str]) -> int:
        """Return how many of these trials, which other sessions had, have been done meanwhile."""
        if self._store is None or not trials:
            return 0
        known = self._store.look(trials).values()
        return sum(one.state not in (State.TODO, State.CLAIMED) for one in known)

    def close(self, exit_status: int, counts: Mapping[str, int]) -> None:
        """End the session in the campaign's description, and give back what is claimed."""
        store, owner, writer = self._open_parts
        self._beat.set()
        if self._beating is not None:
            self._beating.join()
        writer.close()
        try:
            store.release(owner)
        finally:
            store.close()
            self.campaign.describe(exit_status=exit_status, counts=counts)
