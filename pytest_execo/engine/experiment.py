"""The books of a run: what is to do, what is done, which nodes are held. One for each run, whoever runs the tests.

The process that pytest was started in has it. A pytest-xdist worker has a :class:`~.workers.RemoteExperiment`, which
asks it.
"""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import CampaignError, ExecoError
from ..leases.events import Event
from ..leases.files import LeaseBook, LeaseFile
from ..leases.holder import Holder, Lender
from ..leases.pool import LeasePool
from ..sweeps import Planned, State
from ..testbeds import Lease, Plan, Request, Testbed
from ..testbeds.registry import check_testbed, open_testbed
from .events import Events
from .progress import Progress
from .recording import Past, Recording, Refusal, Result
from .settings import Settings
from .start import Start
from .trial_of import TrialOf

if TYPE_CHECKING:
    from ..results import Campaign

__all__ = ("Experiment", "Group", "Selection", "Workload")


@dataclass(frozen=True)
class Selection:
    """Which trials are not to be run, and what the order of the others is drawn from."""

    done: frozenset[str]
    seed: int


@dataclass(frozen=True)
class Group:
    """Tests that ask for the same nodes, and so share a lease; or tests that need none.

    :param request: what they ask for; ``None``: no nodes.
    :param trials: the ids of their trials, in order.
    :param tests: the names of their tests.
    :param places: their numbers among the items of the run.
    :param using: the numbers of those that use a fixture which stands on nodes.
    :param workers: how many processes may run them, each on a lease of its own; ``None``: any number.
    """

    request: Request | None
    trials: tuple[str, ...]
    tests: tuple[str, ...]
    places: tuple[int, ...]
    using: tuple[int, ...]
    workers: int | None


@dataclass(frozen=True)
class Workload:
    """What a run is to do: the trials of sweeps that it has collected, and those to run now, by group."""

    planned: tuple[Planned, ...]
    groups: tuple[Group, ...]

    @property
    def trials(self) -> int:
        """How many trials are to be run."""
        return sum(len(group.trials) for group in self.groups)


