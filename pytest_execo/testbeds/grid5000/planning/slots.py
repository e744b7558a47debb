"""Slots: what is free from a date on for a walltime, listed, and searched as execo's users do.

:func:`slots` lists them all, for tables and for searches of one's own; :func:`earliest` finds one without making the
list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ....errors import InvalidRequest
from .demand import Demand
from .occupation import Interval, Occupation
from .sweep import GRID, Sweep, check_wanted, site_of_clusters, subnet_blocks

__all__ = (
    "Slot",
    "check_walltime",
    "earliest",
    "find_first_slot",
    "find_free_slot",
    "find_max_slot",
    "full_hours",
    "in_order",
    "slots",
)


@dataclass(frozen=True)
class Slot:
    """What is free all the time from ``start`` to ``end``, Unix dates.

    :param free: how many nodes, by cluster, by site, and of all sites by ``grid5000``.
    :param names: cluster → full names of its free nodes, in the order in which they were given.
    :param vlans: site → kind of VLAN → how many. :param subnets: site → ranges.
    :param site_of: cluster → site.
    """

    start: float
    end: float
    free: Mapping[str, int]
    names: Mapping[str, tuple[str, ...]]
    vlans: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    subnets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    site_of: Mapping[str, str] = field(default_factory=dict)


def slots(occupations: Mapping[str, Occupation], clusters: Mapping[str, Sequence[str]], walltime: float) -> list[Slot]:
    """Return a slot for each date at which what is free changes, in order.

    Only slots that end within the window of the occupations are listed: nothing is known of what comes after.

    :param occupations: site → what is taken there.
    :param clusters: cluster → full names of the nodes to look at. A node that its site does not know is not free.
    :param walltime: how long the slots are, seconds.
    :raises InvalidRequest: for a walltime that is none.
    """
    check_walltime(walltime)
    site_of = site_of_clusters(occupations, clusters)
    found: list[Slot] = []
    if not occupations:
        return found
    sweep = Sweep(occupations, clusters, site_of, walltime, _window(occupations))
    names: dict[str, tuple[str, ...]] = {}
    for date in sweep:
        # Most clusters are as they were: slots share what did not change.
        names = names | {c: in_order(clusters[c], sweep.nodes[c]) for c in sweep.changed}
        slot = _slot(sweep, date, walltime, names, site_of)
        if not found or not _same(slot, found[-1]):
            found.append(slot)
    return found


def earliest(
    occupations: Mapping[str, Occupation],
    clusters: Mapping[str, Sequence[str]],
    wanted: Mapping[str, int],
    walltime: float,
    *,
    window: Interval | None = None,
    vlan: str | None = None,
    subnets: Sequence[tuple[str, int]] = (),
    allowed: Callable[[float, float], str | None] | None = None,
) -> Slot | None:
    """Return the first slot that has what is wanted, ``None`` when there is none in the window.

    :param wanted: how many nodes of which cluster, site, or ``grid5000``; counts add up: ``{"lyon": 4, "taurus": 2}``
        are six nodes, two of which are of taurus.
    :param window: the dates to look at; ``None``: those of the occupations.
    :param vlan: the kind of VLAN that each site with nodes is to have. :param subnets: the ranges, likewise.
    :param allowed: told start and end, says why not, or ``None``. Full hours are tried as well then.
    :raises InvalidRequest: for a name that is not known, a count, walltime, or size of a subnet that is none.
    """
    check_walltime(walltime)
    site_of = site_of_clusters(occupations, clusters)
    check_wanted(wanted, (*clusters, *occupations, *site_of.values()))
    if not occupations:
        return None
    demand = Demand(wanted, site_of, vlan=vlan, subnets=subnets)
    window = window or _window(occupations)
    hours = full_hours(window) if allowed is not None else ()
    sweep = Sweep(occupations, clusters, site_of, walltime, window, dates=hours)
    for date in sweep:
        if demand.placed(sweep) == demand.total and (allowed is None or allowed(date, date + walltime) is None):
            names = {cluster: in_order(clusters[cluster], free) for cluster, free in sweep.nodes.items()}
            return _slot(sweep, date, walltime, names, site_of)
    return None


def find_free_slot(
    slots: Iterable[Slot],
    wanted: Mapping[str, int],
    *,
    vlan: str | None = None,
    subnets: Sequence[tuple[str, int]] = (),
) -> Slot | None:
    """Return the first slot that has all that is wanted, as :func:`earliest` counts it, or ``None``.

    :raises InvalidRequest: for a name that the slots do not know, a count, or a size of a subnet that is none.
    """
    for slot in slots:
        check_wanted(wanted, slot.free)
        demand = Demand(wanted, slot.site_of, vlan=vlan, subnets=subnets)
        if demand.placed(SlotState(slot)) == demand.total:
            return slot
    return None


def find_first_slot(slots: Iterable[Slot], wanted: Iterable[str]) -> Slot | None:
    """Return the first slot in which anything of what is wanted is free, or ``None``.

    :param wanted: names of clusters, sites, or ``grid5000``; of a mapping, the keys.
    :raises InvalidRequest: for a name that the slots do not know.
    """
    elements = tuple(wanted)
    for slot in slots:
        check_wanted(dict.fromkeys(elements, 1), slot.free)
        if any(slot.free[element] for element in elements):
            return slot
    return None


def find_max_slot(slots: Iterable[Slot], wanted_elements: Iterable[str]) -> Slot | None:
    """Return the slot in which most nodes of what is wanted are free; the first such one; ``None``: never any.

    A cluster that is wanted beside its site counts once.

    :param wanted_elements: names of clusters, sites, or ``grid5000``; of a mapping, the keys.
    :raises InvalidRequest: for a name that the slots do not know.
    """
    elements = set(wanted_elements)
    best, most = None, 0
    for slot in slots:
        check_wanted(dict.fromkeys(elements, 1), slot.free)
        wanted = elements if GRID not in elements else {GRID}
        count = sum(
            slot.free[element] for element in wanted if element in slot.site_of.values() or element == GRID
        ) + sum(slot.free[c] for c, site in slot.site_of.items() if c in wanted and site not in wanted)
        if count > most:
            best, most = slot, count
    return best


class SlotState:
    """A slot, for :class:`.demand.Demand`, as a sweep is at its date."""

    def __init__(self, slot: Slot) -> None:
        self.free: Mapping[str, int] = slot.free
        self._slot = slot

    def free_vlans(self, site: str, kind: str) -> int:
        """Return how many VLANs of a kind are free."""
        return self._slot.vlans.get(site, {}).get(kind, 0)

    def free_subnets(self, site: str, size: str) -> int:
        """Return how many ranges of a size are free."""
        return subnet_blocks(self._slot.subnets.get(site, ()), size)


def check_walltime(walltime: float) -> None:
    """:raises InvalidRequest: for a walltime that is none."""
    if not 0 < walltime < float("inf"):
        raise InvalidRequest(f"a walltime of {walltime!r} s is none; write seconds, more than 0")


def full_hours(window: Interval) -> list[float]:
    """Return the full hours in a window: where rules that go by the clock may change their mind."""
    first = math.ceil(window[0] / 3600)
    return [3600.0 * hour for hour in range(first, math.floor(window[1] / 3600) + 1)]


def _window(occupations: Mapping[str, Occupation]) -> Interval:
    """Return the dates that all occupations cover."""
    windows = [taken.window for taken in occupations.values()]
    return max(start for start, _ in windows), min(end for _, end in windows)


def in_order(names: Sequence[str], chosen: Collection[str]) -> tuple[str, ...]:
    """Return the chosen names, in the order of all."""
    return tuple(name for name in dict.fromkeys(names) if name in chosen)


def _slot(
    sweep: Sweep, date: float, walltime: float, names: Mapping[str, tuple[str, ...]], site_of: Mapping[str, str]
) -> Slot:
    vlans: dict[str, dict[str, int]] = {}
    for (site, kind), free in sweep.vlans.items():
        vlans.setdefault(site, {})[kind] = len(free)
    return Slot(
        start=date,
        end=date + walltime,
        free=dict(sweep.free),
        names=names,
        vlans=vlans,
        subnets={site: tuple(sorted(free)) for site, free in sweep.subnets.items()},
        site_of=site_of,
    )


def _same(slot: Slot, other: Slot) -> bool:
    return (slot.names, slot.vlans, slot.subnets) == (other.names, other.vlans, other.subnets)
