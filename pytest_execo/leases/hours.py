"""When leases may be taken: at any time, or at nights and week-ends only, when nobody else is kept from working.

Night is what the day of Grid'5000's usage policy is not, which is 09:00 to 19:00 in Paris, on Mondays to Fridays but
French holidays. A week-end is from Friday evening to Monday morning, and a night that meets a week-end or a holiday
belongs to it. The zone of this machine has no part in it. Dates are Unix seconds of the testbed's clock, which is not
this machine's for an emulator.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator

from ..units import format_duration

__all__ = ("Hours",)

# How far is looked for a night or week-end that is long enough: each holiday is in it.
_AHEAD = 366 * 86400.0


class Hours(enum.Enum):
    """The hours in which leases may be taken. The value is how users write it."""

    ANY = "any"
    NIGHTS = "nights"

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Return what a text names.

        :raises ValueError: the message says what would be right.
        """
        try:
            return cls(text.strip().lower())
        except ValueError:
            known = " or ".join(f"'{hours.value}'" for hours in cls)
            raise ValueError(f"{text!r} are no hours for leases; write {known} (nights and week-ends)") from None

    def opens(self, now: float, walltime: float | None) -> float:
        """Return the earliest date, ``now`` or later, at which a lease lies in one night or one week-end.

        :param walltime: seconds; ``None``: without end, of which the start alone counts.
        :raises ValueError: no night or week-end within a year is that long.
        """
        if walltime is not None and not walltime >= 0:
            raise ValueError(f"a walltime of {walltime!r} s is none")
        if self is Hours.ANY:
            return now
        longest = 0.0
        for start, end in _nights(now):
            if start + (walltime or 0.0) <= end:
                return start
            longest = max(longest, end - start)
        assert walltime is not None
        raise ValueError(
            f"a walltime of {format_duration(walltime)} lies in no night or week-end; "
            f"the longest within a year is {format_duration(longest)}"
        )

    def closes(self, now: float) -> float:
        """Return when the present night or week-end ends; ``now`` by day, infinity when any hour is right."""
        if self is Hours.ANY:
            return math.inf
        start, end = next(_nights(now))
        return end if start == now else now


def _nights(now: float) -> Iterator[tuple[float, float]]:
    """Yield what is left of the present night or week-end, and those that begin within a year, without the days."""
    # Loads the request language of Grid'5000, which whoever takes any hour does not need.
    from ..testbeds.grid5000.requests.charter import next_period

    last = now + _AHEAD
    start = now
    while start < last:
        day = next_period(start, last + _AHEAD)
        assert day is not None  # no year without a working day
        if start < day[0]:
            yield start, day[0]
        start = day[1]
