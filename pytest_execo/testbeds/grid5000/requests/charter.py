"""The usage policy, as far as it can be known without asking.

| rule | source |
| --- | --- |
| day: 09:00 to 19:00 in Paris on working days; all other time is night or week-end | execo's charter module |
| type ``day``: the job lies in one day; type ``night``: in one night or week-end | OAR's job types at Grid'5000 |
| a walltime is at most 168 h | admission rules, Nancy |
| no advance reservation in the queues production and besteffort | admission rules, Nancy |

The policy also limits what one may use by day: that is counted over all jobs of a user, and can't be known here.
Holidays are France's: eight fixed days, Easter Monday, Ascension, Whit Monday.
"""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo

from ...contract import Request

__all__ = ("forbidden", "holidays", "is_day", "next_period")

_PARIS = zoneinfo.ZoneInfo("Europe/Paris")
_MORNING, _EVENING = dt.time(9), dt.time(19)
_FIXED = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
_NO_RESERVATIONS = ("production", "besteffort")


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
    date = dt.datetime.fromtimestamp(start, _PARIS).date()
    last = dt.datetime.fromtimestamp(end, _PARIS).date()
    while date <= last:
        if _is_working(date):
            first = dt.datetime.combine(date, _MORNING, _PARIS).timestamp()
            until = dt.datetime.combine(date, _EVENING, _PARIS).timestamp()
            if max(first, start) < min(until, end):
                return max(first, start), min(until, end)
        date += dt.timedelta(1)
    return None


def forbidden(request: Request, start: float, end: float) -> str | None:
    """Return why a job must not be there, or ``None``."""
    period = next_period(start, end)
    if "night" in request.types and period is not None:
        return f"a job of type night must not run by day, and it would from {_text(period[0])} to {_text(period[1])}"
    if "day" in request.types and period != (start, end):
        hours = f"{_text(start)} to {_text(end)}"
        return f"a job of type day must lie in one working day, 09:00 to 19:00, and it would run {hours}"
    if request.start is not None and (queue := _queue(request)) in _NO_RESERVATIONS:
        return f"the queue {queue} takes no advance reservations"
    return None


def _queue(request: Request) -> str | None:
    return "besteffort" if "besteffort" in request.types else request.queue


def _text(date: float) -> str:
    return dt.datetime.fromtimestamp(date, _PARIS).strftime("%a %Y-%m-%d %H:%M")
