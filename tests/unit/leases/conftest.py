"""A testbed in memory: what is reserved, what dies, what is given back, and when it says no."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pytest_execo.errors import DeploymentFailed, RequestNotMet, TestbedError
from pytest_execo.hosts import Host, Hosts
from pytest_execo.leases import holding, pool
from pytest_execo.testbeds import Lease, Plan, Request, Testbed
from pytest_execo.testbeds.contract import Remember, ignore


class RentedLease(Lease):
    """A lease that notes what is done to it."""

    def __init__(self, testbed: RentingTestbed, number: int, count: int, end: float | None) -> None:
        self._testbed = testbed
        self.number = number
        self.nodes = Hosts(Host(address="127.0.0.1", name=f"{number}-{n}") for n in range(count))
        self.end: float | None = end
        self.done: list[tuple[Any, ...]] = []
        self.lives = True

    def alive(self) -> bool:
        return self.lives

    def extend(self, seconds: float) -> float:
        assert self.end is not None
        self.end += seconds / self._testbed.speed
        return self.end

    def deploy(self, environment: str, *, min_nodes: int | None = None) -> Hosts:
        self.done.append(("deploy", tuple(self.nodes.names)))
        if self._testbed.failing:
            raise self._testbed.failing.popleft()
        good = Hosts(node for node in self.nodes if node.name not in self._testbed.undeployable)
        if len(good) < (len(self.nodes) if min_nodes is None else min_nodes):
            failed = {node.name: "no" for node in self.nodes if node not in good}
            raise DeploymentFailed("too few", good.names, failed)
        self._testbed.dead -= {*good.names}
        self.nodes = good
        return good

    def release(self) -> None:
        self.done.append(("release", tuple(self.nodes.names)))
        if self._testbed.unreleasable:
            raise TestbedError(f"{self.number}: can't be given back")

    def keep(self) -> None:
        self.done.append(("keep",))

    def secret_of_this_testbed(self) -> str:
        """What only this kind of lease has."""
        return "known"


class RentingTestbed(Testbed):
    """A testbed of so many nodes."""

    name = "renting"

    def __init__(self, most: int = 100) -> None:
        super().__init__("here")
        self.most = most
        self.asked: list[Request] = []
        self.planned: list[Request] = []
        self.leases: list[RentedLease] = []
        self.reclaimed: list[Mapping[str, Any]] = []
        self.said: list[str] = []
        self.say = self.said.append
        #: Names of nodes that don't answer.
        self.dead: set[str] = set()
        #: Names of nodes that no environment gets onto.
        self.undeployable: set[str] = set()
        #: What reservations, or deployments, raise next.
        self.refusing: deque[Exception] = deque()
        self.failing: deque[BaseException] = deque()
        self.unreleasable = False
        self.irreclaimable = False
        #: Unix date at which leases end.
        self.end: float | None = None

    @property
    def speed(self) -> float:
        """What takes minutes takes microseconds."""
        return 1e9

    @classmethod
    def sites(cls) -> list[str]:
        return ["here"]

    def plan(self, request: Request) -> Plan:
        self.planned.append(request)
        if self.refusing:
            raise self.refusing[0]
        unmet = ("too many",) if (request.nodes or 1) > self.most else ()
        return Plan(request.nodes or 1, None, request.walltime, unmet)

    def reserve(self, request: Request, *, remember: Remember = ignore) -> RentedLease:
        if self.refusing:
            raise self.refusing.popleft()
        if (request.nodes or 1) > self.most - len(request.without):
            raise RequestNotMet(["too many"])
        self.asked.append(request)
        number = len(self.asked)
        remember({"job": number})
        self.leases.append(RentedLease(self, number, request.nodes or 1, self.end))
        return self.leases[-1]

    def reclaim(self, remains: Mapping[str, Any]) -> list[str]:
        if self.irreclaimable:
            raise TestbedError("away")
        self.reclaimed.append(remains)
        return []


@pytest.fixture
def renting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes a testbed of so many nodes."""

    def made(most: int = 100) -> RentingTestbed:
        testbed = RentingTestbed(most)
        monkeypatch.setattr(
            holding, "ailing", lambda nodes: {node.name: "silent" for node in nodes if node.name in testbed.dead}
        )
        # As short as the testbed's own pauses are.
        monkeypatch.setattr(pool, "_WAITS", 0.0)
        return testbed

    return made
