"""Kwollect: what was measured on nodes between two dates."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..client import Grid5000Client, Polling
from .waiting import Waiting

__all__ = ("Series", "available", "energy", "series")

# Seconds for the last values of an interval to arrive.
_LATE = 10.0
# The unit is the end of a metric's name.
_UNITS = {
    "watt": "W", "celsius": "°C", "bytes_total": "B", "bytes": "B", "joules": "J", "percent": "%", "volt": "V",
    "ampere": "A", "seconds_total": "s", "seconds": "s", "rpm": "rpm",
}  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Values of one metric on one node. ``dates`` are Unix seconds, in order; ``unit`` is empty where none is known.

    :param gaps: intervals of more than three times the usual one between two values.
    """

    dates: tuple[float, ...]
    values: tuple[float, ...]
    unit: str = ""
    gaps: tuple[tuple[float, float], ...] = field(default=())


def series(
    client: Grid5000Client,
    site: str,
    nodes: Sequence[str],
    names: Sequence[str],
    start: float,
    end: float,
    *,
    waiting: Waiting,
) -> dict[str, dict[str, Series]]:
    """Return metric → node → its values; a node or metric without any is left out.

    The values of the last moment may come late: they are waited for, ten seconds at most.
    """
    waiting = waiting.until(max(0.0, end - waiting.clock()) + _LATE)
    polling = Polling(first=1.0, longest=3.0)
    while True:
        found = client.metrics(site, nodes=nodes, metrics=names, start=start, end=end)
        latest = max((measurement.date for measurement in found), default=start)
        if (waiting.clock() >= end and _complete(latest, start, end, len(found))) or not waiting.pause(
            polling.delay(waiting.clock())
        ):
            break
    full = {name.partition(".")[0]: name for name in nodes}
    grouped: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for each in found:
        if each.node in full and start <= each.date <= end:
            grouped.setdefault(each.metric, {}).setdefault(full[each.node], []).append((each.date, each.value))
    return {
        name: {node: _series(name, sorted(values)) for node, values in by_node.items()}
        for name, by_node in grouped.items()
    }


def _complete(latest: float, start: float, end: float, count: int) -> bool:
    # One value a second is what wattmeters give; slower ones are complete when the last is near enough.
    return count > 0 and end - latest <= max(1.5, (latest - start) / max(count, 1) * 2)


def _series(name: str, values: Sequence[tuple[float, float]]) -> Series:
    dates = tuple(date for date, _ in values)
    steps = sorted(b - a for a, b in itertools.pairwise(dates))
    usual = steps[len(steps) // 2] if steps else 0.0
    gaps = tuple((a, b) for a, b in itertools.pairwise(dates) if usual and b - a > 3 * usual)
    return Series(dates, tuple(value for _, value in values), _unit(name), gaps)


def _unit(name: str) -> str:
    return next((unit for ending, unit in _UNITS.items() if name.endswith(f"_{ending}")), "")


def energy(power: Series) -> float:
    """Return the energy of a series of powers, joules: the trapezoids below it."""
    points = list(zip(power.dates, power.values, strict=True))
    return sum((b - a) * (p + q) / 2 for (a, p), (b, q) in itertools.pairwise(points))


def available(metrics: Iterable[Mapping[str, Any]], monitor: str | None = None) -> dict[str, bool]:
    """Return the metrics that a cluster's description names, and whether they are measured without being asked for.

    :param monitor: the regular expression of a job's type ``monitor``: these are measured as well.
    """
    found: dict[str, bool] = {}
    for metric in metrics:
        name = str(metric.get("name", ""))
        asked = monitor is not None and re.fullmatch(monitor or ".*", name) is not None
        found[name] = found.get(name, False) or bool(metric.get("period")) or asked
    return found
