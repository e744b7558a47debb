"""Several sites at one date: the first at which all that is wanted is free, and which nodes those are.

There is no scheduler above the sites, so a date is found here and each site is asked for its part of the nodes at that
date. Between the look and the asking somebody else may be faster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ....errors import InvalidRequest
from .demand import Demand
from .distribution import distribute
from .occupation import Occupation
from .reasons import Reasons, clusters_of
from .search import Search
from .slots import check_walltime, full_hours, in_order
from .sweep import GRID, Sweep, check_wanted, site_of_clusters

__all__ = ("GridPlan", "SitePlan", "plan")

#: Four weeks, as far as execo looks: beyond the longest walltime and most reservations.
WINDOW: float = 28 * 86400.0


@dataclass(frozen=True)
class SitePlan:
    """What to ask one site for: ``clusters`` says how many of which; ``nodes`` are those that are free, by full name.

    OAR chooses among what fits, so it may give others of the same clusters.
    """

    site: str
    nodes: tuple[str, ...]
    clusters: Mapping[str, int]


@dataclass
class GridPlan:
    """When and where a request fits.

    :param start: Unix date; infinite when it never fits. :param end: the same plus the walltime.
    :param sites: the sites that give nodes; empty when it never fits.
    :param unmet: one line for each requirement that is not met. Empty: it fits.
    :param alternatives: one line for each date before ``start`` at which fewer nodes could be had, soonest first.
    """

    start: float
    end: float
    sites: tuple[SitePlan, ...]
    unmet: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()


def plan(
    candidates: Mapping[str, Sequence[str]],
    site_of: Mapping[str, str],
    occupations: Mapping[str, Occupation],
    wanted: Mapping[str, int],
    walltime: float,
    *,
    not_before: float,
    window: float = WINDOW,
    vlan: str | None = None,
    subnets: Sequence[tuple[str, int]] = (),
    allowed: Callable[[float, float], str | None] | None = None,
    spread: bool = True,
) -> GridPlan:
    """Return the first date at which all that is wanted is free, and how it is split over sites and clusters.

    Dates are whole seconds. The arguments are left as they are.

    :param candidates: cluster → full names of the nodes that would do, the preferred ones first.
    :param site_of: cluster → site, also of clusters without candidates.
    :param occupations: site → what is taken there. Nodes of a site that is missing are not taken.
    :param wanted: how many of which cluster, site, or ``grid5000``; counts add up.
    :param walltime: seconds; may be longer than a day.
    :param not_before: the first date to look at.
    :param window: how far to look, seconds; not beyond what the occupations cover.
    :param vlan: the kind of VLAN that each site with nodes must have free; one of ``kavlan-global`` does for all.
    :param subnets: ranges, ``(("slash_22", 1),)``, that each site with nodes must have free.
    :param allowed: told start and end, says why a job must not be there (the charter), or ``None``. The next date is
        tried then; full hours are dates as well, because rules change at them.
    :param spread: how the share of a site or the grid is split: see :func:`distribute`.
    :raises InvalidRequest: for an unknown name, or a count, walltime, or size of a subnet that is none.
    """
    check_walltime(walltime)
    sites = {**site_of_clusters(occupations, candidates), **site_of}
    check_wanted(wanted, (*sites, *sites.values(), *occupations))
    if not any(wanted.values()):
        raise InvalidRequest("asks for no nodes; write how many of which site or cluster")
    clusters = {
        cluster: candidates.get(cluster, ())
        for cluster, site in sites.items()
        if GRID in wanted or cluster in wanted or site in wanted
    }
    sites = {cluster: sites[cluster] for cluster in clusters}
    looked_at = {site: taken for site, taken in occupations.items() if site in sites.values() or site in wanted}
    demand = Demand(wanted, sites, vlan=vlan, subnets=subnets)
    span = (not_before, not_before + window)
    hours = full_hours(span) if allowed is not None else ()
    sweep = Sweep(looked_at, clusters, sites, walltime, span, dates=hours)
    search = Search(demand, walltime, allowed)
    start = search.run(sweep)
    if start is None:
        unmet = Reasons(clusters, sites, looked_at, search, sweep.window).lines()
        return GridPlan(math.inf, math.inf, (), tuple(unmet), search.alternatives())
    parts = _parts(sweep, demand, clusters, sites, spread)
    return GridPlan(start, start + walltime, parts, (), search.alternatives())


def _parts(
    sweep: Sweep,
    demand: Demand,
    clusters: Mapping[str, Sequence[str]],
    site_of: Mapping[str, str],
    spread: bool,
) -> tuple[SitePlan, ...]:
    open_sites = demand.open_sites(sweep)
    free = {cluster: len(nodes) if site_of[cluster] in open_sites else 0 for cluster, nodes in sweep.nodes.items()}
    counts = distribute(demand.refined(sweep), free, clusters_of(site_of), spread=spread)
    by_site: dict[str, dict[str, int]] = {}
    for cluster, count in counts.items():
        by_site.setdefault(site_of[cluster], {})[cluster] = count
    return tuple(
        SitePlan(
            site,
            tuple(n for c, count in taken.items() for n in in_order(clusters[c], sweep.nodes[c])[:count]),
            taken,
        )
        for site, taken in by_site.items()
    )
