"""Where trials are written down: the campaign directory, its records, and the checkpoint over them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..errors import CampaignError
from ..processes import Activity, Process
from ..results import Campaign, RecordWriter, Trial, find_campaign, new_campaign_directory, sync_store
from ..results.directories import read_campaign
from ..results.files import locked
from ..sweeps import Owner, SqliteStore, State
from ..units import iso_date
from .items import TrialOf
from .settings import Settings

__all__ = ("Recording",)

RESULTS = "execo-results"
# Seconds; a sixth of the age at which a claim counts as abandoned on another machine.
_HEARTBEAT = 10.0


class Recording:
    """The campaign of a run. Read before the run (:meth:`done`), open while it runs (:meth:`open` … :meth:`close`)."""

    def __init__(self, config: pytest.Config, settings: Settings, testbed: str) -> None:
        self._config = config
        self._settings = settings
        self._testbed = testbed
        self._campaign: Campaign | None = None
        self._store: SqliteStore | None = None
        self._writer: RecordWriter | None = None
        self._owner: Owner | None = None
        self._beat = threading.Event()
        self._beating: threading.Thread | None = None
        #: Trials of this run that had been done before it, by outcome.
        self.passed_before: int = 0
        self.failed_before: int = 0
        self.directory = self._existing()

    # before the run

    def _existing(self) -> Path | None:
        """Find the campaign to go on with. Writes nothing."""
        if self._settings.campaign is not None:
            directory = Path(self._config.invocation_params.dir, self._settings.campaign)
            _check(directory, f"--execo-campaign={self._settings.campaign}")
            if self._settings.fresh and (directory / "campaign.json").exists():
                raise CampaignError(f"--execo-fresh: {directory} holds a campaign already; name another directory")
            return directory
        if self._settings.fresh:
            return None
        return find_campaign(self._config.rootpath / RESULTS, self._testbed, self._settings.site)

    def done(self, trials: Sequence[str]) -> set[str]:
        """Return which of these trials are not to be run again, as the options say."""
        if self.directory is None or not (self.directory / "campaign.json").exists() or not trials:
            return set()
        if self._settings.rerun == "all":
            return set()
        with self._open_store(read_campaign(self.directory)["id"]) as store:
            sync_store(store, self.directory / "records")
            states = store.states(trials)
        passed = {trial for trial in trials if states[trial] is State.PASSED}
        failed = {trial for trial in trials if states[trial] is State.FAILED}
        if self._settings.rerun == "failed":
            failed = set()
        self.passed_before, self.failed_before = len(passed), len(failed)
        return passed | failed

    def _open_store(self, campaign: str) -> SqliteStore:
        try:
            directory = Path(self._config.cache.mkdir("execo"))
        except (AttributeError, OSError):
            # No cache (-p no:cacheprovider, or a read-only project): beside the records it serves as well.
            assert self.directory is not None
            return SqliteStore(self.directory / "checkpoint.sqlite", campaign=campaign)
        return SqliteStore(directory / f"{campaign}.sqlite", campaign=campaign)

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

    def open(self, resumable: Sequence[str], todo: Mapping[str, str]) -> None:
        """Create or go on with the campaign, and bring the checkpoint up to date with its records.

        :param resumable: the ids of all trials of sweeps that were collected.
        :param todo: those to run now, with their tests.
        """
        if self.directory is not None:
            self._open(self.directory, resumable, todo)
            return
        results = self._config.rootpath / RESULTS
        try:
            results.mkdir(exist_ok=True)
            # Two runs that begin at once must not begin two campaigns.
            with locked(results):
                self.directory = self._existing() or new_campaign_directory(results, self._settings.site)
                self._open(self.directory, resumable, todo)
        except OSError as error:
            message = (
                f"{results}: no campaign can be kept there: {error.strerror}; --execo-campaign=DIR names another place"
            )
            raise CampaignError(message) from error

    def _open(self, directory: Path, resumable: Sequence[str], todo: Mapping[str, str]) -> None:
        command = ["pytest", *map(str, self._config.invocation_params.args)]
        campaign = Campaign.open(
            directory,
            testbed=self._testbed,
            site=self._settings.site,
            command=command,
            source=self._config.rootpath,
        )
        self._store = self._open_store(campaign.id)
        sync_store(self._store, campaign.records_dir)
        self._store.plan(resumable)
        again = [
            trial for trial, state in self._store.states(resumable).items() if self._again(state) and trial in todo
        ]
        self._store.reopen(again)
        self._owner = Owner.current(campaign.session)
        self._writer = RecordWriter(campaign.records_path)
        self._campaign = campaign
        self._beating = threading.Thread(target=self._heartbeats, name="pytest-execo heartbeat", daemon=True)
        self._beating.start()

    def _again(self, state: State) -> bool:
        # A skipped trial has no result, and why it was skipped may be gone: asking again costs nothing.
        if state is State.SKIPPED or self._settings.rerun == "all":
            return True
        return state is State.FAILED and self._settings.rerun == "failed"

    def _heartbeats(self) -> None:
        assert self._store is not None
        assert self._owner is not None
        while not self._beat.wait(_HEARTBEAT):
            with contextlib.suppress(CampaignError):  # told by the next claim, which nobody suppresses
                self._store.heartbeat(self._owner)

    @property
    def written(self) -> Path | None:
        """The record file of this session; ``None`` when no trial ended."""
        path = self.campaign.records_path
        return path if path.exists() else None

    def claim(self, trial: TrialOf) -> int | None:
        """Take a trial; return the number of this attempt, or ``None`` when it is not to be had."""
        assert self._store is not None
        assert self._owner is not None
        # A test without @sweep runs in each session, so there is nothing to share out.
        if trial.resumable and self._store.claim(self._owner, trial.id) is None:
            return None
        return self._store.attempts(trial.id) + 1

    def trial(self, trial: TrialOf, attempt: int) -> Trial:
        """Return the object that the test gets."""
        return Trial(
            id=trial.id,
            test=trial.test,
            params=trial.params,
            repetition=trial.repetition,
            attempt=attempt,
            directory=self.campaign.trial_directory(trial.id),
        )

    def keep_logs(self, trial: Trial, failed: Iterable[Activity]) -> None:
        """Write the whole output of failed processes into the trial's directory."""
        for number, activity in enumerate(failed, 1):
            where = re.sub(r"[^\w.-]", "_", str(activity.host or "localhost"))
            text = activity.report() if isinstance(activity, Process) else activity.describe()
            with contextlib.suppress(OSError):  # a log is never worth a trial
                directory = trial.directory / f"attempt-{trial.attempt}"
                directory.mkdir(exist_ok=True)
                log = directory / f"process-{number:02d}-{where}.log"
                log.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")

    def finish(
        self,
        identity: TrialOf,
        trial: Trial,
        *,
        outcome: str,
        reason: str | None,
        error: dict[str, Any] | None,
        started_at: float,
        duration: float,
        nodes: list[str],
    ) -> None:
        """Write the record, and only then the checkpoint: records are the truth."""
        assert self._writer is not None
        assert self._store is not None
        assert self._owner is not None
        ended_at = iso_date(started_at + duration)
        self._writer.write(
            {
                "schema": "pytest-execo/record/1",
                "campaign": self.campaign.id,
                "session": self.campaign.session,
                "trial": identity.id,
                "test": identity.test,
                "params": identity.params,
                "repetition": identity.repetition,
                "attempt": trial.attempt,
                "outcome": outcome,
                "reason": reason,
                "started_at": iso_date(started_at),
                "ended_at": ended_at,
                "duration": duration,
                "nodes": nodes,
                "measurements": trial.measurements,
                "attachments": trial.attachments,
                "error": error,
            }
        )
        self._store.finish(identity.id, self._owner, outcome, trial.attempt, ended_at=ended_at)

    def finished(self, trials: Sequence[str]) -> int:
        """Return how many of these trials, which other sessions had, have been done meanwhile."""
        if self._store is None or not trials:
            return 0
        return sum(state not in (State.TODO, State.CLAIMED) for state in self._store.states(trials).values())

    def close(self, exit_status: int, counts: Mapping[str, int]) -> None:
        """End the session in the campaign's description, and give back what is claimed."""
        assert self._writer is not None
        assert self._store is not None
        assert self._owner is not None
        self._beat.set()
        if self._beating is not None:
            self._beating.join()
        self._writer.close()
        self._store.release(self._owner)
        self._store.close()
        self.campaign.describe(exit_status=exit_status, counts=counts)
        junit = getattr(self._config.option, "xmlpath", None)
        if junit:
            with contextlib.suppress(OSError):  # none was written, or it is there already
                shutil.copyfile(junit, self.campaign.directory / "junit.xml")


def _check(directory: Path, option: str) -> None:
    """Refuse, before anything is collected or reserved, a directory that can't become or be a campaign's.

    :raises CampaignError: with one line that names the option.
    """
    if (directory / "campaign.json").is_file():
        return
    place = next(path for path in (directory, *directory.parents) if path.exists())
    if not place.is_dir():
        raise CampaignError(f"{option}: {place} is a file; name a directory")
    if place == directory and any(not path.name.startswith(".campaign.") for path in directory.iterdir()):
        raise CampaignError(f"{option}: the directory holds other things and no campaign; name a new or an empty one")
    if not os.access(place, os.W_OK | os.X_OK):
        raise CampaignError(f"{option}: {place} is not writable; name another directory")
