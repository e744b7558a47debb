"""The usage policy, as far as it can be known without asking.

| rule | source | what is done |
| --- | --- | --- |
| day: 09:00 to 19:00 in Paris on working days; the rest is night or week-end | usage policy, execo | :func:`is_day` |
| by day a user has 2 hours of all cores of a cluster, queue default | usage policy, execo | :func:`over_quota` |
| type ``day``: it lies in one day; ``night``: in one night or week-end | types of OAR's jobs | :func:`forbidden` |
| a walltime is at most 168 h, or what the nodes say in the queue production | admission rules, Nancy | ``unmet`` |
| no advance reservation in the queues production and besteffort | admission rules, Nancy | ``unmet`` |
| at most 2 advance reservations that wait, and 50 jobs | admission rules, Nancy | left to OAR |

The quota is counted over all jobs of a user. Those are not known here: a job may break it by itself, which is said, or
with others, which is not. Holidays are France's: eight fixed days, Easter Monday, Ascension, Whit Monday.
"""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from collections.abc import Iterator, Mapping

from ...contract import Request
from ..reference import Reference
from .queues import DEFAULT, queue_of

__all__ = ("forbidden", "holidays", "is_day", "next_period", "over_quota")

_PARIS = zoneinfo.ZoneInfo("Europe/Paris")
_MORNING, _EVENING = dt.time(9), dt.time(19)
_FIXED = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
# Of all cores of a cluster, by day and user: seconds.
_QUOTA = 2 * 3600.0


@functools.lru_cache
def holidays(year: int) -> frozenset[dt.date]:
    """Return the French holidays of a year."""
    easter = _easter(year)
    moving = {easter + dt.timedelta(days) for days in (1, 39, 50)}
    return frozenset({dt.date(year, month, day) for month, day in _FIXED} | moving)


def _easter(year: int) -> dt.date:
    """Return Easter Sunday, by the algorithm of Meeus, Jones and Butcher."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    n = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * n) // 451
    month, day = divmod(h + n - 7 * m + 114, 31)
    return dt.date(year, month, day + 1)


def is_day(date: float) -> bool:
    """Tell whether a Unix date is in the day of the policy: whatever the zone of this machine is."""
    local = dt.datetime.fromtimestamp(date, _PARIS)
    return _is_working(local.date()) and _MORNING <= local.time() < _EVENING


def _is_working(date: dt.date) -> bool:
    return date.weekday() < 5 and date not in holidays(date.year)


def next_period(start: float, end: float) -> tuple[float, float] | None:
    """Return the first day of the policy that touches ``[start, end)``, cut to it; ``None``: there is none."""
    return next(_periods(start, end), None)


def _periods(start: float, end: float) -> Iterator[tuple[float, float]]:
    date = dt.datetime.fromtimestamp(start, _PARIS).date()
    last = dt.datetime.fromtimestamp(end, _PARIS).date()
    while date <= last:
        if _is_working(date):
            first = dt.datetime.combine(date, _MORNING, _PARIS).timestamp()
            until = dt.datetime.combine(date, _EVENING, _PARIS).timestamp()
            if max(first, start) < min(until, end):
                yield max(first, start), min(until, end)
        date += dt.timedelta(1)


def forbidden(request: Request, start: float, end: float) -> str | None:
    """Return why a job must not be there, or ``None``."""
    period = next_period(start, end)
    if "night" in request.types and period is not None:
        return f"a job of type night must not run by day, and it would from {_text(period[0])} to {_text(period[1])}"
    if "day" in request.types and period != (start, end):
        hours = f"{_text(start)} to {_text(end)}"
        return f"a job of type day must lie in one working day, 09:00 to 19:00, and it would run {hours}"
    return None


def over_quota(request: Request, reference: Reference, nodes: Mapping[str, int], start: float, end: float) -> list[str]:
    """Return a line for each cluster and day of which a job alone uses more than the policy grants a user.

    OAR does not refuse such a job; whoever runs it is asked why. Other queues and best effort have no such quota.

    :param nodes: cluster → how many, as planned. Nodes of a cluster whose cores are not known count as equal.
    """
    lines = []
    for name, count in nodes.items():
        cluster = reference.clusters[name]
        if queue_of(request, [cluster]) != DEFAULT or not cluster.nodes:
            continue
        cores = sum(node.cores or 1 for node in cluster.nodes)
        granted = cores * _QUOTA / 3600
        for first, until in _periods(start, end):
            used = count * cores / len(cluster.nodes) * (until - first) / 3600
            if used > granted:
                day = dt.datetime.fromtimestamp(first, _PARIS).strftime("%a %Y-%m-%d")
                lines.append(
                    f"uses {used:.0f} core hours of {name} by day on {day}; the usage policy grants {granted:.0f}, "
                    "2 hours of the whole cluster"
                )
    return lines


def _text(date: float) -> str:
    return dt.datetime.fromtimestamp(date, _PARIS).strftime("%a %Y-%m-%d %H:%M")
