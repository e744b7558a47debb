"""Durations, sizes and dates as users write them.

The testbeds' own notation decides where a general library would guess otherwise: OAR reads ``1:30`` as an hour and
a half, most parsers as a minute and a half, so the two-part form is refused with both right spellings.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import time

__all__ = ("format_duration", "iso_date", "parse_duration", "parse_size")

_CLOCK = re.compile(r"(\d+):([0-5]?\d):([0-5]?\d(?:\.\d+)?)")
_UNITS = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGTP]?)(i?)(B?)(?:/s)?")


def parse_duration(value: object) -> float:
    """Return seconds from ``"2:00:00"`` (hours:minutes:seconds), ``"1h30m"``, a number of seconds or a timedelta.

    Raises :exc:`ValueError` with what would be right.
    """
    seconds = _duration(value)
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{value!r} is not a duration; write '2:00:00' (h:m:s), '1h30m', '90m' or a number of seconds")
    return seconds


def _duration(value: object) -> float | None:
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if match := _CLOCK.fullmatch(text):
        hours, minutes, secs = match.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(secs)
    if text and (match := _UNITS.fullmatch(text)):
        return sum(float(part or 0) * unit for part, unit in zip(match.groups(), (86400, 3600, 60, 1), strict=True))
    try:
        return float(text)
    except ValueError:
        return None


def parse_size(value: object) -> int:
    """Return bytes from ``"2GiB"`` (1024³), ``"32MB"`` (1000²), ``"1MiB/s"`` or a number of bytes.

    Raises :exc:`ValueError` with what would be right.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return int(value)
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        number, prefix, binary, _ = match.groups()
        return int(float(number) * (1024 if binary else 1000) ** " KMGTP".index(prefix.upper() or " "))
    raise ValueError(f"{value!r} is not a size; write '2GiB', '32MB', '1MiB/s' or a number of bytes")


def format_duration(seconds: float) -> str:
    """Return a short text: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 05 min``, ``3 d 4 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def iso_date(timestamp: float | None = None) -> str:
    """Return an RFC 3339 date in UTC with microseconds (default: now): what records carry, sortable as text."""
    moment = dt.datetime.fromtimestamp(time.time() if timestamp is None else timestamp, dt.UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
