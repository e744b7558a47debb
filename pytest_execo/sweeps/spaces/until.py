"""When to stop repeating: a measurement is repeated until it is known precisely enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from importlib.util import find_spec
from typing import Any, TypeGuard

from pytest_execo.errors import InvalidInput

from .factors import shown
from .libraries import library

__all__ = ("Until",)

# How a record has what JSON has no number for.
_NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class Until:
    """Repeat a setting until the confidence interval of the mean of a measurement is narrow enough.

    ::

        Until("duration", relative=0.05, confidence=0.95, at_least=3, at_most=30)
        # until the 95 % confidence interval of `duration` is below ± 5 % of its mean, at most 30 times

    The interval is the mean ± t · s / √n, with Student's t for n - 1 degrees of freedom; it is narrow enough when its
    half width is at most ``relative`` times the absolute value of the mean, or at most ``absolute`` (Jain 1991, chapter
    13; Montgomery, chapter 2). It supposes that the values are independent and their mean about normal. As the rule
    looks again after each value, the interval at which it stops covers the true mean somewhat less often than
    ``confidence`` says (Chow and Robbins 1965); a larger ``at_least`` makes up for it.

    A trial that failed, was skipped, or did not record the measurement as a number counts toward ``at_most``, and not
    as a value. Where a value is not finite, or a relative precision is asked for and the mean is 0, nothing is ever
    precise: the setting is repeated ``at_most`` times, and :meth:`report` says why.

    :raises InvalidInput: a parameter that makes no sense.
    :raises ImportError: scipy is missing, which has Student's t; already here, for later an experiment would be under
        way.
    """

    measurement: str
    """The name that it has in ``trial.record(…)``."""
    _: KW_ONLY
    relative: float | None = None
    """The half width to reach, as a fraction of the mean: 0.05 is ± 5 %."""
    absolute: float | None = None
    """The half width to reach, in the unit of the measurement. Give one of the two."""
    confidence: float = 0.95
    """The confidence of the interval, between 0 and 1."""
    at_least: int = 3
    """How many values to take before the first look, from 2: one says nothing about the spread."""
    at_most: int = 30
    """How many trials to take, precise or not."""

    def __post_init__(self) -> None:
        if not isinstance(self.measurement, str) or not self.measurement:
            raise InvalidInput(f"Until({shown(self.measurement)}): write the name of a measurement: Until('duration')")
        if (self.relative is None) == (self.absolute is None):
            raise self._wrong("give relative= or absolute=, how precise is enough: relative=0.05 is ± 5 % of the mean")
        for name, width in (("relative", self.relative), ("absolute", self.absolute)):
            if width is not None and not (_is_number(width) and 0 < width < math.inf):
                raise self._wrong(f"{name} is {shown(width)}; write a number above 0")
        if not _is_number(self.confidence) or not 0 < self.confidence < 1:
            raise self._wrong(f"confidence is {shown(self.confidence)}; write a number between 0 and 1, as 0.95")
        for name, count, least in (("at_least", self.at_least, 2), ("at_most", self.at_most, 2)):
            if isinstance(count, bool) or not isinstance(count, int) or count < least:
                raise self._wrong(f"{name} is {shown(count)}; write a whole number from {least}")
        if self.at_least > self.at_most:
            raise self._wrong(f"at_least is {self.at_least}, more than at_most, which is {self.at_most}")
        if find_spec("scipy") is None:
            library("scipy", "Until()")

    def needs_more(self, values: Sequence[float], done: int) -> bool:
        """Tell whether the setting has to be repeated once more.

        :param values: what was measured so far, in any order.
        :param done: how many trials have ended, those without a value too.
        """
        if done >= self.at_most:
            return False
        return len(values) < self.at_least or not self.is_precise(values)

    def is_precise(self, values: Sequence[float]) -> bool:
        """Tell whether the interval is narrow enough, however many values there are."""
        width, mean = self.interval(values), _mean(values)
        if not math.isfinite(width) or not math.isfinite(mean):
            return False
        if self.absolute is not None:
            return width <= self.absolute
        assert self.relative is not None
        return mean != 0 and width / abs(mean) <= self.relative

    def interval(self, values: Sequence[float]) -> float:
        """Return the half width of the confidence interval of the mean.

        Infinite for fewer than two values, and where a value is not finite or too large to calculate with.
        """
        n = len(values)
        mean = _mean(values)
        if n < 2 or not math.isfinite(mean):
            return math.inf
        try:
            variance = math.fsum((value - mean) * (value - mean) for value in values) / (n - 1)
        except OverflowError:
            return math.inf
        quantile = float(library("scipy.special", "Until()").stdtrit(n - 1, (1 + self.confidence) / 2))
        return quantile * math.sqrt(variance / n)

    def value(self, measurements: Mapping[str, Any]) -> float | None:
        """Return the value of a trial; ``None`` when it recorded none that is a number."""
        value = measurements.get(self.measurement)
        if isinstance(value, str):
            return _NONFINITE.get(value)
        if not _is_number(value):
            return None
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf

    def describe(self) -> str:
        """Return the rule in words."""
        width = f"± {_percent(self.relative)} of its mean" if self.absolute is None else f"± {self.absolute:g}"
        return (
            f"until the {_percent(self.confidence)} confidence interval of {self.measurement} is at most {width}, "
            f"{self.at_least} to {self.at_most} times"
        )

    def report(self, values: Sequence[float]) -> str:
        """Return in words how precisely it is known: ``duration: 12.4 ± 0.31 (2.5 %) from 7 values``."""
        mean, width = _mean(values), self.interval(values)
        count = f"{len(values)} value{'' if len(values) == 1 else 's'}"
        if len(values) < 2:
            return f"{self.measurement}: {count}; two are needed for an interval"
        if not math.isfinite(mean) or not math.isfinite(width):
            return f"{self.measurement}: never precise, as one of {count} is not finite, or too large"
        text = f"{self.measurement}: {mean:.4g} ± {width:.2g}"
        if mean:
            return f"{text} ({_percent(width / abs(mean))}) from {count}"
        if self.relative is not None:
            return f"{text} from {count}; never precise, as nothing is a fraction of a mean of 0: use absolute="
        return f"{text} from {count}"

    def _wrong(self, what: str) -> InvalidInput:
        return InvalidInput(f"Until({self.measurement!r}): {what}")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mean(values: Sequence[float]) -> float:
    if not values or not all(map(math.isfinite, values)):
        return math.nan
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return math.inf


def _percent(fraction: float | None) -> str:
    return f"{100 * (fraction or 0):.3g} %"
