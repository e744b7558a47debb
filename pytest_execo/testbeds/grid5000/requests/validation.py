"""What can be known of a request without asking anybody: which nodes would do, and what can't be met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ....nearest import nearest
from ...contract import Request
from ..reference import Cluster, Node, Reference, Selection
from .queues import DEFAULT, NO_RESERVATIONS, has_limits, is_besteffort, queue_of

__all__ = ("candidates", "sites_of", "unmet", "wanted_of")

# Admission rules, Nancy.
_LONGEST = 168 * 3600.0
_SQL = ("'", '"', "{", "}", "+", ",")
_QUOTES = ("'", '"', "`")


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


def candidates(
    request: Request, reference: Reference, sites: Sequence[str] | None = None
) -> dict[str, tuple[str, ...]]:
    """Return cluster → full names of its nodes that would do, whatever they are doing now.

    Exotic nodes are meant by name only, and so are clusters that the default queue does not have. Best effort is not
    bound to a queue: its jobs run wherever nodes are idle.
    """
    obstacles = _Obstacles(request, reference)
    found: dict[str, tuple[str, ...]] = {}
    for name, cluster in reference.clusters.items():
        if (sites is None or cluster.site in sites) and request.cluster in (None, name):
            nodes = tuple(node.name for node in cluster.nodes if obstacles.of(node, cluster) is None)
            if nodes:
                found[name] = nodes
    return found


class _Obstacles:
    """Why a node would not do, in words that follow “are”."""

    def __init__(self, request: Request, reference: Reference) -> None:
        self._request = request
        self._selection = Selection.parse(request.properties)
        self._besteffort = is_besteffort(request)
        self._clusters = {request.cluster, *(name for name, _ in request.shares)}
        self._hosts = {node.name for name in request.hosts if (node := reference.node(name)) is not None}

    def of(self, node: Node, cluster: Cluster) -> str | None:
        """Return the first thing that is in the way; ``None``: nothing."""
        request, jobs = self._request, cluster.queues
        if self._hosts and node.name not in self._hosts:
            return "not named"
        if node.name in request.without:
            return "to be left out"
        named = bool(self._hosts) or cluster.uid in self._clusters
        if node.exotic and not named and "exotic" not in request.types:
            return "exotic (types=['exotic'] takes them)"
        if self._besteffort:
            if not node.besteffort:
                return "not for best effort"
        elif (request.queue or (DEFAULT if not named else None)) not in (None, *jobs):
            return f"in the queues {', '.join(jobs)} only"
        if request.environment is not None and not node.deploy:
            return "not for deployments"
        if request.disks and not any(disk.reservable for disk in node.disks):
            return "without reservable disks"
        if request.vlan is not None and not (cluster.kavlan and any(nic.kavlan for nic in node.interfaces)):
            return "without an interface for VLANs"
        if missing := _without_metrics(request, cluster, node):
            return f"without {missing}"
        if self._too_long(node, cluster):
            return f"limited to {(node.max_walltime or 0) / 3600:g} h in their queue"
        return None if self._selection.matches(node) else "without the properties"

    def _too_long(self, node: Node, cluster: Cluster) -> bool:
        walltime, longest = self._request.walltime, node.max_walltime
        return (
            walltime is not None
            and longest is not None
            and walltime > longest
            and has_limits(queue_of(self._request, [cluster]))
        )


def _without_metrics(request: Request, cluster: Cluster, node: Node) -> str | None:
    """Return the first metric that is not measured on a node. Of a cluster without a list nobody knows."""
    if not request.metrics or not cluster.metrics:
        return None
    measured = {m.get("name") for m in cluster.metrics if not m.get("only_for") or node.uid in m["only_for"]}
    return next((f"the metric {name}" for name in request.metrics if name not in measured), None)


def wanted_of(request: Request, reference: Reference, default: str) -> dict[str, int]:
    """Return how many nodes of which site or cluster."""
    if request.shares:
        return dict(request.shares)
    if request.hosts:
        nodes = [node for name in request.hosts if (node := reference.node(name)) is not None]
        return dict(Counter(node.cluster for node in nodes))
    return {request.cluster or default: request.nodes or 1}


def unmet(request: Request, reference: Reference, default: str) -> list[str]:
    """Return one line for each requirement that can't be met, whenever.

    Names come first: where one is wrong there is nothing more to say. How much is free is not looked at.

    :param default: the site where requests that name none are met.
    :raises InvalidRequest: for a property that can't be understood.
    """
    lines = list(_names(request, reference, default))
    if lines:
        return lines
    sites = sites_of(request, reference, default)
    nodes = [node for node in reference.nodes() if node.site in sites]
    if request.cluster is not None:
        nodes = [node for node in nodes if node.cluster == request.cluster]
    lines += [f"asks for {line}" for line in Selection.parse(request.properties).unmet(nodes)]
    if not lines:
        lines += _too_few(request, reference, default)
    lines += _rules(request)
    lines += _queues(request, reference, default)
    return lines


def _too_few(request: Request, reference: Reference, default: str) -> Iterator[str]:
    """Say of which there are too few, and what is in the way of the others."""
    obstacles = _Obstacles(request, reference)
    for element, count in wanted_of(request, reference, default).items():
        have, others = 0, Counter[str]()
        for cluster in reference.clusters.values():
            if element in (cluster.uid, cluster.site):
                found = [obstacles.of(node, cluster) for node in cluster.nodes]
                have += found.count(None)
                others.update(why for why in found if why is not None)
        if have < count:
            why = ", ".join(f"{number} {'is' if number == 1 else 'are'} {what}" for what, number in others.items())
            yield f"asks for {count} node{'' if count == 1 else 's'} of {element}, {have} meet the request" + (
                f"; {why}" if why else ""
            )


def _rules(request: Request) -> Iterator[str]:
    """Yield what OAR's rules say, whatever the nodes."""
    if request.vlan is not None and request.environment is None:
        yield f"asks for a VLAN ({request.vlan}) without an environment: only deployed nodes get into one"
    if request.walltime is not None and request.walltime > _LONGEST:
        yield f"asks for {request.walltime / 3600:g} h, the longest walltime is {_LONGEST / 3600:g} h"
    if is_besteffort(request):
        if request.environment is not None or "deploy" in request.types:
            yield "asks for a deployment by best effort, which OAR does not allow"
        if request.queue not in (None, "besteffort"):
            yield f"asks for best effort in queue {request.queue!r}; best effort is a queue of its own"


