"""OAR's resource expressions, and the submission that a request makes at each site.

The grammar is oarsub's: groups joined by ``+``, each with a condition in braces and levels of a hierarchy, and a
walltime at the end, ``{cluster='taurus'}/nodes=2+{type='kavlan'}/vlan=1,walltime=25:00:00``.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ....errors import InvalidRequest
from ...contract import Request
from ..answers import Submission
from ..reference import Cluster, Node, Reference
from .queues import DEFAULT, queue_of
from .validation import candidates

__all__ = ("COMMAND", "Expression", "Group", "format_walltime", "submissions")

_PARIS = zoneinfo.ZoneInfo("Europe/Paris")
#: What the job runs: nothing, for a year.
COMMAND = "sleep 31536000"
_GROUP = re.compile(r"(?:\{(?P<condition>[^}]+)\})?(?:/?(?P<levels>[^,+{}]+))?")
_LEVEL = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(\d+|ALL|BEST|BESTHALF)\s*")
_WALLTIME = re.compile(r"(\d+)(?::(\d+))?(?::(\d+))?")


@dataclass(frozen=True)
class Group:
    """Resources of one kind: ``condition`` is SQL without braces, ``levels`` from the widest to the narrowest.

    Without levels OAR takes its default, one node at Grid'5000; then there has to be a condition.
    """

    levels: tuple[tuple[str, str], ...]
    condition: str = ""

    def __str__(self) -> str:
        condition = f"{{{self.condition}}}" if self.condition else ""
        return condition + "".join(f"/{name}={count}" for name, count in self.levels)


@dataclass(frozen=True)
class Expression:
    """All that one job asks for. ``walltime`` is in seconds; OAR's default where it is ``None``."""

    groups: tuple[Group, ...]
    walltime: float | None = None

    def __str__(self) -> str:
        walltime = "" if self.walltime is None else f",walltime={format_walltime(self.walltime)}"
        return "+".join(map(str, self.groups)) + walltime

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Read an expression. :raises InvalidRequest: with the part that is not one."""
        rest, asked, walltime = text.partition(",walltime=")
        groups: list[Group] = []
        place = 0
        while place < len(rest):
            match = _GROUP.match(rest, place)
            if match is None or match.end() == place:
                raise InvalidRequest(f"{text!r}: not a resource expression at {rest[place:]!r}")
            levels = [_LEVEL.fullmatch(level) for level in (match["levels"] or "").split("/") if match["levels"]]
            if any(level is None for level in levels):
                raise InvalidRequest(f"{text!r}: not a resource expression at {match['levels']!r}")
            groups.append(Group(tuple((m[1], m[2]) for m in levels if m is not None), match["condition"] or ""))
            place = match.end()
            if place < len(rest):
                if rest[place] not in "+," or place + 1 == len(rest):
                    raise InvalidRequest(f"{text!r}: not a resource expression at {rest[place:]!r}")
                place += 1
        if not groups:
            raise InvalidRequest(f"{text!r}: asks for nothing")
        return cls(tuple(groups), _seconds(walltime, text) if asked else None)


def _seconds(walltime: str, text: str) -> float:
    match = _WALLTIME.fullmatch(walltime)
    if match is None:
        raise InvalidRequest(f"{text!r}: walltime {walltime!r}: write H:M:S")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def format_walltime(seconds: float) -> str:
    """Return ``25:00:00``: hours are not counted modulo 24."""
    whole = max(1, round(seconds))
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def submissions(
    request: Request,
    reference: Reference,
    nodes: Mapping[str, int],
    *,
    start: float | None = None,
    vlan_site: str | None = None,
) -> dict[str, Submission]:
    """Return what to submit to which site.

    :param nodes: cluster → how many, as planned. Clusters with none are left out, and so is a site without nodes. Of a
        cluster that the request does not mean any nodes are asked for.
    :param start: Unix date of an advance reservation; ``None``: as soon as possible.
    :param vlan_site: the site whose global VLAN is asked for; default: the first.
    """
    chosen = {name: frozenset(names) for name, names in candidates(request, reference).items()}
    by_site: dict[str, dict[str, int]] = {}
    for name, count in nodes.items():
        if count > 0:
            by_site.setdefault(reference.clusters[name].site, {})[name] = count
    made: dict[str, Submission] = {}
    for site, counts in by_site.items():
        clusters = [reference.clusters[name] for name in counts]
        meant = {each.uid: [n for n in each.nodes if n.name in chosen.get(each.uid, (n.name,))] for each in clusters}
        groups = _nodes_of(request, {each.uid: _condition(each, meant[each.uid]) for each in clusters}, counts)
        if request.vlan is not None and (request.vlan != "kavlan-global" or site == (vlan_site or next(iter(by_site)))):
            groups.append(Group((("vlan", "1"),), f"type='{request.vlan}'"))
        groups += [Group(((size, str(count)),)) for size, count in request.subnets]
        made[site] = Submission(
            resources=str(Expression(tuple(groups), request.walltime)),
            command=COMMAND,
            reservation=None if start is None else _paris(start),
            types=_types(request, exotic=any(node.exotic for listed in meant.values() for node in listed)),
            queue=_queue(request, clusters),
            project=request.project,
            name="pytest-execo",
        )
    return made


def _nodes_of(request: Request, conditions: Mapping[str, str], counts: Mapping[str, int]) -> list[Group]:
    """Return a group for each cluster, or one for all of them where the nodes are to be behind one switch."""
    wanted = [(condition, counts[name]) for name, condition in conditions.items()]
    if request.same_switch and len(wanted) > 1:
        wanted = [(f"({' or '.join(conditions.values())})", sum(counts.values()))]
    level = "nodes"
    if request.disks:
        # A disk belongs to a host, and has no network address.
        level = "host"
        wanted = [(f"(type='default' or type='disk') AND {condition}", count) for condition, count in wanted]
    switch = (("switch", "1"),) if request.same_switch else ()
    return [Group((*switch, (level, str(count))), condition) for condition, count in wanted]


def _condition(cluster: Cluster, nodes: Sequence[Node]) -> str:
    """Return what is true of these nodes of a cluster alone; the shortest where they are all of it."""
    if len(nodes) == len(cluster.nodes):
        return f"cluster='{cluster.uid}'"
    quoted = ", ".join(f"'{node.name}'" for node in nodes)
    return f"host in ({quoted})"


def _types(request: Request, *, exotic: bool) -> tuple[str, ...]:
    types = list(request.types)
    if request.environment is not None:
        types.append("deploy")
    if exotic:
        types.append("exotic")
    if request.monitor is not None:
        types.append(f"monitor={request.monitor}" if request.monitor else "monitor")
    types.append("origin=pytest-execo")
    return tuple(dict.fromkeys(types))


def _queue(request: Request, clusters: Sequence[Cluster]) -> str | None:
    """Return the queue to name; ``None``: the default one, which is not named, or none that all clusters have."""
    queue = queue_of(request, clusters)
    return None if queue == DEFAULT and request.queue is None else queue


def _paris(date: float) -> str:
    return dt.datetime.fromtimestamp(date, _PARIS).strftime("%Y-%m-%d %H:%M:%S")
