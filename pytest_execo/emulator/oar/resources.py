"""The resources of a site as OAR has them: one per core, disk, VLAN and subnet, each with its properties."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ("STANDBY", "Resource", "resources_of")

#: ``available_upto`` of a node that is off to save energy, and is switched on for a job.
STANDBY: int = 2147483646
_SUBNET = 22
_SLASHES = range(16, _SUBNET + 1)


@dataclass
class Resource:
    """What a job can hold.

    :param type: ``default``: a core of a node; ``disk``; ``kavlan``, ``kavlan-local``, ``kavlan-global``; ``subnet``.
    :param properties: the columns of OAR's table, without those that are attributes here.
    :param state: ``Alive``, ``Absent``, ``Suspected`` or ``Dead``.
    :param available_upto: :data:`STANDBY` on an ``Absent`` node: it is only asleep.
    """

    id: int
    type: str
    properties: dict[str, Any] = field(default_factory=dict)
    state: str = "Alive"
    available_upto: int = 0

    @property
    def host(self) -> str:
        """Full name of the node that it is part of; empty for VLANs and subnets."""
        return str(self.properties.get("host") or "")

    @property
    def standby(self) -> bool:
        """Whether it is asleep, and can be had."""
        return self.state == "Absent" and self.available_upto == STANDBY

    @property
    def usable(self) -> bool:
        """Whether the scheduler gives it to jobs."""
        return self.state == "Alive" or self.standby


def resources_of(site: Mapping[str, Any], *, most_cores: int | None = 4) -> list[Resource]:
    """Return the resources of one site of the reference data (``deep=1``: clusters by uid, nodes as a list).

    :param most_cores: nodes with more cores get only so many, all else says the truth (``core_count``, ``memnode``…):
        jobs take whole nodes as a rule, and a big site stays light. ``None``: all of them.
    """
    uid = str(site.get("uid", ""))
    numbers = itertools.count(1)
    found: list[Resource] = []
    cores, cpus = itertools.count(1), itertools.count(1)
    for cluster in _items(site.get("clusters")):
        for node in sorted(_items(cluster.get("nodes")), key=_rank):
            common = _node(uid, cluster, node)
            real = max(1, _int(_at(node, "architecture", "nb_cores"), 1))
            sockets = max(1, _int(_at(node, "architecture", "nb_procs"), 1))
            shown = real if most_cores is None else min(real, most_cores)
            sockets = min(sockets, shown)
            cpu_ids = [next(cpus) for _ in range(sockets)]
            for index in range(shown):
                own = {"core": next(cores), "cpuset": index, "cpu": cpu_ids[index * sockets // shown]}
                found.append(Resource(next(numbers), "default", {**common, **own}))
            for disk in _reservable_disks(node, common):
                found.append(Resource(next(numbers), "disk", disk))
    found.extend(Resource(next(numbers), kind, properties) for kind, properties in _vlans(uid, site))
    found.extend(Resource(next(numbers), "subnet", properties) for properties in _subnets(uid, site))
    return found


def _node(site: str, cluster: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that all cores of a node share."""
    name = f"{node['uid']}.{site}.grid5000.fr"
    jobs = node.get("supported_job_types") or {}
    queues = [str(q) for q in cluster.get("queues") or jobs.get("queues") or ("admin", "default")]
    cores = max(1, _int(_at(node, "architecture", "nb_cores"), 1))
    sockets = max(1, _int(_at(node, "architecture", "nb_procs"), 1))
    memory = _int(_at(node, "main_memory", "ram_size"), 0) // (1 << 20)
    nics = [nic for nic in _items(node.get("network_adapters")) if not nic.get("management")]
    wired = [nic for nic in nics if nic.get("mounted") or nic.get("mountable")]
    gpus = _items(node.get("gpu_devices"))
    disks = _items(node.get("storage_devices"))
    first = next((nic for nic in wired if nic.get("mounted")), wired[0] if wired else {})
    return {
        "network_address": name,
        "host": name,
        "cluster": str(cluster.get("uid", "")),
        "site": site,
        "cpu_count": sockets,
        "core_count": cores,
        "cpucore": cores // sockets,
        "thread_count": _int(_at(node, "architecture", "nb_threads"), cores),
        "cputype": _joined(" ", _at(node, "processor", "model"), _at(node, "processor", "version")),
        "cpuarch": str(_at(node, "architecture", "platform_type") or ""),
        "cpufreq": str(_int(_at(node, "processor", "clock_speed"), 0) / 1e9),
        "memnode": memory,
        "memcpu": memory // sockets,
        "memcore": memory // cores,
        "gpu_count": len(gpus),
        "gpu_model": str(gpus[0].get("model", "")) if gpus else "none",
        "eth_count": len(wired),
        "eth_rate": max((_int(nic.get("rate"), 0) for nic in wired), default=0) // 10**9,
        "eth_kavlan_count": sum(1 for nic in wired if nic.get("kavlan")),
        "switch": str(first.get("switch") or ""),
        "disktype": _joined("/", disks[0].get("interface"), disks[0].get("storage")) if disks else "none",
        "disk_reservation_count": sum(1 for disk in disks if disk.get("reservation")),
        "wattmeter": _wattmeter(cluster),
        "exotic": _yes(node.get("exotic") or cluster.get("exotic")),
        "deploy": _yes(jobs.get("deploy", True)),
        "besteffort": _yes(jobs.get("besteffort", True)),
        "max_walltime": _int(jobs.get("max_walltime"), 0),
        "maintenance": "NO",
        "production": _yes("production" in queues or "abaca" in queues),
        "virtual": str(jobs.get("virtual") or "none"),
        "nodemodel": str(cluster.get("model") or ""),
        "nodeset": str(node.get("nodeset") or cluster.get("uid", "")),
        "queues": ",".join(queues),
    }


