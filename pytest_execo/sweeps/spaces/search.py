"""Sweeps that decide as they go: a search is asked for a point, and told its result.

::

    search = Bisect(Space(rate=range(1, 1001)), "rate")
    while (point := search.ask()) is not None:
        search.tell(point, run(point))
    print(search.boundary)

A search is used like this, by a script or by ``@sweep(search=…)``:

- ``ask()`` may be called again before the points asked for earlier are told: several can run at a time. Then, and only
  then, ``None`` may mean that a result has to be awaited; with none outstanding it means that the search is finished.
- ``tell()`` may come in any order, and for points that were not asked. A search that goes on after an interruption is
  first told what was recorded, in that order; points that were asked for and never told are asked for again. Points
  that are not in its space are passed over: the earlier session may have had other levels.
- What is asked follows from what was told and what is outstanding, and from a seed if there is one; never from the
  clock. Asked and told one by one, a search that was interrupted goes on as if it had not been.
- A point that is told twice has its last result. A point that is told to be pending, because the environment failed,
  has none: it is asked for again.

Anything with these two methods is a search. This one lets Optuna (``pip install optuna``, which is no dependency of
this package) find the setting with the shortest duration::

    class Shortest:
        def __init__(self, space, measurement="duration"):
            self.space, self.measurement = space, measurement
            self.study = optuna.create_study(direction="minimize")
            self.axes = {str(axis): IntDistribution(0, size - 1) for axis, size in enumerate(space.axes)}
            self.asked, self.told = set(), 0

        def ask(self):
            # Seeded with the number of results, the sampler needs no memory from before an interruption.
            self.study.sampler = TPESampler(seed=self.told)
            for _ in range(100):
                trial = self.study.ask(self.axes)
                self.study.tell(trial, state=TrialState.FAIL)  # a proposal only: tell() adds the result
                point = self.space.point(self.space.at([trial.params[axis] for axis in self.axes]))
                if point not in self.asked:
                    self.asked.add(point)
                    return point
            return None  # it proposes only what was run

        def tell(self, point, result):
            number, params = self.space.index(point), {}
            for axis, size in reversed(list(enumerate(self.space.axes))):
                number, params[str(axis)] = divmod(number, size)
            value = result.measurements.get(self.measurement) if result.outcome == "passed" else None
            state = TrialState.FAIL if value is None else TrialState.COMPLETE
            self.study.add_trial(create_trial(state=state, value=value, params=params, distributions=self.axes))
            self.asked.add(point)
            self.told += 1
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_execo.errors import InvalidInput, InvalidSpace

from .points import Point
from .space import Space
from .until import Until

__all__ = ("Bisect", "Repeats", "Result", "Search", "Until")

_OUTCOMES = ("passed", "failed", "skipped", "pending")


@dataclass(frozen=True)
class Result:
    """What became of a trial.

    :raises InvalidInput: no such outcome.
    """

    outcome: str
    """``passed``, ``failed``, ``skipped`` or ``pending``, as in its record."""
    measurements: Mapping[str, Any] = field(default_factory=dict)
    """What it recorded, as JSON, by name."""

    def __post_init__(self) -> None:
        if self.outcome not in _OUTCOMES:
            raise InvalidInput(f"outcome is {self.outcome!r}; write one of {', '.join(map(repr, _OUTCOMES))}")


class Search(Protocol):
    """What chooses the points of a sweep one after another. The head of this module says how it is used."""

    def ask(self) -> Point | None:
        """Return the next point to run; ``None``: nothing more now, and at all if no point is outstanding."""

    def tell(self, point: Point, result: Result) -> None:
        """Take note of the result of a point."""


class Repeats:
    """Repeats each setting of a space until a measurement is precise: all once, then again those that need it.

    A repetition that might turn out not to be needed is not asked for before the earlier ones of its setting are told,
    so that the same trials are run however many run at a time, in whatever order they end, and whenever they are
    interrupted.

    :param space: the settings. It must not repeat: how often is what the rule decides.
    :param until: the rule. Its ``at_most`` bounds the trials of each setting.
    :raises InvalidSpace: the space repeats.
    """

    def __init__(self, space: Space, until: Until) -> None:
        if space.repetitions != 1:
            raise InvalidSpace(f"Repeats: {space!r} repeats; leave that to {until.describe()!r}")
        self.space: Space = space
        self.until: Until = until
        self._settings = space.size
        self._points = space.repeat(until.at_most)
        #: By setting: the results by repetition, and the repetitions that are outstanding.
        self._told: dict[int, dict[int, Result]] = {}
        self._asked: dict[int, set[int]] = {}
        #: Settings below this one were asked for at least once; those from it on have at most what was told of them.
        self._begun = 0
        #: (repetition, setting) of those to ask for again. What is no longer so is passed over when it is met.
        self._again: list[tuple[int, int]] = []

    @property
    def done(self) -> bool:
        """Whether all settings are precise, or were repeated as often as they may."""
        return not self._asked and self._next() is None

    def ask(self) -> Point | None:
        """Return the next point: the lowest repetition that is needed, of the first setting that needs it."""
        found = self._next()
        if found is None:
            return None
        repetition, setting = found
        self._asked.setdefault(setting, set()).add(repetition)
        self._consider(setting)
        return self._points.point(repetition * self._settings + setting)

    def tell(self, point: Point, result: Result) -> None:
        """Take note of a result."""
        setting = _number(self.space, point)
        if setting is None:
            return
        asked = self._asked.get(setting, set())
        asked.discard(point.repetition)
        if not asked:
            self._asked.pop(setting, None)
        if result.outcome != "pending":
            self._told.setdefault(setting, {})[point.repetition] = result
        self._consider(setting)

    def values(self, point: Point) -> list[float]:
        """Return what was measured so far at the setting of a point, by repetition; see :meth:`Until.report`."""
        setting = _number(self.space, point)
        return [] if setting is None else self._values(setting)

    def _values(self, setting: int) -> list[float]:
        results = sorted(self._told.get(setting, {}).items())
        values = [self.until.value(result.measurements) for _, result in results if result.outcome == "passed"]
        return [value for value in values if value is not None]

    def _needed(self, setting: int) -> int | None:
        """Return the repetition of a setting that is to be asked for now."""
        told, asked = self._told.get(setting, {}), self._asked.get(setting, set())
        begun = len(told) + len(asked)
        if begun >= self.until.at_least and (asked or not self.until.needs_more(self._values(setting), len(told))):
            return None
        return next(number for number in range(begun + 1) if number not in told and number not in asked)

    def _consider(self, setting: int) -> None:
        repetition = self._needed(setting)
        if repetition is not None and (setting < self._begun or repetition):
            heapq.heappush(self._again, (repetition, setting))

    def _next(self) -> tuple[int, int] | None:
        # First repetitions are not in the heap, except those below _begun, for a space may have any number of settings.
        while self._again and self._needed(self._again[0][1]) != self._again[0][0]:
            heapq.heappop(self._again)
        while self._begun < self._settings and self._needed(self._begun) != 0:
            self._begun += 1
        if self._begun < self._settings and (not self._again or self._again[0] > (0, self._begun)):
            return 0, self._begun
        return self._again[0] if self._again else None


class Bisect:
    """Finds where an experiment begins to fail: the first of the points of a space, in their order, at which it does.

    ::

        @sweep(rate=range(1, 1001), search=lambda space: Bisect(space, "rate"), trials=11)
        def test_throughput(nodes, trial, rate): ...

    It is supposed to be monotone: at all points after one that fails, it fails too. Then ⌈log₂(n + 1)⌉ trials are
    enough. A flaky test is not monotone; :attr:`monotone` says whether that was seen. Points that were skipped count
    neither way: one beside them is asked for instead. Asked for several points at a time, it divides what is left into
    more than two parts, which takes more trials and less time.

    :param space: one ordered factor, mildest level first. Other factors may vary with it (a zip), or have one level.
    :param factor: the name of that factor.
    :param fails: what counts as failure; called with each :class:`Result` that passed or failed. Default: the outcome.
        ``lambda result: result.measurements.get("loss", 1) > 0.01`` finds where losses reach 1 %.
    :raises InvalidSpace: the space has no such factor, repeats, or has factors that vary on their own.
    """

    def __init__(self, space: Space, factor: str, *, fails: Callable[[Result], bool] | None = None) -> None:
        levels = space.describe()["factors"].get(factor)
        if levels is None:
            raise InvalidSpace(f"Bisect: no factor {factor!r} in {space!r}")
        if space.repetitions != 1:
            raise InvalidSpace(f"Bisect: {space!r} repeats; one trial at each point is all that is looked at")
        if space.size > levels:
            raise InvalidSpace(f"Bisect: {space!r} has more points than {factor!r} has levels; fix the other factors")
        self.space: Space = space
        self.factor: str = factor
        self._fails = _failed if fails is None else fails
        self._asked: set[int] = set()
        #: By number of the point: whether it failed; ``None`` when it was skipped.
        self._told: dict[int, bool | None] = {}

    @property
    def done(self) -> bool:
        """Whether the boundary is known, as far as it can be."""
        below, above = self._open()
        return not any(below < number < above for number in self._asked) and self._next() is None

    @property
    def boundary(self) -> Point | None:
        """The first point known to fail: once :attr:`done`, the boundary; ``None``: none has failed."""
        _, above = self._open()
        return self.space.point(above) if above < self.space.size else None

    @property
    def monotone(self) -> bool:
        """Whether no point has passed after one that failed. If one has, the first failure is the boundary."""
        _, above = self._open()
        return not any(failed is False and number > above for number, failed in self._told.items())

    def ask(self) -> Point | None:
        """Return the point in the middle of the widest part that is open."""
        number = self._next()
        if number is None:
            return None
        self._asked.add(number)
        return self.space.point(number)

    def tell(self, point: Point, result: Result) -> None:
        """Take note of a result."""
        number = _number(self.space, point)
        if number is None:
            return
        self._asked.discard(number)
        if result.outcome != "pending":
            self._told[number] = None if result.outcome == "skipped" else bool(self._fails(result))

    def _open(self) -> tuple[int, int]:
        """Return the last point that passed before any failed, and the first that failed: between them it is open."""
        above = min((number for number, failed in self._told.items() if failed), default=self.space.size)
        passed = (number for number, failed in self._told.items() if failed is False and number < above)
        return max(passed, default=-1), above

    def _next(self) -> int | None:
        below, above = self._open()
        taken = sorted(number for number in {*self._asked, *self._told} if below < number < above)
        edges = [below, *taken, above]
        low, high = max(itertools.pairwise(edges), key=lambda part: part[1] - part[0])
        return (low + high) // 2 if high - low > 1 else None


def _number(space: Space, point: Point) -> int | None:
    """Return the number of the setting of a point, whatever its repetition; ``None``: it is not in the space."""
    try:
        return space.index(Point({}, point.params, 0, point.label, point.params_json))
    except InvalidSpace:
        return None


def _failed(result: Result) -> bool:
    return result.outcome == "failed"
