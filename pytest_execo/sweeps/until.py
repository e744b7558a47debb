"""When to stop repeating: as soon as the mean of a measurement is known well enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from pytest_execo.errors import InvalidInput

__all__ = ("Until",)


@dataclass(frozen=True)
class Until:
    """Repeat until the confidence interval of a mean is narrow: ``Until("duration", relative=0.05, at_most=30)``.

    The interval is ``mean ± half width`` with ``half width = t · s / √n``, where t is Student's quantile with n - 1
    degrees of freedom and s the standard deviation of the n values (Jain, The Art of Computer Systems Performance
    Analysis, 1991, chapter 13; Montgomery, Design and Analysis of Experiments, chapter 2). It is narrow enough as soon as
    ``half width / |mean| <= relative``, or ``half width <= absolute``. So ``relative=0.05`` is "the true mean is within
    5 % of the one that was measured, to either side".

    The values are taken to be independent and roughly normal. A rule that looks after each repetition stops a little
    too early now and then, so that somewhat less than ``confidence`` of the intervals hold the true mean. A larger
    ``at_least`` makes up for that; 3 is for experiments that take minutes.

    A trial that failed or was skipped, or passed without recording the measurement, counts toward ``at_most`` and has
    no value.

    :param measurement: the name of what the test records: ``trial.record(duration=…)``.
    :param relative: the largest half width, as a fraction of the mean. Default: 0.05, unless ``absolute`` is given.
    :param absolute: the largest half width, in the unit of the measurement; for one whose mean may be 0. Instead of
        ``relative``.
    :param confidence: of the interval, between 0 and 1.
    :param at_least: the fewest values; two give an interval at all.
    :param at_most: how many repetitions at most, whatever came of them.
    :raises InvalidInput: in one line, with the parameter and what would be right.
    :raises ImportError: scipy is missing.
    """

    measurement: str
    _: KW_ONLY
    relative: float | None = None
    absolute: float | None = None
    confidence: float = 0.95
    at_least: int = 3
    at_most: int = 30

    def __post_init__(self) -> None:
        if not isinstance(self.measurement, str) or not self.measurement:
            raise InvalidInput(f"Until: measurement is {self.measurement!r}; write the name of one: Until('duration')")
        if self.relative is not None and self.absolute is not None:
            raise InvalidInput("Until: relative and absolute are both given; give one of them")
        if self.relative is None and self.absolute is None:
            object.__setattr__(self, "relative", 0.05)
        for name in ("relative", "absolute"):
            width = getattr(self, name)
            if width is not None and not (_is_number(width) and 0 < width < math.inf):
                raise InvalidInput(f"Until: {name} is {width!r}; write a number above 0")
        if not (_is_number(self.confidence) and 0 < self.confidence < 1):
            raise InvalidInput(f"Until: confidence is {self.confidence!r}; write a number between 0 and 1: 0.95")
        if not _is_whole(self.at_least) or self.at_least < 2:
            raise InvalidInput(f"Until: at_least is {self.at_least!r}; write a whole number from 2")
        if not _is_whole(self.at_most) or self.at_most < self.at_least:
            raise InvalidInput(f"Until: at_most is {self.at_most!r}; write a whole number from {self.at_least}, at_least")
        # Now, when the test is collected, rather than after its third trial.
        if find_spec("scipy") is None:
            raise ImportError("Until needs scipy, and scipy is missing: pip install 'pytest-execo[design]'")

    def needs_more(self, values: Sequence[float], done: int) -> bool:
        """Tell whether to repeat once more.

        :param values: what was measured so far, in any order.
        :param done: how many repetitions have ended, those without a value too.
        """
        if done >= self.at_most:
            return False
        return len(values) < self.at_least or not self.is_precise(values)

    def is_precise(self, values: Sequence[float]) -> bool:
        """Tell whether the interval of these values is narrow enough. Never with a mean of 0, unless ``absolute``."""
        width = self.interval(values)
        if not math.isfinite(width):
            return False
        if self.absolute is not None:
            return width <= self.absolute
        assert self.relative is not None
        mean = math.fsum(values) / len(values)
        return mean != 0 and width <= self.relative * abs(mean)

    def interval(self, values: Sequence[float]) -> float:
        """Return the half width of the confidence interval of the mean, in the unit of the values.

        Infinite for less than two values, and when one of them is not finite.
        """
        count = len(values)
        if count < 2:
            return math.inf
        # fsum, so that the order in which trials ended does not decide about the next one.
        try:
            mean = math.fsum(values) / count
            variance = math.fsum((value - mean) * (value - mean) for value in values) / (count - 1)
        except (OverflowError, ValueError):
            return math.inf
        width = _student(self.confidence, count - 1) * math.sqrt(variance / count)
        return math.inf if math.isnan(width) else width

    def value(self, measurements: Mapping[str, Any]) -> float | None:
        """Return the value in what a trial recorded; ``None`` when the measurement is missing or no number."""
        value = measurements.get(self.measurement)
        return float(value) if _is_number(value) else None

    def describe(self) -> str:
        """Return the rule in words, for people."""
        width = f"± {self.absolute:g}" if self.absolute is not None else f"± {self.relative:.3g} of its mean"
        return (
            f"until the {self.confidence * 100:g} % confidence interval of {self.measurement} is within {width}, "
            f"{self.at_least} to {self.at_most} times"
        )

    def explain(self, values: Sequence[float], done: int) -> str:
        """Return where a setting stands, in one line for people: mean, interval, and why it is not precise."""
        said = f"{self.measurement}: {len(values)} values of {done} repetitions"
        if not all(map(math.isfinite, values)):
            return f"{said}, of which some are not finite: never precise"
        width = self.interval(values)
        if not math.isfinite(width):
            return f"{said}: not precise yet"
        mean = math.fsum(values) / len(values)
        said = f"{said}, mean {mean:.6g} ± {width:.3g}"
        if self.absolute is None and mean == 0:
            return f"{said}: never precise relative to 0; give absolute="
        if self.absolute is None:
            said = f"{said} ({width / abs(mean):.2%})"
        precise = len(values) >= self.at_least and self.is_precise(values)
        return f"{said}: {'precise' if precise else 'not precise' if done >= self.at_most else 'not precise yet'}"


@lru_cache(maxsize=1024)
def _student(confidence: float, degrees: int) -> float:
    """Return the quantile of Student's t for a confidence interval with two sides."""
    # What scipy.stats.t.ppf computes, without the second that scipy.stats takes to load.
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + confidence) / 2))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
