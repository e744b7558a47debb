"""What can be known of a request without asking anybody: which nodes would do, and what can't be met."""

from __future__ import annotations

from collections.abc import Mapping

from ....nearest import nearest
from ...contract import Request
from ..reference import Node, Reference, Selection

__all__ = ("candidates", "sites_of", "unmet", "wanted_of")

_LONGEST = 168 * 3600.0
_SQL = ("'", '"', "{", "}", "+", ",")


def sites_of(request: Request, reference: Reference, default: str) -> list[str]:
    """Return the sites that a request names, by site, cluster or node; without any the default one."""
    found: list[str] = []
    for name, _ in request.shares:
        cluster = reference.cluster(name)
        found.append(cluster.site if cluster is not None else name)
    for name in request.hosts:
        node = reference.node(name)
        if node is not None:
            found.append(node.site)
    if request.cluster is not None and (cluster := reference.cluster(request.cluster)) is not None:
        found.append(cluster.site)
    return list(dict.fromkeys(found)) or [default]


def candidates(request: Request, reference: Reference, sites: list[str] | None = None) -> dict[str, tuple[str, ...]]:
    """Return cluster → full names of its nodes that would do, whatever they are doing now.

    Exotic clusters are meant by name only, and so are those that the default queue does not have.
    """
    selection = Selection.parse(request.properties)
    named = {name for name, _ in request.shares} | ({request.cluster} if request.cluster else set())
    hosts = {node.name for name in request.hosts if (node := reference.node(name)) is not None}
    queue = "default" if request.queue is None else request.queue
    found: dict[str, tuple[str, ...]] = {}
    for name, cluster in reference.clusters.items():
        if sites is not None and cluster.site not in sites:
            continue
        if request.cluster is not None and name != request.cluster:
            continue
        by_name = name in named or bool(hosts)
        if not by_name and (cluster.exotic and "exotic" not in request.types):
            continue
        if queue not in (*cluster.queues, "besteffort") and not (by_name and request.queue is None):
            continue
        nodes = [n.name for n in cluster.nodes if _would_do(n, request, selection) and (not hosts or n.name in hosts)]
        if nodes:
            found[name] = tuple(nodes)
    return found


def _would_do(node: Node, request: Request, selection: Selection) -> bool:
    if request.environment is not None and not node.deploy:
        return False
    if request.disks and not any(disk.reservable for disk in node.disks):
        return False
    return selection.matches(node)


def wanted_of(request: Request, reference: Reference, default: str) -> dict[str, int]:
    """Return how many nodes of which site or cluster."""
    if request.shares:
        return dict(request.shares)
    if request.hosts:
        wanted: dict[str, int] = {}
        for name in request.hosts:
            if (node := reference.node(name)) is not None:
                wanted[node.cluster] = wanted.get(node.cluster, 0) + 1
        return wanted
    return {request.cluster or default: request.nodes or 1}


def unmet(request: Request, reference: Reference, default: str) -> list[str]:
    """Return one line for each requirement that can't be met, whenever."""
    lines = _names(request, reference, default)
    if lines:
        return lines
    sites = sites_of(request, reference, default)
    nodes = [node for node in reference.nodes() if node.site in sites]
    if request.cluster is not None:
        nodes = [node for node in nodes if node.cluster == request.cluster]
    lines += [f"asks for {line}" for line in Selection.parse(request.properties).unmet(nodes)]
    chosen = candidates(request, reference, sites)
    if not lines:
        for element, count in wanted_of(request, reference, default).items():
            have = sum(len(names) for name, names in chosen.items() if element in (name, reference.clusters[name].site))
            if have < count:
                lines.append(f"asks for {count} nodes of {element}, {have} meet the request")
    if request.vlan is not None and request.environment is None:
        lines.append(f"asks for a VLAN ({request.vlan}) without an environment: only deployed nodes get into one")
    if request.walltime is not None:
        limits = [node.max_walltime for node in nodes if node.max_walltime]
        longest = min(_LONGEST, *limits) if limits and len(limits) == len(nodes) else _LONGEST
        if request.walltime > longest:
            lines.append(f"asks for {request.walltime / 3600:g} h, the longest walltime is {longest / 3600:g} h")
    return lines


def _names(request: Request, reference: Reference, default: str) -> list[str]:
    lines = []
    known: Mapping[str, object] = {**reference.clusters, **reference.sites}
    if default not in reference.sites:
        lines.append(
            f"asks for site {default!r}, which is not in the reference data{nearest(default, reference.sites)}"
        )
    for name, _ in request.shares:
        if name not in known:
            lines.append(f"asks for nodes of {name!r}, no such site or cluster{nearest(name, known)}")
    if request.cluster is not None and reference.cluster(request.cluster) is None:
        lines.append(
            f"asks for cluster {request.cluster!r}, no such cluster{nearest(request.cluster, reference.clusters)}"
        )
    for name in request.hosts:
        if reference.node(name) is None:
            names = [node.uid for node in reference.nodes()]
            lines.append(f"asks for node {name!r}, no such node{nearest(name, names)}")
    if request.cluster is not None and not lines:
        cluster = reference.clusters[request.cluster]
        if cluster.site != default:
            lines.append(f"asks for cluster {request.cluster!r}, which is at {cluster.site}, not at {default}")
        elif request.queue is not None and request.queue not in (*cluster.queues, "besteffort"):
            lines.append(f"asks for queue {request.queue!r}, {request.cluster} has {', '.join(cluster.queues)}")
    words = [request.queue, request.project, *request.types, *(size for size, _ in request.subnets)]
    lines += [f"asks for {word!r}: quotes, braces, + and , mean something to OAR" for word in words if _odd(word)]
    return lines


def _odd(word: str | None) -> bool:
    return word is not None and any(sign in word for sign in _SQL)
