"""What is busy at a site, and until when, from its status.

The status lists the jobs of each node: those that run, and those that wait and have a date. OAR plans the latter and
may move them when a job ends early, so this is a forecast, not a promise.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ....errors import InvalidRequest
from ..answers import Job, NodeStatus, ResourceStatus, SiteStatus

__all__ = ("Interval", "Occupation", "gaps", "merge", "occupation")

#: From the first date on, up to and without the second: Unix seconds.
Interval = tuple[float, float]

#: Hard states in which OAR gives a resource to a job. A standby node is off, and switched on for the job.
USABLE: tuple[str, ...] = ("alive", "standby")

_NOT_STARTED = ("waiting", "hold", "tolaunch", "toackreservation", "launching")
# OAR ends a job at its walltime, but not in the same second: one that is late is taken to be over after so long.
_LATE = 60.0


@dataclass(frozen=True)
class Occupation:
    """What is taken at a site within a window. What is not listed is not known, and so not free.

    :param window: the dates that were looked at.
    :param nodes: full name → when it is busy, in order, without overlaps, inside the window.
    :param vlans: the same by the id of the VLAN. :param subnets: by range. :param disks: by OAR's name of the disk.
    :param vlan_kinds: id of a VLAN → ``kavlan``, ``kavlan-local``, ``kavlan-global``.
    :param unusable: full name → hard state, of the nodes that no job gets now; they are busy for the whole window.
    :param unscheduled: how many jobs wait without a date. They hold nothing in the plan and may still come first.
    """

    site: str
    window: Interval
    nodes: Mapping[str, tuple[Interval, ...]]
    vlans: Mapping[str, tuple[Interval, ...]] = field(default_factory=dict)
    subnets: Mapping[str, tuple[Interval, ...]] = field(default_factory=dict)
    disks: Mapping[str, tuple[Interval, ...]] = field(default_factory=dict)
    vlan_kinds: Mapping[str, str] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)
    unscheduled: int = 0

    def busy(self, node: str) -> tuple[Interval, ...]:
        """Return when a node is busy: all the time, if the site does not know it."""
        return self.nodes.get(node, (self.window,))

    def free(self, node: str) -> tuple[Interval, ...]:
        """Return when a node is free: the rest of the window."""
        return gaps(self.busy(node), self.window)


def occupation(
    statuses: Mapping[str, SiteStatus],
    window: Interval,
    *,
    ignore_besteffort: bool = True,
    queues: Collection[str] | None = None,
    disks: bool = False,
    ended: Collection[int] = (),
) -> dict[str, Occupation]:
    """Return what is taken at each site.

    A job holds what it has from its start, forecast or reservation until its walltime is over. One that has not started
    at its forecast is taken to start when the status was made; one that runs past its walltime, to end a minute later.

    :param statuses: site → its status, with the jobs that wait.
    :param window: the dates to look at.
    :param ignore_besteffort: whether nodes of best-effort jobs are free; a normal job takes them. False for a
        best-effort job of one's own.
    :param queues: jobs of other queues hold nothing; ``None``: all do.
    :param disks: whether a node is busy as well while one of its reservable disks is.
    :param ended: the numbers of jobs that hold nothing, whatever the statuses say.
    :raises InvalidRequest: when the window ends before it starts.
    """
    start, end = window
    if not (math.isfinite(start) and math.isfinite(end) and start < end):
        raise InvalidRequest(f"a window of {window!r} is none; write two Unix dates, the first one before the second")
    found = {}
    for site, status in statuses.items():
        reader = _Reader(status, window, ignore_besteffort, queues, frozenset(ended))
        nodes = reader.read(status.nodes)
        unusable = {name: node.hard or "unknown" for name, node in status.nodes.items() if node.hard not in USABLE}
        disk_times = reader.read(status.disks)
        if disks:
            nodes = _with_disks(nodes, disk_times, window)
        found[site] = Occupation(
            site=site,
            window=window,
            nodes=nodes,
            vlans=reader.read(status.vlans),
            subnets=reader.read(status.subnets),
            disks=disk_times,
            vlan_kinds={name: vlan.kind for name, vlan in status.vlans.items()},
            unusable=unusable,
            unscheduled=len(reader.unscheduled),
        )
    return found


class _Reader:
    """Turns the jobs of one status into intervals; a job on 100 nodes is looked at once."""

    def __init__(
        self,
        status: SiteStatus,
        window: Interval,
        ignore_besteffort: bool,
        queues: Collection[str] | None,
        ended: frozenset[int],
    ) -> None:
        self._ended = ended
        self.unscheduled: set[int] = set()
        self._window = window
        self._now = window[0] if status.date is None else status.date
        self._ignore_besteffort = ignore_besteffort
        self._queues = queues
        self._known: dict[int, Interval | None] = {}

    def read(self, section: Mapping[str, NodeStatus] | Mapping[str, ResourceStatus]) -> dict[str, tuple[Interval, ...]]:
        """Return name → when it is busy."""
        return {
            name: merge(filter(None, map(self._interval, entry.jobs)), self._window)
            if entry.hard in USABLE
            else (self._window,)
            for name, entry in section.items()
        }

    def _interval(self, job: Job) -> Interval | None:
        if job.id not in self._known:
            self._known[job.id] = self._look(job)
        return self._known[job.id]

    def _look(self, job: Job) -> Interval | None:
        if job.is_over or job.id in self._ended or (self._ignore_besteffort and job.is_besteffort):
            return None
        if self._queues is not None and job.queue not in self._queues:
            return None
        waits = job.state in _NOT_STARTED
        begin = job.begin
        if begin is None:
            if waits:
                self.unscheduled.add(job.id)
                return None
            begin = self._now  # it holds the node now, whenever that began
        elif waits and job.started_at is None:
            begin = max(begin, self._now)
        if job.walltime is None:
            return begin, math.inf
        end = begin + job.walltime
        if not waits and end <= self._now:
            end = self._now + _LATE
        return begin, end


def merge(intervals: Iterable[Interval], window: Interval) -> tuple[Interval, ...]:
    """Return the same dates as intervals in order that neither overlap nor touch, cut to the window."""
    first, last = window
    merged: list[Interval] = []
    for start, end in sorted((max(start, first), min(end, last)) for start, end in intervals):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return tuple(merged)


def gaps(busy: Iterable[Interval], window: Interval) -> tuple[Interval, ...]:
    """Return what merged intervals leave of the window."""
    free = []
    start, last = window
    for begin, end in busy:
        if begin > start:
            free.append((start, begin))
        start = end
    if start < last:
        free.append((start, last))
    return tuple(free)


def _with_disks(
    nodes: Mapping[str, tuple[Interval, ...]], disks: Mapping[str, tuple[Interval, ...]], window: Interval
) -> dict[str, tuple[Interval, ...]]:
    taken = {name: list(times) for name, times in nodes.items()}
    for disk, times in disks.items():
        node = disk.partition(".")[2]  # OAR names a disk sdb.parasilo-1.rennes.grid5000.fr
        if node in taken:
            taken[node] += times
    return {name: merge(times, window) for name, times in taken.items()}
