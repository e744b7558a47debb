"""The time axis of a picture: which dates get a mark, and what is written at them."""

from __future__ import annotations

import datetime as dt

from .occupation import Interval

__all__ = ("marks",)

_HOUR = 3600
_DAY = 24 * _HOUR
_STEPS = (
    *(60, 300, 900, 1800),
    *(hours * _HOUR for hours in (1, 2, 3, 4, 6, 8, 12)),
    *(days * _DAY for days in (1, 2, 3, 4, 5, 7, 14)),
)


def marks(window: Interval, most: int, zone: dt.tzinfo | None) -> list[tuple[float, str]]:
    """Return up to about ``most`` dates within the window, each with its text, round in local time.

    :param zone: where the dates are local; ``None``: on this machine.
    """
    start, end = window
    span = (end - start) / max(1, most)
    step = next((step for step in _STEPS if step >= span), int(span // _DAY + 1) * _DAY)
    found: list[tuple[float, str]] = []
    day = dt.datetime.fromtimestamp(start, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    while day.timestamp() < end:
        for seconds in range(0, _DAY, min(step, _DAY)):
            # Clock time, not seconds since midnight: on two days of the year these differ.
            moment = day + dt.timedelta(seconds=seconds)
            date = moment.timestamp()
            exists = dt.datetime.fromtimestamp(date, zone).time() == moment.time()  # an hour is left out in spring
            if exists and start <= date < end:
                found.append((date, moment.strftime("%a %d" if step >= _DAY else "%a %d %H:%M")))
        day += dt.timedelta(days=max(1, step // _DAY))
    return found
