"""Dates as OAR writes and reads them, in the time of the site; and the hours of Grid'5000's days and nights."""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

__all__ = ("day_window", "night_window", "read_reservation", "text_of")

_ZONE = ZoneInfo("Europe/Paris")
_FULL = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2}) (\d{1,2}):(\d{1,2}):(\d{1,2})")
_DAY_BEGINS, _DAY_ENDS = 9, 19


def text_of(date: float) -> str:
    """Return ``YYYY-MM-DD HH:MM:SS``."""
    return dt.datetime.fromtimestamp(int(date), _ZONE).strftime("%Y-%m-%d %H:%M:%S")


def read_reservation(text: str, now: float) -> tuple[float, float | None]:
    """Return start and end of ``START[, END]``; a start may also be ``now``, or an hour of today.

    :raises ValueError: it is neither.
    """
    first, comma, second = text.partition(",")
    try:
        start = float(int(now)) if first.strip().lower() == "now" else _read(first.strip(), now)
        return start, _read(second.strip(), now) if comma else None
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no date of a reservation") from None


def _read(text: str, now: float) -> float:
    if match := _FULL.fullmatch(text):
        year, month, day, hour, minute, second = (int(part) for part in match.groups())
        return dt.datetime(year, month, day, hour, minute, second, tzinfo=_ZONE).timestamp()
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(part.isdigit() and len(part) <= 2 for part in parts):
        raise ValueError(text)
    today = dt.datetime.fromtimestamp(now, _ZONE)
    hour, minute, second = [*(int(part) for part in parts), 0, 0][:3]
    return dt.datetime.combine(today.date(), dt.time(hour, minute, second), _ZONE).timestamp()


def day_window(start: float, walltime: float) -> float | None:
    """Return the first date from ``start`` on at which a job fits into one working day; ``None``: into none."""
    return _window(start, walltime, night=False)


def night_window(start: float, walltime: float) -> float | None:
    """Return the first date from ``start`` on at which a job fits into one night or week-end; ``None``: into none."""
    return _window(start, walltime, night=True)


def _window(start: float, walltime: float, *, night: bool) -> float | None:
    date = dt.datetime.fromtimestamp(start, _ZONE).date() - dt.timedelta(days=3)
    for _ in range(14):  # a week has all kinds of windows, and it may begin three days before
        if date.weekday() < 5:
            opens = _hour(date, _DAY_ENDS if night else _DAY_BEGINS)
            after = date + dt.timedelta(days=3 if date.weekday() == 4 else 1)
            closes = _hour(after, _DAY_BEGINS) if night else _hour(date, _DAY_ENDS)
            begin = max(start, opens)
            if begin + walltime <= closes:
                return begin
        date += dt.timedelta(days=1)
    return None


def _hour(date: dt.date, hour: int) -> float:
    return dt.datetime.combine(date, dt.time(hour), _ZONE).timestamp()
