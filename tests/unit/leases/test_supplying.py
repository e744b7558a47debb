"""Leases for whoever asks: waited for, tried again, given up."""

from __future__ import annotations

import datetime as dt
import threading
import zoneinfo
from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.errors import ApiError, InvalidRequest, RequestNotMet, ReservationFailed, TestbedError
from pytest_execo.leases.budget import Budget
from pytest_execo.leases.hours import Hours
from pytest_execo.leases.pool import LeasePool
from pytest_execo.leases.reserving import Reserver
from pytest_execo.leases.supplying import OthersHaveThem, Supplier
from pytest_execo.testbeds import Request

REQUEST = Request(nodes=2, walltime=3600.0)
OTHER = Request(nodes=1)
NOON = dt.datetime(2026, 11, 23, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")).timestamp()


class Waits(threading.Event):
    """An event whose waits are over at once, and written down."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float | None] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        self.meanwhile()
        return self.is_set()


class Supplies:
    """A supplier on a testbed in memory."""

    def __init__(self, testbed: Any, limit: int = 3, hours: Hours = Hours.ANY) -> None:
        self.testbed = testbed
        self.over = Waits()
        self.told: list[tuple[str, str]] = []
        self.budget = Budget(limit)
        self.supplier = Supplier(
            testbed, Reserver(testbed, None, hours), self.budget, self.over,
            lambda kind, text, data: self.told.append((kind, text)),
        )  # fmt: skip

    def bring_up(self, request: Request = REQUEST, *, others: bool = False) -> Any:
        """Get a lease."""
        return self.supplier.bring_up(request, "", lambda: others)


@pytest.fixture
def supplies(renting: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Supplies]:
    """Makes suppliers, on a clock that is ten times as fast as ours."""

    def make(most: int = 100, **options: Any) -> Supplies:
        testbed = renting(most)
        monkeypatch.setattr(type(testbed), "speed", property(lambda testbed: 10.0))
        return Supplies(testbed, **options)

    return make


# trying again


def test_the_pauses_grow_and_are_the_testbeds(supplies: Callable[..., Supplies]) -> None:
    it = supplies(limit=5)
    it.supplier.plan(REQUEST)
    it.testbed.refusing.extend([ReservationFailed(str(n)) for n in range(5)])
    it.bring_up()
    assert it.over.seconds == [1.0, 6.0, 30.0, 30.0, 30.0]
    assert it.told == []


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_so_many_failures_are_borne(supplies: Callable[..., Supplies], limit: int) -> None:
    it = supplies(limit=limit)
    it.supplier.plan(REQUEST)
    it.testbed.refusing.extend([ReservationFailed(f"{n}\nand why") for n in range(9)])
    with pytest.raises(ReservationFailed) as raised:
        it.bring_up()
    assert len(it.testbed.refusing) == 9 - (limit + 1)
    assert it.supplier.broken == {REQUEST: raised.value}
    assert it.told == [("needs-help", f"no nodes at here: {limit}")]


def test_what_is_broken_is_not_asked_for_nor_told_again(supplies: Callable[..., Supplies]) -> None:
    it = supplies(limit=0)
    it.supplier.plan(REQUEST)
    it.testbed.refusing.append(ReservationFailed("no"))
    raised = []
    for _ in range(3):
        with pytest.raises(ReservationFailed) as error:
            it.bring_up()
        raised.append(error.value)
    assert len({id(error) for error in raised}) == 1
    assert (it.testbed.asked, len(it.told)) == ([], 1)
    it.bring_up(OTHER)  # another one is


@pytest.mark.parametrize("error", [RequestNotMet(["too few nodes"]), InvalidRequest("what is that?")])
def test_what_will_not_be_met_is_not_tried_again(supplies: Callable[..., Supplies], error: Exception) -> None:
    it = supplies()
    it.supplier.plan(REQUEST)
    it.testbed.refusing.append(error)
    with pytest.raises(type(error)):
        it.bring_up()
    assert it.over.seconds == []
    assert [kind for kind, _ in it.told] == ["needs-help"]


def test_what_others_have_is_not_said_to_be_broken(supplies: Callable[..., Supplies]) -> None:
    it = supplies()
    it.supplier.plan(REQUEST)
    it.testbed.refusing.append(RequestNotMet(["too few nodes", "now"]))
    with pytest.raises(OthersHaveThem) as raised:
        it.bring_up(others=True)
    assert raised.value.reasons == ("too few nodes", "now")
    assert (it.supplier.broken, it.told) == ({}, [])
    it.bring_up()


def test_at_the_end_of_the_run_a_failure_is_nobodys(supplies: Callable[..., Supplies]) -> None:
    it = supplies()
    it.supplier.plan(REQUEST)
    it.testbed.refusing.append(ReservationFailed("first"))
    it.over.meanwhile = it.over.set
    with pytest.raises(ReservationFailed, match="the run has ended"):
        it.bring_up()
    assert (it.supplier.broken, it.told) == ({}, [])


# plans


def test_a_testbed_that_does_not_answer_is_asked_once(supplies: Callable[..., Supplies]) -> None:
    it = supplies()
    it.testbed.refusing.append(ApiError("GET", "http://there", None, "away\nfor long"))
    plans = [it.supplier.plan(request) for request in (REQUEST, OTHER, Request(nodes=9))]
    assert {plan.unmet for plan in plans} == {("away",)}
    assert len(it.testbed.planned) == 1


@pytest.mark.parametrize("error", [ApiError("GET", "http://there", 403, "no"), TestbedError("no")])
def test_one_that_answers_is_asked_for_each_request(supplies: Callable[..., Supplies], error: TestbedError) -> None:
    it = supplies()
    it.testbed.refusing.append(error)
    assert it.supplier.plan(REQUEST).unmet == (str(error),)
    it.testbed.refusing.clear()
    assert it.supplier.plan(OTHER).unmet == ()
    assert it.supplier.plan(REQUEST).unmet == (str(error),)  # as it was


def test_how_long_a_lease_lasts_is_told_by_our_clock(supplies: Callable[..., Supplies]) -> None:
    it = supplies()
    assert it.supplier.length(REQUEST) == 360.0
    assert it.supplier.length(OTHER) is None


# hours


def test_by_day_it_waits_for_the_night(supplies: Callable[..., Supplies]) -> None:
    it = supplies(hours=Hours.NIGHTS)
    it.testbed.now = lambda: NOON + 10 * sum(seconds or 0 for seconds in it.over.seconds)
    it.bring_up()
    assert it.over.seconds == [pytest.approx(7 * 360.0)]  # seven hours, ten times as fast
    assert it.testbed.said == ["takes nodes at nights and week-ends: waits for 7 h 00 min"]
    it.bring_up()  # it is night now
    assert len(it.over.seconds) == 1


def test_at_any_hour_it_does_not_wait(supplies: Callable[..., Supplies]) -> None:
    it = supplies()
    it.testbed.now = lambda: NOON
    it.bring_up()
    assert it.over.seconds == []


def test_what_lies_in_no_night_is_given_up(supplies: Callable[..., Supplies]) -> None:
    it = supplies(hours=Hours.NIGHTS)
    it.testbed.now = lambda: NOON
    request = Request(nodes=1, walltime=30 * 86400.0)
    with pytest.raises(RequestNotMet, match="lies in no night or week-end"):
        it.bring_up(request)
    assert request in it.supplier.broken
    assert it.testbed.asked == []


# by several threads


def test_one_request_of_one_holder_is_reserved_once_whoever_asks(renting: Callable[..., Any]) -> None:
    testbed = renting()
    pool = LeasePool(testbed)
    reserve, inside, second = testbed.reserve, threading.Event(), threading.Event()

    def slow(request: Request, **options: Any) -> Any:
        inside.set()
        assert second.wait(10)
        return reserve(request, **options)

    testbed.reserve = slow
    taken: list[Any] = []
    threads = [threading.Thread(target=lambda: taken.append(pool.take(REQUEST, "a"))) for _ in range(2)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    second.set()
    for thread in threads:
        thread.join(10)
    try:
        assert len(taken) == 2
        assert taken[0] is taken[1]
        assert len(testbed.leases) == 1
    finally:
        pool.give_all_back()


def test_two_holders_of_one_request_are_served_side_by_side(renting: Callable[..., Any]) -> None:
    testbed = renting()
    pool = LeasePool(testbed)
    reserve, both = testbed.reserve, threading.Barrier(2, timeout=10)

    def meeting(request: Request, **options: Any) -> Any:
        both.wait()
        return reserve(request, **options)

    testbed.reserve = meeting
    taken: list[Any] = []
    threads = [threading.Thread(target=lambda name=name: taken.append(pool.take(REQUEST, name))) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    try:
        assert len(taken) == len({id(lease) for lease in taken}) == 2
    finally:
        pool.give_all_back()
