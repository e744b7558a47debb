"""Whose fault a failure is: the test's, or that of nodes which are not there any more."""

from __future__ import annotations

import pytest

from ..errors import DeploymentFailed, LeaseLost
from ..leases.health import lost_hosts
from ..leases.holder import Lender
from ..testbeds import Request
from .leases import CurrentLease
from .outcomes import environment_fault, make_pending, make_retried
from .running import Running

__all__ = ("Blame", "report_lost")


class Blame:
    """Looks at failures of tests that use nodes."""

    def __init__(self, current: CurrentLease, leases: Lender) -> None:
        self._current = current
        self._leases = leases

    def has_lost_nodes(
        self, run: Running, request: Request, excinfo: pytest.ExceptionInfo[BaseException] | None
    ) -> bool:
        """Tell whether a failure comes from the loss of nodes; if so, :attr:`Running.lost` says how.

        Whether the trial runs again is decided then too, before its fixtures are torn down.
        """
        if run.lost is None:
            run.lost = self._why(request, excinfo)
            if run.lost is None:
                return False
            may_be = self._leases.broken(request) is None
            run.rebuilt = self._leases.interrupted(request, run.doing, run.duration) and may_be
        return True

    def _why(self, request: Request, excinfo: pytest.ExceptionInfo[BaseException] | None) -> str | None:
        lost = self._leases.lost(request)
        if lost is not None:
            return str(lost)
        if self._current.lease is None or excinfo is None:
            return None
        fault = environment_fault(excinfo.value)
        if isinstance(fault, LeaseLost | DeploymentFailed):
            reason = str(fault).splitlines()[0]
            self._leases.condemn(request, reason)
            return reason
        # A node that is silent now explains the failure; so does a connection to one of ours that broke.
        return self._leases.examine(request) or self._broken(request, excinfo.value)

    def _broken(self, request: Request, error: BaseException) -> str | None:
        assert self._current.lease is not None
        broken = lost_hosts(error)
        ours = {*self._current.lease.nodes.names} - self._leases.off_on_purpose(request)
        return next((why for host, why in broken.items() if host in ours), None)


def report_lost(run: Running, report: pytest.TestReport) -> None:
    """Say once that the nodes were lost, and nothing of what followed from it."""
    reason = run.lost or ""
    if run.verdict.lost:
        report.outcome, report.longrepr = "passed", None  # told already
    elif run.rebuilt:
        make_retried(report, "interrupted")
    else:
        make_pending(report, reason)
    run.verdict.lost = True
    run.verdict.pend(reason)
