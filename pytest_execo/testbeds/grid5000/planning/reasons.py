"""Why nothing fits: one line for each requirement that is not met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ....units import format_duration
from .distribution import shortfalls
from .occupation import Occupation
from .search import Search, paris_date
from .sweep import GRID

__all__ = ("Reasons", "clusters_of")


class Reasons:
    """Says why nothing was found: the first of these that is true of an element is its reason."""

    def __init__(
        self,
        clusters: Mapping[str, Sequence[str]],
        site_of: Mapping[str, str],
        occupations: Mapping[str, Occupation],
        search: Search,
        window: tuple[float, float],
    ) -> None:
        self._clusters = clusters
        self._site_of = site_of
        self._occupations = occupations
        self._search = search
        self._window = window
        self._of_site = clusters_of(site_of)

    def lines(self) -> list[str]:
        """Return one line for each requirement that is not met."""
        return self._too_few() or self._unusable() or self._too_long() or self._not_allowed() or self._never()

    def _nodes(self, element: str) -> list[str]:
        return [
            name
            for cluster, names in self._clusters.items()
            if element in (cluster, self._site_of[cluster], GRID)
            for name in dict.fromkeys(names)
        ]

    def _too_few(self) -> list[str]:
        have = {cluster: len(set(names)) for cluster, names in self._clusters.items()}
        short = shortfalls(self._search.demand.wanted, have, self._of_site)
        return [f"asks for {_of(s.asked, s.element)}, {s.available} fit the request" for s in short]

    def _unusable(self) -> list[str]:
        have = {
            cluster: sum(self._state(cluster, name) is None for name in set(names))
            for cluster, names in self._clusters.items()
        }
        lines = []
        for short in shortfalls(self._search.demand.wanted, have, self._of_site):
            names = [(c, n) for c in self._clusters for n in self._nodes(c)]
            states = Counter(
                state
                for c, n in names
                if short.element in (c, self._site_of[c], GRID) and (state := self._state(c, n)) is not None
            )
            why = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
            lines.append(f"asks for {_of(short.asked, short.element)}, {short.available} can be used: {why}")
        return lines

    def _state(self, cluster: str, node: str) -> str | None:
        """Tell why a node can't be used at all; ``None``: it can."""
        taken = self._occupations.get(self._site_of[cluster])
        if taken is None:
            return f"of {self._site_of[cluster]}, which has not told its status"
        return taken.unusable.get(node) if node in taken.nodes else "unknown to OAR"

    def _too_long(self) -> list[str]:
        start, end = self._window
        if self._search.walltime <= end - start:
            return []
        long = format_duration(self._search.walltime)
        return [f"asks for {long}, longer than the {format_duration(max(0, end - start))} that were looked at"]

    def _not_allowed(self) -> list[str]:
        if self._search.refused is None:
            return []
        date, reason = self._search.refused
        return [f"free from {paris_date(date)} on, but not allowed then or later: {reason}"]

    def _never(self) -> list[str]:
        demand, peaks = self._search.demand, self._search.peaks
        until = f"until {paris_date(self._window[1])}"
        lines = [f"{site}: {lack} {until}" for site, lack in self._search.lacking.items() if lack is not None]
        if lines:
            return lines
        long = format_duration(self._search.walltime)
        lines = [
            f"asks for {_of(count, element)}: never so many free for {long} {until}, at most {peaks[element]}"
            for element, count in demand.wanted.items()
            if peaks[element] < count
        ]
        if demand.vlan and not self._search.most:
            lines = [f"asks for a VLAN of kind {demand.vlan}: none is free beside free nodes {until}"]
        joint = f"asks for {demand.total} nodes: never all free for {long} at one date {until}, at most"
        return lines or [f"{joint} {self._search.most}"]


def clusters_of(site_of: Mapping[str, str]) -> dict[str, list[str]]:
    """Return site → its clusters."""
    found: dict[str, list[str]] = {}
    for cluster, site in site_of.items():
        found.setdefault(site, []).append(cluster)
    return found


def _of(count: int, element: str) -> str:
    where = "" if element == GRID else f" of {element}"
    return f"{count} node{'' if count == 1 else 's'}{where}"
