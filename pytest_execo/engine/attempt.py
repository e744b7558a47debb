"""An attempt at a trial, while it runs."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any

from .recording import Result

if TYPE_CHECKING:
    from types import TracebackType

    from ..results import Trial

__all__ = ("Attempt", "traceback_of")


class Attempt:
    """An attempt at a trial. Pending until it is said otherwise."""

    def __init__(self, trial: Trial) -> None:
        self.trial: Trial = trial
        self.outcome: str = "pending"
        self.reason: str | None = "it did not run"
        self.error: dict[str, Any] | None = None
        #: The names of the nodes it ran on.
        self.nodes: list[str] = []
        #: The id of the lease that they are of.
        self.lease: str | None = None
        self.begin()

    def begin(self) -> None:
        """The nodes are there, and ready: what was before was waiting."""
        #: Unix date of the beginning.
        self.started_at: float = time.time()
        self._clock = time.monotonic()
        self._seconds: float | None = None

    def end(self) -> None:
        """What follows is no part of the attempt."""
        self._seconds = time.monotonic() - self._clock

    @property
    def duration(self) -> float:
        """Seconds since the beginning, until the end."""
        return time.monotonic() - self._clock if self._seconds is None else self._seconds

    def passed(self) -> None:
        """It was well."""
        self.outcome, self.reason, self.error = "passed", None, None

    def skip(self, reason: str) -> None:
        """The trial says that there is nothing to be done."""
        self.outcome, self.reason, self.error = "skipped", reason or "skipped", None

    def pend(self, reason: str) -> None:
        """The environment failed: whatever else happened, the trial has no outcome yet."""
        self.outcome, self.reason, self.error = "pending", reason, None

    def fail(self, error: BaseException) -> None:
        """The trial itself has failed."""
        kind, message = type(error).__name__, str(error)
        first = message.splitlines()[0] if message else ""
        self.outcome, self.reason = "failed", f"{kind}: {first}"
        self.error = {"type": kind, "message": message, "traceback": traceback_of(error)}

    def result(self, source: str | None) -> Result:
        """Return what the record says of it.

        :param source: the digest of the trial's source.
        """
        return Result(
            attempt=self.trial.attempt,
            outcome=self.outcome,
            reason=self.reason,
            error=self.error,
            started_at=self.started_at,
            duration=self.duration,
            nodes=self.nodes,
            lease=self.lease,
            measurements=self.trial.measurements,
            attachments=self.trial.attachments,
            source=source,
        )


def traceback_of(error: BaseException) -> str:
    """Return a traceback that begins in the user's code."""
    return "".join(traceback.format_exception(type(error), error, _theirs(error.__traceback__))).rstrip()


def _theirs(found: TracebackType | None) -> TracebackType | None:
    while found is not None and found.tb_frame.f_globals.get("__package__") == __package__:
        found = found.tb_next
    return found
