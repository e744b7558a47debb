"""Running tests of an experiment: pick trial → set up → run → record, as often as it takes.

Made when the collected tests show that the run needs it; registered as a plugin object of its own, so that a run
that uses nothing of execo meets none of these hooks. Under pytest-xdist each worker has one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol  # there is no public way to run an item again

from ..engine.logs import keep_logs
from ..engine.recording import Refusal, Result
from ..engine.source import source_digest
from ..engine.trial_of import TrialOf
from ..errors import CampaignError, ExecoError
from ..leases.fitting import Doing
from ..testbeds import Request
from . import fixtures
from .adaptive import Adaptive
from .blame import Blame, report_lost
from .items import REQUEST, TRIAL
from .leases import CurrentLease
from .outcomes import PendingItems, make_retried, pending_report
from .ownership import Ownership
from .running import Following, Running
from .usage import asks_for_nodes, uses_nodes

if TYPE_CHECKING:
    from ..engine.experiment import Experiment
    from ..results import Campaign, Trial
    from ..testbeds import Lease
    from .workers import RemoteExperiment

__all__ = ("ExperimentSession",)


class ExperimentSession:
    """Runs the items of one pytest process. The books are kept by the experiment, here or in the controller."""

    def __init__(self, config: pytest.Config, experiment: Experiment | RemoteExperiment) -> None:
        self.config = config
        self.experiment: Experiment | RemoteExperiment = experiment
        self.lease: CurrentLease = CurrentLease(experiment.leases)
        self.ownership: Ownership = Ownership()
        self.pending: PendingItems = PendingItems()
        self.adaptive: Adaptive = Adaptive(experiment)
        self._blame = Blame(self.lease, experiment.leases)
        #: Items that use nodes and have not run, by what they ask for.
        self.waiting: dict[Request, int] = {}
        self._run: Running | None = None
        self._item: pytest.Item | None = None
        self._deferred: set[pytest.Item] = set()
        self._calling = False

    @property
    def plugins(self) -> tuple[object, ...]:
        """All that is to be registered with this object, itself included."""
        return (self, self.lease, self.ownership, self.pending)

    # the run

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if TRIAL not in item.stash:
            return None
        # What stands here may be of an item that was to be next, and is not: see below.
        self._tear_down(item, item)
        refused = self._before(item)
        if refused is not None:
            self._no_longer_waits(item)
            if refused:
                self.experiment.ended("pending", refused)
                self.pending.report(item, refused)
            # The item before has left standing what this one would have needed.
            self._tear_down(item, nextitem)
            return True
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        again: Running | None = self._run
        while again is not None:
            again = self._attempt(item, nextitem, again)
        self._no_longer_waits(item)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _before(self, item: pytest.Item) -> str | None:
        """Get ready for the trial of ``item``; return why it can't run now, "" for a reason that needs no telling."""
        reason = self._without_nodes(item)
        if reason is not None:
            return reason
        try:
            trial = self.adaptive.trial(item)
        except ExecoError as error:
            return str(error)
        if trial is None:
            self.experiment.spare()
            return ""
        reason = self._stand_by(item, trial)
        if reason is not None:
            self.adaptive.refused(item, trial)
            return reason
        taken = self._take(item, trial)
        if isinstance(taken, Refusal):
            self.adaptive.refused(item, trial)
            return self._refused(item, trial, taken)
        self._run, self._item = Running(trial, self._trial(trial, taken), 0), item
        return None

    def _without_nodes(self, item: pytest.Item) -> str | None:
        if not asks_for_nodes(item):
            return None
        request = item.stash[REQUEST]
        unmet = self.experiment.plan(request).unmet
        if unmet:
            return "; ".join(unmet)
        return self.experiment.leases.broken(request) if uses_nodes(item) else None

    def _stand_by(self, item: pytest.Item, trial: TrialOf) -> str | None:
        """Get nodes ready on which a trial can begin, or make room for others; return why it can't run now."""
        if not uses_nodes(item):
            return None
        request = item.stash[REQUEST]
        if request != self.lease.request:
            self._end_lease(item)
        self.lease.enter(request)
        ready = self.experiment.leases.ready(request, Doing(trial.id, trial.test, trial.params_json))
        if ready.anew:
            self._end_lease(item, anew=True, lost=ready.lost)
        return ready.refused

    def _refused(self, item: pytest.Item, trial: TrialOf, refusal: Refusal) -> str:
        if refusal.kind == "done":
            return ""
        items = item.session.items
        if item not in self._deferred and not hasattr(self.config, "workerinput") and trial.resumable:
            # Its owner may die. Asked once more when all the rest of the group is done.
            self._deferred.add(item)
            group = [n for n, other in enumerate(items) if other.stash.get(REQUEST, None) == item.stash[REQUEST]]
            items.insert(group[-1] + 1, item)
            if uses_nodes(item):
                self.waiting[item.stash[REQUEST]] += 1
            return ""
        self.experiment.held_elsewhere(trial)
        return "another session is at work on it"

    def _take(self, item: pytest.Item, trial: TrialOf) -> int | Refusal:
        try:
            return self.experiment.begin(trial)
        except CampaignError as error:
            self._stop(item, error)
            return Refusal("done")

    def _stop(self, item: pytest.Item, error: CampaignError) -> None:
        """End the run: what can't be recorded is for nothing, and so would be the next trial."""
        if not hasattr(self.config, "workerinput"):
            pytest.exit(f"execo: {error}", returncode=pytest.ExitCode.INTERNAL_ERROR)
        # The controller, which has seen the error, says so.
        item.session.shouldstop = f"execo: {error}"

    def _trial(self, trial: TrialOf, attempt: int) -> Trial:
        from ..results import Trial

        return Trial(
            id=trial.id,
            test=trial.test,
            params=trial.params,
            repetition=trial.repetition,
            attempt=attempt,
            directory=self.experiment.campaign.trial_directory(trial.id),
        )

    def _attempt(self, item: pytest.Item, nextitem: pytest.Item | None, run: Running) -> Running | None:
        """Make an attempt at the trial and record it; return the next attempt, when there is to be one."""
        self._run = run
        try:
            with self.ownership.of_test():
                may_be_again = self.experiment.settings.retries or uses_nodes(item)
                following: Any = Following(run, item, nextitem) if may_be_again else nextitem
                runtestprotocol(item, nextitem=following)
        except BaseException as error:
            run.verdict.pend(f"interrupted: {type(error).__name__}")
            self._end_trial(item)
            raise
        self._end_trial(item)
        if run.lost is not None:
            self._end_lease(item, anew=True, lost=True)
        if not run.again:
            return None
        reason = self._without_nodes(item) or self._stand_by(item, run.identity)
        if reason is not None:
            self.experiment.ended("pending", reason)
            item.ihook.pytest_runtest_logreport(report=pending_report(item, reason))
            return None
        taken = self._take(item, run.identity)
        if isinstance(taken, Refusal):  # another session was quicker
            return None
        self._item = item
        return Running(run.identity, self._trial(run.identity, taken), run.failures + run.retried)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        # What is reported while the test is called is a part of it (a subtest); the whole is reported after it.
        if self._run is None or TRIAL not in item.stash or self._calling:
            return report
        run = self._run
        if call.when != "teardown" and self.lease.lease is not None and uses_nodes(item):
            # The last test's teardown gives them back.
            run.nodes, run.lease = self.lease.lease.nodes.names, self.lease.lease.id or None
            if call.when == "call":
                self._measure(run, item.stash[REQUEST].metrics, call.start, call.stop)
        if uses_nodes(item) and _went_wrong(report, call):
            late = call.when == "teardown" and run.verdict.outcome != "pending"
            if self._blame.has_lost_nodes(run, item.stash[REQUEST], call.excinfo, late=late):
                if call.when == "teardown" and call.excinfo is not None:
                    self._warn_of_teardown(call.excinfo)
                report_lost(run, report, late=late)
                return report
        run.verdict.add(report, call)
        if run.verdict.outcome == "failed" and uses_nodes(item):  # before the last test's teardown gives them back
            self.experiment.leases.failed(item.stash[REQUEST])
        # A teardown that fails comes too late: the call has been reported by then.
        if report.failed and call.when != "teardown" and self.experiment.may_retry(run.failures + 1):
            run.retried = True
            make_retried(report)
        elif report.failed and run.retried:
            make_retried(report)
        return report

    def _measure(self, run: Running, metrics: Sequence[str], start: float, end: float) -> None:
        """Have what the testbed measured meanwhile in the record. What can't be had does not fail a trial."""
        if not metrics or self.lease.lease is None:
            return
        try:
            run.trial.record(**self.lease.lease.measured(metrics, start, end))
        except ExecoError as error:
            self.experiment.warn(f"{', '.join(metrics)}: not in the record of {run.trial.id}: {error}")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        self._calling = True
        try:
            return (yield)
        finally:
            self._calling = False

    def _end_trial(self, item: pytest.Item) -> None:
        run, self._run, self._item = self._run, None, None
        assert run is not None
        if run.verdict.outcome == "pending":
            run.retried = False
        elif uses_nodes(item):
            self.experiment.leases.done(item.stash[REQUEST], run.doing, run.duration)
        result = Result(
            attempt=run.trial.attempt,
            outcome=run.verdict.outcome,
            reason=run.verdict.reason,
            error=run.verdict.error,
            started_at=run.started_at,
            duration=run.duration,
            nodes=run.nodes,
            lease=run.lease,
            measurements=run.trial.measurements,
            attachments=run.trial.attachments,
            source=source_digest(getattr(item, "function", None)),
        )
        try:
            self.experiment.finish(run.identity, result, retried=run.again)
        except CampaignError as error:
            self._stop(item, error)
        if run.verdict.stop is not None:
            self._stop(item, run.verdict.stop)
        self.adaptive.ended(item, run.identity, result)
        keep_logs(run.trial, self.ownership.failed())

    def _no_longer_waits(self, item: pytest.Item) -> None:
        """Give the nodes back as soon as no later test asks for them."""
        if not uses_nodes(item):
            return
        request = item.stash[REQUEST]
        self.waiting[request] -= 1
        # Asked for each of them, since the controller of pytest-xdist counts by it.
        waits = self.experiment.still_waits(request, self.waiting[request])
        if self.lease.request == request and not waits:
            self._end_lease(item)

    def _tear_down(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """End the fixtures that ``nextitem`` does not need."""
        state = item.session._setupstate
        self._reported(item, lambda: state.teardown_exact(nextitem), self.lease.request)

    def _end_lease(self, item: pytest.Item, *, anew: bool = False, lost: bool = False) -> None:
        """End the lease and the fixtures on it.

        :param anew: its group goes on.
        :param lost: some of its nodes were lost, all perhaps.
        """
        self._reported(item, lambda: self.lease.end(anew=anew), self.lease.request, lost=lost)

    def _reported(
        self, item: pytest.Item, end: Callable[[], None], request: Request | None, *, lost: bool = False
    ) -> None:
        """End fixtures. An error in a teardown is reported, and the run goes on."""
        call = pytest.CallInfo.from_call(end, when="teardown", reraise=(pytest.exit.Exception, KeyboardInterrupt))
        if call.excinfo is None:
            return
        if lost or (request is not None and self.experiment.leases.lost(request) is not None):
            self._warn_of_teardown(call.excinfo)
            return
        report = item.ihook.pytest_runtest_makereport(item=item, call=call)
        item.ihook.pytest_runtest_logreport(report=report)

    def _warn_of_teardown(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """It could not but fail: the nodes it stood on had gone."""
        error = excinfo.exconly().splitlines()[0]
        self.experiment.warn(f"a fixture's teardown, after its lease was lost: {error}")

    # what the fixtures ask for

    def take_lease(self) -> Lease:
        """Return the lease of the current group."""
        if self.lease.request is None:  # request.getfixturevalue("nodes"): nobody could see it coming
            if self._item is None:
                pytest.fail(fixtures.UNSEEN, pytrace=False)
            self.lease.enter(self._item.stash[REQUEST])
        waits = self.lease.lease is None
        lease = self.lease.take()
        if waits and self._run is not None:
            self._run.begin_now()
        return lease

    def trial_of(self, item: pytest.Item) -> Trial:
        """The trial that runs now."""
        if self._run is None:
            raise ExecoError(f"{item.nodeid}: no trial runs")
        return self._run.trial

    @property
    def campaign(self) -> Campaign:
        """The campaign; open while tests run."""
        return self.experiment.campaign


def _went_wrong(report: pytest.TestReport, call: pytest.CallInfo[None]) -> bool:
    """Tell whether something went wrong: what ``xfail`` expects to fail may have failed by its nodes too."""
    return report.failed or (hasattr(report, "wasxfail") and report.skipped and call.excinfo is not None)
