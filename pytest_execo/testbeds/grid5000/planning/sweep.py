"""A walk over the dates at which what is free changes: each event is handled once, nothing is counted anew.

A node is free *for a walltime* at a date when nothing takes it between the date and its end. So a gap from A to B in
what is busy gives starts from A to B minus the walltime. OAR counts in whole seconds; so do the dates here.
"""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ....errors import InvalidRequest
from ....nearest import nearest
from ..sites import site_of as site_by_name
from .occupation import Interval, Occupation, gaps

__all__ = ("GRID", "Sweep", "check_wanted", "site_of_clusters", "subnet_blocks")

#: The name that stands for all sites, as in execo.
GRID: str = "grid5000"


class Sweep:
    """What is free for a walltime, date by date. Iterating yields each date; the attributes are of that date.

    Iterate once. The attributes change with the next date: copy what is to be kept.

    :param occupations: site → what is taken there.
    :param clusters: cluster → full names of the nodes to look at.
    :param site_of: cluster → site.
    :param walltime: seconds.
    :param window: the dates to look at: slots begin and end inside.
    :param dates: dates at which to stop as well, though nothing changes.
    """

    def __init__(
        self,
        occupations: Mapping[str, Occupation],
        clusters: Mapping[str, Sequence[str]],
        site_of: Mapping[str, str],
        walltime: float,
        window: Interval,
        *,
        dates: Iterable[float] = (),
    ) -> None:
        #: Cluster, site or GRID → how many nodes are free.
        self.free: dict[str, int] = dict.fromkeys((*clusters, *occupations, *site_of.values(), GRID), 0)
        #: Cluster → the nodes that are free.
        self.nodes: dict[str, set[str]] = {cluster: set() for cluster in clusters}
        #: (site, kind) → ids of the VLANs that are free.
        self.vlans: dict[tuple[str, str], set[str]] = {}
        #: Site → the ranges that are free.
        self.subnets: dict[str, set[str]] = {site: set() for site in occupations}
        #: Clusters whose nodes changed since the date before; the first date has all of them.
        self.changed: set[str] = set(clusters)
        # Of the subnets: counting them takes time, and they seldom change.
        self._blocks: dict[str, dict[str, int]] = {}
        self._walltime = walltime
        # Outside of what an occupation covers nothing is known.
        start = max(window[0], *(taken.window[0] for taken in occupations.values()), -math.inf)
        end = min(window[1], *(taken.window[1] for taken in occupations.values()), math.inf)
        #: The dates that are looked at, whole seconds.
        self.window: tuple[int, int] = (math.ceil(start), math.floor(end))
        self._last = self.window[1] - walltime
        self._site_of = site_of
        # (date, what it is of, its name, whether it becomes free)
        self._events: list[tuple[float, tuple[str, ...], str, bool]] = []
        for date in (self.window[0], *dates):
            self._events.append((math.ceil(date), (), "", True))
        for cluster, names in clusters.items():
            taken = occupations.get(site_of.get(cluster, ""))
            if taken is None:
                continue  # nothing is known of this site: nothing there can be promised
            for name in dict.fromkeys(names):
                if name in taken.nodes:
                    self._add(("node", cluster), name, taken.nodes[name])
        for site, taken in occupations.items():
            for name, busy in taken.vlans.items():
                kind = taken.vlan_kinds.get(name, "")
                self.vlans.setdefault((site, kind), set())
                self._add(("vlan", site, kind), name, busy)
            for name, busy in taken.subnets.items():
                self._add(("subnet", site), name, busy)

    def _add(self, where: tuple[str, ...], name: str, busy: Iterable[Interval]) -> None:
        """Note from when to when a slot may begin on this resource."""
        for start, end in gaps(_cut(busy, self.window), self.window):
            first, last = math.ceil(start), math.floor(end - self._walltime)
            if first <= last:
                self._events.append((first, where, name, True))
                self._events.append((last + 1, where, name, False))

    def __iter__(self) -> Iterator[float]:
        self._events.sort()
        index, events = 0, self._events
        while index < len(events):
            date = events[index][0]
            if date > self._last:
                return
            while index < len(events) and events[index][0] == date:
                _, where, name, appears = events[index]
                if where:
                    self._apply(where, name, appears)
                index += 1
            if date >= self.window[0]:
                yield date
                self.changed = set()

    def free_vlans(self, site: str, kind: str) -> int:
        """Return how many VLANs of a kind are free."""
        return len(self.vlans.get((site, kind), ()))

    def free_subnets(self, site: str, size: str) -> int:
        """Return how many ranges of a size are free."""
        counts = self._blocks.setdefault(site, {})
        if size not in counts:
            counts[size] = subnet_blocks(self.subnets.get(site, ()), size)
        return counts[size]

    def _apply(self, where: tuple[str, ...], name: str, appears: bool) -> None:
        if where[0] == "node":
            cluster = where[1]
            nodes = self.nodes[cluster]
            step = 1 if appears else -1
            for element in (cluster, self._site_of[cluster], GRID):
                self.free[element] += step
            self.changed.add(cluster)
        elif where[0] == "vlan":
            nodes = self.vlans[where[1], where[2]]
        else:
            nodes = self.subnets[where[1]]
            self._blocks.pop(where[1], None)
        if appears:
            nodes.add(name)
        else:
            nodes.discard(name)


def _cut(busy: Iterable[Interval], window: Interval) -> Iterator[Interval]:
    for start, end in busy:
        if start < window[1] and end > window[0]:
            yield max(start, window[0]), min(end, window[1])


def site_of_clusters(occupations: Mapping[str, Occupation], clusters: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return cluster → site, from the site that knows its nodes, or else from their names. Empty clusters have none."""
    found = {}
    for cluster, names in clusters.items():
        known = next((site for site, taken in occupations.items() if any(name in taken.nodes for name in names)), None)
        if known is not None:
            found[cluster] = known
        elif names and names[0].count(".") >= 2:
            found[cluster] = site_by_name(names[0])
    return found


def subnet_blocks(free: Iterable[str], size: str) -> int:
    """Return how many ranges of a size (``slash_22``) are made of free ones alone.

    OAR reserves the ranges of the status as they are, and larger ones as aligned blocks of them.

    :raises InvalidRequest: for a size that is none.
    """
    digits = size.removeprefix("slash_")
    if digits == size or not digits.isdecimal() or not 8 <= int(digits) <= 32:
        raise InvalidRequest(f"subnet size {size!r}: write slash_22, or another number of bits")
    bits = int(digits)
    whole, parts = 0, Counter[ipaddress.IPv4Network]()
    for text in free:
        try:
            network = ipaddress.IPv4Network(text, strict=False)
        except ValueError:
            continue  # not a range that we could ask for
        if network.prefixlen <= bits:
            whole += 1
        else:
            parts[network.supernet(new_prefix=bits)] += network.num_addresses
    return whole + sum(count == network.num_addresses for network, count in parts.items())


def check_wanted(wanted: Mapping[str, int], known: Iterable[str]) -> None:
    """Check how many nodes are wanted of what.

    :raises InvalidRequest: for a name that is neither a cluster, a site nor ``grid5000``, or a count that is none.
    """
    names = {*known, GRID}
    for element, count in wanted.items():
        if element not in names:
            raise InvalidRequest(
                f"{element!r} is no cluster or site that was looked at{nearest(element, sorted(names))}"
            )
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise InvalidRequest(f"{element}: {count!r} nodes; write a whole number")
