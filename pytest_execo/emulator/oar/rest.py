"""Jobs as the Grid'5000 API writes them, without links: those depend on who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .jobs import OarJob
from .resources import Resource

if TYPE_CHECKING:
    from .engine import Oar

__all__ = ("disk_name", "job_item", "resources_by_type", "subnet_name")


def job_item(oar: Oar, job: OarJob, *, resources: bool = True) -> dict[str, Any]:
    """Return a job. A field without a value is absent.

    :param resources: with its nodes and cores; lists of jobs leave that out.
    """
    item = {
        "uid": job.id,
        "user_uid": job.user,
        "user": job.user,
        "walltime": job.walltime,
        "queue": job.queue,
        "state": job.state.lower(),
        "project": job.project,
        "name": job.name,
        "types": list(job.types),
        "mode": job.mode,
        "command": job.command,
        "submitted_at": int(job.submitted),
        "scheduled_at": int(job.scheduled) if job.scheduled else None,
        "started_at": int(job.started),
        "stopped_at": None if job.stopped is None else int(job.stopped),
        "exit_code": job.exit_code,
        "message": job.message,
        "properties": job.properties,
        "directory": job.directory,
        "events": [
            {"uid": event.id, "created_at": int(event.date), "type": event.type, "description": event.description}
            for event in job.events
        ],
    }
    if resources:
        item["resources_by_type"] = resources_by_type(oar.predicted(job))
        item["assigned_nodes"] = oar.nodes(job)
    return {key: value for key, value in item.items() if value is not None}


def resources_by_type(resources: Sequence[Resource]) -> dict[str, list[str]]:
    """Return names by kind: cores sorted inside each node, nodes in the order of the table."""
    cores: dict[str, list[int]] = {}
    found: dict[str, list[str]] = {}
    for resource in resources:
        if resource.type == "default":
            cores.setdefault(resource.host, []).append(int(resource.properties.get("cpuset", 0)))
        elif resource.type == "disk":
            found.setdefault("disks", []).append(disk_name(resource.properties))
        elif resource.type == "subnet":
            found.setdefault("subnets", []).append(subnet_name(resource.properties))
        elif resource.type.startswith("kavlan"):
            found.setdefault("vlans", []).append(str(resource.properties["vlan"]))
    if cores:
        found = {"cores": [f"{host}/{index}" for host, own in cores.items() for index in sorted(own)], **found}
    return found


def disk_name(properties: Mapping[str, Any]) -> str:
    """Return the name of a disk: ``disk1.parasilo-1.rennes.grid5000.fr``."""
    return f"{str(properties['disk']).partition('.')[0]}.{properties['host']}"


def subnet_name(properties: Mapping[str, Any]) -> str:
    """Return a subnet as ``10.158.0.0/22``."""
    return f"{properties['subnet_address']}/{properties['subnet_prefix']}"
