"""Faults that were found by a second reading: each of these tests failed before it was mended."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.errors import (
    CampaignError,
    ConnectionLost,
    ExpectFailed,
    RequestNotMet,
    TestbedError,
)
from pytest_execo.leases.budget import Budget
from pytest_execo.leases.files import LeaseBook, LeaseFile
from pytest_execo.leases.fitting import Doing
from pytest_execo.leases.health import lost_hosts
from pytest_execo.leases.pool import LeasePool
from pytest_execo.testbeds import Request

REQUEST = Request(nodes=2)
DOING = Doing("trial", "test", "{}")


def files(book: LeaseBook) -> Callable[[Request], LeaseFile]:
    return lambda request: book.open(
        testbed="renting", site="here", options={}, campaign=None, session="s", walltime=None
    )


@pytest.fixture
def book(tmp_path: Path) -> LeaseBook:
    return LeaseBook(tmp_path)


def test_spent_lease_of_a_dead_holder(renting: Any) -> None:
    testbed = renting(most=2)
    pool = LeasePool(testbed)
    request = Request(nodes=2, walltime=60e9)
    testbed.end = time.time() + 30
    pool.take(request, "a")
    pool.done(request, "a", DOING, 40.0)
    assert pool.ready(request, "a", DOING).anew  # spent; the worker dies while it tears down
    pool.hand_over("a")
    reserve = testbed.reserve

    def full(asked: Request, **options: Any) -> Any:
        if not any(done[0] == "release" for done in testbed.leases[0].done):
            raise RequestNotMet(["all are busy"])
        return reserve(asked, **options)

    testbed.reserve = full
    testbed.end = None
    taken: list[Any] = []

    def take() -> None:
        with contextlib.suppress(TestbedError):
            taken.append(pool.take(request, "b"))

    thread = threading.Thread(target=take)
    thread.start()
    thread.join(3)
    waits = thread.is_alive()
    pool.give_all_back()
    thread.join(10)
    assert not waits


def test_one_group_with_three_holders_is_one_group() -> None:
    budget = Budget(1)
    for holder in "xyz":
        budget.failed("one", holder)
        budget.failed("one", holder)
    assert not budget.spent
    assert budget.failed("another")  # its first failure of one that is allowed


def test_kept_nodes_without_a_word(renting: Any, book: LeaseBook, monkeypatch: pytest.MonkeyPatch) -> None:
    testbed = renting()
    pool = LeasePool(testbed, opened=files(book), keep="always")
    lease = pool.take(REQUEST)

    def full(self: LeaseFile, reason: str, end: float | None = None) -> None:
        raise CampaignError("no space left")

    monkeypatch.setattr(LeaseFile, "keep", full)
    told = False
    try:
        pool.give_all_back()
    except TestbedError:
        told = True
    released = any(done[0] == "release" for done in testbed.leases[0].done)
    assert released or told or lease.id in pool.kept


@pytest.mark.parametrize("way", ["file", "testbed"])
def test_what_was_left_behind_is_tried_whatever_happens_to_one(
    renting: Any, book: LeaseBook, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    testbed = renting()
    pool = LeasePool(testbed, opened=files(book))
    for holder in "ab":
        pool.take(REQUEST, holder)
    testbed.unreleasable = True
    bad = [1]
    if way == "file":
        remove = LeaseFile.remove

        def removed(self: LeaseFile) -> None:
            if bad and bad.pop():
                raise CampaignError("stale NFS")
            remove(self)

        monkeypatch.setattr(LeaseFile, "remove", removed)
    else:
        reclaim = testbed.reclaim

        def reclaimed(remains: Any) -> Any:
            if bad and bad.pop():
                raise ZeroDivisionError
            return reclaim(remains)

        testbed.reclaim = reclaimed
    for _ in range(2):
        with contextlib.suppress(TestbedError, CampaignError, ZeroDivisionError):
            pool.give_all_back()
    assert {remains["job"] for remains in testbed.reclaimed} == {1, 2}


@pytest.mark.parametrize("with_files", [True, False])
def test_a_lease_that_comes_when_all_were_given_back(renting: Any, book: LeaseBook, with_files: bool) -> None:
    testbed = renting()
    pool = LeasePool(testbed, opened=files(book) if with_files else None)
    reserve = pool._reserver.reserve

    def just_before(request: Request) -> Any:
        holding = reserve(request)
        pool.give_all_back()  # by the main thread, between these two lines of the thread that serves a worker
        return holding

    pool._reserver.reserve = just_before
    with contextlib.suppress(TestbedError):
        pool.take(REQUEST, "worker")
    assert any(done[0] == "release" for done in testbed.leases[0].done)


def test_what_was_to_be_left_out_comes_back(renting: Any) -> None:
    testbed = renting()
    pool = LeasePool(testbed)
    testbed.undeployable = {"1-0"}
    pool.take(Request(nodes=2, environment="debian", without=("9-9",)))
    assert set(testbed.asked[-1].without) == {"1-0", "9-9"}


def test_dead_spare_node(renting: Any) -> None:
    testbed = renting()
    pool = LeasePool(testbed)
    request = Request(nodes=1, spare=2)
    pool.take(request)
    testbed.dead = {"1-0", "1-1"}
    pool.examine(request)
    pool.give_back(request)
    pool.take(request)
    assert set(testbed.asked[-1].without) == {"1-0", "1-1"}


def test_extension_on_a_fast_clock(renting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Grid5000Lease.extend() has it: seconds go to OAR as they are, and the end is told by this machine's clock."""
    testbed = renting()
    monkeypatch.setattr(type(testbed), "speed", property(lambda self: 60.0))
    pool = LeasePool(testbed, extends=True)
    request = Request(nodes=1, walltime=3600.0)  # a minute of ours
    testbed.end = time.time() + 30
    pool.take(request)
    lease = testbed.leases[0]

    def extend(seconds: float) -> float:
        lease.end += seconds / 60.0
        return lease.end

    lease.extend = extend
    pool.done(request, "", DOING, 40.0)
    assert not pool.ready(request, "", DOING).anew


def test_expect_on_a_connection_that_broke() -> None:
    class Ended:
        error = ConnectionLost("a", "reset by peer")

        def __str__(self) -> str:
            return "p"

    assert lost_hosts(ExpectFailed(Ended(), "stdout", ["ready"], "", "end of stream")) != {}  # type: ignore[arg-type]


def test_a_part_that_lacks_a_spare_node_only(renting: Any) -> None:
    testbed = renting()
    pool = LeasePool(testbed)
    request = Request(nodes=2, spare=1, environment="debian")
    pool.split(request, 2)
    testbed.undeployable = {"1-5"}  # one of six; four are needed
    pool.take(request, "a")
    pool.take(request, "b")
    assert len(testbed.leases) == 1


def test_nothing_is_asked_for_when_the_run_is_over(renting: Any) -> None:
    testbed = renting()
    pool = LeasePool(testbed)
    pool._over.set()  # as give_all_back() does first, before reservations are called off
    with contextlib.suppress(TestbedError):
        pool.take(REQUEST)
    asked = list(testbed.asked)
    pool.give_all_back()
    assert asked == []


def test_a_lost_lease_is_not_for_the_next(renting: Any) -> None:
    testbed = renting()
    pool = LeasePool(testbed)
    lost = pool.take(REQUEST, "dead")
    testbed.leases[0].lives = False
    assert pool.lost(REQUEST, "dead") is not None
    pool.hand_over("dead")
    assert pool.take(REQUEST, "next") is not lost
