"""One emulated site: its description, and the servers that a user of the real one talks to."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .clock import SteppedClock
from .environments import Environment
from .faults import Faults
from .kadeploy import Kadeploy, KadeploySettings
from .kavlan import Kavlan, global_vlan
from .kwollect import Kwollect, Period
from .oar.engine import Oar
from .oar.jobs import OarJob
from .oar.resources import resources_of
from .oar.rest import job_item
from .oar.settings import OarSettings

__all__ = ("Site", "clusters_of", "full_name", "nodes_of", "remote_vlans", "sites_of", "tree_of")

# How long before the beginning of the emulator's time counters were 0, seconds.
_DAY = 86400.0


class Site:
    """A site with its OAR, kadeploy, KaVLAN and Kwollect. Not thread-safe: the platform's lock is around it.

    :param data: its part of the reference data, with clusters and nodes.
    :param remote: ids of the other sites' global VLANs.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        clock: SteppedClock,
        *,
        remote: Iterable[str],
        environments: Sequence[Environment],
        faults: Faults,
        seed: int,
        oar: OarSettings | None = None,
        kadeploy: KadeploySettings | None = None,
        most_cores: int | None = 4,
        first_job: int = 1,
    ) -> None:
        self.uid: str = str(data["uid"])
        self.data: Mapping[str, Any] = data
        described = {full_name(self.uid, node): (cluster, node) for cluster, node in nodes_of(data)}
        #: Full names of the nodes, in the order of the reference data.
        self.nodes: tuple[str, ...] = tuple(described)
        #: Job → the full names of the nodes that it had when it began to run.
        self.nodes_of_job: dict[int, tuple[str, ...]] = {}
        #: Key files that orders of deployments left behind: name → text.
        self.files: dict[str, str] = {}
        #: Job → those of its nodes on which no other job ran at that time.
        self.fresh: dict[int, tuple[str, ...]] = {}
        self._periods: dict[str, list[Period]] = {}
        self._owners: dict[str, tuple[str, int]] = {}
        self._holders: dict[int, tuple[str, tuple[str, ...]]] = {}
        self.oar: Oar = Oar(
            self.uid,
            resources_of(data, most_cores=most_cores),
            clock,
            settings=oar or OarSettings(),
            first_job=first_job,
            random=random.Random(f"oar {self.uid} {seed}"),
        )
        self.kavlan: Kavlan = Kavlan(
            data,
            (node for _, node in described.values()),
            remote,
            holders=self.holders,
            owners=self.owners,
        )
        self.kadeploy: Kadeploy = Kadeploy(
            self.uid,
            clock,
            architectures={name: _architecture(node) for name, (_, node) in described.items()},
            environments=environments,
            owners=self.owners,
            kavlan=self.kavlan,
            faults=faults,
            draw=random.Random(f"kadeploy {self.uid} {seed}"),
            settings=kadeploy,
        )
        self.kwollect: Kwollect = Kwollect(
            described.values(),
            periods=lambda node: self._periods.get(node, ()),
            seed=seed,
            origin=clock.now() - _DAY,
        )

    def holders(self) -> list[tuple[str, str]]:
        """Return who holds which VLAN of this site by a running job: pairs of user and id."""
        return [(user, uid) for user, uids in self._holders.values() for uid in uids]

    def owners(self) -> dict[str, str]:
        """Return who has which node by a running job of type deploy: node → user."""
        return {node: user for node, (user, _) in self._owners.items()}

    def item(self, job: OarJob, *, resources: bool = True) -> dict[str, Any]:
        """Return a job as the API has it, without links."""
        return job_item(self.oar, job, resources=resources)

    def job_began(self, number: int, date: float) -> dict[str, Any]:
        """Note what a job has, which runs from now on, and return it as the API has it."""
        item = self.item(self.oar.job(number))
        nodes = tuple(item.get("assigned_nodes") or ())
        types = [str(word) for word in item.get("types") or ()]
        self.nodes_of_job[number] = nodes
        self.fresh[number] = tuple(node for node in nodes if not self._is_used(node))
        if "deploy" in types:
            self._owners.update(dict.fromkeys(nodes, (item["user"], number)))
        vlans = tuple(map(str, (item.get("resources_by_type") or {}).get("vlans") or ()))
        if vlans:
            self._holders[number] = item["user"], vlans
        monitor = next((word.partition("=")[2] for word in types if word.partition("=")[0] == "monitor"), None)
        for node in nodes:
            periods = self._periods.setdefault(node.partition(".")[0], [])
            periods.append(Period(number, date, monitor=monitor))
        return item

    def job_ended(self, number: int, date: float) -> list[str]:
        """Note that a job is over, and return the nodes that it leaves: those that no other job runs on."""
        left = []
        self._holders.pop(number, None)
        for node in self.nodes_of_job.get(number, ()):
            if self._owners.get(node, ("", 0))[1] == number:
                del self._owners[node]
            for period in self._periods.get(node.partition(".")[0], []):
                if period.job == number and period.end is None:
                    period.end = date
            if not self._is_used(node):
                left.append(node)
        self.kadeploy.release(left)
        self.kavlan.reset(left)
        return left

    def _is_used(self, node: str) -> bool:
        return any(period.end is None for period in self._periods.get(node.partition(".")[0], ()))

    def period_of_job(self, number: int) -> tuple[float, float | None] | None:
        """Return when a job began and ended to run (``None``: it still runs); ``None`` when it never did."""
        for node in self.nodes_of_job.get(number, ()):
            for period in self._periods.get(node.partition(".")[0], ()):
                if period.job == number:
                    return period.start, period.end
        return None

    def running_jobs(self) -> list[int]:
        """Return the jobs that run, in the order of their start."""
        running = [period for periods in self._periods.values() for period in periods if period.end is None]
        return list(dict.fromkeys(p.job for p in sorted(running, key=lambda p: (p.start, p.job))))


def tree_of(reference: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the root of a deep=1 document, with or without its envelope."""
    items = reference.get("items")
    return items if isinstance(items, Mapping) else reference


def sites_of(reference: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return all sites of a deep=1 document, by name."""
    return _by_uid(tree_of(reference).get("sites"))


def clusters_of(site: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the clusters of a site, by name. A site may have none."""
    return _by_uid(site.get("clusters"))


def nodes_of(site: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield all nodes of a site, each with its cluster."""
    for cluster in clusters_of(site).values():
        for node in _by_uid(cluster.get("nodes")).values():
            yield cluster, node


def full_name(site: str, node: Mapping[str, Any]) -> str:
    """Return a node's name in the network."""
    return f"{node['uid']}.{site}.grid5000.fr"


def _by_uid(entries: Any) -> dict[str, Mapping[str, Any]]:
    listed = entries.values() if isinstance(entries, Mapping) else entries or ()
    return {str(entry["uid"]): entry for entry in listed}


def remote_vlans(sites: Mapping[str, Mapping[str, Any]], own: str) -> list[str]:
    """Return the ids of the other sites' global VLANs."""
    ids = (global_vlan(data) for uid, data in sites.items() if uid != own)
    return [uid for uid in ids if uid is not None]


def _architecture(node: Mapping[str, Any]) -> str:
    return str((node.get("architecture") or {}).get("platform_type", "x86_64"))
