"""Leases in parts: who gets which nodes, and when the whole goes back."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_execo.errors import DeploymentFailed, RequestNotMet
from pytest_execo.hosts import Host, Hosts
from pytest_execo.leases.sharing import LeasePart, Sharing, can_be_split
from pytest_execo.testbeds import Lease, Plan, Request, Testbed
from pytest_execo.testbeds.contract import Remember, ignore

REQUEST = Request(nodes=2, environment="debian")


class Rented(Lease):
    """A lease that notes what is done to it."""

    def __init__(self, names: list[str]) -> None:
        self.nodes = Hosts(Host(address="127.0.0.1", name=name) for name in names)
        self.end: float | None = 100.0
        self.done: list[Any] = []
        self.lives = True
        self.fails: set[str] = set()

    def alive(self) -> bool:
        return self.lives

    def extend(self, seconds: float) -> float:
        assert self.end is not None
        self.end += seconds
        return self.end

    def deploy(self, environment: str, *, min_nodes: int | None = None) -> Hosts:
        self.done.append(("deploy", tuple(self.nodes.names)))
        good = Hosts(node for node in self.nodes if node.name not in self.fails)
        if len(good) < (len(self.nodes) if min_nodes is None else min_nodes):
            raise DeploymentFailed("too few")
        self.nodes = good
        return good

    def release(self) -> None:
        self.done.append(("release", tuple(self.nodes.names)))

    def keep(self) -> None:
        self.done.append(("keep",))

    def secret_of_this_testbed(self) -> str:
        """What only this kind of lease has."""
        return "known"


class Renting(Testbed):
    """A testbed of so many nodes."""

    name = "renting"

    def __init__(self, most: int = 100) -> None:
        super().__init__("here")
        self.most = most
        self.asked: list[Request] = []
        self.leases: list[Rented] = []
        self.fails: set[str] = set()

    @classmethod
    def sites(cls) -> list[str]:
        return ["here"]

    def plan(self, request: Request) -> Plan:
        return Plan(request.nodes or 1, None, None)

    def reserve(self, request: Request, *, remember: Remember = ignore) -> Rented:
        if (request.nodes or 1) > self.most:
            raise RequestNotMet(["too many"])
        self.asked.append(request)
        number = len(self.asked)
        remember({"job": number})
        lease = Rented([f"{number}-{n}" for n in range(request.nodes or 1)])
        lease.fails = self.fails
        self.leases.append(lease)
        return lease


class Holder:
    """Takes a lease, and remembers what it is told."""

    def __init__(self, sharing: Sharing, request: Request = REQUEST, parts: int = 3) -> None:
        self.remains: Mapping[str, Any] = {}
        self.lease = sharing.reserve(request, parts, self.remember)

    def remember(self, told: Mapping[str, Any]) -> None:
        self.remains = dict(told)


def test_holders_share_a_lease_on_different_nodes() -> None:
    testbed = Renting()
    sharing = Sharing(testbed)
    holders = [Holder(sharing) for _ in range(3)]
    assert [request.nodes for request in testbed.asked] == [6]
    (whole,) = testbed.leases
    assert whole.done == [("deploy", ("1-0", "1-1", "1-2", "1-3", "1-4", "1-5"))]
    assert [holder.lease.nodes.names for holder in holders] == [["1-0", "1-1"], ["1-2", "1-3"], ["1-4", "1-5"]]
    assert {str(holder.remains) for holder in holders} == {"{'job': 1}"}


def test_the_whole_goes_back_with_the_last_part() -> None:
    testbed = Renting()
    sharing = Sharing(testbed)
    first, second = Holder(sharing), Holder(sharing)
    first.lease.release()
    first.lease.release()
    # Whoever cleans up after the first must find nothing; the second still tells of all.
    assert (first.remains, second.remains) == ({}, {"job": 1})
    assert not first.lease.alive()
    assert second.lease.alive()
    second.lease.release()
    assert second.remains == {"job": 1}
    assert testbed.leases[0].done[1:] == [("release", ("1-0", "1-1", "1-2", "1-3", "1-4", "1-5"))]
    assert Holder(sharing).lease.nodes.names == ["2-0", "2-1"]


def test_a_part_that_was_put_back_is_used_again_but_for_nodes_in_quarantine() -> None:
    testbed = Renting()
    sharing = Sharing(testbed)
    first, *_ = [Holder(sharing) for _ in range(3)]
    first.lease.release()
    assert Holder(sharing).lease.nodes.names == ["1-0", "1-1"]
    sharing = Sharing(testbed)
    first, *_ = [Holder(sharing) for _ in range(3)]
    first.lease.release()
    alone = Holder(sharing, Request(nodes=2, environment="debian", without=("2-1",)))
    assert not isinstance(alone.lease, LeasePart)
    assert alone.lease.nodes.names == ["3-0", "3-1"]


def test_a_lost_lease_is_lost_for_all_and_one_takes_the_next() -> None:
    testbed = Renting()
    sharing = Sharing(testbed)
    first, second = Holder(sharing), Holder(sharing)
    testbed.leases[0].lives = False
    assert not first.lease.alive()
    assert not second.lease.alive()
    assert Holder(sharing).lease.nodes.names == ["2-0", "2-1"]
    first.lease.release()
    second.lease.release()
    assert testbed.leases[0].done[-1][0] == "release"
    assert Holder(sharing).lease.nodes.names == ["2-2", "2-3"]


def test_what_is_done_to_a_part_is_done_to_its_nodes_alone() -> None:
    testbed = Renting()
    sharing = Sharing(testbed)
    first, second = Holder(sharing), Holder(sharing)
    (whole,) = testbed.leases
    second.lease.deploy("debian")
    assert whole.done[1:] == [("deploy", ("1-2", "1-3"))]
    assert whole.nodes.names == [f"1-{n}" for n in range(6)]
    assert [node["name"] for node in second.lease.describe()["nodes"]] == ["1-2", "1-3"]
    assert first.lease.extend(50) == 150.0 == second.lease.end
    assert first.lease.secret_of_this_testbed() == "known"  # type: ignore[attr-defined]


def test_nodes_that_could_not_be_deployed_cost_parts() -> None:
    testbed = Renting()
    testbed.fails = {"1-0", "1-3", "1-5"}
    sharing = Sharing(testbed)
    holders = [Holder(sharing) for _ in range(2)]
    assert [holder.lease.nodes.names for holder in holders] == [["1-1", "1-2"], ["2-0", "2-1"]]
    testbed.fails = {f"3-{n}" for n in range(1, 6)}
    with pytest.raises(DeploymentFailed):
        Holder(Sharing(testbed))
    assert testbed.leases[2].done[-1][0] == "release"


def test_what_is_kept_is_not_given_back() -> None:
    testbed = Renting()
    sharing = Sharing(testbed)
    first, second = Holder(sharing), Holder(sharing)
    first.lease.keep()
    second.lease.release()
    assert ("keep",) in testbed.leases[0].done
    assert testbed.leases[0].done[-1][0] != "release"
    assert first.remains == {"job": 1}


def test_too_many_nodes_are_not_to_be_had() -> None:
    with pytest.raises(RequestNotMet):
        Holder(Sharing(Renting(most=5)))


def test_one_reservation_at_a_time() -> None:
    """Two holders that come together: the second waits for the first one's lease."""
    testbed = Renting()
    sharing = Sharing(testbed)
    inside, go_on = threading.Event(), threading.Event()
    reserve = testbed.reserve

    def slow(request: Request, *, remember: Remember = ignore) -> Rented:
        inside.set()
        assert go_on.wait(10)
        return reserve(request, remember=remember)

    testbed.reserve = slow  # type: ignore[method-assign]
    taken: list[Holder] = []
    threads = [threading.Thread(target=lambda: taken.append(Holder(sharing))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert inside.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert len(testbed.asked) == 1
    assert len({name for holder in taken for name in holder.lease.nodes.names}) == 6


@pytest.mark.parametrize(
    ("request_", "splits"),
    [
        (Request(nodes=2), True),
        (Request(nodes=2, cluster="a", vlan="kavlan", spare=1), True),
        (Request(nodes=1, hosts=("a",)), False),
        (Request(nodes=2, shares=(("a", 2),)), False),
        (Request(nodes=1, subnets=(("slash_22", 1),)), False),
        (Request(nodes=2, same_switch=True), False),
    ],
)
def test_what_can_be_split(request_: Request, splits: bool) -> None:
    assert can_be_split(request_) is splits
