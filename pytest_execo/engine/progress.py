"""How far a run is."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable

from ..units import format_duration

__all__ = ("Progress",)

# Seconds between two lines of progress.
_PERIOD = 15.0


class Progress:
    """Counts outcomes, and says how far a long run is: every 15 s, with the time left at the rate so far.

    :param say: told these lines.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.why_pending: collections.Counter[str] = collections.Counter()
        #: Failed attempts that were followed by another one.
        self.retried: int = 0
        #: Attempts whose nodes were lost, and that were followed by another one.
        self.interrupted: int = 0
        #: The retries that the campaign may take, when a trial was not tried again for it.
        self.budget_spent: int | None = None
        #: How many trials are to be run.
        self.total: int = 0
        self.begin()

    def begin(self) -> None:
        """The first trial is next: time counts from now."""
        self._began = self._told = time.monotonic()

    def ended(self, outcome: str, reason: str | None) -> None:
        """Count a trial."""
        self.outcomes[outcome] += 1
        if outcome == "pending":
            self.why_pending[reason or "no reason known"] += 1
        now = time.monotonic()
        if now - self._told < _PERIOD:
            return
        self._told = now
        done = sum(self.outcomes.values())
        left = (now - self._began) / done * (self.total - done)
        self._say(f"{done} of {self.total} trials ({self.counts()}), about {format_duration(left)} left")

    def counts(self) -> str:
        """Return the outcomes in words: ``3 passed, 1 failed``; "" for none."""
        return ", ".join(f"{count} {name}" for name, count in self.outcomes.items())
