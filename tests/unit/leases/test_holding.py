"""One lease: which of its nodes are used, which stand by, and what is done about those that die."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.errors import ApiError, DeploymentFailed, ReservationFailed
from pytest_execo.hosts import Host, Hosts
from pytest_execo.leases import holding as module
from pytest_execo.leases.holding import Holding
from pytest_execo.testbeds import Lease, Request

ENVIRONMENT = "debian"


class Held:
    """A lease that is held, the testbed that it is of, and what was said."""

    def __init__(self, testbed: Any, request: Request, *, end: float | None = None) -> None:
        self.testbed = testbed
        testbed.end = end
        nodes = request.nodes or 1
        self.lease = testbed.reserve(Request(nodes=nodes + request.spare))
        self.holding = Holding(request, self.lease, nodes, testbed.say, "name")

    @property
    def names(self) -> list[str]:
        """The nodes that are used."""
        return [node.name for node in self.lease.nodes]

    def die(self, *names: str) -> bool:
        """Have nodes die, and go on without them."""
        self.testbed.dead |= {*names}
        return self.holding.mend(self.holding.examine())


@pytest.fixture
def held(renting: Callable[..., Any]) -> Callable[..., Held]:
    """Makes leases for requests."""
    return lambda request, **options: Held(renting(), request, **options)


# what it is


def test_spare_nodes_stand_by(held: Callable[..., Held]) -> None:
    it = held(Request(nodes=2, spare=2))
    assert it.names == ["1-0", "1-1"]
    assert [node.name for node in it.holding.spares] == ["1-2", "1-3"]
    assert it.lease.id == "name"


def test_what_is_written_down_of_it(held: Callable[..., Held]) -> None:
    described = held(Request(nodes=1, spare=1), end=1795802400.0).holding.describe()
    assert described["nodes"] == ["1-0", "1-1"]  # those that stand by are paid for as well
    assert (described["id"], described["end"]) == ("name", "2026-11-27T18:00:00.000000Z")
    assert described["taken_at"] <= described["end"]
    assert held(Request(nodes=1)).holding.describe()["end"] is None


def test_its_loss_is_news_once(held: Callable[..., Held]) -> None:
    holding = held(Request(nodes=1)).holding
    assert holding.is_lost("first")
    assert not holding.is_lost("second")
    assert holding.lost == "first"


# time


@pytest.mark.parametrize(("length", "margin"), [(10, 0.5), (100, 2.0), (3600, 72.0), (86400, 120.0)])
def test_some_of_a_lease_is_kept_free_at_its_end(
    held: Callable[..., Held], monkeypatch: pytest.MonkeyPatch, length: float, margin: float
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    holding = held(Request(nodes=1), end=1000.0 + length).holding
    assert holding.margin == pytest.approx(margin)
    now[0] += length / 2
    assert holding.left == pytest.approx(length / 2 - margin)
    assert holding.margin == pytest.approx(margin)  # of the whole lease, not of what is left


def test_without_end_there_is_time_for_ever(held: Callable[..., Held]) -> None:
    holding = held(Request(nodes=1)).holding
    assert (holding.left, holding.margin, holding.extend(1e9)) == (None, 0.0, True)


def test_nodes_that_were_seen_are_not_asked_for_a_while(
    held: Callable[..., Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    it = held(Request(nodes=1))
    assert it.holding.seen_within(1.0)  # a new lease
    now[0] += 20
    assert not it.holding.seen_within(20.0)
    assert it.holding.examine() == {}
    assert it.holding.seen_within(20.0)
    now[0] += 20
    it.testbed.dead = {"1-0"}
    assert it.holding.examine() == {"1-0": "silent"}
    assert not it.holding.seen_within(20.0)  # to be asked again when they are mended
    it.holding.was_seen()
    assert it.holding.seen_within(20.0)


def test_more_time(held: Callable[..., Held]) -> None:
    end = time.time() + 100
    it = held(Request(nodes=1), end=end)
    assert it.holding.extend(500.0, 1e9)
    assert it.lease.end == end + 500
    it.lease.extend = lambda seconds: end + 501  # less than what the trial needs
    assert not it.holding.extend(9000.0, 1e9)
    assert it.holding.may_extend


def test_who_refused_more_time_is_not_asked_again(held: Callable[..., Held]) -> None:
    it = held(Request(nodes=1), end=time.time() + 100)
    asked: list[float] = []

    def refuse(seconds: float) -> float:
        asked.append(seconds)
        raise ReservationFailed("somebody else has them")

    it.lease.extend = refuse
    assert [it.holding.extend(500.0, 1e9) for _ in range(2)] == [False, False]
    assert asked == [500.0e9]
    assert it.testbed.said == ["no more time: somebody else has them"]


def test_a_part_of_what_was_asked_for_may_be_enough(held: Callable[..., Held]) -> None:
    it = held(Request(nodes=1), end=time.time() + 100)

    def partly(seconds: float) -> float:
        it.lease.end += 500.0
        raise ReservationFailed("asked for more, got some")

    it.lease.extend = partly
    assert it.holding.extend(400.0, 1e9)
    assert not it.holding.extend(5000.0, 1e9)


def test_who_could_not_be_asked_for_more_time_is_asked_the_next_time(held: Callable[..., Held]) -> None:
    it = held(Request(nodes=1), end=time.time() + 100)
    extend = it.lease.extend

    def away(seconds: float) -> float:
        raise ApiError("GET", "http://there", None, "away\nand more")

    it.lease.extend = away
    assert not it.holding.extend(500.0, 1e9)
    assert it.testbed.said == ["no more time: away"]
    it.lease.extend = extend
    assert it.holding.extend(500.0, 1e9)


# nodes that die


def test_a_dead_node_is_left_for_good_and_what_it_has_shown_is_forgotten(
    held: Callable[..., Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = held(Request(nodes=1, spare=1))
    gone: list[str] = []
    monkeypatch.setattr(Hosts, "disconnect", lambda hosts: gone.extend(hosts.names))
    monkeypatch.setattr(
        "pytest_execo.leases.holding.host_keys.forget", lambda hosts: gone.extend(f"key of {host}" for host in hosts)
    )
    assert it.die("1-0")
    assert gone == ["1-0", "key of 1-0"]
    assert it.testbed.said == ["1-0 is not used any more: silent", "1-1 takes the place of 1-0"]
    assert it.holding.dead == {"1-0": "silent"}
    it.testbed.dead = set()
    assert it.die() is True
    assert it.names == ["1-1"]


def test_spare_nodes_first_then_fewer_then_nothing(held: Callable[..., Held]) -> None:
    it = held(Request(nodes=3, min_nodes=2, spare=1))
    assert it.die("1-1")
    assert it.names == ["1-0", "1-3", "1-2"]
    assert it.die("1-3")
    assert it.names == ["1-0", "1-2"]
    assert it.testbed.said[-1] == "goes on with 2 nodes; the tests allow 2"
    assert not it.die("1-0")
    assert set(it.holding.dead) == {"1-1", "1-3", "1-0"}


def test_a_node_that_was_switched_off_on_purpose_is_not_ill(held: Callable[..., Held]) -> None:
    it = held(Request(nodes=2))
    it.testbed.dead = {"1-0", "1-1"}
    it.lease.off_on_purpose = lambda: frozenset(["1-0"])
    assert it.holding.examine() == {"1-1": "silent"}


def test_deployed_anew_all_nodes_count_and_the_dead_may_come_back(held: Callable[..., Held]) -> None:
    it = held(Request(nodes=2, spare=1, environment=ENVIRONMENT))
    assert it.die("1-0", "1-1")
    assert it.lease.done == [("deploy", ("1-0", "1-1", "1-2"))]
    assert it.names == ["1-0", "1-1"]
    assert [node.name for node in it.holding.spares] == ["1-2"]
    assert it.holding.dead == {}
    assert f"deploys {ENVIRONMENT} again" in it.testbed.said


def test_a_node_that_no_environment_gets_onto_is_not_used(held: Callable[..., Held]) -> None:
    it = held(Request(nodes=2, min_nodes=1, environment=ENVIRONMENT))
    it.testbed.undeployable = {"1-1"}
    assert it.die("1-0", "1-1")
    assert it.names == ["1-0"]
    assert set(it.holding.dead) == {"1-1"}


def test_where_too_few_can_be_deployed_it_can_not_go_on(held: Callable[..., Held]) -> None:
    it = held(Request(nodes=2, environment=ENVIRONMENT))
    it.testbed.failing.append(DeploymentFailed("1 of 2 nodes\nand how"))
    assert not it.die("1-0")
    assert it.testbed.said[-1] == "1 of 2 nodes"


@pytest.mark.parametrize("why", ["no environment", "lost"])
def test_where_nothing_can_be_deployed_it_is_not_tried(held: Callable[..., Held], why: str) -> None:
    it = held(Request(nodes=1, environment=None if why == "no environment" else ENVIRONMENT))
    it.lease.lives = why != "lost"
    assert not it.die("1-0")
    assert it.lease.done == []


def test_all_nodes_go_back_those_that_stand_by_and_the_dead_too(held: Callable[..., Held]) -> None:
    it = held(Request(nodes=1, spare=2))
    it.die("1-0")
    it.holding.release()
    assert it.lease.done == [("release", ("1-0", "1-1", "1-2"))]


class Silent(Lease):
    """Nodes, some of which die."""

    def __init__(self, count: int) -> None:
        self.nodes = Hosts(Host("127.0.0.1", name=str(number)) for number in range(count))
        self.end: float | None = None

    def alive(self) -> bool:
        return True

    def release(self) -> None:
        pass


@settings(max_examples=40)
@given(
    nodes=st.integers(1, 5), spare=st.integers(0, 3), short=st.integers(0, 4),
    deaths=st.lists(st.sets(st.integers(0, 7), min_size=1, max_size=3), max_size=5),
)  # fmt: skip
def test_whatever_dies_the_nodes_are_alive_different_and_enough(
    nodes: int, spare: int, short: int, deaths: list[set[int]]
) -> None:
    least = max(1, nodes - short)
    dead: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ailing", lambda asked: {node.name: "silent" for node in asked if node.name in dead})
        lease = Silent(nodes + spare)
        holding = Holding(Request(nodes=nodes, spare=spare, min_nodes=least), lease, nodes, lambda line: None, "x")
        for death in deaths:
            dead |= {str(number) for number in death if number < nodes + spare}
            ill = holding.examine()
            if not ill:
                continue
            alive = nodes + spare - len(dead)
            assert holding.mend(ill) is (alive >= least)
            if alive < least:
                break
            used = lease.nodes.names
            assert not {*used} & dead
            assert len({*used}) == len(used)
            assert not {*used} & {node.name for node in holding.spares}
            assert len(used) == min(nodes, alive)
