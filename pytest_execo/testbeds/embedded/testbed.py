"""The embedded testbed as the contract sees it: plan, reserve, a lease, and nodes with faults as methods."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from ...connectors.host_keys import host_keys
from ...errors import LeaseLost, RequestNotMet, ReservationFailed
from ...hosts import Host, Hosts
from ...units import parse_duration, parse_size
from ..contract import Lease, Plan, Remember, Request, Testbed, ignore
from .client import Client
from .remains import reclaim

__all__ = ("EmbeddedLease", "EmbeddedNode", "EmbeddedTestbed", "Fault")

#: How many nodes there are when nobody says; a node that is not used costs a socket.
DEFAULT_CAPACITY = 256
DEFAULT_DISK = "1GiB"


class Fault:
    """A fault that is in force, from the moment it is made. As a context manager it is undone on exit."""

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo = undo

    def undo(self) -> None:
        """Take the fault back. A second call does nothing, and so does one after the end of the lease."""
        undo, self._undo = self._undo, _nothing
        undo()

    def __enter__(self) -> Fault:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(LeaseLost):  # nothing is left to heal
            self.undo()


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class EmbeddedNode(Host):
    """A node of the embedded testbed: a host whose faults are methods.

    Every method returns when what it does is in force. ``cut`` and ``slow`` are about the traffic of the node's SSH
    server: commands, files, everything forwarded. What a command on the node sends by itself goes over the machine's
    own loopback. Methods raise :exc:`~pytest_execo.errors.LeaseLost` once the lease has ended.
    """

    _client: Client | None = field(default=None, compare=False, repr=False)

    def power_off(self) -> Fault:
        """Switch off, without warning: processes die, connections break, connects are refused. The disk is kept."""
        self._ask("power_off")
        return Fault(self.power_on)

    def power_on(self) -> None:
        """Switch on and wait until the node answers: same address, port, host key and disk, no process from before."""
        self._ask("power_on")

    @property
    def powered(self) -> bool:
        """Whether the node is switched on. One whose processes were all killed is not."""
        return bool(self._ask("powered")["powered"])

    def cut(self) -> Fault:
        """Drop every packet to and from the SSH server: what is connected hangs and does not close, connects hang.

        After the end of the cut, connections go on when TCP's next retransmission comes: after a long cut that takes
        a while, as it does on a real network.
        """
        self._ask("wire", wire={"cut": True})
        return Fault(lambda: self._heal("cut"))

    def slow(self, latency: float | str = 0.0, rate: float | str | None = None) -> Fault:
        """Make the wire longer and thinner. Replaces the values of an earlier ``slow``.

        :param latency: one way, each way: seconds, or ``"100ms"``, ``"2s"``.
        :param rate: bytes per second, each way, of all connections together: ``"1MiB/s"``. ``None``: no limit.
        """
        wire = {"latency": _seconds(latency), "rate": float(parse_size(rate)) if rate is not None else 0.0}
        if rate is not None and not wire["rate"]:
            raise ValueError(f"rate {rate!r} would let nothing through; cut() does that")
        self._ask("wire", wire=wire)
        return Fault(lambda: self._heal("latency", "rate"))

    def fill_disk(self, free: int | str = 0) -> Fault:
        """Leave ``free`` bytes (``"10MiB"``) on the node's disk: home, ``/tmp``, ``/var/tmp`` and ``/dev/shm``.

        Takes no memory: the disk gets smaller. Running processes get "no space left on device" as well.

        :raises FaultNotAvailable: where the machine gives no mount namespace.
        """
        self._ask("fill", free=parse_size(free))
        return Fault(lambda: self._heal("disk"))

    def heal(self) -> None:
        """Undo ``cut``, ``slow`` and ``fill_disk``. Does not switch the node on."""
        self._heal("cut", "latency", "rate", "disk")

    def __getstate__(self) -> dict[str, Any]:
        # Another process can reach the node, and has no hand in the lease: faults raise LeaseLost there.
        return {**self.__dict__, "_client": None}

    def _heal(self, *what: str) -> None:
        self._ask("heal", what=what)

    def _ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        if self._client is None:
            raise LeaseLost(f"{self.name}: this is a description of a node, without its lease")
        return self._client.ask(do, self.name, **arguments)


def _seconds(value: float | str) -> float:
    if isinstance(value, str) and value.strip().endswith("ms"):
        return parse_duration(value.strip()[:-2].strip()) / 1000
    return parse_duration(value)


class EmbeddedLease(Lease):
    """Nodes of the embedded testbed. They end with :meth:`release`, with ``end``, or with the controller's process."""

    def __init__(self, client: Client, site: str, end: float | None) -> None:
        self._client = client
        self.end = end
        #: Holds ``ssh_config`` and the log of the node manager; removed with the lease.
        self.directory: str = client.paths.directory
        #: For the ssh program: ``ssh -F <this> node-1.local``.
        self.ssh_config: str = client.paths.ssh_config
        machine = {
            "site": site,
            "cpus": len(os.sched_getaffinity(0)),
            "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "kernel": os.uname().release,
            "isolation": client.ready["isolation"],
        }
        self.nodes: Hosts = Hosts(
            EmbeddedNode(
                address=node["address"],
                name=node["name"],
                user=client.ready["user"],
                port=node["port"],
                keyfile=client.paths.key,
                host_key=node["host_key"],
                # Ours takes as many as come; fewer connections, fewer handshakes.
                max_sessions=1000,
                description={"name": node["name"], "address": node["address"], **machine},
                _client=client,
            )
            for node in client.ready["nodes"]
        )

    @property
    def names(self) -> list[str]:
        """The names of all its nodes, whichever are used."""
        return [node["name"] for node in self._client.ready["nodes"]]

    def alive(self) -> bool:
        """Tell whether the node manager runs and the end has not come."""
        return self._client.alive() and (self.end is None or time.time() < self.end)

    def off_on_purpose(self) -> frozenset[str]:
        """Name the nodes that ``power_off`` and ``cut`` have made unreachable."""
        return frozenset(self._client.off)

    def release(self) -> None:
        """End all processes on all nodes and remove their disks. Thread-safe; returns when everything has gone."""
        host_keys.forget(self.nodes)
        self._client.release()

    def keep(self) -> None:
        """Leave the nodes running when this process ends: until their walltime or, without one, for 8 hours.

        :raises LeaseLost: when they have ended.
        """
        super().keep()
        left = self._client.keep()
        if self.end is None:
            self.end = time.time() + left

    def describe(self) -> Mapping[str, Any]:
        """Return the lease as JSON for the campaign's description: no secrets."""
        return {"testbed": EmbeddedTestbed.name, **super().describe()}


