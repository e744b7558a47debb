"""The contract "where nodes come from": what is asked for, what is promised, what is held.

A testbed is found by its name among the entry points of group ``pytest_execo.testbeds``, so that another testbed is
another package. It is used in this order: ``plan`` (as often as wished, without effect) → ``reserve`` → the lease is
used → ``release``. Whoever calls ``reserve`` owns the lease.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import ReservationFailed, TestbedError
from ..hosts import Hosts

__all__ = ("Lease", "Plan", "Remember", "Request", "Testbed", "ignore")


#: How a testbed says what it is about to make, or has made.
Remember = Callable[[Mapping[str, Any]], None]


def ignore(what: object) -> None:
    """Do nothing with what is said."""
    del what


@dataclass(frozen=True)
class Request:
    """What a test needs. Frozen and hashable: tests with equal requests share one lease.

    A testbed that can't give what a field asks for says so in :attr:`Plan.unmet`; what it can't give and what changes
    no result (a queue, a project) it says in :attr:`Plan.notes`. Mappings are tuples of pairs, in their order.

    :param nodes: how many nodes; ``None`` leaves it to the testbed's default.
    :param walltime: seconds the nodes are needed; ``None`` leaves it to the testbed's default.
    :param cluster: take them from this cluster.
    :param shares: how many from which site or cluster, ``(("lyon", 2), ("gros", 1))``; ``nodes`` is their sum then.
    :param hosts: these nodes, by name.
    :param without: none of these nodes, by the names that leases gave them.
    :param min_nodes: go on with so many when not all could be deployed, or when some have died; ``None``: all are
        needed.
    :param spare: so many more nodes, which stand by for those that die.
    :param properties: conditions on nodes, ``(("cores", ">=16"), ("gpu", 1))``.
    :param environment: the system to deploy on them; ``None``: the testbed's standard system.
    :param vlan: kind of VLAN to put them in: ``kavlan``, ``kavlan-local``, ``kavlan-global``.
    :param subnets: address ranges for VMs, ``(("slash_22", 1),)``.
    :param disks: reserve the nodes' reservable disks as well.
    :param same_switch: all nodes behind one switch.
    :param start: Unix date of an advance reservation; ``None``: as soon as possible.
    :param queue: the testbed's queue. :param project: what the use is accounted to.
    :param types: further types of the job, in the testbed's words: ``("besteffort", "night")``.
    :param monitor: metrics to measure on demand, a regular expression of their names; ``""``: all.
    :param metrics: metrics of the nodes that go into the record of each trial, for the time that its test took.
    """

    nodes: int | None = None
    walltime: float | None = None
    cluster: str | None = None
    shares: tuple[tuple[str, int], ...] = ()
    hosts: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    min_nodes: int | None = None
    spare: int = 0
    properties: tuple[tuple[str, str | int | float | bool], ...] = ()
    environment: str | None = None
    vlan: str | None = None
    subnets: tuple[tuple[str, int], ...] = ()
    disks: bool = False
    same_switch: bool = False
    start: float | None = None
    queue: str | None = None
    project: str | None = None
    types: tuple[str, ...] = ()
    monitor: str | None = None
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """When and where a request fits.

    :param nodes: how many nodes the lease will have.
    :param start: Unix date of the earliest start; ``None`` where the testbed can't say.
    :param walltime: seconds; ``None``: no end.
    :param unmet: one line for each requirement that is not met (what was asked, what there is). Empty: it fits.
    :param notes: one line for each thing worth knowing that changes no result: where the nodes would be, what of the
        request has no meaning here.
    """

    nodes: int
    start: float | None
    walltime: float | None
    unmet: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Lease(ABC):
    """Nodes that are ours until ``end``. Made by :meth:`Testbed.reserve`, ended by :meth:`release`."""

    #: What it is called in records and by ``pytest-execo release``: given by whoever holds it.
    id: str = ""
    #: The nodes, in an order that stays.
    nodes: Hosts
    #: Unix date at which the testbed takes them back; ``None``: no end.
    end: float | None

    @property
    def networks(self) -> Sequence[Any]:
        """VLANs and subnets that belong to the lease, in the testbed's own types; empty where it has none."""
        return ()

    @abstractmethod
    def alive(self) -> bool:
        """Tell whether the nodes are still ours. Cheap; never raises."""

    def off_on_purpose(self) -> frozenset[str]:
        """Name the nodes that were made unreachable by whoever uses them, through this lease: they are not ill."""
        return frozenset()

    def extend(self, seconds: float) -> float:
        """Ask for more time; return the new end, a Unix date.

        :param seconds: by the testbed's clock.
        :raises ReservationFailed: when the testbed does not give it, or knows no such thing.
        """
        raise ReservationFailed("this testbed does not extend leases")

    def deploy(self, environment: str, *, min_nodes: int | None = None) -> Hosts:
        """Put an environment on the nodes; return those that have it, which are :attr:`nodes` from then on.

        Nodes that have it already are left as they are. A testbed without deployments does nothing: its nodes are what
        they are, and its plan has said so.

        :raises DeploymentFailed: when fewer than ``min_nodes`` (default: all) have it.
        """
        return self.nodes

    @abstractmethod
    def release(self) -> None:
        """Give the nodes back. Returns when they are gone; a second call does nothing.

        Forgets the host keys that they have shown (``host_keys.forget``): others may have their addresses next.
        """

    def keep(self) -> None:
        """Leave the nodes as they are when this process ends, until :meth:`Testbed.reclaim` or the walltime ends them.

        Instead of :meth:`release`: for whoever wants to look at them after a failure. Nothing to do where the nodes
        are somebody else's processes.

        :raises TestbedError: when they can't outlive this process.
        """
        self.nodes.disconnect()

    def measured(self, metrics: Sequence[str], start: float, end: float) -> Mapping[str, Mapping[str, Any]]:
        """Return what the testbed measured on the nodes between two Unix dates, as JSON for a record.

        metric → node → ``{"dates": […], "values": […], "unit": …}``.

        :raises TestbedError: when it can't be had.
        """
        raise TestbedError("this testbed measures nothing")

    def describe(self) -> Mapping[str, Any]:
        """Return the lease as JSON for the campaign's description: no secrets."""
        return {"end": self.end, "nodes": [{"name": n.name, **n.description} for n in self.nodes]}


