"""The search for the first date, and what it remembers of the dates that were not good enough."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Mapping

from .demand import Demand
from .sweep import Sweep

__all__ = ("Search", "paris_date")

_PARIS = zoneinfo.ZoneInfo("Europe/Paris")
_ALTERNATIVES = 3


class Search:
    """Goes through the dates and remembers how near it came."""

    def __init__(self, demand: Demand, walltime: float, allowed: Callable[[float, float], str | None] | None) -> None:
        self.demand: Demand = demand
        self.walltime: float = walltime
        #: Dates, each with more nodes than all before: (date, element → how many).
        self.steps: list[tuple[float, dict[str, int]]] = []
        #: The first date that had all nodes and was not allowed, and why.
        self.refused: tuple[float, str] | None = None
        #: The most that each element ever had, whether allowed or not, and that all had together.
        self.peaks: dict[str, int] = dict.fromkeys(demand.wanted, 0)
        self.most: int = 0
        #: Site → what it lacked beside nodes, at the last date; ``None`` once it lacked nothing.
        self.lacking: dict[str, str | None] = {}
        self._allowed = allowed

    def run(self, sweep: Sweep) -> float | None:
        """Return the first date; the sweep stays at it. ``None``: none."""
        best = 0
        for date in sweep:
            shares = self.demand.shares(sweep)
            self._note(sweep, shares)
            count = sum(shares.values())
            if count <= best:
                continue
            reason = self._allowed(date, date + self.walltime) if self._allowed else None
            if reason is not None:
                if count == self.demand.total and self.refused is None:
                    self.refused = (date, reason)
                continue
            best = count
            self.steps.append((date, shares))
            if count == self.demand.total:
                return date
        return None

    def _note(self, sweep: Sweep, shares: Mapping[str, int]) -> None:
        self.most = max(self.most, sum(shares.values()))
        for element, count in shares.items():
            if count > self.peaks[element]:
                self.peaks[element] = count
        for site in self.demand.named if self.demand.demanding else ():
            if self.lacking.get(site, "") is not None:
                self.lacking[site] = self.demand.lacks(sweep, site)

    def alternatives(self) -> tuple[str, ...]:
        """Return a line for the soonest dates with fewer nodes, and the one with most."""
        less = [step for step in self.steps if sum(step[1].values()) < self.demand.total]
        chosen = [*less[: _ALTERNATIVES - 1], *less[_ALTERNATIVES - 1 :][-1:]]
        lines = []
        for date, shares in chosen:
            line = f"could start at {paris_date(date)} with {sum(shares.values())} of {self.demand.total} nodes"
            if len(shares) > 1:
                line += f" ({', '.join(f'{e}: {n} of {self.demand.wanted[e]}' for e, n in shares.items())})"
            lines.append(line)
        return tuple(lines)


def paris_date(date: float) -> str:
    """Write a date as OAR takes it, with its zone: whoever reads it may be elsewhere."""
    return dt.datetime.fromtimestamp(date, _PARIS).strftime("%Y-%m-%d %H:%M:%S %Z")
