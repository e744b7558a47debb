"""The leases of a run: who has which, what becomes of lost ones, and that all go back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pytest_execo.errors import (
    ApiError,
    CampaignError,
    DeploymentFailed,
    RequestNotMet,
    ReservationFailed,
    TestbedError,
)
from pytest_execo.leases.files import LeaseBook, LeaseFile
from pytest_execo.leases.fitting import Doing
from pytest_execo.leases.holder import Holder
from pytest_execo.leases.pool import LeasePool
from pytest_execo.testbeds import Request

REQUEST = Request(nodes=2)
OTHER = Request(nodes=1)
DOING = Doing("trial", "test", "{}")


class Opened:
    """A pool over a testbed in memory, and what it has told."""

    def __init__(self, testbed: Any, **options: Any) -> None:
        self.testbed = testbed
        self.told: list[str] = []
        self.noted: list[dict[str, Any]] = []
        self.pool = LeasePool(
            testbed,
            tell=lambda kind, text, data: self.told.append(kind),
            note=lambda lease, entry: self.noted.append(dict(entry)),
            **options,
        )

    def released(self) -> list[int]:
        """The numbers of the leases that were given back."""
        return [lease.number for lease in self.testbed.leases if any(done[0] == "release" for done in lease.done)]


@pytest.fixture
def opened(renting: Callable[..., Any]) -> Iterator[Callable[..., Opened]]:
    """Makes pools, and ends them."""
    made: list[Opened] = []

    def make(most: int = 100, **options: Any) -> Opened:
        made.append(Opened(renting(most), **options))
        return made[-1]

    yield make
    for each in made:
        each.testbed.unreleasable = False
        each.pool.give_all_back()


@pytest.fixture
def book(tmp_path: Path) -> LeaseBook:
    """A directory for lease files."""
    return LeaseBook(tmp_path)


def file_of(book: LeaseBook) -> Callable[[Request], LeaseFile]:
    """What makes lease files in a book."""
    return lambda request: book.open(
        testbed="renting", site="here", options={}, campaign="c", session="s", walltime=request.walltime
    )


# who has which


def test_a_holder_has_one_lease_for_a_request_and_others_have_others(opened: Callable[..., Opened]) -> None:
    run = opened()
    mine = run.pool.take(REQUEST, "a")
    assert run.pool.take(REQUEST, "a") is mine
    assert run.pool.take(REQUEST, "b") is not mine
    assert run.pool.take(OTHER, "a") is not mine
    assert [request.nodes for request in run.testbed.asked] == [2, 2, 1]
    assert run.told == ["lease-taken"] * 3
    assert len({entry["id"] for entry in run.noted}) == 3


def test_what_a_dead_holder_had_is_there_for_the_next(opened: Callable[..., Opened]) -> None:
    run = opened()
    left = run.pool.take(REQUEST, "dead")
    run.pool.hand_over("dead")
    assert run.pool.take(REQUEST, "next") is left
    assert run.pool.take(REQUEST, "third") is not left


def test_a_lease_is_nobody_elses_from_the_beginning(opened: Callable[..., Opened]) -> None:
    """Another holder that asks while the first one's lease is noted must not get it."""
    run = opened()
    second: list[Any] = []

    def note(lease: Any, entry: Any) -> None:
        if not second:
            second.append(None)
            thread = threading.Thread(target=lambda: second.append(run.pool.take(REQUEST, "b")))
            thread.start()
            thread.join(10)

    run.pool._note = note
    first = run.pool.take(REQUEST, "a")
    assert second[1] is not first
    assert run.pool.take(REQUEST, "b") is second[1]


