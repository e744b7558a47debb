"""Counting trials by state, factor and level, and attempts by the hour."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_execo.sweeps.identity import canonical_json
from pytest_execo.sweeps.stores.store import State

from .records import Record

__all__ = ("HOUR", "LevelProgress", "Spans", "Tally", "per_hour")

HOUR = 3600.0
"""Seconds."""


@dataclass(frozen=True)
class LevelProgress:
    """The trials of one level of a factor, or of one test, by state."""

    level: str
    """A text as it is; anything else, and a text that reads like another level, as JSON."""
    counts: Mapping[State, int]

    @property
    def total(self) -> int:
        """The number of trials, in any state."""
        return sum(self.counts.values())


class Tally:
    """Counts trials by state, test, factor and level."""

    def __init__(self) -> None:
        self.counts: dict[State, int] = dict.fromkeys(State, 0)
        self._tests: dict[str, dict[State, int]] = {}
        self._factors: dict[str, dict[str, dict[State, int]]] = {}
        self._texts: dict[tuple[type, str | int], str] = {}

    def add(self, test: str, params: Mapping[str, Any], state: State) -> None:
        """Count a trial."""
        self.counts[state] += 1
        if test:
            _count(self._tests, test, state)
        for name, level in params.items():
            _count(self._factors.setdefault(name, {}), self._text(level), state)

    def _text(self, level: Any) -> str:
        kind = type(level)
        if kind is not str and kind is not int:
            return canonical_json(level)
        # Nearly all levels are one of these two, and there are few of them beside the trials.
        if (text := self._texts.get((kind, level))) is None:
            text = self._texts[kind, level] = canonical_json(level)
        return text

    def factors(self) -> dict[str, tuple[LevelProgress, ...]]:
        """By factor, its levels in the order in which they came."""
        return {name: _levels(levels) for name, levels in self._factors.items()}

    def tests(self) -> tuple[LevelProgress, ...]:
        """The tests, in the order in which they came."""
        return tuple(LevelProgress(test, counts) for test, counts in self._tests.items())


def _count(counts: dict[str, dict[State, int]], key: str, state: State) -> None:
    if key not in counts:
        counts[key] = dict.fromkeys(State, 0)
    counts[key][state] += 1


def _levels(levels: Mapping[str, Mapping[State, int]]) -> tuple[LevelProgress, ...]:
    found = []
    for text, counts in levels.items():
        level = json.loads(text)
        bare = isinstance(level, str) and level not in levels
        found.append(LevelProgress(level if bare else text, counts))
    return tuple(found)


class Spans:
    """When each session was at work, by its records, and when its attempts ended."""

    def __init__(self) -> None:
        self._spans: dict[str, tuple[float, float]] = {}
        self._ends: list[float] = []

    def add(self, record: Record) -> None:
        """Count an attempt."""
        end = _seconds(record["ended_at"])
        start = _seconds(record.get("started_at"))
        if end is None:
            return
        start = end if start is None else start
        session = str(record.get("session"))
        first, last = self._spans.get(session, (start, end))
        self._spans[session] = (min(first, start), max(last, end))
        # An attempt that the environment ended has brought nothing nearer.
        if record["outcome"] != "pending":
            self._ends.append(end)

    @property
    def ended(self) -> int:
        """How many attempts ended with an outcome."""
        return len(self._ends)

    def rates(self, now: float, living: Collection[str]) -> tuple[float | None, float | None]:
        """Attempts per hour, in the last hour and over all; nights between two sessions do not count."""
        # A session that lives has been at work since its last record, too.
        spans = _union((start, now if session in living else end) for session, (start, end) in self._spans.items())
        worked = sum(min(end, now) - max(start, now - HOUR) for start, end in spans if end > now - HOUR)
        return (
            per_hour(sum(now - HOUR < end <= now for end in self._ends), worked),
            per_hour(len(self._ends), sum(end - start for start, end in spans)),
        )


def _union(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def per_hour(count: int, seconds: float) -> float | None:
    """Return a rate; ``None`` when there is none to speak of."""
    return count / seconds * HOUR if count and seconds > 0 else None


def _seconds(date: object) -> float | None:
    try:
        return dt.datetime.fromisoformat(str(date)).timestamp()
    except ValueError:
        return None
