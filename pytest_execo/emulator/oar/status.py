"""The state of a site's resources at this moment, as the Grid'5000 API has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .jobs import OarJob
from .resources import Resource
from .rest import disk_name, job_item, subnet_name
from .table import bits

if TYPE_CHECKING:
    from .engine import Oar

__all__ = ("status",)


def status(oar: Oar) -> dict[str, Any]:
    """Return ``nodes``, ``disks``, ``vlans`` and ``subnets`` by name. Jobs come without their events.

    Only running jobs make a resource busy; all that are not over are listed.
    """
    table = oar.table
    active = [job for job in reversed(oar.jobs()) if not job.over and job.mask]
    items: dict[int, dict[str, Any]] = {}

    def listed(mask: int) -> list[dict[str, Any]]:
        found = []
        for job in active:
            if job.mask & mask:
                if job.id not in items:
                    items[job.id] = _without_events(oar, job)
                found.append(items[job.id])
        return found

    busy = _union(job for job in active if job.state == "Running" and not job.besteffort)
    besteffort = _union(job for job in active if job.state == "Running" and job.besteffort) & ~busy
    nodes: dict[str, Any] = {}
    cores = table.by_type.get("default", 0)
    for name, mask in table.hosts.items():
        own = mask & cores
        if own:
            first = next(iter(table.of(own & -own)))
            entry = {"hard": _hard(first), **_node(own, busy, besteffort, first.state == "Dead")}
            nodes[name] = {**entry, "reservations": listed(own)}
    answer: dict[str, Any] = {"nodes": nodes, "disks": {}, "vlans": {}, "subnets": {}}
    for kind, mask in table.by_type.items():
        if kind == "default":
            continue
        for position in bits(mask):
            resource = table.resources[position]
            section, name, more = _named(resource)
            if section:
                taken = (busy | besteffort) >> position & 1
                entry = {"hard": _hard(resource), "soft": "busy" if taken else "free", **more}
                answer[section][name] = {**entry, "reservations": listed(1 << position)}
    return answer


def _node(mask: int, busy: int, besteffort: int, dead: bool) -> dict[str, Any]:
    total, normal, freeable = mask.bit_count(), (mask & busy).bit_count(), (mask & besteffort).bit_count()
    if dead:
        return {"soft": "unknown", "comment": "OK", "free_slots": 0, "freeable_slots": 0, "busy_slots": 0}
    taken = normal + freeable
    if taken == 0:
        soft = "free"
    elif taken == total:
        soft = "busy"
    else:
        soft = "free_busy" if taken <= total / 2 else "busy_free"
    return {
        "soft": f"{soft}_besteffort" if freeable else soft,
        "comment": "OK",
        "free_slots": total - taken,
        "freeable_slots": freeable,
        "busy_slots": normal,
    }


def _named(resource: Resource) -> tuple[str, str, dict[str, Any]]:
    """Return section, name and what else is said of a resource that is no core; no section: it is not shown."""
    properties = resource.properties
    if resource.type == "disk":
        return "disks", disk_name(properties), {"diskpath": properties.get("diskpath", "")}
    if resource.type == "subnet":
        return "subnets", subnet_name(properties), {}
    if resource.type in ("kavlan", "kavlan-local", "kavlan-global"):
        return "vlans", str(properties["vlan"]), {"type": resource.type}
    return "", "", {}


def _hard(resource: Resource) -> str:
    return "standby" if resource.standby else resource.state.lower()


def _union(jobs: Any) -> int:
    union = 0
    for job in jobs:
        union |= job.mask
    return union


def _without_events(oar: Oar, job: OarJob) -> dict[str, Any]:
    item = job_item(oar, job)
    del item["events"]
    return item
