"""Sites, clusters and nodes as values, made from whatever the reference data say.

The data are written by hand and by tools over many years: versions are text or numbers, ports too, anything may be
missing. What can't be understood is ``None`` or empty here, and stays in ``description`` as it came.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..sites import DOMAIN

__all__ = ("Cluster", "Disk", "Interface", "Node", "Reference", "Site")


@dataclass(frozen=True)
class Interface:
    """A network interface. ``rate`` is in bit/s; ``address`` is its full name, by which it is put into a VLAN."""

    name: str
    address: str | None
    rate: float | None
    mounted: bool
    mountable: bool
    kavlan: bool
    management: bool
    ip: str | None


@dataclass(frozen=True)
class Disk:
    """A disk. ``size`` is in bytes; ``kind`` is ``SSD`` or ``HDD``; ``reservable`` disks can be asked for."""

    id: str
    size: int | None
    kind: str
    interface: str
    reservable: bool


@dataclass(frozen=True)
class Node:
    """A node. ``memory`` is in bytes, ``rate`` in bit/s: that of the fastest interface that is in use.

    :param name: full name; ``uid`` is the first part of it.
    :param wattmeter: whether its power is measured by a wattmeter; some clusters have one for some of their nodes.
    :param max_walltime: seconds, for jobs of the queue production; ``None``: no limit of its own.
    :param description: the data as they came.
    """

    uid: str
    name: str
    cluster: str
    site: str
    cpus: int | None = None
    cores: int | None = None
    threads: int | None = None
    memory: int | None = None
    gpus: int = 0
    gpu_models: tuple[str, ...] = ()
    rate: float | None = None
    interfaces: tuple[Interface, ...] = ()
    disks: tuple[Disk, ...] = ()
    wattmeter: bool = False
    architecture: str | None = None
    exotic: bool = False
    queues: tuple[str, ...] = ()
    deploy: bool = True
    besteffort: bool = True
    max_walltime: float | None = None
    description: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], cluster: Mapping[str, Any], site: str) -> Node:
        """Read a node of a cluster."""
        uid = str(data["uid"])
        shape = _mapping(data.get("architecture"))
        jobs = _mapping(data.get("supported_job_types"))
        gpus = [_mapping(gpu) for gpu in _values(data.get("gpu_devices"))]
        interfaces = tuple(_interface(_mapping(each)) for each in _values(data.get("network_adapters")))
        rates = [each.rate for each in interfaces if each.rate and each.mounted and not each.management]
        limit = _number(jobs.get("max_walltime"))
        return cls(
            uid=uid,
            name=f"{uid}.{site}.{DOMAIN}",
            cluster=str(cluster["uid"]),
            site=site,
            cpus=_whole(shape.get("nb_procs")),
            cores=_whole(shape.get("nb_cores")),
            threads=_whole(shape.get("nb_threads")),
            memory=_whole(_mapping(data.get("main_memory")).get("ram_size")),
            gpus=len(gpus),
            gpu_models=tuple(dict.fromkeys(str(gpu.get("model", "")) for gpu in gpus)),
            rate=max(rates, default=None),
            interfaces=interfaces,
            disks=tuple(_disk(_mapping(each)) for each in _values(data.get("storage_devices"))),
            wattmeter=_measured(uid, cluster) or _has_wattmeter(data),
            architecture=_text(shape.get("platform_type")),
            exotic=bool(data.get("exotic") or cluster.get("exotic")),
            queues=tuple(map(str, _values(jobs.get("queues")))) or _queues(cluster),
            deploy=jobs.get("deploy") is not False,
            besteffort=jobs.get("besteffort") is not False,
            max_walltime=limit or None,
            description=data,
        )


@dataclass(frozen=True)
class Cluster:
    """A cluster. ``metrics`` are what Kwollect knows of its nodes."""

    uid: str
    site: str
    queues: tuple[str, ...]
    exotic: bool
    nodes: tuple[Node, ...]
    kavlan: bool = True
    metrics: tuple[Mapping[str, Any], ...] = ()
    description: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Site:
    """A site. ``vlans`` are the ids of its VLANs; of which kind each is, the API says."""

    uid: str
    clusters: Mapping[str, Cluster]
    vlans: tuple[str, ...] = ()
    subnets: Mapping[str, Any] = field(default_factory=dict)
    frontend: str = ""
    description: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


class Reference:
    """All sites. Made by :func:`load_reference`.

    :param document: the data in one document, as ``GET /?deep=1`` has them, without its envelopes.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        #: The commit of the data, where they say it.
        self.version: str | None = _text(document.get("version"))
        #: Site by its uid.
        self.sites: Mapping[str, Site] = {
            str(site["uid"]): _site(site) for site in map(_mapping, _values(document.get("sites"))) if site.get("uid")
        }

    def nodes(self) -> Iterator[Node]:
        """Yield all nodes, site by site."""
        for cluster in self.clusters.values():
            yield from cluster.nodes

    def node(self, name: str) -> Node | None:
        """Return a node by ``taurus-1``, ``taurus-1.lyon`` or its full name; ``None``: there is none."""
        return self._nodes.get(name) or self._nodes.get(f"{name}.{DOMAIN}") or self._short.get(name)

    def cluster(self, name: str) -> Cluster | None:
        """Return a cluster by its name, which no two sites share."""
        return self.clusters.get(name)

    @cached_property
    def clusters(self) -> Mapping[str, Cluster]:
        """All clusters, by name."""
        return {name: cluster for site in self.sites.values() for name, cluster in site.clusters.items()}

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes()}

    @cached_property
    def _short(self) -> dict[str, Node]:
        return {node.uid: node for node in self.nodes()}