class Experiment:
    """All that a run knows of its experiment. Safe to use from several threads.

    Life cycle: :meth:`select` → :meth:`load` → :meth:`open` → (:meth:`begin` → :meth:`finish`)* → :meth:`close`.

    :param say: told lines for the terminal, by any thread.
    :param call: called with each event, see :class:`~.events.Events`.
    :raises InvalidInput: a site or testbed that is not there.
    :raises CampaignError: a campaign that can't be used.
    """

    def __init__(
        self,
        start: Start,
        settings: Settings,
        *,
        say: Callable[[str], None],
        call: Callable[[Event], object] = lambda event: None,
    ) -> None:
        self.start: Start = start
        self.settings: Settings = settings
        self._write = say
        self.testbed: Testbed = self._open_testbed()
        self.testbed.say = self.say
        self.events: Events = Events(settings.notify, self._campaign_name, call, self.say)
        self.pool: LeasePool = LeasePool(
            self.testbed,
            opened=self._lease_file,
            limit=self.settings.rebuilds,
            extends=self.settings.extend,
            hours=self.settings.hours,
            keep=self.settings.keep,
            note=self._note_lease,
            tell=self.events.tell,
        )
        self.leases: Lender = Holder(self.pool)
        self.recording: Recording = Recording(start, settings, self.testbed.name)
        self.progress: Progress = Progress((lambda line: None) if start.quiet else self.say)
        self.workload: Workload = Workload((), ())
        #: Trials without an outcome: those to run, less those that passed, failed or were skipped.
        self.left: int = 0
        #: Trials of this run that had been done before it, by outcome, and how many of them by another version.
        self.before: collections.Counter[str] = collections.Counter()
        self.changed: int = 0
        #: Repetitions that a rule found to be no longer needed.
        self.spared: int = 0
        self._selection: Selection | None = None
        #: Finished trials that are run again, with the number of their last attempt.
        self._again: dict[str, int] = {}
        self._elsewhere: list[str] = []
        self._retries: int | None = None
        self._budget: int = 0
        self._lock = threading.RLock()

    def _open_testbed(self) -> Testbed:
        given = self.settings
        options = dict(given.options)
        if given.wait is not None and "wait" in check_testbed(given.site, given.testbed, {})[1].options_known:
            options["wait"] = str(given.wait)
        return open_testbed(given.site, given.testbed, nodes=given.nodes, options=options)

    def _lease_file(self, request: Request) -> LeaseFile:
        campaign = self.recording.campaign
        return LeaseBook().open(
            testbed=self.testbed.name,
            site=self.testbed.site,
            options=self.testbed.options,
            campaign=str(campaign.directory),
            session=campaign.session,
            walltime=request.walltime,
        )

    def _campaign_name(self) -> str | None:
        return self.recording.campaign.directory.name if self.recording.opened else None

    # before the run

    def select(self, planned: Sequence[Planned], sources: Mapping[str, str | None]) -> Selection:
        """Return which trials are not to be run again, as the options say. Asked once: later answers are the same.

        :param planned: all trials of sweeps that were collected.
        :param sources: the digest of each test's source.
        """
        with self._lock:
            if self._selection is None:
                self._selection = Selection(frozenset(self._done(planned, sources)), self.recording.seed)
            return self._selection

    def _done(self, planned: Sequence[Planned], sources: Mapping[str, str | None]) -> list[str]:
        done: list[str] = []
        known = self.recording.look([trial.trial for trial in planned])
        for trial in planned:
            of = known.get(trial.trial)
            if of is None or of.state not in (State.PASSED, State.FAILED, State.SKIPPED):
                continue
            changed = None not in (of.source, sources.get(trial.test)) and of.source != sources[trial.test]
            if self._is_again(of.state, changed):
                self._again[trial.trial] = of.attempt
                continue
            self.changed += changed
            self.before[of.state.value] += 1
            done.append(trial.trial)
        return done

    def _is_again(self, state: State, changed: bool) -> bool:
        rerun = self.settings.rerun
        # A skipped trial has no result, and why it was skipped may be gone: asking again costs nothing.
        if state is State.SKIPPED or rerun == "all":
            return True
        return (rerun == "failed" and state is State.FAILED) or (rerun == "changed" and changed)

    def past(self, tests: Collection[str]) -> dict[str, list[Past]]:
        """Return what was recorded of the trials of these tests, in the order of their ends."""
        with self._lock:
            return self.recording.past(tests)

    def load(self, workload: Workload) -> None:
        """Say what the run is to do. Said once: later workloads, the same ones of other workers, change nothing."""
        with self._lock:
            if not self.workload.groups and not self.workload.planned:
                self.workload, self.left = workload, workload.trials
                self.progress.total = workload.trials
                self._split_leases()

    def _split_leases(self) -> None:
        """Have the workers of a group share a lease, where that was asked for."""
        for group in self.workload.groups if self.start.side_by_side and self.settings.parts > 1 else ():
            parts = min(group.workers or 1, len(group.using))
            if group.request is not None and parts > 1:
                self.pool.split(group.request, parts)

    def plan(self, request: Request) -> Plan:
        """Return the testbed's plan for a request."""
        return self.pool.plan(request)

    # during the run

    def open(self) -> None:
        """Open the campaign. A second call does nothing.

        :raises CampaignError: it can't be kept where it is to be.
        """
        with self._lock:
            if not self.recording.opened:
                todo = {trial for group in self.workload.groups for trial in group.trials}
                again = {trial: attempt for trial, attempt in self._again.items() if trial in todo}
                self.recording.open(self.workload.planned, again)
                for test, params, seconds in self.recording.durations():
                    self.pool.fitting.durations.learn(test, params, seconds)
                self.events.tell("started", f"{self.workload.trials} trials to run", {"trials": self.workload.trials})
                given = self.settings.retry_budget
                self._budget = max(10, len(self.workload.planned) // 10) if given is None else given

    @property
    def campaign(self) -> Campaign:
        """The campaign; open while tests run."""
        return self.recording.campaign

    def _note_lease(self, lease: Lease, entry: Mapping[str, Any]) -> None:
        """Note a lease and its nodes in the campaign's description."""
        with self._lock, contextlib.suppress(CampaignError):
            # A disk that is full is told by the record, which is worth stopping for.
            self.campaign.describe(nodes=lease.nodes, lease=entry)

    def begin(self, trial: TrialOf) -> int | Refusal:
        """Take a trial; return the number of this attempt, or why it is not to be had."""
        with self._lock:
            taken = self.recording.claim(trial)
            if isinstance(taken, Refusal) and taken.kind == "done":
                self.left -= 1
            return taken

    def may_retry(self, failures: int) -> bool:
        """Tell whether a trial that has just failed is run again, and count it if so.

        :param failures: how often it has failed in this session, this time included.
        """
        if failures > self.settings.retries:
            return False
        with self._lock:
            # Others may retry too; what they have done by now is in the checkpoint, what we decided is not yet.
            self._retries = max(self._retries or 0, self.recording.retries())
            if self._retries >= self._budget:
                self.progress.budget_spent = self._budget
                return False
            self._retries += 1
            return True

    def finish(self, trial: TrialOf, result: Result, *, retried: bool) -> None:
        """Write an attempt down.

        :param retried: another attempt follows.
        :raises CampaignError: it can't be written; without a record the trial was for nothing.
        """
        with self._lock:
            self.recording.finish(trial, result, again=retried)
            if retried and result.outcome == "pending":
                self.progress.interrupted += 1
            elif retried:
                self.progress.retried += 1
            else:
                self.ended(result.outcome, result.reason)

    def ended(self, outcome: str, reason: str | None) -> None:
        """Count a trial that ended, or could not begin."""
        with self._lock:
            self.progress.ended(outcome, reason)
            self.left -= outcome != "pending"

    def held_elsewhere(self, trial: TrialOf) -> None:
        """Another session is at work on a trial of ours; when this run ends it may have done it."""
        with self._lock:
            self._elsewhere.append(trial.id)

    def give_up(self, trial: TrialOf, attempt: int, reason: str) -> None:
        """Record an attempt whose process died: it is pending.

        :raises CampaignError: it can't be written.
        """
        with self._lock:
            self.recording.give_up(trial, attempt, reason)
            self.ended("pending", reason)

    def spare(self) -> None:
        """Count a trial that turned out to be not needed."""
        with self._lock:
            self.spared += 1
            self.left -= 1

    def still_waits(self, request: Request, here: int) -> bool:
        """Tell whether a test of the group is still to be run.

        :param here: how many are to be run by the process that asks; here that is all of them.
        """
        return here > 0

    def warn(self, message: str) -> None:
        """Say on the terminal what is no fault of a test."""
        self.say(f"warning: {message}")

    def say(self, line: str) -> None:
        """Write a line to the terminal."""
        self._write(f"execo: {line}")

    # the end

    def settle(self) -> None:
        """Look once more at what other sessions had, before it is counted what is left."""
        with self._lock, contextlib.suppress(CampaignError):
            self.left -= self.recording.done_elsewhere(self._elsewhere)
            self._elsewhere = []

    def close(self, exit_status: int) -> None:
        """Give all nodes back, then end the session in the campaign's description.

        :raises CampaignError: it can't be written.
        """
        for end in (self.pool.give_all_back, self.testbed.close):
            try:
                end()
            except ExecoError as error:  # a job that could not be deleted holds nodes until its walltime
                self.warn(str(error))
        with self._lock:
            if self.recording.opened:
                text = self.progress.counts() or "none run"
                data = {"outcomes": dict(self.progress.outcomes), "left": self.left, "exit_status": exit_status}
                self.events.tell("finished", f"{text}; {self.left} left", data)
        self.events.close()
        with self._lock:
            if self.recording.opened:
                self.recording.close(exit_status, self.progress.outcomes)
