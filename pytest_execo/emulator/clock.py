"""The emulator's time: Unix dates that may pass faster than real ones, or only when told."""

from __future__ import annotations

import math
import time
from typing import Protocol

__all__ = ("EmulatedClock", "ManualClock", "RunningClock", "SteppedClock")


class EmulatedClock(Protocol):
    """What says how late it is in the emulated world."""

    @property
    def speed(self) -> float:
        """Emulated seconds in one real second; 0: it only moves when told."""

    def now(self) -> float:
        """Return the emulated Unix date. It never goes back."""

    def real_seconds(self, emulated: float) -> float:
        """Return how many real seconds an emulated duration takes; infinity on a clock that stands."""


class RunningClock:
    """A clock that runs by itself, from the real date unless ``start`` is given.

    :param speed: emulated seconds in a real one: with 60 a walltime of an hour is over after a minute.
    """

    def __init__(self, speed: float = 1.0, start: float | None = None) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"speed {speed!r} is not a number above 0")
        self.speed: float = speed
        self._began = time.monotonic()
        self._start = time.time() if start is None else start

    def now(self) -> float:
        """Return the emulated Unix date."""
        return self._start + (time.monotonic() - self._began) * self.speed

    def real_seconds(self, emulated: float) -> float:
        """Return how many real seconds an emulated duration takes."""
        return emulated / self.speed


class ManualClock:
    """A clock that stands until it is advanced: for tests, and for rehearsals step by step."""

    #: A Monday afternoon in September 2026. It is always the same.
    START = 1_790_000_000.0

    def __init__(self, start: float = START) -> None:
        self.speed: float = 0.0
        self._now = start

    def now(self) -> float:
        """Return the date it was set to."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Go on by ``seconds`` and return the new date. Time does not go back: negative numbers are refused."""
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"a clock can't advance by {seconds!r} seconds: write a number that is not negative")
        self._now += seconds
        return self._now

    def real_seconds(self, emulated: float) -> float:
        """Return infinity, or 0 for no time at all."""
        return math.inf if emulated > 0 else 0.0


class SteppedClock:
    """The clock that all parts of one platform read.

    The platform sets it from date to date of what is due, up to its real clock's: so each thing happens at its own
    date and in order, also when nobody has asked for an hour.
    """

    def __init__(self, start: float) -> None:
        self._now = start

    def now(self) -> float:
        """Return the date that the platform is at."""
        return self._now

    def step_to(self, date: float) -> None:
        """Go to ``date``; one that has passed changes nothing."""
        self._now = max(self._now, date)
