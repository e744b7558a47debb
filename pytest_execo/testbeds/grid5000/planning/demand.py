"""What is wanted, against what is free at one date: how much of it can be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from .sweep import GRID, subnet_blocks

__all__ = ("GLOBAL_VLAN", "Demand", "State")

#: The kind of VLAN that spans all sites: one is enough for nodes of several.
GLOBAL_VLAN: str = "kavlan-global"


class State(Protocol):
    """What is free at a date."""

    @property
    def free(self) -> Mapping[str, int]:
        """Cluster, site or GRID → how many nodes."""

    def free_vlans(self, site: str, kind: str) -> int:
        """Return how many VLANs of a kind are free."""

    def free_subnets(self, site: str, size: str) -> int:
        """Return how many ranges of a size are free."""


class Demand:
    """How many nodes of which cluster, site, or GRID, and what each site with nodes must have beside them.

    Counts add up: four of lyon and two of taurus, which is at lyon, are six.

    :param wanted: names that :func:`.sweep.check_wanted` knows.
    :param site_of: cluster → site.
    :raises InvalidRequest: for a size of a subnet that is none.
    """

    def __init__(
        self,
        wanted: Mapping[str, int],
        site_of: Mapping[str, str],
        *,
        vlan: str | None = None,
        subnets: Sequence[tuple[str, int]] = (),
    ) -> None:
        for size, _ in subnets:
            subnet_blocks((), size)
        self.wanted: dict[str, int] = {element: count for element, count in wanted.items() if count}
        self.total: int = sum(self.wanted.values())
        self.vlan: str | None = vlan
        self.subnets: tuple[tuple[str, int], ...] = tuple(subnets)
        #: Whether nodes are of use only where a site has something beside them.
        self.demanding: bool = bool(subnets) or vlan not in (None, GLOBAL_VLAN)
        self._sites = tuple(dict.fromkeys(site_of.values()))
        self._grid = self.wanted.get(GRID, 0)
        self._by_site: dict[str, int] = {}
        self._by_cluster: list[tuple[str, str, int]] = []
        for element, count in self.wanted.items():
            if element in site_of:
                self._by_cluster.append((element, site_of[element], count))
            elif element != GRID:
                self._by_site[element] = count
        #: The sites that are to give nodes, whatever the others have.
        self.named: tuple[str, ...] = tuple(dict.fromkeys((*self._by_site, *(site for _, site, _ in self._by_cluster))))

    def lacks(self, state: State, site: str) -> str | None:
        """Tell what a site has not got beside nodes, in words; ``None``: nothing."""
        if self.vlan and self.vlan != GLOBAL_VLAN and not state.free_vlans(site, self.vlan):
            return f"no VLAN of kind {self.vlan} is free"
        for size, count in self.subnets:
            if (free := state.free_subnets(site, size)) < count:
                return f"{count} {size} asked for, {free} free"
        return None

    def open_sites(self, state: State) -> list[str]:
        """Return the sites whose nodes are of use at this date."""
        if not self.demanding:
            return list(self._sites)
        return [site for site in self._sites if self.lacks(state, site) is None]

    def placed(self, state: State) -> int:
        """Return how many of the nodes that are wanted can be had at this date."""
        return sum(self.shares(state).values())

    def shares(self, state: State) -> dict[str, int]:
        """Return how many can be had for each element; the narrow ones, clusters, come first."""
        free, open_sites = state.free, self.open_sites(state)
        if not self._global_vlan(state, open_sites):
            return dict.fromkeys(self.wanted, 0)
        found = {}
        taken: dict[str, int] = {}
        for cluster, site, count in self._by_cluster:
            found[cluster] = min(count, free[cluster]) if site in open_sites else 0
            taken[site] = taken.get(site, 0) + found[cluster]
        for site, count in self._by_site.items():
            found[site] = min(count, free[site] - taken.get(site, 0)) if site in open_sites else 0
        if self._grid:
            rest = sum(free[site] for site in open_sites) - sum(found.values())
            found[GRID] = min(self._grid, rest)
        return found

    def refined(self, state: State) -> dict[str, int]:
        """Return what is wanted, such that a site that has the global VLAN gets nodes, where one is asked for."""
        sites = self.open_sites(state)
        if self.vlan != GLOBAL_VLAN or any(s in self.named and state.free_vlans(s, GLOBAL_VLAN) for s in sites):
            return dict(self.wanted)
        site = next(s for s in sites if state.free[s] and state.free_vlans(s, GLOBAL_VLAN))
        return {**self.wanted, GRID: self._grid - 1, site: 1}

    def _global_vlan(self, state: State, open_sites: Sequence[str]) -> bool:
        """Tell whether a site that has a global VLAN can have nodes, or none is asked for."""
        if self.vlan != GLOBAL_VLAN:
            return True
        having = [site for site in open_sites if state.free_vlans(site, GLOBAL_VLAN)]
        return any(site in self.named for site in having) or (
            bool(self._grid) and any(state.free[site] for site in having)
        )