def _site(data: Mapping[str, Any]) -> Site:
    uid = str(data["uid"])
    clusters = {
        str(cluster["uid"]): _cluster(cluster, uid)
        for cluster in map(_mapping, _values(data.get("clusters")))
        if cluster.get("uid")
    }
    vlans = tuple(key for key in _mapping(data.get("kavlans")) if key.isdecimal())
    return Site(uid, clusters, vlans, _mapping(data.get("g5ksubnet")), f"frontend.{uid}.{DOMAIN}", data)


def _cluster(data: Mapping[str, Any], site: str) -> Cluster:
    nodes = (Node.from_json(node, data, site) for node in map(_mapping, _values(data.get("nodes"))) if node.get("uid"))
    return Cluster(
        str(data["uid"]),
        site,
        _queues(data),
        bool(data.get("exotic")),
        tuple(sorted(nodes, key=_number_of)),
        data.get("kavlan") is not False,
        tuple(_mapping(metric) for metric in _values(data.get("metrics"))),
        data,
    )


def _queues(cluster: Mapping[str, Any]) -> tuple[str, ...]:
    # One that says nothing is for everybody, as the API's own filter has it.
    return tuple(map(str, _values(cluster.get("queues")))) or ("admin", "default")


def _number_of(node: Node) -> int:
    number = node.uid.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _interface(data: Mapping[str, Any]) -> Interface:
    return Interface(
        str(data.get("device") or data.get("name") or ""),
        _text(data.get("network_address")),
        _number(data.get("rate")),
        bool(data.get("mounted")),
        bool(data.get("mountable")),
        bool(data.get("kavlan")),
        bool(data.get("management")),
        _text(data.get("ip")),
    )


def _disk(data: Mapping[str, Any]) -> Disk:
    return Disk(
        str(data.get("id") or data.get("device") or ""),
        _whole(data.get("size")),
        str(data.get("storage") or ""),
        str(data.get("interface") or ""),
        bool(data.get("reservation")),
    )


def _measured(uid: str, cluster: Mapping[str, Any]) -> bool:
    for metric in map(_mapping, _values(cluster.get("metrics"))):
        only = _values(metric.get("only_for"))
        if metric.get("name") == "wattmetre_power_watt" and (not only or uid in only):
            return True
    return False


def _has_wattmeter(data: Mapping[str, Any]) -> bool:
    return any("wattmetre" in str(_mapping(pdu).get("uid", "")) for pdu in _values(data.get("pdu")))


def _values(value: object) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    try:
        number = None if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
