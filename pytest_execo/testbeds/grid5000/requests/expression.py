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
from ..reference import Reference
from .validation import candidates

__all__ = ("COMMAND", "Expression", "Group", "format_walltime", "submissions")

_PARIS = zoneinfo.ZoneInfo("Europe/Paris")
#: What the job runs: nothing, for a year.
COMMAND = "sleep 31536000"
_GROUP = re.compile(r"(?:\{(?P<condition>.+?)\})?/?(?P<levels>[^,+{}]+)")
_LEVEL = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(\d+|ALL|BEST|BESTHALF)\s*")
_WALLTIME = re.compile(r"(\d+)(?::(\d+))?(?::(\d+))?")


@dataclass(frozen=True)
class Group:
    """Resources of one kind: ``condition`` is SQL without braces, ``levels`` from the widest to the narrowest."""

    levels: tuple[tuple[str, str], ...]
    condition: str = ""

    def __str__(self) -> str:
        condition = f"{{{self.condition}}}" if self.condition else ""
        return f"{condition}/{'/'.join(f'{name}={count}' for name, count in self.levels)}"


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
        rest, _, walltime = text.partition(",walltime=")
        groups: list[Group] = []
        place = 0
        while place < len(rest):
            match = _GROUP.match(rest, place)
            if match is None:
                raise InvalidRequest(f"{text!r}: not a resource expression at {rest[place:]!r}")
            levels = [_LEVEL.fullmatch(level) for level in match["levels"].split("/")]
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
        return cls(tuple(groups), _seconds(walltime, text) if walltime else None)


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

    :param nodes: cluster → how many, as planned. Clusters with none are left out, and so is a site without nodes.
    :param start: Unix date of an advance reservation; ``None``: as soon as possible.
    :param vlan_site: the site whose global VLAN is asked for; default: the first.
    """
    chosen = candidates(request, reference)
    by_site: dict[str, list[Group]] = {}
    exotic: set[str] = set()
    for name, count in nodes.items():
        cluster = reference.clusters[name]
        if count > 0:
            by_site.setdefault(cluster.site, []).append(
                _nodes_of(request, reference, name, chosen.get(name, ()), count)
            )
            if cluster.exotic:
                exotic.add(cluster.site)
    made: dict[str, Submission] = {}
    for site, groups in by_site.items():
        if request.vlan is not None and (request.vlan != "kavlan-global" or site == (vlan_site or next(iter(by_site)))):
            groups.append(Group((("vlan", "1"),), f"type='{request.vlan}'"))
        groups += [Group(((size, str(count)),)) for size, count in request.subnets]
        made[site] = Submission(
            resources=str(Expression(tuple(groups), request.walltime)),
            command=COMMAND,
            reservation=None if start is None else _paris(start),
            types=_types(request, exotic=site in exotic),
            queue=request.queue or _queue(request, reference, [c for c in nodes if reference.clusters[c].site == site]),
            project=request.project,
            name="pytest-execo",
        )
    return made


def _nodes_of(request: Request, reference: Reference, cluster: str, names: Sequence[str], count: int) -> Group:
    everybody = {node.name for node in reference.clusters[cluster].nodes}
    if set(names) == everybody:
        condition = f"cluster='{cluster}'"
    else:
        quoted = ", ".join(f"'{name}'" for name in names)
        condition = f"network_address in ({quoted})"
    level = "nodes"
    if request.disks:
        condition, level = f"(type='default' or type='disk') AND {condition}", "host"
    switch = (("switch", "1"),) if request.same_switch else ()
    return Group((*switch, (level, str(count))), condition)


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


def _queue(request: Request, reference: Reference, clusters: Sequence[str]) -> str | None:
    """Return the queue that the clusters have, where it is not the default one."""
    if "besteffort" in request.types:
        return "besteffort"
    queues = [reference.clusters[name].queues for name in clusters]
    if all("default" in each for each in queues):
        return None
    return next((q for q in ("production", "abaca", "testing") if all(q in each for each in queues)), None)


def _paris(date: float) -> str:
    return dt.datetime.fromtimestamp(date, _PARIS).strftime("%Y-%m-%d %H:%M:%S")
