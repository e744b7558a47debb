"""Who has which resources when: what is taken, from date to date."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable

__all__ = ("Gantt",)


class Gantt:
    """The diagram of a set of resources. ``busy[i]`` is what is taken from ``dates[i]`` until ``dates[i + 1]``.

    Outside of ``begin`` and ``end`` all is taken: the diagram of a container has both.
    """

    def __init__(self, everything: int, *, begin: float = -math.inf, end: float = math.inf) -> None:
        self._everything = everything
        self._dates: list[float] = [-math.inf]
        self._busy: list[int] = [0]
        if begin > -math.inf:
            self.add(-math.inf, begin, everything)
        if end < math.inf:
            self.add(end, math.inf, everything)

    def add(self, begin: float, end: float, mask: int) -> None:
        """Take resources."""
        if mask and begin < end:
            first, last = self._cut(begin), self._cut(end)
            for position in range(first, last):
                self._busy[position] |= mask

    def remove(self, begin: float, end: float, mask: int) -> None:
        """Give back what :meth:`add` took with the same three values."""
        if mask and begin < end:
            first, last = self._cut(begin), self._cut(end)
            for position in range(first, last):
                self._busy[position] &= ~mask
            self._join(first, last)

    def is_free(self, begin: float, end: float, mask: int) -> bool:
        """Return whether nobody has any of these resources in between."""
        position = bisect_right(self._dates, begin) - 1
        while position < len(self._dates) and self._dates[position] < end:
            if self._busy[position] & mask:
                return False
            position += 1
        return True

    def find(
        self,
        since: float,
        duration: float,
        scope: int,
        least: int,
        take: Callable[[int], int | None],
        allowed: Callable[[float], float | None] = lambda start: start,
        *,
        at_once: bool = False,
    ) -> tuple[float, int] | None:
        """Return the first date from ``since`` on when ``take`` finds resources that are free for ``duration``.

        :param scope: the resources in question.
        :param least: with less than so many free ones ``take`` need not be asked.
        :param allowed: the first date from one on when it may start; ``None``: never.
        :param at_once: at ``since`` or not at all.
        """
        position = bisect_right(self._dates, since) - 1
        start = since
        while True:
            permitted = allowed(start)
            if permitted is None or (at_once and permitted > since):
                return None
            if permitted > start:
                start = permitted
                position = bisect_right(self._dates, start) - 1
            free, blocked = self._free(position, start + duration, scope, least)
            if free is not None:
                chosen = take(free)
                if chosen is not None:
                    return start, chosen
            position = max(position, blocked) + 1
            if at_once or position >= len(self._dates):
                return None
            start = self._dates[position]

    def _free(self, position: int, end: float, scope: int, least: int) -> tuple[int | None, int]:
        """Return what is free from a slot until a date; or ``None``, and the last slot that is too full on its own."""
        free = scope
        dates, busy = self._dates, self._busy
        count = len(dates)
        at = position
        while at < count and (at == position or dates[at] < end):
            taken = busy[at]
            if taken & free:
                free &= ~taken
                if free.bit_count() < least:
                    alone = scope & ~taken
                    return None, at if alone.bit_count() < least else -1
            at += 1
        return (free, -1) if free.bit_count() >= least else (None, count)

    def _cut(self, date: float) -> int:
        """Return the position of the slot that begins at a date; make it, if there is none."""
        position = bisect_left(self._dates, date)
        if position == len(self._dates) or self._dates[position] != date:
            if date == math.inf:
                return len(self._dates)
            self._dates.insert(position, date)
            self._busy.insert(position, self._busy[position - 1])
        return position

    def _join(self, first: int, last: int) -> None:
        """Make one slot of neighbours that are the same, so that the diagram does not grow with what was removed."""
        for position in range(min(last, len(self._dates) - 1), max(first, 1) - 1, -1):
            if self._busy[position] == self._busy[position - 1]:
                del self._dates[position], self._busy[position]
