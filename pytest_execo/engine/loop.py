"""Trials one after another, on nodes that come and go."""

from __future__ import annotations

import contextlib
import inspect
import unittest
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ExecoError, RecordError
from ..hosts import Hosts
from ..leases.fitting import Doing
from ..processes import Scope
from ..processes.scopes import entered
from ..results import Trial
from ..results.writing import is_disk_fault
from .attempt import Attempt, traceback_of
from .causes import environment_fault, why_lost
from .experiment import Experiment
from .logs import keep_logs
from .recording import Refusal
from .trial_of import TrialOf
from .work import Work

if TYPE_CHECKING:
    from ..testbeds import Lease
    from .engine import Engine

__all__ = ("Loop", "PreparationFailed")


class _NodesLost(Exception):
    """Nodes were lost while they were made ready: how, in a line."""


class PreparationFailed(Exception):
    """``prepare`` raised something that is no fault of the nodes; it is the cause."""


class Loop:
    """Runs the trials of an engine. The books are kept by the experiment. Ended by :meth:`end`."""

    def __init__(self, engine: Engine, experiment: Experiment, work: Work) -> None:
        self._engine = engine
        self._experiment = experiment
        self._leases = experiment.leases
        self._work = work
        #: What was prepared, and ends with the nodes.
        self._prepared: contextlib.ExitStack | None = None
        self._stopped = False

    def run(self) -> None:
        """Run what the experiment has to do.

        :raises PreparationFailed: nodes could not be made ready.
        :raises CampaignError: an attempt can't be written down.
        """
        trials = [self._work.trials[each] for group in self._experiment.workload.groups for each in group.trials]
        held: list[tuple[TrialOf, Mapping[str, Any]]] = []
        for trial, levels in trials:
            if self._do(trial, levels) == "held":
                held.append((trial, levels))
        for trial, levels in held:  # their owner may have died meanwhile
            if self._do(trial, levels) == "held":
                self._experiment.held_elsewhere(trial)
                self._experiment.ended("pending", "another session is at work on it")

    def stop(self, reason: str) -> None:
        """Begin no other attempt."""
        self._stopped = True

    def end(self) -> None:
        """End what was prepared. The nodes are given back by the experiment."""
        self._end_preparation()

    def _do(self, trial: TrialOf, levels: Mapping[str, Any]) -> str | None:
        """Run a trial, as often as it takes. Return why it was not to be had."""
        failures = 0
        while not self._stopped:
            refused = self._stand_by(trial)
            if refused is not None:
                self._experiment.ended("pending", refused)
                return None
            attempt = self._experiment.begin(trial)
            if isinstance(attempt, Refusal):
                return attempt.kind
            run = Attempt(self._trial(trial, attempt))
            again = self._attempt(run, trial, levels, failures)
            if not again:
                return None
            failures += run.outcome == "failed"
        return None

    def _stand_by(self, trial: TrialOf) -> str | None:
        """Get nodes ready on which a trial can begin; return why it can't run now."""
        request = self._work.request
        unmet = self._experiment.plan(request).unmet
        if unmet:
            return "; ".join(unmet)
        ready = self._leases.ready(request, _doing(trial))
        if ready.anew:
            self._end_preparation()
            self._leases.let_go(request)
        return ready.refused

    def _trial(self, trial: TrialOf, attempt: int) -> Trial:
        return Trial(
            id=trial.id,
            test=trial.test,
            params=trial.params,
            repetition=trial.repetition,
            attempt=attempt,
            directory=self._experiment.campaign.trial_directory(trial.id),
        )

    def _attempt(self, run: Attempt, trial: TrialOf, levels: Mapping[str, Any], failures: int) -> bool:
        """Make an attempt and write it down; tell whether there is to be another one."""
        again = False
        scope = Scope("trial", keep=True)
        try:
            try:
                lease = self._ready_nodes(run)
                with entered(scope):
                    try:
                        self._call(run, lease.nodes, levels)
                    finally:
                        scope.close()
            finally:
                run.end()
        except KeyboardInterrupt as error:
            run.pend(f"interrupted: {type(error).__name__}")
            raise
        except PreparationFailed:
            run.pend("prepare() failed")
            raise
        except BaseException as error:
            again = self._judge(run, trial, error, failures)
        else:
            run.passed()
        finally:
            self._finish(run, trial, scope, again)
        return again

    def _ready_nodes(self, run: Attempt) -> Lease:
        """Return the lease, its nodes prepared."""
        request = self._work.request
        lease = self._leases.take(request)
        self._engine.lease = lease
        run.nodes, run.lease = lease.nodes.names, lease.id or None
        if self._prepared is None:
            try:
                self._prepare(lease.nodes)
            except BaseException as error:
                self._end_preparation()
                if isinstance(error, Exception):
                    self._blame_preparation(error)
                raise
        run.begin()
        return lease

    def _prepare(self, nodes: Hosts) -> None:
        self._prepared = contextlib.ExitStack()
        scope = Scope("preparation", keep=True)
        self._prepared.callback(scope.close)

        def rest(going: Generator[Any, Any, Any]) -> None:
            with entered(scope):
                next(going, None)

        with entered(scope):
            going: object = self._engine.prepare(nodes)
            if inspect.isgenerator(going):
                next(going, None)
                self._prepared.callback(rest, going)

    def _blame_preparation(self, error: Exception) -> None:
        """Say whose fault an error is. :raises PreparationFailed: its own."""
        lost = why_lost(self._leases, self._work.request, self._engine.lease, error)
        if lost is not None:
            raise _NodesLost(lost) from error
        if environment_fault(error) is None:
            raise PreparationFailed from error

    def _call(self, run: Attempt, nodes: Hosts, levels: Mapping[str, Any]) -> None:
        given: dict[str, Any] = {"nodes": nodes, "trial": run.trial}
        takes = {name: given[name] if name in given else levels.get(name) for name in self._work.takes}
        self._engine.run_trial(**takes)

    def _judge(self, run: Attempt, trial: TrialOf, error: BaseException, failures: int) -> bool:
        """Say what an exception means for the trial; tell whether it is run again."""
        request = self._work.request
        lease = self._engine.lease if run.nodes else None
        lost = str(error) if isinstance(error, _NodesLost) else why_lost(self._leases, request, lease, error)
        if lost is not None:
            run.pend(lost)
            # Whether others take their places or not: these are not the nodes that were prepared.
            self._end_preparation()
            again = self._leases.interrupted(request, _doing(trial), run.duration)
            self._leases.let_go(request)
            return again and self._leases.broken(request) is None
        fault = environment_fault(error)
        if fault is not None:
            run.pend(str(fault).splitlines()[0])
            return False
        if isinstance(error, RecordError) and is_disk_fault(error):
            run.pend(str(error).splitlines()[0])
            raise error
        if isinstance(error, unittest.SkipTest):
            run.skip(str(error))
            return False
        run.fail(error)
        self._leases.failed(request)
        return self._experiment.may_retry(failures + 1)

    def _finish(self, run: Attempt, trial: TrialOf, scope: Scope, again: bool) -> None:
        request = self._work.request
        if run.outcome != "pending":
            self._leases.done(request, _doing(trial), run.duration)
            self._measure(run)
        self._experiment.finish(trial, run.result(self._work.source), retried=again)
        keep_logs(run.trial, scope.failed)
        if run.outcome == "failed":
            word = "failed, is tried again" if again else "failed"
            where = f"{trial.params_json}, repetition {trial.repetition}"
            trace = run.error["traceback"] if run.error is not None else ""
            self._experiment.say(f"{word}: {where}: {run.reason}\n{trace}")

    def _measure(self, run: Attempt) -> None:
        """Have what the testbed measured meanwhile in the record. What can't be had does not fail a trial."""
        metrics = self._work.request.metrics
        if not metrics:
            return
        try:
            run.trial.record(**self._engine.lease.measured(metrics, run.started_at, run.started_at + run.duration))
        except ExecoError as error:
            self._experiment.warn(f"{', '.join(metrics)}: not in the record of {run.trial.id}: {error}")

    def told(self, failure: PreparationFailed) -> None:
        """Say on the terminal why nodes could not be made ready."""
        assert failure.__cause__ is not None
        self._experiment.say(f"prepare() failed, so no trial can run:\n{traceback_of(failure.__cause__)}")

    def _end_preparation(self) -> None:
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            return
        try:
            prepared.close()
        except Exception as error:
            # The nodes may be dead, and the trials are done: nothing to fail for.
            self._experiment.warn(f"the end of prepare(): {type(error).__name__}: {error}")


def _doing(trial: TrialOf) -> Doing:
    return Doing(trial.id, trial.test, trial.params_json)
