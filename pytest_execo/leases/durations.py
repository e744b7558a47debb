"""How long trials take, learned as they run: what fits before a lease ends, and how long the rest will take.

Careful rather than greedy: a trial that is cut off has used its nodes for nothing, one that waits for the next lease
loses little.
"""

from __future__ import annotations

import bisect
import math
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ("Durations", "Expected")

# Repetitions of a setting, and trials of a test, that count: what the testbed was like long ago does not.
_SAME, _SIMILAR = 10, 200
# Of the trials of a test with other parameters, so many are no longer than what is expected.
_QUANTILE = 0.9
# What was cut off takes longer than that. Nobody knows how much; half as long again is tried next.
_LONGER = 1.5


@dataclass(frozen=True)
class Expected:
    """How long a trial will take.

    :param seconds: of this machine's clock, from its set-up to the end of its tear-down, as they were learned.
    :param exact: learned from repetitions of the same setting that have finished; else from trials of the same test
        with other parameters, or from attempts that were cut off.
    """

    seconds: float
    exact: bool


class _Setting:
    """One test with one set of parameters."""

    __slots__ = ("cut", "last")

    def __init__(self) -> None:
        # Not a deque: one of these takes 600 bytes when it is empty, and there are as many settings as trials.
        self.last: tuple[float, ...] = ()
        self.cut = 0.0


class _Test:
    """All trials of one test, the last ones in the order of their durations as well."""

    def __init__(self) -> None:
        self.settings: dict[str, _Setting] = {}
        self._last: deque[float] = deque()
        self._sorted: list[float] = []

    def learn(self, seconds: float) -> None:
        if len(self._last) == _SIMILAR:
            del self._sorted[bisect.bisect_left(self._sorted, self._last.popleft())]
        self._last.append(seconds)
        bisect.insort(self._sorted, seconds)

    def usual(self) -> float | None:
        """Return what nine of ten do not exceed; of a few, the longest."""
        if not self._sorted:
            return None
        return self._sorted[math.ceil(_QUANTILE * len(self._sorted)) - 1]


class Durations:
    """What is known of how long trials take. Thread-safe; each question takes the same short time after 100 000 trials.

    A test is named as in its records. Its parameters are any text that is the same for repetitions, and for nothing
    else. Figures that are no durations (negative, because a clock was set; not finite) are left out.
    """

    def __init__(self) -> None:
        self._tests: dict[str, _Test] = {}
        self._lock = threading.Lock()

    def learn(self, test: str, params: str, seconds: float) -> None:
        """Take note that an attempt came to its end, well or not. Replaces what :meth:`cut` said of the setting."""
        if not _is_duration(seconds):
            return
        with self._lock:
            setting = self._setting(test, params)
            setting.last = (*setting.last[1 - _SAME :], seconds)
            setting.cut = 0.0
            self._tests[test].learn(seconds)

    def cut(self, test: str, params: str, seconds: float) -> None:
        """Take note that an attempt had run for so long when its lease ended: it takes longer than that."""
        if not _is_duration(seconds):
            return
        with self._lock:
            setting = self._setting(test, params)
            setting.cut = max(setting.cut, seconds)

    def _setting(self, test: str, params: str) -> _Setting:
        return self._tests.setdefault(test, _Test()).settings.setdefault(params, _Setting())

    def expected(self, test: str, params: str) -> Expected | None:
        """Return how long a trial will take; ``None`` while no trial of the test has come to its end.

        With repetitions of the same setting: as long as the longest of the last ten. Without: what nine of ten of the
        last 200 trials of the test did not exceed. In both cases at least 1.5 times what was cut off, also when nothing
        else is known.
        """
        with self._lock:
            known = self._tests.get(test)
            if known is None:
                return None
            setting = known.settings.get(params)
            if setting is not None and setting.last:
                return Expected(max(*setting.last, _LONGER * setting.cut), exact=True)
            at_least = _LONGER * setting.cut if setting is not None else 0.0
            usual = known.usual()
        if usual is None:
            return Expected(at_least, exact=False) if at_least else None
        return Expected(max(usual, at_least), exact=False)

    def fits(self, test: str, params: str, seconds_left: float, *, margin: float) -> bool:
        """Tell whether a trial will have ended ``margin`` seconds before a lease that has ``seconds_left``.

        One of which nothing is known fits as long as there is any time: how long it takes is found out by running it.
        """
        room = seconds_left - margin
        expected = self.expected(test, params)
        return room > 0 and (expected is None or expected.seconds <= room)

    def group(self, pending: Iterable[tuple[str, str]]) -> float | None:
        """Return how many seconds these trials will take, one after the other; ``None`` when nothing is known.

        Trials of which nothing is known count as the mean of the others.

        :param pending: test and parameters of each trial that is still to run, repetitions as often as they are.
        """
        known, count, unknown = 0.0, 0, 0
        for test, params in pending:
            if (expected := self.expected(test, params)) is None:
                unknown += 1
            else:
                known, count = known + expected.seconds, count + 1
        return known + unknown * known / count if count else None


def _is_duration(seconds: float) -> bool:
    return math.isfinite(seconds) and seconds >= 0
