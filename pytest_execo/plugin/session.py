"""A run that uses execo: plan → pick trial → set up → run → record → release.

Made when the collected tests show that the run needs it; registered as a plugin object of its own, so that a run
that uses nothing of execo meets none of these hooks.
"""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import CampaignError, ExecoError, InvalidInput
from ..testbeds import Request, find_testbed
from . import fixtures, settings, signals, terminal
from .items import REQUEST, TRIAL, request_of, trial_of
from .leases import Leases
from .outcomes import PENDING_EXIT, PendingItems, Verdict, make_pending
from .ownership import Ownership
from .recording import Recording
from .usage import asks_for_nodes, uses_execo, uses_nodes
from .workers import NoWorkers

if TYPE_CHECKING:
    from ..results import Campaign, Trial
    from ..testbeds import Lease

__all__ = ("ExperimentSession",)


class _Run:
    """The trial that runs now."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.verdict = Verdict()
        self.started_at = time.time()
        self._clock = time.monotonic()

    @property
    def duration(self) -> float:
        return time.monotonic() - self._clock


class ExperimentSession:
    """All that one pytest session knows of its experiment. See :meth:`begin`."""

    def __init__(self, session: pytest.Session) -> None:
        self.session = session
        self.config: pytest.Config = session.config
        self.settings: settings.Settings = settings.read(self.config)
        testbed = find_testbed(self.settings.site, self.settings.testbed)
        self.leases: Leases = Leases(testbed(self.settings.site, nodes=self.settings.nodes))
        self.recording: Recording = Recording(self.config, self.settings, testbed.name)
        self.ownership: Ownership = Ownership()
        self.pending: PendingItems = PendingItems()
        self.progress: terminal.Progress = terminal.Progress(self.config)
        self.items: list[pytest.Item] = []
        self.resumable: list[str] = []
        #: Trials without an outcome: those to run, less those that passed, failed or were skipped.
        self.left: int = 0
        self._waiting: collections.Counter[Request] = collections.Counter()
        self._run: _Run | None = None
        self._item: pytest.Item | None = None
        self._sigterm = signals.Sigterm(session)
        self._calling = False
        self._elsewhere: list[str] = []
        self._last_lines: list[str] = []

    # collection

    @classmethod
    def begin(cls, session: pytest.Session, items: list[pytest.Item], faults: Iterable[str]) -> None:
        """Check, order and thin out the collected tests, and register what runs them.

        :raises pytest.UsageError: with one line for each thing that is wrong; nothing was reserved or written.
        """
        from . import SESSION

        config = session.config
        if hasattr(config, "workerinput"):
            config.pluginmanager.register(NoWorkers())
            return
        lines = list(faults)
        mine = [item for item in items if uses_execo(item)]
        for item in mine:
            try:
                item.stash[REQUEST] = request_of(item)
            except InvalidInput as error:
                lines.append(str(error))
            if not lines and item.get_closest_marker("execo_sweep") and not item.get_closest_marker("execo_trial"):
                lines.append(f"{item.nodeid}: @sweep is for functions and methods that pytest can parametrize")
        if lines:
            # The items of one sweep share their faults.
            raise pytest.UsageError("\n".join(dict.fromkeys(lines)))
        try:
            self = cls(session)
            self._select(items, mine)
        except (InvalidInput, CampaignError) as error:
            raise pytest.UsageError(str(error)) from None
        config.stash[SESSION] = self
        for plugin in (self, self.leases, self.ownership, self.pending, self.progress):
            config.pluginmanager.register(plugin)

    def _select(self, items: list[pytest.Item], mine: list[pytest.Item]) -> None:
        """Leave out what is done, and bring together what asks for the same."""
        trials: dict[str, pytest.Item] = {}
        for item in mine:
            trial = item.stash[TRIAL] = trial_of(item)
            if trial.id in trials and trial.resumable:
                raise InvalidInput(
                    f"{item.nodeid} is the same trial as {trials[trial.id].nodeid}: same test and parameters"
                )
            trials[trial.id] = item
        self.resumable = [item.stash[TRIAL].id for item in mine if item.stash[TRIAL].resumable]
        done = self.recording.done(self.resumable)
        left_out = [item for item in mine if item.stash[TRIAL].id in done]
        groups = {request: index for index, request in enumerate(dict.fromkeys(i.stash[REQUEST] for i in mine))}
        mine = [item for item in mine if item.stash[TRIAL].id not in done]
        mine.sort(key=lambda item: groups[item.stash[REQUEST]])
        # What needs no nodes runs before any are taken.
        items[:] = [item for item in items if TRIAL not in item.stash] + mine
        self.items, self.left = mine, len(mine)
        self._waiting.update(item.stash[REQUEST] for item in mine if uses_nodes(item))
        if left_out:
            self.config.hook.pytest_deselected(items=left_out)

    def groups(self) -> dict[Request, list[pytest.Item]]:
        """The tests to run that ask for nodes, by what they ask for."""
        groups: dict[Request, list[pytest.Item]] = {}
        for item in self.items:
            if asks_for_nodes(item):
                groups.setdefault(item.stash[REQUEST], []).append(item)
        return groups

    def pytest_report_collectionfinish(self) -> list[str]:
        return terminal.plan_lines(self)

    # the run

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if self.settings.plan:
            return True  # the loop is done
        broken = session.testsfailed and not session.config.option.continue_on_collection_errors
        if session.config.option.collectonly or broken or not self.items:
            return None
        try:
            self.recording.open(self.resumable, {item.stash[TRIAL].id: item.stash[TRIAL].test for item in self.items})
        except (CampaignError, OSError) as error:
            given = f"--execo-campaign={self.settings.campaign}" if self.settings.campaign else "execo"
            message = str(error) if str(error).startswith(given) else f"{given}: {error}"
            raise pytest.UsageError(message) from None
        self._sigterm.install()
        return None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        if TRIAL not in item.stash:
            return (yield)
        reason = self._begin_trial(item)
        if reason is not None:
            self._no_longer_waits(item)
            self.pending.reasons[item.nodeid] = reason
            self.progress.ended("pending", reason)
            return (yield)
        try:
            with self.ownership.of_test():
                result = yield
        except BaseException as error:
            assert self._run is not None
            self._run.verdict.pend(f"interrupted: {type(error).__name__}")
            self._end_trial(item)
            raise
        self._end_trial(item)
        return result

    def _begin_trial(self, item: pytest.Item) -> str | None:
        """Get ready for the trial of ``item``; return why it can't run now, if so."""
        request, trial = item.stash[REQUEST], item.stash[TRIAL]
        if asks_for_nodes(item):
            unmet = self.leases.plan(request).unmet
            if unmet:
                return "; ".join(unmet)
        if uses_nodes(item):
            if request in self.leases.broken:
                return str(self.leases.broken[request]).splitlines()[0]
            if self.leases.lost() or request != self.leases.request:
                self._end_lease(item)
            self.leases.enter(request)
        attempt = self.recording.claim(trial)
        if attempt is None:
            self._elsewhere.append(trial.id)
            return "another session is at work on it, or has done it"
        self._run = _Run(self.recording.trial(trial, attempt))
        self._item = item
        return None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        # What is reported while the test is called is a part of it (a subtest); the whole is reported after it.
        if self._run is not None and TRIAL in item.stash and not self._calling:
            lost = self.leases.lost() if report.failed and uses_nodes(item) else None
            if lost is not None:
                if call.when == "teardown" and call.excinfo is not None:
                    self._warn_of_teardown(call.excinfo)
                if self._run.verdict.lost:
                    report.outcome, report.longrepr = "passed", None  # told already
                else:
                    make_pending(report, str(lost))
                self._run.verdict.lost = True
                self._run.verdict.pend(str(lost))
            else:
                self._run.verdict.add(report, call)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        self._calling = True
        try:
            return (yield)
        finally:
            self._calling = False

    def _end_trial(self, item: pytest.Item) -> None:
        run, self._run = self._run, None
        self._item = None
        assert run is not None
        try:
            self._record(item, run)
        except CampaignError as error:
            # Without a record the trial was for nothing, and so would be the next one.
            pytest.exit(f"execo: {error}", returncode=pytest.ExitCode.INTERNAL_ERROR)
        self.progress.ended(run.verdict.outcome, run.verdict.reason)
        self.left -= run.verdict.outcome != "pending"
        self._no_longer_waits(item)

    def _record(self, item: pytest.Item, run: _Run) -> None:
        names = self.leases.current.nodes.names if self.leases.current is not None and uses_nodes(item) else []
        self.recording.finish(
            item.stash[TRIAL],
            run.trial,
            outcome=run.verdict.outcome,
            reason=run.verdict.reason,
            error=run.verdict.error,
            started_at=run.started_at,
            duration=run.duration,
            nodes=names,
        )
        self.recording.keep_logs(run.trial, self.ownership.failed())

    def _no_longer_waits(self, item: pytest.Item) -> None:
        """Give the nodes back as soon as no later test asks for them."""
        request = item.stash[REQUEST]
        if uses_nodes(item):
            self._waiting[request] -= 1
        if not self._waiting[request] and self.leases.request == request:
            self._end_lease(item)

    def _end_lease(self, item: pytest.Item) -> None:
        """End the lease and the fixtures on it. An error in a fixture's teardown is reported, and the run goes on."""
        call = pytest.CallInfo.from_call(
            self.leases.end, when="teardown", reraise=(pytest.exit.Exception, KeyboardInterrupt)
        )
        if call.excinfo is None:
            return
        lost = self.leases.lost()
        if lost is not None:
            self._warn_of_teardown(call.excinfo)
            return
        report = item.ihook.pytest_runtest_makereport(item=item, call=call)
        item.ihook.pytest_runtest_logreport(report=report)

    def _warn_of_teardown(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """It could not but fail: the nodes it stood on had gone."""
        error = excinfo.exconly().splitlines()[0]
        terminal.write_line(self.config, f"execo: warning: a fixture's teardown, after its lease was lost: {error}")

    # what the fixtures ask for

    def take_lease(self) -> Lease:
        """Reserve the nodes of the current group, and note them in the campaign's description."""
        if self.leases.request is None:  # request.getfixturevalue("nodes"): nobody could see it coming
            if self._item is None:
                pytest.fail(fixtures.UNSEEN, pytrace=False)
            self.leases.enter(self._item.stash[REQUEST])
        lease = self.leases.take()
        with contextlib.suppress(
            CampaignError
        ):  # a disk that is full is told by the record, which is worth stopping for
            self.campaign.describe(nodes=lease.nodes)
        return lease

    def trial_of(self, item: pytest.Item) -> Trial:
        """The trial that runs now."""
        if self._run is None:
            raise ExecoError(f"{item.nodeid}: no trial runs")
        return self._run.trial

    @property
    def campaign(self) -> Campaign:
        """The campaign; open while tests run."""
        return self.recording.campaign

    # the end

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        self._sigterm.ending = True
        if self.settings.plan:
            if any(self.leases.plan(request).unmet for request in self.groups()):
                session.exitstatus = PENDING_EXIT
        elif not session.config.option.collectonly:
            self.left -= self.recording.finished(self._elsewhere)
            self._set_exit_status(session)
        try:
            yield
        finally:
            self._sigterm.restore()
            with contextlib.suppress(ExecoError):
                self.leases.give_back()
            self._last_lines = terminal.last_lines(self, self._close(session))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        # Not earlier: after Ctrl-C or pytest.exit() pytest itself prints its last words here.
        for line in self._last_lines:
            terminal.write_line(config, line)

    def _set_exit_status(self, session: pytest.Session) -> None:
        """Nothing green that is not all done and well: see the table in docs/errors.md."""
        if self._sigterm.came and session.exitstatus == pytest.ExitCode.INTERRUPTED:
            session.exitstatus = self._sigterm.STATUS
        if session.exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return
        if self.left:
            session.exitstatus = PENDING_EXIT
        elif self.recording.failed_before:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        else:
            session.exitstatus = pytest.ExitCode.OK

    def _close(self, session: pytest.Session) -> list[Path]:
        if not self.recording.opened:
            return []
        try:
            self.recording.close(int(session.exitstatus), self.progress.outcomes)
        except CampaignError as error:
            terminal.write_line(self.config, f"execo: warning: {error}")
        return self._pictures()

    def _pictures(self) -> list[Path]:
        try:
            made = self.config.hook.pytest_execo_report(config=self.config, campaign=self.recording.campaign)
        except Exception as error:
            terminal.write_line(self.config, f"execo: warning: no picture: {type(error).__name__}: {error}")
            return []
        return [Path(p) for paths in made for p in ([paths] if isinstance(paths, str | Path) else paths or ())]