class EmbeddedTestbed(Testbed):
    """Nodes on this machine, for everybody: no root, no system package, no configuration.

    :param site: ``"local"``.
    :param nodes: how many nodes there are, and how many a request that does not say gets. Default: there are
        256, and such a request gets 1.
    :param isolation: give each node its own hostname, processes, ``/tmp`` and disk, as far as the machine's
        namespaces allow. ``False``: don't try, which is what machines without user namespaces give.
    :param disk: the size of a node's disk. It is memory, taken as it is filled.
    """

    name = "embedded"

    def __init__(
        self,
        site: str = "local",
        *,
        nodes: int | None = None,
        options: Mapping[str, str] | None = None,
        isolation: bool = True,
        disk: int | str = DEFAULT_DISK,
    ) -> None:
        super().__init__(site, nodes=nodes, options=options)
        self.capacity: int = DEFAULT_CAPACITY if nodes is None else nodes
        self._isolation = isolation
        self._disk = parse_size(disk)
        self._leases: weakref.WeakSet[EmbeddedLease] = weakref.WeakSet()
        #: Names of nodes that are about to be.
        self._starting: set[str] = set()
        self._lock = threading.Lock()

    @classmethod
    def sites(cls) -> Sequence[str]:
        """Name the one site."""
        return ("local",)

    @property
    def outlives_us(self) -> bool:
        """Nodes end with this process, unless they are kept."""
        return False

    def plan(self, request: Request) -> Plan:
        """Say whether there are enough nodes; if so, now."""
        nodes = request.nodes if request.nodes is not None else self.default_nodes or 1
        unmet = []
        if not sys.platform.startswith("linux"):
            unmet.append(f"asks for nodes on this machine, which needs Linux and runs {sys.platform}")
        if nodes < 1:
            unmet.append(f"asks for {nodes} nodes, a lease has at least 1")
        if nodes > self.capacity:
            unmet.append(f"asks for {nodes} nodes, {self.site} has {self.capacity}")
        if request.cluster is not None:
            unmet.append(f"asks for cluster {request.cluster!r}, {self.site} has no clusters")
        unmet += [f"asks for {what}, {self.site} has none" for what in _not_here(request)]
        return Plan(nodes, None if unmet else time.time(), request.walltime, tuple(unmet), tuple(_notes(request)))

    def reserve(self, request: Request, *, remember: Remember = ignore) -> EmbeddedLease:
        """Start the nodes. They listen when this returns, and boot when somebody connects.

        :raises RequestNotMet: when there are not enough, or a cluster was asked for.
        :raises ReservationFailed: when the node manager did not start; the message has its last words.
        """
        plan = self.plan(request)
        if plan.unmet:
            raise RequestNotMet(plan.unmet)
        end = None if plan.walltime is None else time.time() + plan.walltime
        names = self._new_names(plan.nodes)
        settings = {
            "names": names,
            "isolation": self._isolation,
            "disk": self._disk,
            "lifetime": plan.walltime,
        }
        try:
            lease = EmbeddedLease(Client(settings, remember), self.site, end)
            self._leases.add(lease)
        except OSError as error:  # no room for its directory, no more processes
            raise ReservationFailed(f"{self.site}: the nodes could not be started: {error}") from error
        finally:
            self._starting.difference_update(names)
        return lease

    def _new_names(self, count: int) -> list[str]:
        """Return names with the lowest numbers that no node of ours has: leases side by side have different nodes."""
        with self._lock:
            used = {name for lease in self._leases if lease.alive() for name in lease.names} | self._starting
            names = (f"node-{number}.{self.site}" for number in itertools.count(1))
            found = list(itertools.islice((name for name in names if name not in used), count))
            self._starting.update(found)
        return found

    def reclaim(self, remains: Mapping[str, Any]) -> Sequence[str]:
        """End the node manager of a lease that its controller did not release, and remove its directory.

        :raises TestbedError: when it runs on another machine, or does not end.
        """
        return reclaim(remains)


def _not_here(request: Request) -> list[str]:
    """What would change an experiment if it were left out."""
    asked = {
        "nodes of other sites and clusters": request.shares,
        f"nodes by name ({', '.join(request.hosts)})": request.hosts,
        f"nodes with properties ({', '.join(name for name, _ in request.properties)})": request.properties,
        f"a VLAN ({request.vlan})": request.vlan,
        "subnets": request.subnets,
        "disks": request.disks,
        "metrics": request.monitor is not None or request.metrics,
    }
    return [what for what, wanted in asked.items() if wanted]


def _notes(request: Request) -> list[str]:
    """What has no meaning here, and changes no result but what a laptop changes anyway."""
    notes = []
    if request.environment is not None:
        notes.append(f"environment {request.environment} is not deployed: nodes run this machine's system")
    if request.start is not None:
        notes.append("the date of the reservation is not waited for")
    words = {"queue": request.queue, "project": request.project, "types": request.types}
    if given := [name for name, value in words.items() if value]:
        notes.append(f"without meaning here: {', '.join(given)}")
    return notes
