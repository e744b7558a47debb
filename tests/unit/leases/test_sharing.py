"""Leases in parts: who gets which nodes, and when the whole goes back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pytest_execo.errors import DeploymentFailed, RequestNotMet
from pytest_execo.leases.sharing import LeasePart, Sharing, can_be_split
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.contract import Remember, ignore

REQUEST = Request(nodes=2, environment="debian")


class Holder:
    """Takes a lease, and remembers what it is told."""

    def __init__(self, sharing: Sharing, request: Request = REQUEST, parts: int = 3) -> None:
        self.remains: Mapping[str, Any] = {}
        self.lease = sharing.reserve(request, parts, request.min_nodes or request.nodes or 1, self.remember)

    def remember(self, told: Mapping[str, Any]) -> None:
        self.remains = dict(told)


def test_holders_share_a_lease_on_different_nodes(renting: Callable[..., Any]) -> None:
    testbed = renting()
    sharing = Sharing(testbed)
    holders = [Holder(sharing) for _ in range(3)]
    assert [request.nodes for request in testbed.asked] == [6]
    (whole,) = testbed.leases
    assert whole.done == [("deploy", ("1-0", "1-1", "1-2", "1-3", "1-4", "1-5"))]
    assert [holder.lease.nodes.names for holder in holders] == [["1-0", "1-1"], ["1-2", "1-3"], ["1-4", "1-5"]]
    assert {str(holder.remains) for holder in holders} == {"{'job': 1}"}


def test_the_whole_goes_back_with_the_last_part(renting: Callable[..., Any]) -> None:
    testbed = renting()
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


def test_a_part_that_was_put_back_is_used_again_but_for_nodes_in_quarantine(renting: Callable[..., Any]) -> None:
    testbed = renting()
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


def test_a_lost_lease_is_lost_for_all_and_one_takes_the_next(renting: Callable[..., Any]) -> None:
    testbed = renting()
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


def test_what_is_done_to_a_part_is_done_to_its_nodes_alone(renting: Callable[..., Any]) -> None:
    testbed = renting()
    testbed.end = 100.0
    sharing = Sharing(testbed)
    first, second = Holder(sharing), Holder(sharing)
    (whole,) = testbed.leases
    second.lease.deploy("debian")
    assert whole.done[1:] == [("deploy", ("1-2", "1-3"))]
    assert whole.nodes.names == [f"1-{n}" for n in range(6)]
    assert [node["name"] for node in second.lease.describe()["nodes"]] == ["1-2", "1-3"]
    assert first.lease.extend(50e9) == 150.0 == second.lease.end
    assert first.lease.secret_of_this_testbed() == "known"  # type: ignore[attr-defined]


def test_nodes_that_could_not_be_deployed_cost_parts(renting: Callable[..., Any]) -> None:
    testbed = renting()
    testbed.undeployable = {"1-0", "1-3", "1-5"}
    sharing = Sharing(testbed)
    holders = [Holder(sharing) for _ in range(2)]
    assert [holder.lease.nodes.names for holder in holders] == [["1-1", "1-2"], ["2-0", "2-1"]]
    testbed.undeployable = {f"3-{n}" for n in range(1, 6)}
    with pytest.raises(DeploymentFailed):
        Holder(Sharing(testbed))
    assert testbed.leases[2].done[-1][0] == "release"


def test_what_is_kept_is_not_given_back(renting: Callable[..., Any]) -> None:
    testbed = renting()
    sharing = Sharing(testbed)
    first, second = Holder(sharing), Holder(sharing)
    first.lease.keep()
    second.lease.release()
    assert ("keep",) in testbed.leases[0].done
    assert testbed.leases[0].done[-1][0] != "release"
    assert first.remains == {"job": 1}


def test_fewer_nodes_than_all_parts_need_are_taken_one_lease_after_the_other(renting: Callable[..., Any]) -> None:
    testbed = renting(5)
    sharing = Sharing(testbed)
    assert [Holder(sharing).lease.nodes.names for _ in range(2)] == [["1-0", "1-1"], ["2-0", "2-1"]]
    with pytest.raises(RequestNotMet):
        Holder(Sharing(renting(1)))


def test_one_reservation_at_a_time(renting: Callable[..., Any]) -> None:
    """Two holders that come together: the second waits for the first one's lease."""
    testbed = renting()
    sharing = Sharing(testbed)
    inside, go_on = threading.Event(), threading.Event()
    reserve = testbed.reserve

    def slow(request: Request, *, remember: Remember = ignore) -> Any:
        inside.set()
        assert go_on.wait(10)
        return reserve(request, remember=remember)

    testbed.reserve = slow
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