def test_two_requests_are_reserved_side_by_side(opened: Callable[..., Opened]) -> None:
    run = opened()
    both = threading.Barrier(2, timeout=10)
    reserve = run.testbed.reserve

    def meeting(request: Request, **remember: Any) -> Any:
        both.wait()
        return reserve(request, **remember)

    run.testbed.reserve = meeting
    threads = [threading.Thread(target=run.pool.take, args=(request,)) for request in (REQUEST, OTHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(run.testbed.leases) == 2


# what can't be had


def test_what_does_not_fit_is_asked_for_once(opened: Callable[..., Opened]) -> None:
    run = opened(most=1)
    for _ in range(2):
        with pytest.raises(RequestNotMet, match="too many"):
            run.pool.take(REQUEST)
    assert run.testbed.asked == []
    assert run.told == ["needs-help"]
    assert Holder(run.pool).broken(REQUEST) == "too many"
    assert run.pool.ready(REQUEST, "", DOING).refused == "too many"
    run.pool.take(OTHER)


def test_what_fails_is_tried_again_within_the_budget(opened: Callable[..., Opened]) -> None:
    run = opened(limit=2)
    run.testbed.refusing.extend([ReservationFailed("one"), ReservationFailed("two")])
    run.pool.take(REQUEST)
    assert run.testbed.said == ["one; tries again in 10 s", "two; tries again in 1 min 00 s"]
    run.pool.done(REQUEST, "", DOING, 1.0)  # the testbed works: the budget is whole again
    run.pool.give_back(REQUEST)
    run.testbed.refusing.extend([ReservationFailed(str(n)) for n in range(9)])
    with pytest.raises(ReservationFailed, match="2"):
        run.pool.take(REQUEST)
    assert run.told == ["lease-taken", "needs-help"]
    assert len(run.testbed.refusing) == 6


def test_a_deployment_that_fails_gives_the_lease_back_and_leaves_its_nodes_out(opened: Callable[..., Opened]) -> None:
    run = opened()
    run.testbed.undeployable = {"1-0"}
    lease = run.pool.take(Request(nodes=2, environment="debian"))
    assert run.released() == [1]
    assert lease.nodes.names == ["2-0", "2-1"]
    assert run.testbed.asked[1].without == ("1-0",)


def test_a_plan_is_asked_for_once_and_none_of_a_testbed_that_is_silent(opened: Callable[..., Opened]) -> None:
    run = opened()
    assert run.pool.plan(REQUEST) is run.pool.plan(REQUEST)
    assert len(run.testbed.planned) == 1
    error = ApiError("GET", "http://there", None, "away")
    assert error.may_pass
    run.testbed.refusing.append(error)
    assert run.pool.plan(OTHER).unmet == run.pool.plan(Request(nodes=3)).unmet == (str(error),)
    assert len(run.testbed.planned) == 2
    run.testbed.refusing.clear()


def test_a_plan_of_parts_is_for_as_many_as_there_are_nodes_for(opened: Callable[..., Opened]) -> None:
    run = opened(most=5)
    run.pool.split(REQUEST, 4)
    plan = run.pool.plan(REQUEST)
    assert (plan.nodes, plan.unmet, plan.notes) == (4, (), ("in 2 parts: there are no nodes for 4",))
    for holder in "ab":
        run.pool.take(REQUEST, holder)
    assert [request.nodes for request in run.testbed.asked] == [4]
    run.pool.split(Request(nodes=9), 2)
    assert run.pool.plan(Request(nodes=9)).unmet == ("too many",)


# what is lost


def test_a_loss_is_told_once_and_the_next_lease_is_another(opened: Callable[..., Opened]) -> None:
    run = opened()
    lease = run.pool.take(REQUEST)
    assert run.pool.lost(REQUEST) is None
    run.testbed.leases[0].lives = False
    for _ in range(2):
        assert str(run.pool.lost(REQUEST)) == "the lease on here was lost: its nodes are gone"
    assert run.told == ["lease-taken", "lease-lost"]
    assert run.pool.ready(REQUEST, "", DOING).anew
    run.pool.let_go(REQUEST)
    assert run.released() == [1]
    assert run.noted[-1]["lost"] == "the lease on here was lost: its nodes are gone"
    assert run.pool.lost(REQUEST) is not None  # for whatever fails late
    assert run.pool.take(REQUEST) is not lease
    assert run.pool.lost(REQUEST) is None


def test_a_lease_that_is_well_is_not_let_go(opened: Callable[..., Opened]) -> None:
    run = opened()
    run.pool.take(REQUEST)
    run.pool.let_go(REQUEST)
    assert run.released() == []
    run.pool.give_back(REQUEST)
    run.pool.give_back(REQUEST)
    assert run.testbed.leases[0].done == [("release", ("1-0", "1-1"))]


def test_a_condemned_lease_is_given_back(opened: Callable[..., Opened]) -> None:
    run = opened()
    run.pool.take(REQUEST)
    run.pool.condemn(REQUEST, "", "its deployment failed")
    assert str(run.pool.lost(REQUEST)) == "its deployment failed"
    run.pool.let_go(REQUEST)
    assert run.released() == [1]


# nodes that die


def test_nodes_that_answer_are_left_as_they_are(opened: Callable[..., Opened]) -> None:
    run = opened()
    run.pool.take(REQUEST)
    assert run.pool.examine(REQUEST) is None
    assert run.pool.examine(OTHER) is None  # nothing is held


def test_a_spare_node_takes_the_place_of_a_dead_one(opened: Callable[..., Opened]) -> None:
    run = opened()
    request = Request(nodes=2, spare=2)
    lease = run.pool.take(request)
    assert run.testbed.asked[0].nodes == 4
    assert lease.nodes.names == ["1-0", "1-1"]
    run.testbed.dead = {"1-0", "1-2"}  # the first spare one is dead as well
    assert run.pool.examine(request) == "1-0: silent"
    assert lease.nodes.names == ["1-3", "1-1"]
    assert run.pool.lost(request) is None
    assert run.told[-1] == "node-lost"
    run.pool.give_back(request)
    assert run.testbed.leases[0].done == [("release", ("1-0", "1-1", "1-2", "1-3"))]
    assert run.noted[-1]["dead"] == {"1-0": "silent", "1-2": "silent"}


def test_fewer_nodes_where_the_tests_allow_it(opened: Callable[..., Opened]) -> None:
    run = opened()
    request = Request(nodes=3, min_nodes=2)
    lease = run.pool.take(request)
    run.testbed.dead = {"1-1"}
    assert run.pool.examine(request) == "1-1: silent"
    assert lease.nodes.names == ["1-0", "1-2"]
    assert "goes on with 2 nodes; the tests allow 2" in run.testbed.said
    run.testbed.dead = {"1-1", "1-2"}
    run.pool.examine(request)
    assert str(run.pool.lost(request)) == "1-2: silent"


def test_deployed_again_where_nothing_else_helps(opened: Callable[..., Opened]) -> None:
    run = opened()
    request = Request(nodes=2, environment="debian")
    lease = run.pool.take(request)
    run.testbed.dead = {"1-1"}
    assert run.pool.examine(request) == "1-1: silent"
    assert run.pool.lost(request) is None
    assert lease.nodes.names == ["1-0", "1-1"]
    assert run.testbed.leases[0].done == [("deploy", ("1-0", "1-1"))] * 2
    run.testbed.dead = {"1-1"}
    run.testbed.undeployable = {"1-1"}
    run.pool.examine(request)
    assert run.pool.lost(request) is not None


def test_nodes_in_quarantine_are_left_out_until_a_trial_ends_on_them(opened: Callable[..., Opened]) -> None:
    run = opened(most=4)
    run.pool.take(REQUEST)
    run.testbed.dead = {"1-1"}
    run.pool.examine(REQUEST)
    run.pool.let_go(REQUEST)
    run.testbed.dead = set()
    run.pool.take(REQUEST)
    assert run.testbed.asked[-1].without == ("1-1",)
    run.pool.give_back(REQUEST)
    run.pool.take(Request(nodes=4))  # not to be had without it
    assert run.testbed.asked[-1].without == ()
    assert "not enough nodes without 1-1: tries those too" in run.testbed.said


# what fits


def test_a_trial_that_would_not_be_over_in_time_waits_for_the_next_lease(opened: Callable[..., Opened]) -> None:
    run = opened()
    request = Request(nodes=2, walltime=60e9)  # a minute of this machine's clock
    run.testbed.end = time.time() + 30
    run.pool.take(request)
    assert not run.pool.ready(request, "", DOING).anew
    run.pool.done(request, "", DOING, 40.0)
    assert run.pool.ready(request, "", DOING).anew
    run.pool.let_go(request)
    assert run.released() == [1]
    run.testbed.end = time.time() + 60
    run.pool.take(request)
    assert not run.pool.ready(request, "", DOING).anew


def test_more_time_is_asked_for_where_that_is_wanted(opened: Callable[..., Opened]) -> None:
    run = opened(extends=True)
    request = Request(nodes=2, walltime=60e9)
    run.testbed.end = end = time.time() + 30
    lease = run.pool.take(request)
    run.pool.done(request, "", DOING, 40.0)
    assert not run.pool.ready(request, "", DOING).anew
    assert lease.end is not None
    assert lease.end >= end + 40


def test_what_takes_longer_than_a_lease_is_refused(opened: Callable[..., Opened]) -> None:
    run = opened()
    request = Request(nodes=2, walltime=60e9)
    for _ in range(2):
        run.testbed.end = time.time() - 1
        run.pool.take(request)
        assert run.pool.interrupted(request, "", DOING, 60.0)
        run.pool.let_go(request)
    refused = run.pool.ready(request, "", DOING).refused
    assert refused == "a lease of 1 min 00 s was too short for it: ask for more walltime"


def test_a_trial_that_loses_its_nodes_too_often_is_left(opened: Callable[..., Opened]) -> None:
    run = opened(limit=2)
    assert [run.pool.interrupted(OTHER, "", DOING, 1.0) for _ in range(3)] == [True, True, False]


# giving back


@pytest.mark.parametrize(
    ("keep", "failed", "kept"), [("never", True, False), ("on-failure", False, False), ("on-failure", True, True),
                                 ("always", False, True)],
)  # fmt: skip
def test_nodes_are_kept_where_that_is_wanted(
    opened: Callable[..., Opened], book: LeaseBook, keep: str, *, failed: bool, kept: bool
) -> None:
    run = opened(keep=keep, opened=file_of(book))
    run.pool.take(REQUEST)
    if failed:
        run.pool.failed(REQUEST)
    run.pool.give_back(REQUEST)
    assert (("keep",) in run.testbed.leases[0].done) is kept
    assert run.released() == ([] if kept else [1])
    assert [entry.state for entry in book.entries()] == (["kept"] if kept else [])
    assert list(run.pool.kept.values()) == ([["1-0", "1-1"]] if kept else [])


def test_all_are_given_back_also_when_one_can_not_be(opened: Callable[..., Opened]) -> None:
    run = opened()
    for holder in "abc":
        run.pool.take(REQUEST, holder)
    run.testbed.unreleasable = True
    with pytest.raises(TestbedError, match="1: can't be given back"):
        run.pool.give_all_back()
    assert run.released() == [1, 2, 3]


def test_what_could_not_be_given_back_is_found_by_its_file(opened: Callable[..., Opened], book: LeaseBook) -> None:
    run = opened(opened=file_of(book))
    run.pool.take(REQUEST)
    run.testbed.unreleasable = True
    run.pool.give_all_back()  # tried once more, by what was remembered
    assert run.testbed.reclaimed == [{"job": 1}]
    assert book.entries() == []


def test_a_reservation_under_way_is_called_off(opened: Callable[..., Opened], book: LeaseBook) -> None:
    run = opened(opened=file_of(book))
    inside, called_off = threading.Event(), threading.Event()
    reserve, reclaim = run.testbed.reserve, run.testbed.reclaim

    def waits(request: Request, *, remember: Any) -> Any:
        lease = reserve(request, remember=remember)
        inside.set()
        assert called_off.wait(10)
        return lease

    def reclaims(remains: Any) -> Any:
        called_off.set()
        return reclaim(remains)

    run.testbed.reserve, run.testbed.reclaim = waits, reclaims
    raised: list[BaseException] = []

    def take() -> None:
        try:
            run.pool.take(REQUEST, "worker")
        except TestbedError as error:
            raised.append(error)

    thread = threading.Thread(target=take)
    thread.start()
    assert inside.wait(10)
    run.pool.give_all_back()
    thread.join(10)
    assert [str(error) for error in raised] == ["the run has ended"]
    assert run.testbed.reclaimed[0] == {"job": 1}
    assert run.released() == [1]
    assert book.entries() == []
    assert not any("tries again" in line for line in run.testbed.said)


def test_what_could_not_be_given_back_before_is_tried_and_told_at_the_end(
    opened: Callable[..., Opened], book: LeaseBook
) -> None:
    run = opened(opened=file_of(book))
    run.pool.take(REQUEST)
    run.testbed.unreleasable = True
    with pytest.raises(TestbedError):
        run.pool.give_back(REQUEST)
    run.testbed.irreclaimable = True
    with pytest.raises(TestbedError, match="nodes may be left; to give them back: pytest-execo release"):
        run.pool.give_all_back()
    assert len(book.entries()) == 1
    run.testbed.irreclaimable = False
    run.pool.give_all_back()
    assert book.entries() == []


def test_a_file_that_can_not_be_removed_does_not_keep_the_others(
    opened: Callable[..., Opened], book: LeaseBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = opened(opened=file_of(book))
    for holder in "ab":
        run.pool.take(REQUEST, holder)
    remove = LeaseFile.remove
    stale = [CampaignError("stale NFS")]

    def removed(self: LeaseFile) -> None:
        if stale:
            raise stale.pop()
        remove(self)

    monkeypatch.setattr(LeaseFile, "remove", removed)
    run.pool.give_all_back()
    assert run.released() == [1, 2]


def test_a_lease_that_another_thread_gives_back_is_waited_for(opened: Callable[..., Opened]) -> None:
    run = opened()
    run.pool.take(REQUEST, "a")
    lease = run.testbed.leases[0]
    inside, go_on, order = threading.Event(), threading.Event(), []
    release = lease.release

    def slow() -> None:
        inside.set()
        assert go_on.wait(10)
        order.append("released")
        release()

    lease.release = slow
    serving = threading.Thread(target=run.pool.give_back, args=(REQUEST, "a"))
    serving.start()
    assert inside.wait(10)

    def end() -> None:
        run.pool.give_all_back()
        order.append("over")

    ending = threading.Thread(target=end)
    ending.start()
    go_on.set()
    for thread in (serving, ending):
        thread.join(10)
    assert order == ["released", "over"]


def test_ctrl_c_is_not_lost_in_what_goes_wrong_while_cleaning_up(opened: Callable[..., Opened]) -> None:
    run = opened()
    run.testbed.failing.append(KeyboardInterrupt())
    run.testbed.unreleasable = True
    with pytest.raises(KeyboardInterrupt) as caught:
        run.pool.take(Request(nodes=1, environment="debian"))
    assert caught.value.__notes__ == ["and then: 1: can't be given back"]
    assert len(run.testbed.asked) == 1


def test_a_full_disk_is_no_failure_of_a_test(opened: Callable[..., Opened], book: LeaseBook) -> None:
    class Full(LeaseFile):
        def remember(self, remains: Any) -> None:
            raise CampaignError("no space left")

    def full(request: Request) -> LeaseFile:
        file = file_of(book)(request)
        file.__class__ = Full
        return file

    run = opened(limit=1, opened=full)
    with pytest.raises(ReservationFailed, match="no space left"):
        run.pool.take(REQUEST)
    assert run.testbed.leases == []
    assert book.entries() == []


def test_a_lease_for_a_holder_that_died_meanwhile_is_there_for_the_next(opened: Callable[..., Opened]) -> None:
    run = opened()
    reserve = run.testbed.reserve

    def dies(request: Request, **remember: Any) -> Any:
        run.pool.hand_over("dead")
        return reserve(request, **remember)

    run.testbed.reserve = dies
    left = run.pool.take(REQUEST, "dead")
    assert run.pool.take(REQUEST, "next") is left


def test_a_free_lease_is_not_lost_because_another_one_was(opened: Callable[..., Opened]) -> None:
    run = opened()
    run.pool.take(REQUEST, "a")
    run.pool.take(REQUEST, "b")
    run.testbed.leases[0].lives = False
    assert run.pool.lost(REQUEST, "a") is not None
    run.pool.let_go(REQUEST, "a")
    run.pool.hand_over("b")
    assert run.pool.take(REQUEST, "a").nodes.names == ["2-0", "2-1"]
    assert run.pool.lost(REQUEST, "a") is None


def test_who_finds_no_nodes_waits_for_those_that_others_have(opened: Callable[..., Opened]) -> None:
    run = opened(most=2)
    reserve, tried = run.testbed.reserve, threading.Event()

    def full(request: Request, **remember: Any) -> Any:
        if run.testbed.leases and not run.released():
            tried.set()
            raise RequestNotMet(["all are busy"])
        return reserve(request, **remember)

    run.testbed.reserve = full
    run.pool.take(REQUEST, "a")
    taken: list[Any] = []
    waiting = threading.Thread(target=lambda: taken.append(run.pool.take(REQUEST, "b")))
    waiting.start()
    assert tried.wait(10)
    assert not run.pool.ready(REQUEST, "a", DOING).refused
    run.pool.give_back(REQUEST, "a")
    waiting.join(10)
    assert taken[0].nodes.names == ["2-0", "2-1"]
    assert run.pool.broken == {}


def test_leases_that_are_always_lost_end_the_group(opened: Callable[..., Opened]) -> None:
    run = opened(limit=2)
    again = []
    for number in range(9):
        if REQUEST in run.pool.broken:
            break
        run.pool.take(REQUEST)
        run.testbed.leases[-1].lives = False
        run.pool.lost(REQUEST)
        again.append(run.pool.interrupted(REQUEST, "", Doing(str(number), "test", "{}"), 1.0))
        run.pool.let_go(REQUEST)
    assert again == [True, True, False, False]
    assert "nodes were lost again and again" in str(run.pool.broken[REQUEST])


def test_reservations_that_fail_end_also_while_others_get_on(opened: Callable[..., Opened]) -> None:
    run = opened(limit=2)
    run.testbed.refusing.extend([ReservationFailed(str(n)) for n in range(9)])
    run.testbed.say = lambda line: run.pool.done(REQUEST, "other", DOING, 1.0)
    with pytest.raises(ReservationFailed, match="2"):
        run.pool.take(REQUEST)


def test_an_api_that_is_away_when_more_time_is_asked_for_costs_the_lease_alone(opened: Callable[..., Opened]) -> None:
    run = opened(extends=True)
    request = Request(nodes=2, walltime=60e9)
    run.testbed.end = time.time() + 30
    run.pool.take(request)

    def away(seconds: float) -> float:
        raise ApiError("GET", "http://there", None, "away")

    run.testbed.leases[0].extend = away
    run.pool.done(request, "", DOING, 40.0)
    assert run.pool.ready(request, "", DOING).anew


def test_a_lease_that_can_be_extended_is_as_long_as_it_takes(opened: Callable[..., Opened]) -> None:
    run = opened(extends=True)
    request = Request(nodes=2, walltime=60e9)
    run.testbed.end = time.time() + 90
    run.pool.take(request)
    run.pool.done(request, "", DOING, 80.0)
    ready = run.pool.ready(request, "", DOING)
    assert (ready.refused, ready.anew) == (None, False)


# laws


class PoolMachine(RuleBasedStateMachine):
    """Holders take, lose and give back leases on a testbed where anything fails."""

    renting: Callable[..., Any]

    holders = st.sampled_from(["", "a", "b"])
    requests = st.sampled_from([REQUEST, OTHER, Request(nodes=2, environment="debian", spare=1, min_nodes=1)])

    @initialize(parts=st.sampled_from([1, 2]))
    def begin(self, parts: int) -> None:
        self.run = Opened(self.renting(), limit=3)
        for request in (REQUEST, OTHER):
            self.run.pool.split(request, parts)
        self.has: dict[tuple[Request, str], Any] = {}

    @rule(request=requests, holder=holders)
    def take(self, request: Request, holder: str) -> None:
        broken = request in self.run.pool.broken
        asked = len(self.run.testbed.asked)
        try:
            lease = self.run.pool.take(request, holder)
        except TestbedError:
            assert request in self.run.pool.broken
            assert not broken or asked == len(self.run.testbed.asked)
            return
        if (request, holder) in self.has:
            assert lease is self.has[request, holder]
        self.has[request, holder] = lease

    @rule(
        error=st.sampled_from(
            [ReservationFailed("no"), ApiError("GET", "http://there", None, "away"), RequestNotMet(["full"])]
        )
    )
    def refuse(self, error: Exception) -> None:
        self.run.testbed.refusing.append(error)

    @rule()
    def fail_deployment(self) -> None:
        self.run.testbed.failing.append(DeploymentFailed("no"))

    @precondition(lambda self: self.has)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([lease.number for lease in self.run.testbed.leases]))
        self.run.testbed.leases[number - 1].lives = False

    @precondition(lambda self: self.has)
    @rule(data=st.data())
    def a_node_dies(self, data: st.DataObject) -> None:
        (request, holder), lease = data.draw(st.sampled_from(list(self.has.items())))
        if lease.nodes:
            self.run.testbed.dead.add(lease.nodes[0].name)
            self.run.pool.examine(request, holder)

    @precondition(lambda self: self.has)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        request, holder = data.draw(st.sampled_from(list(self.has)))
        if self.run.pool.ready(request, holder, DOING).anew:
            self.run.pool.let_go(request, holder)
            del self.has[request, holder]
        else:
            self.run.pool.done(request, holder, DOING, 0.001)

    @precondition(lambda self: self.has)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        request, holder = data.draw(st.sampled_from(list(self.has)))
        self.run.pool.give_back(request, holder)
        del self.has[request, holder]

    @invariant()
    def no_node_has_two_holders(self) -> None:
        if hasattr(self, "run"):
            held = [name for lease in self.has.values() for name in lease.nodes.names]
            assert len(held) == len(set(held))

    def teardown(self) -> None:
        if not hasattr(self, "run"):
            return
        self.run.pool.give_all_back()
        for lease in self.run.testbed.leases:
            assert [done[0] for done in lease.done].count("release") == 1


@pytest.mark.slow
def test_no_node_has_two_holders_and_each_lease_goes_back_once(renting: Callable[..., Any]) -> None:
    machine = type("Machine", (PoolMachine,), {"renting": staticmethod(renting)})
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))