def _queues(request: Request, reference: Reference, default: str) -> Iterator[str]:
    """Yield what is wrong with the queues of the jobs, of which each site has one."""
    by_site: dict[str, list[str]] = {}
    for element in wanted_of(request, reference, default):
        cluster = reference.cluster(element)
        by_site.setdefault(element if cluster is None else cluster.site, []).append(element)
    if request.vlan not in (None, "kavlan-global") and len(by_site) > 1:
        yield f"asks for {request.vlan} for nodes of {' and '.join(by_site)}: kavlan-global spans sites"
    elements = [element for named in by_site.values() for element in named]
    if request.same_switch and len(elements) > 1:
        yield f"asks for one switch for nodes of {' and '.join(elements)}: name one site or cluster"
    for site, named in by_site.items():
        clusters = [cluster for name in named if (cluster := reference.cluster(name)) is not None]
        if site in named:  # what is not named has the default queue
            clusters.append(Cluster(site, site, (DEFAULT,), False, ()))
        queue = queue_of(request, clusters)
        if queue is None:
            have = "; ".join(f"{cluster.uid} has {', '.join(cluster.queues)}" for cluster in clusters)
            yield f"asks for {' and '.join(named)} in one job, and no queue for users has all of that: {have}"
        elif queue in NO_RESERVATIONS and request.start is not None:
            yield f"asks for an advance reservation in the queue {queue}, which takes none"
        elif queue in NO_RESERVATIONS and len(by_site) > 1:
            yield f"asks for several sites at one date, and the queue {queue} of {site} takes no advance reservations"


def _names(request: Request, reference: Reference, default: str) -> Iterator[str]:
    """Say which names are of nothing that there is, and which can't be written into a request."""
    known: Mapping[str, object] = {**reference.clusters, **reference.sites}
    wrong = False
    for line in _unknown(request, reference, default, known):
        wrong = True
        yield line
    if not wrong:
        yield from _wrong_queue(request, reference, default)
    for word in (request.queue, request.project, *request.types):
        if word is not None and any(sign in word for sign in _QUOTES):
            yield f"asks for {word!r}: quotes mean something to OAR"
    for size, _ in request.subnets:
        if any(sign in size for sign in _SQL):
            yield f"asks for a subnet {size!r}: write 'slash_22'"


def _unknown(request: Request, reference: Reference, default: str, known: Mapping[str, object]) -> Iterator[str]:
    if default not in reference.sites:
        yield f"asks for site {default!r}, which is not in the reference data{nearest(default, reference.sites)}"
    for name, _ in request.shares:
        if name not in known:
            yield f"asks for nodes of {name!r}, no such site or cluster{nearest(name, known)}"
    if request.cluster is not None:
        cluster = reference.cluster(request.cluster)
        if cluster is None:
            yield f"asks for cluster {request.cluster!r}, no such cluster{nearest(request.cluster, reference.clusters)}"
        elif cluster.site != default:
            yield f"asks for cluster {request.cluster!r}, which is at {cluster.site}, not at {default}"
    metrics = {str(m.get("name")) for each in reference.clusters.values() for m in each.metrics}
    for name in request.metrics:
        if metrics and name not in metrics:
            yield f"asks for metric {name!r}, no such metric{nearest(name, metrics)}"
    seen: dict[str, str] = {}
    for name in request.hosts:
        node = reference.node(name)
        if node is None:
            yield f"asks for node {name!r}, no such node{nearest(name, [each.uid for each in reference.nodes()])}"
        elif node.name in seen:
            yield f"asks for node {name!r} twice" + (f", as {seen[node.name]!r}" if seen[node.name] != name else "")
        else:
            seen[node.name] = name
            if request.cluster not in (None, node.cluster):
                yield f"asks for node {name!r}, of {node.cluster}, and for cluster {request.cluster!r}"


def _wrong_queue(request: Request, reference: Reference, default: str) -> Iterator[str]:
    if request.queue is None or is_besteffort(request):
        return
    for element in wanted_of(request, reference, default):
        clusters = [each for each in reference.clusters.values() if element in (each.uid, each.site)]
        queues = {queue for cluster in clusters for queue in cluster.queues}
        if queues and request.queue not in queues:
            yield f"asks for queue {request.queue!r}, {element} has {', '.join(sorted(queues))}"
