"""Kwollect of one site: series that look measured, and are the same each time they are asked for."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import re
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ("MOST_VALUES", "Kwollect", "Period", "TooManyValues")

#: Values in one answer. The real service has a time-out instead.
MOST_VALUES = 500_000
#: Seconds in one value of a summary.
SUMMARY_STEP = 300.0
_PARIS = zoneinfo.ZoneInfo("Europe/Paris")
_DIGITS = (0, 3, 6, 9)
# Number, date and period of a measurement.
_Tick = tuple[int, float, float]


class TooManyValues(Exception):
    """The answer would be longer than :data:`MOST_VALUES`."""


@dataclass
class Period:
    """A job on a node: ``end`` is ``None`` while it runs; ``monitor`` is what it wants measured on demand.

    ``None``: nothing; empty: all that is measured on demand only; else a regular expression.
    """

    job: int
    start: float
    end: float | None = None
    monitor: str | None = None


@dataclass(frozen=True)
class _Metric:
    """A metric of a cluster; periods in seconds, 0: only on demand, every ``optional`` seconds."""

    name: str
    period: float
    optional: float
    protocol: str
    labels: Mapping[str, Any]
    only_for: tuple[str, ...]


class Kwollect:
    """What is measured at one site.

    :param nodes: the nodes of the reference data, each with its cluster's description.
    :param periods: returns when jobs ran on a node (short name).
    :param seed: the same one gives the same values for the same node, metric and date.
    :param origin: when counters were 0.
    """

    def __init__(
        self,
        nodes: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]],
        *,
        periods: Callable[[str], Sequence[Period]],
        seed: int,
        origin: float,
    ) -> None:
        self._periods = periods
        self._seed = seed
        self._origin = origin
        self._nodes: dict[str, tuple[int, list[_Metric]]] = {}
        for cluster, node in nodes:
            metrics = [_metric(data) for data in cluster.get("metrics") or ()]
            uid = str(node["uid"])
            cores = _whole((node.get("architecture") or {}).get("nb_cores"), default=8)
            self._nodes[uid] = cores, [m for m in metrics if not m.only_for or uid in m.only_for]

    @property
    def nodes(self) -> list[str]:
        """Short names of all nodes."""
        return list(self._nodes)

    def series(
        self,
        nodes: Iterable[str],
        metrics: Iterable[str] | None,
        start: float,
        end: float,
        *,
        summary: bool = False,
    ) -> list[dict[str, Any]]:
        """Return what was measured in ``[start, end]``, as the API has it.

        Nodes that are not known, and metrics that their cluster does not have, give nothing.

        :param nodes: short or full names.
        :param metrics: names; ``None``: all.
        :param summary: means of five minutes instead of each value.
        :raises TooManyValues: beyond :data:`MOST_VALUES`.
        """
        wanted = None if metrics is None else set(metrics)
        found: list[dict[str, Any]] = []
        for name in dict.fromkeys(node.partition(".")[0] for node in nodes):
            cores, known = self._nodes.get(name, (0, []))
            load = _Load(sorted(self._periods(name), key=lambda period: period.start))
            for metric in known:
                if wanted is None or metric.name in wanted:
                    values = self._values(name, cores, metric, load, start, end, room=MOST_VALUES - len(found))
                    found += _summary(values) if summary else [data for _, _, data in values]
        return found

    def _values(
        self, node: str, cores: int, metric: _Metric, load: _Load, start: float, end: float, *, room: int
    ) -> list[tuple[float, float, dict[str, Any]]]:
        values: list[tuple[float, float, dict[str, Any]]] = []
        if metric.period and (end - start) / metric.period > room:
            raise TooManyValues
        for number, date, step in self._dates(node, metric, load, start, end):
            if len(values) >= room:
                raise TooManyValues
            value = self._value(node, cores, metric.name, load, number, date)
            # Kwollect leaves out the fraction of a second where there is none. Every 20 ms there nearly always is one.
            digits = _DIGITS[number % 4] if step >= 1 else _DIGITS[1 + number % 3]
            values.append((date, float(value), _item(date, digits, node, metric, value)))
        return values

    def _dates(self, node: str, metric: _Metric, load: _Load, start: float, end: float) -> Iterator[_Tick]:
        """Yield each measurement: every period, and on demand more often."""
        demands = [
            (max(start, p.start), min(end, math.inf if p.end is None else p.end))
            for p in load.periods
            if metric.optional and _is_wanted(p.monitor, metric)
        ]
        shift = self._chance(node, metric.name, "shift")
        cursor = start
        demands = [(low, high) for low, high in demands if low <= high]
        for low, high in [*demands, (math.inf, math.inf)]:
            if metric.period:
                yield from _ticks(metric.period, shift, cursor, min(low, end), open_end=low <= end)
            if low <= high < math.inf:
                yield from _ticks(metric.optional, shift, max(low, cursor), high)
                cursor = max(cursor, math.nextafter(high, math.inf))

    def _value(self, node: str, cores: int, metric: str, load: _Load, number: int, date: float) -> float | int:
        busy = load.at(date)
        noise = self._chance(node, metric, number)
        if "watt" in metric:
            idle = 40.0 + 3.0 * cores * (1 + 0.1 * self._chance(node, "idle"))
            watts = idle + (4.0 * cores * (0.85 + 0.1 * noise) if busy else 2.0 * noise)
            return round(watts, 1) if metric.startswith("wattmetre") else round(watts)
        if metric.endswith("_total"):
            return int(2_000.0 * (date - self._origin) + 1_000_000.0 * load.busy_before(date))
        if "celsius" in metric:
            return round(24.0 + (12.0 if busy else 0.0) + 2.0 * noise)
        return round((80.0 if busy else 5.0) + 10.0 * noise, 3)

    def _chance(self, *what: object) -> float:
        """Return a number in [0, 1) that is always the same for the same things."""
        text = ":".join(map(str, (self._seed, *what)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big") / 2**48


class _Load:
    """When a node is busy."""

    def __init__(self, periods: Sequence[Period]) -> None:
        self.periods = periods

    def at(self, date: float) -> bool:
        return any(p.start <= date and (p.end is None or date < p.end) for p in self.periods)

    def busy_before(self, date: float) -> float:
        return sum(max(0.0, min(date, math.inf if p.end is None else p.end) - p.start) for p in self.periods)


def _ticks(period: float, shift: float, start: float, end: float, *, open_end: bool = False) -> Iterator[_Tick]:
    number = math.ceil(start / period - shift)
    while (date := (number + shift) * period) < end or (date == end and not open_end):
        if date >= start:
            yield number, date, period
        number += 1


def _is_wanted(pattern: str | None, metric: _Metric) -> bool:
    """Tell whether a job's type monitor wants a metric: by a regular expression, or all that is on demand only.

    The expression is a user's, and is to hold up nobody: one with nested or many repetitions names nothing, nor does a
    wrong one.
    """
    if not pattern:
        return pattern is not None and not metric.period
    if len(pattern) > 200 or len(re.findall(r"[*+{]", pattern)) > 3 or re.search(r"\)[*+{]", pattern):
        return False
    try:
        return re.search(pattern, metric.name) is not None
    except (re.error, RecursionError, OverflowError):
        return False


def _summary(values: Sequence[tuple[float, float, dict[str, Any]]]) -> list[dict[str, Any]]:
    groups: dict[int, list[tuple[float, dict[str, Any]]]] = {}
    for date, value, data in values:
        groups.setdefault(int(date // SUMMARY_STEP), []).append((value, data))
    return [
        {
            **entries[0][1],
            "timestamp": _text(step * SUMMARY_STEP, 0),
            "value": sum(value for value, _ in entries) / len(entries),
        }
        for step, entries in sorted(groups.items())
    ]


def _item(date: float, digits: int, node: str, metric: _Metric, value: float | int) -> dict[str, Any]:
    labels: dict[str, Any] = dict(metric.labels)
    if metric.protocol == "wattmetre":
        labels["_device_orig"] = [f"wattmetre1-port{sum(map(ord, node)) % 48}"]
    return {
        "timestamp": _text(date, digits),
        "device_id": node,
        "metric_id": metric.name,
        "value": value,
        "labels": labels,
    }


def _text(date: float, digits: int) -> str:
    """Return a date in Paris, with 0, 3, 6 or 9 digits of the second, as Kwollect mixes them."""
    nanoseconds = round(date * 1e9)
    moment = dt.datetime.fromtimestamp(nanoseconds // 10**9, _PARIS)
    fraction = f".{nanoseconds % 10**9 // 10 ** (9 - digits):0{digits}d}" if digits else ""
    text = moment.isoformat()
    return f"{text[:19]}{fraction}{text[19:]}"


def _metric(data: Mapping[str, Any]) -> _Metric:
    return _Metric(
        name=str(data["name"]),
        period=_whole(data.get("period")) / 1000,
        optional=_whole(data.get("optional_period")) / 1000,
        protocol=str((data.get("source") or {}).get("protocol", "")),
        labels=data.get("labels") or {},
        only_for=tuple(data.get("only_for") or ()),
    )


def _whole(value: object, default: int = 0) -> int:
    return int(value) if isinstance(value, int | float) else default