def _reservable_disks(node: Mapping[str, Any], common: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for disk in _items(node.get("storage_devices")):
        if disk.get("reservation"):
            yield {
                **common,
                "network_address": "",
                "disk": f"{disk.get('id', disk.get('device', 'disk'))}.{node['uid']}",
                "diskpath": str(disk.get("by_path") or disk.get("by_id") or ""),
            }


#: What the admission rules ask for, whatever the type of the resource.
_ALWAYS: dict[str, str] = {
    "deploy": "YES",
    "besteffort": "YES",
    "maintenance": "NO",
    "exotic": "NO",
    "production": "NO",
}


def _vlans(uid: str, site: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    ids = sorted(int(key) for key in site.get("kavlans") or () if str(key).isdigit())
    for number in ids:
        kind = "kavlan-local" if number <= 3 else "kavlan" if number <= 9 else "kavlan-global"
        yield kind, {**_ALWAYS, "vlan": str(number), "site": uid, "network_address": ""}


def _subnets(uid: str, site: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    text = _at(site, "g5ksubnet", "network")
    if not text:
        return
    network = ipaddress.IPv4Network(str(text), strict=False)
    pieces = network.subnets(new_prefix=_SUBNET) if network.prefixlen <= _SUBNET else iter((network,))
    for piece in pieces:
        # A number for each network that holds it: resources with the same slash_19 are in the same /19.
        numbers = {f"slash_{bits}": (int(piece.network_address) >> (32 - bits)) & 0xFFFF for bits in _SLASHES}
        address = str(piece.network_address)
        yield {
            **_ALWAYS,
            **numbers,
            "subnet_address": address,
            "subnet_prefix": piece.prefixlen,
            "site": uid,
            "network_address": "",
        }


def _wattmeter(cluster: Mapping[str, Any]) -> str:
    return _yes(any(str(metric.get("name", "")).startswith("wattmetre") for metric in _items(cluster.get("metrics"))))


def _joined(between: str, *words: object) -> str:
    return between.join(str(word) for word in words if word)


def _items(value: object) -> list[Mapping[str, Any]]:
    """Return the members of a collection, whether it is a list, a dict by uid, or an answer with ``items``."""
    if isinstance(value, Mapping):
        inner = value.get("items")
        return (
            _items(inner)
            if isinstance(inner, list | Mapping)
            else [v for v in value.values() if isinstance(v, Mapping)]
        )
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list | tuple) else []


def _rank(node: Mapping[str, Any]) -> tuple[str, int, str]:
    uid = str(node.get("uid", ""))
    head, _, tail = uid.rpartition("-")
    return (head, int(tail), uid) if tail.isdigit() else (uid, 0, uid)


def _at(data: Mapping[str, Any], *path: str) -> Any:
    value: Any = data
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _int(value: object, default: int) -> int:
    """Return a number, whatever type the reference data gives it."""
    if isinstance(value, bool) or value is None:
        return default
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return default


def _yes(value: object) -> str:
    return "YES" if value is True or str(value).upper() in ("YES", "TRUE") else "NO"
