"""The contract "where nodes come from": what is asked for, what is promised, what is held.

A testbed is found by its name among the entry points of group ``pytest_execo.testbeds``, so that another testbed is
another package. It is used in this order: ``plan`` (as often as wished, without effect) → ``reserve`` → the lease is
used → ``release``. Whoever calls ``reserve`` owns the lease.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..hosts import Hosts

__all__ = ("Lease", "Plan", "Request", "Testbed")


@dataclass(frozen=True)
class Request:
    """What a test needs. Frozen and hashable: tests with equal requests share one lease.

    :param nodes: how many nodes; ``None`` leaves it to the testbed's default.
    :param walltime: seconds the nodes are needed; ``None`` leaves it to the testbed's default.
    :param cluster: take them from this cluster.
    """

    nodes: int | None = None
    walltime: float | None = None
    cluster: str | None = None


@dataclass(frozen=True)
class Plan:
    """When and where a request fits.

    :param nodes: how many nodes the lease will have.
    :param start: Unix date of the earliest start; ``None`` where the testbed can't say.
    :param walltime: seconds; ``None``: no end.
    :param unmet: one line for each requirement that is not met (what was asked, what there is). Empty: it fits.
    """

    nodes: int
    start: float | None
    walltime: float | None
    unmet: tuple[str, ...] = ()


class Lease(ABC):
    """Nodes that are ours until ``end``. Made by :meth:`Testbed.reserve`, ended by :meth:`release`."""

    #: The nodes, in an order that stays.
    nodes: Hosts
    #: Unix date at which the testbed takes them back; ``None``: no end.
    end: float | None

    @abstractmethod
    def alive(self) -> bool:
        """Tell whether the nodes are still ours. Cheap; never raises."""

    @abstractmethod
    def release(self) -> None:
        """Give the nodes back. Returns when they are gone; a second call does nothing.

        Forgets the host keys that they have shown (``host_keys.forget``): others may have their addresses next.
        """

    def describe(self) -> Mapping[str, Any]:
        """Return the lease as JSON for the campaign's description: no secrets."""
        return {"end": self.end, "nodes": [{"name": n.name, **n.description} for n in self.nodes]}


class Testbed(ABC):
    """One kind of place that nodes come from.

    :param site: the site asked for (``--execo-site``), which :meth:`sites` named.
    :param nodes: how many nodes a request that does not say gets (``--execo-nodes``); ``None``: not given.
    """

    __test__ = False  # not a test class
    #: The name of the entry point.
    name: ClassVar[str]

    def __init__(self, site: str, *, nodes: int | None = None) -> None:
        self.site = site
        self.default_nodes = nodes

    @classmethod
    @abstractmethod
    def sites(cls) -> Sequence[str]:
        """Name the sites of this testbed, without asking a network."""

    @abstractmethod
    def plan(self, request: Request) -> Plan:
        """Say when and where ``request`` fits, or which requirements are not met. Reserves nothing."""

    @abstractmethod
    def reserve(self, request: Request) -> Lease:
        """Reserve and return the lease.

        :raises RequestNotMet: when :meth:`plan` says that it does not fit.
        :raises ReservationFailed: when the testbed refused or did not answer.
        """