class Testbed(ABC):
    """One kind of place that nodes come from.

    :param site: the site asked for (``--execo-site``), which :meth:`sites` named.
    :param nodes: how many nodes a request that does not say gets (``--execo-nodes``); ``None``: not given.
    :param options: values for names of :attr:`options_known` (``--execo-option NAME=VALUE``).
    :raises InvalidRequest: for a value that is wrong. Nothing has been started or asked then.
    """

    __test__ = False  # not a test class
    #: The name of the entry point.
    name: ClassVar[str]
    #: Whether the name of one of its sites is enough to mean this testbed.
    found_by_site: ClassVar[bool] = True
    #: The options that only this testbed has: name, and a line of help.
    options_known: ClassVar[Mapping[str, str]] = {}
    #: Types of job that keep a lease to nights and week-ends; empty: it can't be told to.
    night_types: ClassVar[tuple[str, ...]] = ()

    def __init__(self, site: str, *, nodes: int | None = None, options: Mapping[str, str] | None = None) -> None:
        self.site: str = site
        self.default_nodes: int | None = nodes
        self.options: Mapping[str, str] = dict(options or {})
        #: Told in a line what a long operation waits for; from any thread.
        self.say: Callable[[str], None] = ignore

    @classmethod
    def has(cls, site: str) -> bool:
        """Tell whether this testbed has the site."""
        return site in cls.sites()

    @classmethod
    @abstractmethod
    def sites(cls) -> Sequence[str]:
        """Name the sites of this testbed, without asking a network."""

    def at(self, site: str) -> Testbed:
        """Return the same testbed, with what it has learned, at another of its sites.

        What is learned and started later is shared where the testbed has something to share; to :meth:`close` one of
        them ends that.
        """
        return type(self)(site, nodes=self.default_nodes, options=self.options)

    @abstractmethod
    def plan(self, request: Request) -> Plan:
        """Say when and where ``request`` fits, or which requirements are not met. Reserves nothing."""

    @property
    def outlives_us(self) -> bool:
        """Whether what it reserves stays when this process dies, until somebody gives it back."""
        return True

    @property
    def speed(self) -> float:
        """How much faster than this machine's its clock runs: 1, but for an emulator's."""
        return 1.0

    def now(self) -> float:
        """Return the Unix date by its clock."""
        return time.time()

    def gantt(self, request: Request, *, svg: bool = False) -> str | None:
        """Draw what is free and busy where ``request`` could be met, as text or as a picture (SVG).

        ``None``: the testbed does not say.
        """
        return None

    @abstractmethod
    def reserve(self, request: Request, *, remember: Remember = ignore) -> Lease:
        """Reserve and return the lease.

        :param remember: told, before anything is asked for and again when more is known, the JSON by which
            :meth:`reclaim` finds what this reservation has made. No secrets. When it raises nothing is reserved.
        :raises RequestNotMet: when :meth:`plan` says that it does not fit.
        :raises ReservationFailed: when the testbed refused or did not answer.
        """

    def reclaim(self, remains: Mapping[str, Any]) -> Sequence[str]:
        """Give back what a reservation has left whose process is dead; return a line for each thing given back.

        Empty: there was nothing left. A second call finds nothing.

        :param remains: what ``remember`` was told last.
        :raises TestbedError: when it can't be known or done; to be tried again.
        """
        return ()

    def close(self) -> None:  # noqa: B027  # few testbeds have something of their own to end
        """End what the testbed itself has started; leases are released before. A second call does nothing."""
