"""Four outcomes: passed, failed, skipped, and pending, which is no fault of the test; and retried failures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from ..engine.causes import environment_fault
from ..errors import RecordError
from ..results.writing import is_disk_fault

__all__ = (
    "PENDING_EXIT",
    "PendingItems",
    "Verdict",
    "make_pending",
    "make_retried",
    "pending_report",
)

#: Exit status of a run that left trials pending and has nothing worse to say: EX_TEMPFAIL of sysexits.h, "try again".
PENDING_EXIT = 75


@dataclass
class Verdict:
    """How a trial ended, gathered from the reports of its phases.

    Pending until its call has been reported: what did not run (``--setup-only``, say) has no outcome.
    """

    outcome: str = "pending"
    reason: str | None = "it did not run"
    error: dict[str, Any] | None = field(default=None)
    #: The lease was lost under it, and a report has said so.
    lost: bool = False
    #: What the test could not keep for want of disk: no fault of the test, and the end of the run.
    stop: RecordError | None = None

    def add(self, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
        """Take the report of one phase. The first thing that went wrong is the outcome; an environment's fault wins."""
        if report.when == "setup":  # of the test, or of its rerun by another plugin
            self.outcome, self.reason, self.error = "pending", "it did not run", None
        excinfo = call.excinfo
        fault: Exception | None = environment_fault(excinfo.value) if excinfo is not None else None
        if excinfo is not None and isinstance(excinfo.value, RecordError) and is_disk_fault(excinfo.value):
            fault = self.stop = excinfo.value
        if fault is not None:
            self.pend(str(fault).splitlines()[0])
            make_pending(report, self.reason or "")
        elif report.failed and self.outcome != "failed":
            self.outcome = "failed"
            self._blame(report, excinfo)
        elif report.skipped:
            self.outcome, self.reason = "skipped", _skip_reason(report)
        elif report.when == "call":
            self.outcome, self.reason = "passed", None

    def pend(self, reason: str) -> None:
        """The environment failed: whatever else happened, the trial has no outcome yet."""
        self.outcome, self.reason, self.error = "pending", reason, None

    def _blame(self, report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException] | None) -> None:
        if excinfo is None:  # strict xfail that passed
            self.reason = str(report.longrepr).splitlines()[0] if report.longrepr else "failed"
            return
        kind = excinfo.type.__name__
        message = str(excinfo.value)
        first = message.splitlines()[0] if message else ""
        self.reason = f"{kind}: {first}" + ("" if report.when == "call" else f" (in {report.when})")
        self.error = {"type": kind, "message": message, "traceback": str(report.longreprtext)}


def _skip_reason(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"expected failure: {report.wasxfail}".rstrip(": ")
    longrepr = report.longrepr
    return str(longrepr[2]).removeprefix("Skipped: ") if isinstance(longrepr, tuple) else str(longrepr)


def make_pending(report: pytest.TestReport, reason: str) -> None:
    """Turn a report into a pending one. For plugins that know three outcomes only, it is a skip."""
    report.outcome = "skipped"
    path, line, _ = report.location
    report.longrepr = (path, (line or 0) + 1, f"pending: {reason}")
    report.execo_pending = reason  # type: ignore[attr-defined]


def pending_report(item: pytest.Item, reason: str) -> pytest.TestReport:
    """Return the report of a test that was not run."""
    report = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="skipped",
        longrepr=None,
        when="setup",
    )
    make_pending(report, reason)
    return report


def make_retried(report: pytest.TestReport, word: str = "retried") -> None:
    """Turn the report of an attempt that is followed by another one into neither a failure nor a pass.

    :param word: how it is called: ``retried`` after a failure of the test, ``interrupted`` by the testbed.
    """
    report.outcome = word  # type: ignore[assignment]
    report.execo_retried = word  # type: ignore[attr-defined]


class PendingItems:
    """Reports what pytest has no outcome for. Registered where tests run and where reports are shown."""

    def report(self, item: pytest.Item, reason: str) -> None:
        """Report an item as pending instead of running it."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        item.ihook.pytest_runtest_logreport(report=pending_report(item, reason))
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        if hasattr(report, "execo_pending"):
            return "pending", "P", "PENDING"
        if hasattr(report, "execo_retried"):
            word: str = report.execo_retried
            # A failure of the test has been told by then; the loss of its nodes is told in whatever phase it shows.
            told = word == "retried" and report.when == "teardown"
            return ("", "", "") if told else (word, word[0].upper(), word.upper())
        return None
