"""How a number of nodes is split over clusters: exactly, and each in proportion to what it has free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ....errors import RequestNotMet
from .sweep import GRID, check_wanted

__all__ = ("Shortfall", "distribute", "shortfalls")


@dataclass(frozen=True)
class Shortfall:
    """An element that has too little. ``available`` is what clusters that were named apart leave of it."""

    element: str
    asked: int
    available: int


def distribute(
    wanted: Mapping[str, int],
    free: Mapping[str, int],
    clusters_of: Mapping[str, Sequence[str]],
    *,
    spread: bool = True,
) -> dict[str, int]:
    """Return how many nodes to take of which cluster. The arguments are left as they are.

    Clusters that are named get their number first, then sites, then ``grid5000``; counts add up. What a site or the
    grid is asked for is shared over its clusters by what each has left (largest remainder), so that no cluster is
    emptied for the sake of others. Ties go to the cluster that comes first in ``clusters_of``.

    :param wanted: how many of which cluster, site, or ``grid5000``.
    :param free: how many are free, by cluster.
    :param clusters_of: site → its clusters. A cluster of no site can only be wanted by its name.
    :param spread: False: fill the fewest clusters instead, so that the nodes are alike where that is possible.
    :raises RequestNotMet: with one line for each element that has too little.
    :raises InvalidRequest: for an element that is unknown, or a count that is none.
    """
    check_wanted(wanted, (*free, *clusters_of, *(name for names in clusters_of.values() for name in names)))
    short = shortfalls(wanted, free, clusters_of)
    if short:
        raise RequestNotMet([f"{s.element}: {_nodes(s.asked)} asked for, {s.available} free" for s in short])
    left = {**dict.fromkeys((c for names in clusters_of.values() for c in names), 0), **free}
    given = dict.fromkeys(left, 0)

    def take(shares: Mapping[str, int]) -> None:
        for cluster, count in shares.items():
            given[cluster] += count
            left[cluster] -= count

    share = _by_share if spread else _fill
    take({cluster: count for cluster, count in wanted.items() if cluster in left})
    for site, clusters in clusters_of.items():
        take(share(wanted.get(site, 0), {cluster: left[cluster] for cluster in clusters}))
    everywhere = {cluster: left[cluster] for clusters in clusters_of.values() for cluster in clusters}
    take(share(wanted.get(GRID, 0), everywhere))
    return {cluster: count for cluster, count in given.items() if count}


def shortfalls(
    wanted: Mapping[str, int], free: Mapping[str, int], clusters_of: Mapping[str, Sequence[str]]
) -> list[Shortfall]:
    """Return the elements that have less than is wanted of them; none: it can be distributed."""
    short = []
    left = dict(free)
    clusters = [element for element in wanted if element not in clusters_of and element != GRID]
    for cluster in clusters:
        have = left.get(cluster, 0)
        if have < wanted[cluster]:
            short.append(Shortfall(cluster, wanted[cluster], have))
        left[cluster] = max(0, have - wanted[cluster])
    rest = 0
    for site, names in clusters_of.items():
        asked = wanted.get(site, 0)
        have = sum(left.get(cluster, 0) for cluster in dict.fromkeys(names))
        if have < asked:
            short.append(Shortfall(site, asked, have))
        rest += max(0, have - asked)
    if rest < wanted.get(GRID, 0):
        short.append(Shortfall(GRID, wanted[GRID], rest))
    return short


def _by_share(count: int, free: Mapping[str, int]) -> dict[str, int]:
    """Split by largest remainder. A share never exceeds what is free, because all of it together does not."""
    total = sum(free.values())
    if not count:
        return {}
    # In whole numbers: with floats two equal remainders may differ.
    shares = {cluster: count * size // total for cluster, size in free.items()}
    missing = count - sum(shares.values())
    order = sorted(free, key=lambda cluster: -(count * free[cluster] % total))
    for cluster in order[:missing]:
        shares[cluster] += 1
    return shares


def _fill(count: int, free: Mapping[str, int]) -> dict[str, int]:
    """Take the smallest cluster that has all of it, else the largest one, and go on with the rest."""
    shares: dict[str, int] = {}
    while count:
        open_clusters = {cluster: size for cluster, size in free.items() if size and cluster not in shares}
        enough = [cluster for cluster, size in open_clusters.items() if size >= count]
        cluster = min(enough, key=free.__getitem__) if enough else max(open_clusters, key=free.__getitem__)
        shares[cluster] = min(count, free[cluster])
        count -= shares[cluster]
    return shares


def _nodes(count: int) -> str:
    return f"{count} node{'' if count == 1 else 's'}"
