"""The controller of pytest-xdist: keeps the books for workers, which run the tests.

It neither collects nor runs a test. What it needs to know of them the workers say, each the same; the first counts.

There is a controller in every run with workers, also where no test uses execo: what it needs loads when it is asked.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import CampaignError
from .broker import Broker
from .scheduling import GroupScheduling

if TYPE_CHECKING:
    from ..engine.experiment import Experiment, Group
    from ..engine.recording import Refusal
    from ..engine.trial_of import TrialOf
    from ..testbeds import Request
    from .bookkeeping import Bookkeeping

__all__ = ("Controller",)

# What workers may have the experiment do.
_EXPERIMENTS = (
    "past", "plan", "may_retry", "ended", "held_elsewhere", "spare", "warn",
)  # fmt: skip
# What they may ask of those who lend nodes.
_LENDERS = (
    "broken", "take", "ready", "lost", "examine", "off_on_purpose", "condemn", "done", "failed",
    "interrupted", "measured", "let_go", "give_back",
)  # fmt: skip


class Controller:
    """Made with the first worker, closed when pytest ends. Without a question it has nothing but a socket."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.broker: Broker = Broker(self._answer)
        self._lock = threading.Lock()
        self._experiment: Experiment | None = None
        self._bookkeeping: Bookkeeping | None = None
        self._scheduling: GroupScheduling | None = None
        self._selected: str = ""
        self._loaded = False
        #: Why the run can't begin: what the workers found wrong with it.
        self._refused: str = ""
        #: What each worker is at.
        self._running: dict[str, tuple[TrialOf, int]] = {}
        self._crashed: dict[str, TrialOf] = {}
        #: The trial that each worker has done last.
        self._done: dict[str, str] = {}
        self._over: CampaignError | None = None

    # what workers ask, each in a thread of its own

    def _answer(self, worker: str, question: str, arguments: tuple[Any, ...]) -> object:
        own = getattr(self, f"_answer_{question}", None)
        if own is not None:
            return own(worker, *arguments)
        # The others are the experiment's own methods: no name but these comes from outside.
        if question not in _EXPERIMENTS:
            raise LookupError(question)
        return getattr(self.experiment, question)(*arguments)

    @property
    def experiment(self) -> Experiment:
        """The books; opened with the first question."""
        from .opening import open_experiment

        with self._lock:
            if self._experiment is None:
                self._experiment = open_experiment(self._config)
            return self._experiment

    def _answer_refuse(self, worker: str, lines: str) -> None:
        self._refused = self._refused or lines

    def _answer_selected(self, worker: str, digest: str) -> object:
        return self.experiment.select((), {}) if digest == self._selected else None

    def _answer_select(self, worker: str, digest: str, planned: Any, sources: Any) -> object:
        selection = self.experiment.select(planned, sources)
        with self._lock:
            self._selected = self._selected or digest
        return selection

    def _answer_loaded(self, worker: str) -> bool:
        return self._loaded

    def _answer_load(self, worker: str, workload: Any) -> None:
        self.experiment.load(workload)
        self._loaded = True

    def _answer_campaign(self, worker: str) -> object:
        return self.experiment.campaign

    def _answer_leases(self, worker: str, what: str, arguments: tuple[Any, ...]) -> object:
        from ..leases.holder import Holder

        if what not in _LENDERS:
            raise LookupError(what)
        answer = getattr(Holder(self.experiment.pool, worker), what)(*arguments)
        return (answer.id, answer.nodes, answer.end) if what == "take" else answer

    def _answer_still_waits(self, worker: str, request: Request) -> bool:
        assert self._scheduling is not None
        groups = self.experiment.workload.groups
        number = next(n for n, group in enumerate(groups) if group.request == request)
        return self._scheduling.still_waits(worker, number)

    def _answer_begin(self, worker: str, trial: TrialOf) -> int | Refusal:
        with self._told_to_all():
            taken = self.experiment.begin(trial)
        if isinstance(taken, int):
            self._running[worker] = trial, taken
        return taken

    def _answer_finish(self, worker: str, trial: TrialOf, result: Any, retried: bool) -> None:
        with self._told_to_all():
            self.experiment.finish(trial, result, retried=retried)
        self._running.pop(worker, None)
        if not retried:
            self._done[worker] = trial.id

    @contextlib.contextmanager
    def _told_to_all(self) -> Iterator[None]:
        """An error of the campaign ends the whole run, not only what the asking worker does."""
        try:
            yield
        except CampaignError as error:
            self.fail(error)
            raise

    def fail(self, error: CampaignError) -> None:
        """Nothing can be recorded any more: the run ends as soon as the main thread comes by."""
        self._over = self._over or error

    # what xdist tells

    @pytest.hookimpl(wrapper=True, optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Generator[None, Any, Any]:
        plain = yield
        if config.getvalue("dist") == "each":
            return plain
        self._scheduling = GroupScheduling(plain, self._start)
        return self._scheduling

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        if not self._refused and self._scheduling is None and self._loaded:
            self._refused = "--dist=each runs a test several times at once; trials with nodes or sweeps are run once"
        if self._refused:
            raise pytest.UsageError(self._refused)

    def _start(self, ids: Sequence[str]) -> Sequence[Group] | None:
        """Open the campaign when the tests are ours; all workers have collected the same."""
        experiment = self._experiment
        if experiment is None or not self._loaded:
            return None
        from ..engine.lines import plan_lines
        from . import terminal
        from .bookkeeping import Bookkeeping
        from .outcomes import PendingItems

        session: Any = self._config.pluginmanager.get_plugin("session")
        self._bookkeeping = Bookkeeping(session, experiment)
        for plugin in (*self._bookkeeping.plugins, PendingItems()):
            self._config.pluginmanager.register(plugin)
        terminal.write_line(self._config, "")
        for line in plan_lines(experiment):
            terminal.write_line(self._config, line)
        if experiment.workload.trials:
            self._bookkeeping.open()
        return experiment.workload.groups

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        worker = node.gateway.id
        if error is None or self._experiment is None:
            return
        # What it said last may still be on its way.
        self.broker.wait(worker, 10.0)
        self._experiment.pool.hand_over(worker)
        running = self._running.pop(worker, None)
        if running is not None:
            trial, attempt = running
            self._crashed[worker] = trial
            try:
                self._experiment.give_up(trial, attempt, f"worker {worker} crashed")
            except CampaignError as failure:
                self.fail(failure)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        worker = report.node.gateway.id
        ran = self._crashed.pop(worker, None) is not None
        trial = None if self._scheduling is None else self._scheduling.trial_of(crashitem)
        if not ran and trial is None:
            return
        if not ran and self._done.get(worker) == trial:  # it had ended, and been reported
            report.outcome, report.when, report.longrepr = "passed", "teardown", None
            return
        from .outcomes import make_pending

        reason = f"worker {worker} crashed" + (" while running it" if ran else " before it began")
        make_pending(report, reason)
        if not ran and self._experiment is not None:
            self._experiment.ended("pending", reason)

    def pytest_runtest_logreport(self) -> None:
        self._write_later_lines()
        if self._over is not None:
            error, self._over = self._over, None
            pytest.exit(f"execo: {error}", returncode=pytest.ExitCode.INTERNAL_ERROR)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        if self._over is not None:
            from . import terminal

            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            terminal.write_line(self._config, f"execo: {self._over}")
        try:
            yield
        finally:
            self._write_later_lines()

    def _write_later_lines(self) -> None:
        if self._experiment is not None:
            from . import terminal

            terminal.write_later_lines(self._config)
            self._experiment.events.call_back()

    def pytest_unconfigure(self) -> None:
        self.broker.close()
