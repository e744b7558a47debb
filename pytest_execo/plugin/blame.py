"""Whose fault a failure is: the test's, or that of nodes which are not there any more."""

from __future__ import annotations

import pytest

from ..engine.causes import why_lost
from ..leases.holder import Lender
from ..testbeds import Request
from .leases import CurrentLease
from .outcomes import make_pending, make_retried
from .running import Running

__all__ = ("Blame", "report_lost")


class Blame:
    """Looks at failures of tests that use nodes."""

    def __init__(self, current: CurrentLease, leases: Lender) -> None:
        self._current = current
        self._leases = leases

    def has_lost_nodes(
        self,
        run: Running,
        request: Request,
        excinfo: pytest.ExceptionInfo[BaseException] | None,
        *,
        late: bool = False,
    ) -> bool:
        """Tell whether a failure comes from the loss of nodes; if so, :attr:`Running.lost` says how.

        Whether the trial runs again is decided then too, before its fixtures are torn down.

        :param late: the trial has its outcome, and keeps it: only what stands on the nodes has to be built again.
        """
        if run.lost is None:
            error = None if excinfo is None else excinfo.value
            run.lost = why_lost(self._leases, request, self._current.lease, error)
            if run.lost is None:
                return False
            if late:
                return True
            may_be = self._leases.broken(request) is None
            run.rebuilt = self._leases.interrupted(request, run.doing, run.duration) and may_be
        return True


def report_lost(run: Running, report: pytest.TestReport, *, late: bool = False) -> None:
    """Say once that the nodes were lost, and nothing of what followed from it.

    :param late: the trial has its outcome.
    """
    reason = run.lost or ""
    if hasattr(report, "wasxfail"):
        del report.wasxfail
    if late or run.verdict.lost:
        report.outcome, report.longrepr = "passed", None  # told already, or nobody's business
        if late:
            return
    elif run.rebuilt:
        make_retried(report, "interrupted")
    else:
        make_pending(report, reason)
    run.verdict.lost = True
    run.verdict.pend(reason)
