"""Nodes of Grid'5000 that are ours: one job for each site."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...connectors.host_keys import host_keys
from ...errors import ApiError, DeploymentFailed, ReservationFailed
from ...hosts import Hosts
from ..contract import Lease, Request
from .answers import DeploymentOrder, Job
from .sites import site_of

if TYPE_CHECKING:
    from .operations import Subnets, Vlan
    from .testbed import Grid5000Testbed

__all__ = ("Grid5000Lease",)

# Seconds between two questions whether the job is still there.
_ALIVE_PERIOD = 30.0

_log = logging.getLogger(__name__)


class Grid5000Lease(Lease):
    """Jobs that run, and their nodes, in the order of their names by site.

    Made by :meth:`Grid5000Testbed.reserve`, ended by :meth:`release`, which deletes the jobs, or by their walltime.
    When this process is killed the jobs go on until their walltime.

    :param keep: the jobs are somebody else's too: a release leaves them alone.
    """

    def __init__(
        self, testbed: Grid5000Testbed, request: Request, jobs: Mapping[str, Job], *, keep: bool = False
    ) -> None:
        self._testbed = testbed
        self._request = request
        self._keep = keep
        #: Site → its job.
        self.jobs: dict[str, Job] = dict(jobs)
        self._lock = threading.Lock()
        self._checked_at = testbed.waiting.clock()
        self._over = False
        self._released = False
        names = sorted((name for job in jobs.values() for name in job.nodes), key=_by_number)
        self.nodes: Hosts = testbed.hosts(names, deployed=False)
        self._vlans, self._subnets = testbed.networks(self.jobs)
        self.end: float | None = self._end()

    def _end(self) -> float | None:
        ends = [job.end for job in self.jobs.values()]
        known = [end for end in ends if end is not None]
        return self._testbed.real_date(min(known)) if known else None

    @property
    def networks(self) -> Sequence[Vlan | Subnets]:
        """The VLANs and subnets of the jobs."""
        return (*self._vlans, *self._subnets)

    def alive(self) -> bool:
        """Tell whether all jobs run. The API is asked now and then; while it does not answer, its last word counts."""
        with self._lock:
            now = self._testbed.waiting.clock()
            if self._over or self._released:
                return False
            if any(job.end is not None and now >= job.end for job in self.jobs.values()):
                self._over = True
            elif now - self._checked_at >= _ALIVE_PERIOD:
                self._checked_at = now
                self._over = not all(self._runs(site, job.id) for site, job in self.jobs.items())
            return not self._over

    def _runs(self, site: str, number: int) -> bool:
        try:
            job = self._testbed.client.job(site, number)
            return not (job.is_over or job.is_being_deleted)
        except ApiError as error:
            if error.status == 404:
                return False
            _log.warning("%s: job %d: not known whether it runs: %s", site, number, error)
            return True

    def extend(self, seconds: float) -> float:
        """Ask for a longer walltime of all jobs; return the new end.

        :raises ReservationFailed: with OAR's sentence. Jobs of other sites may have been extended then.
        """
        from .operations import extend, reload

        for site, job in list(self.jobs.items()):
            extend(self._testbed.client, site, job.id, seconds, waiting=self._testbed.waiting)
            self.jobs[site] = reload(self._testbed.client, site, job.id)
        self.end = self._end()
        if self.end is None:
            raise ReservationFailed("the jobs say no end")
        return self.end

    def deploy(self, environment: str, *, min_nodes: int | None = None) -> Hosts:
        """Deploy, wait until the nodes let us in, and forget the host keys that they had."""
        from .operations import deploy, read_environment

        wanted = read_environment(environment)
        testbed = self._testbed
        host_keys.forget(self.nodes)
        vlan = self._vlans[0].id if self._vlans else None
        if self._vlans and len(self.jobs) > 1 and self._vlans[0].kind != "kavlan-global":
            raise DeploymentFailed("nodes of several sites need vlan='kavlan-global' to be in one VLAN")
        names = self.nodes.names
        order = DeploymentOrder(
            tuple(names), wanted.name, testbed.public_keys(), vlan, version=wanted.version, arch=wanted.arch
        )
        result = deploy(
            testbed.client,
            names,
            order,
            min_nodes=min_nodes,
            probe=lambda asked: testbed.have_environment(asked, environment, vlan),
            waiting=testbed.waiting,
            progress=testbed.say,
        )
        nodes = testbed.hosts(sorted(result.nodes, key=_by_number), deployed=True, vlan=vlan)
        answering = testbed.answering(nodes)
        silent = [host.name for host in nodes if host not in answering]
        if len(answering) < (len(names) if min_nodes is None else min_nodes):
            failed = {**result.failed, **dict.fromkeys(silent, "deployed, and does not answer by ssh")}
            raise DeploymentFailed(
                f"{environment}: {len(answering)} of {len(names)} nodes answer", [h.name for h in answering], failed
            )
        self.nodes = answering
        return self.nodes

    def measured(self, metrics: Sequence[str], start: float, end: float) -> Mapping[str, Mapping[str, Any]]:
        """Return what Kwollect measured on the nodes between two dates of this machine's clock.

        Dates are seconds since ``start``, so that records of repetitions can be laid on each other.
        """
        from .operations import series

        testbed = self._testbed
        first, last = testbed.emulated_date(start), testbed.emulated_date(end)
        found: dict[str, dict[str, Any]] = {name: {} for name in metrics}
        for site in self.jobs:
            here = [name for name in self.nodes.names if site_of(name) == site]
            if not here:
                continue
            measured = series(testbed.client, site, here, metrics, first, last, waiting=testbed.waiting)
            for name, by_node in measured.items():
                for node, values in by_node.items():
                    found[name][node] = {
                        "dates": [round(date - first, 6) for date in values.dates],
                        "values": list(values.values),
                        "unit": values.unit,
                    }
        return found

    def release(self) -> None:
        """Delete the jobs. Once it was tried, a second call does nothing."""
        from .operations import delete

        with self._lock:
            if self._released:
                return
            self._released = True
        host_keys.forget(self.nodes)
        with contextlib.suppress(Exception):
            self.nodes.disconnect()
        if not self._keep:
            delete(self._testbed.client, self.jobs, waiting=self._testbed.waiting)
            self._testbed.deleted.update({job.id: site for site, job in self.jobs.items()})

    def describe(self) -> Mapping[str, Any]:
        """Return the lease as JSON for the campaign's description: no secrets."""
        jobs = {
            site: {"id": job.id, "queue": job.queue, "types": list(job.types), "walltime": job.walltime}
            for site, job in self.jobs.items()
        }
        networks = [network.describe() for network in self.networks]
        return {"testbed": self._testbed.name, "jobs": jobs, "networks": networks, **super().describe()}


def _by_number(name: str) -> tuple[str, str, int]:
    """Order names as people do: taurus-2 before taurus-10."""
    host, _, domain = name.partition(".")
    cluster, _, number = host.rpartition("-")
    return domain, cluster, int(number) if number.isdecimal() else 0
