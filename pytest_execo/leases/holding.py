"""One lease that a run holds, and what it knows of its nodes: used, standing by, dead."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..connectors.host_keys import host_keys
from ..errors import ReservationFailed, TestbedError
from ..hosts import Host, Hosts
from ..testbeds import Lease, Request
from ..units import iso_date
from .health import ailing

__all__ = ("Holding",)

# The share of a lease, and the least and most of it in seconds, that is kept free at its end for tearing down.
_MARGIN, _LEAST_MARGIN, _MOST_MARGIN = 0.02, 0.5, 120.0


class Holding:
    """A lease, from its reservation to its release. Not thread-safe: the pool has a lock for each.

    :param request: what was asked for; the lease has :attr:`Request.spare` nodes more.
    :param nodes: how many of them are used at a time.
    :param say: told in a line what happens to the nodes.
    :param name: what the lease is called.
    """

    def __init__(self, request: Request, lease: Lease, nodes: int, say: Callable[[str], None], name: str) -> None:
        self.request = request
        self.lease: Lease = lease
        lease.id = name
        #: Who uses it: the worker; ``None``: nobody, and who comes next may.
        self.holder: str | None = None
        #: The nodes that are not used any more, and why.
        self.dead: dict[str, str] = {}
        #: Whether no trial has ended on it so far.
        self.fresh: bool = True
        #: Whether a trial has failed on it.
        self.failed: bool = False
        #: Whether the testbed has refused to give more time.
        self.may_extend: bool = True
        #: Why it is no longer to be had, once that was seen.
        self.lost: str | None = None
        #: It is ours, and too short for the next trial: of no more use.
        self.spent: bool = False
        self._say = say
        self._began = time.time()
        self._seen = time.monotonic()
        self._nodes = nodes
        self._least = request.min_nodes or nodes
        # With min_nodes fewer may have come out of a deployment.
        self._all = Hosts(lease.nodes)
        #: The nodes that stand by.
        self.spares: list[Host] = list(self._all[nodes:])
        self.lease.nodes = self._all[:nodes]

    def describe(self) -> dict[str, Any]:
        """Return the lease as JSON for the campaign's description, which describes the nodes elsewhere."""
        told = {key: value for key, value in self.lease.describe().items() if key not in ("nodes", "end")}
        end = None if self.lease.end is None else iso_date(self.lease.end)
        return {**told, "id": self.lease.id, "nodes": self._all.names, "taken_at": iso_date(self._began), "end": end}

    @property
    def margin(self) -> float:
        """Seconds before the end in which no trial may still run."""
        if self.lease.end is None:
            return 0.0
        return min(_MOST_MARGIN, max(_LEAST_MARGIN, _MARGIN * (self.lease.end - self._began)))

    @property
    def left(self) -> float | None:
        """Seconds that a trial has from now on; ``None``: no end."""
        return None if self.lease.end is None else self.lease.end - self.margin - time.time()

    def is_lost(self, reason: str) -> bool:
        """Note that it is lost; tell whether that is news."""
        news = self.lost is None
        if news:
            self.lost = reason
        return news

    def seen_within(self, seconds: float) -> bool:
        """Tell whether the nodes were found well, or a trial ended on them, so short a time ago."""
        return time.monotonic() - self._seen < seconds

    def was_seen(self) -> None:
        """A trial has ended on the nodes without complaint."""
        self._seen = time.monotonic()

    def examine(self) -> dict[str, str]:
        """Ask the nodes whether they are there; return those that are not, and why."""
        excused = self.lease.off_on_purpose()
        ill = ailing(Hosts(node for node in self.lease.nodes if node.name not in excused))
        if not ill:
            self.was_seen()
        return ill

    def mend(self, ill: Mapping[str, str]) -> bool:
        """Go on without these nodes: with spare ones, with fewer, or by deploying anew. ``False``: it can't be done.

        Whatever stands on the nodes has to be built again afterwards.
        """
        self.dead.update(ill)
        for name, why in ill.items():
            self._say(f"{name} is not used any more: {why}")
        gone = Hosts(node for node in self.lease.nodes if node.name in ill)
        gone.disconnect()
        host_keys.forget(gone)
        nodes, missing = self._replaced(ill)
        if len(nodes) >= self._least:
            self.lease.nodes = nodes
            if missing:
                self._say(f"goes on with {len(nodes)} nodes; the tests allow {self._least}")
            return True
        return self._deploy_again()

    def _replaced(self, ill: Mapping[str, str]) -> tuple[Hosts, int]:
        """Return the nodes with spare ones in the places of the dead, and how many places stay empty."""
        nodes: list[Host] = []
        missing = 0
        for node in self.lease.nodes:
            if node.name not in ill:
                nodes.append(node)
            elif (spare := self._next_spare()) is not None:
                self._say(f"{spare.name} takes the place of {node.name}")
                nodes.append(spare)
            else:
                missing += 1
        return Hosts(nodes), missing

    def _next_spare(self) -> Host | None:
        while self.spares:
            spare = self.spares.pop(0)
            ill = ailing(Hosts([spare]))
            if not ill:
                return spare
            self.dead.update(ill)
        return None

    def _deploy_again(self) -> bool:
        """Deploy on the nodes of the lease that do not have the environment; this brings back some that were dead."""
        if self.request.environment is None or not self.lease.alive():
            return False
        self._say(f"deploys {self.request.environment} again")
        self.lease.nodes = self._all
        try:
            nodes = self.lease.deploy(self.request.environment, min_nodes=self._least)
        except TestbedError as error:
            self._say(str(error).splitlines()[0])
            return False
        self._all = nodes
        self.spares = list(nodes[self._nodes :])
        self.lease.nodes = nodes[: self._nodes]
        for name in nodes.names:
            self.dead.pop(name, None)
        return True

    def extend(self, seconds: float, speed: float = 1.0) -> bool:
        """Ask for more time; tell whether a trial of so many seconds has room now.

        :param seconds: of this machine's clock. :param speed: how much faster the testbed's runs.
        """
        if self.lease.end is None:
            return True
        if not self.may_extend:
            return False
        try:
            self.lease.extend(seconds * speed)
        except ReservationFailed as error:  # a part may have been given
            self.may_extend = False
            self._say(f"no more time: {error}")
        except TestbedError as error:  # it could not be asked; the next time it may
            self._say(f"no more time: {str(error).splitlines()[0]}")
        left = self.left
        return left is None or left >= seconds

    def release(self) -> None:
        """Give the nodes back, those not used any more included.

        :raises TestbedError: when that can't be done.
        """
        self.lease.nodes = self._all
        self.lease.release()
