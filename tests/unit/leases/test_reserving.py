"""From a request to nodes and back: what the testbed is asked for, what the lease's file says meanwhile, what goes."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.errors import CampaignError, DeploymentFailed, RequestNotMet, ReservationFailed, TestbedError
from pytest_execo.leases import reserving
from pytest_execo.leases.entries import Entry
from pytest_execo.leases.files import LeaseBook
from pytest_execo.leases.hours import Hours
from pytest_execo.leases.reserving import Reserver
from pytest_execo.testbeds import Request

REQUEST = Request(nodes=2)
DEPLOYED = Request(nodes=2, environment="debian")


class Reserves:
    """A reserver, its testbed, and its lease files."""

    def __init__(self, testbed: Any, directory: Path, hours: Hours = Hours.ANY, *, files: bool = True) -> None:
        self.testbed = testbed
        self.book = LeaseBook(directory)
        self.reserver = Reserver(testbed, self._opened if files else None, hours)

    def _opened(self, request: Request) -> Any:
        return self.book.open(
            testbed="renting", site="here", options={}, campaign="c", session="s", walltime=request.walltime
        )

    def entry(self) -> Entry:
        """What the only file says."""
        (entry,) = self.book.entries()
        return entry


@pytest.fixture
def reserves(renting: Callable[..., Any], tmp_path: Path) -> Callable[..., Reserves]:
    """Makes reservers."""
    return lambda most=100, **options: Reserves(renting(most), tmp_path, **options)


def paris(text: str) -> float:
    """The Unix date of a time in Paris."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo("Europe/Paris")).timestamp()


# what is asked for


def test_the_testbed_gets_a_request_for_all_nodes(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    assert it.reserver.asked(REQUEST) is REQUEST
    assert it.reserver.asked(Request(nodes=2, spare=3, min_nodes=1)) == Request(nodes=5, min_nodes=1)
    it.testbed.default_nodes = 4
    assert it.reserver.asked(Request(spare=1)) == Request(nodes=5)


def test_a_testbed_that_knows_nights_is_told(
    reserves: Callable[..., Reserves], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = reserves(hours=Hours.NIGHTS)
    assert it.reserver.asked(REQUEST).types == ()
    monkeypatch.setattr(type(it.testbed), "night_types", ("night", "deploy"))
    assert it.reserver.asked(Request(types=("deploy", "x"))).types == ("deploy", "x", "night")
    it.testbed.now = lambda: paris("2026-11-23T12:00")
    assert it.reserver.opens_in(1e9) == 0.0  # it sees to that itself
    assert reserves().reserver.asked(REQUEST).types == ()


@pytest.mark.parametrize(
    ("now", "walltime", "hours"),
    [
        ("2026-11-23T12:00", 3600.0, 7.0),  # a Monday
        ("2026-11-23T20:00", 3600.0, 0.0),
        ("2026-11-23T20:00", 13.5 * 3600, 23.0),  # the rest of this night is too short
        ("2026-11-23T12:00", 20 * 3600.0, 103.0),  # to the week-end
        ("2026-11-23T12:00", None, 7.0),
    ],
)
def test_at_nights_and_week_ends_by_the_testbeds_clock(
    reserves: Callable[..., Reserves], now: str, walltime: float | None, hours: float
) -> None:
    it = reserves(hours=Hours.NIGHTS)
    it.testbed.now = lambda: paris(now)
    assert it.reserver.opens_in(walltime) == pytest.approx(hours * 3600)


def test_what_lies_in_no_night_is_refused(reserves: Callable[..., Reserves]) -> None:
    it = reserves(hours=Hours.NIGHTS)
    it.testbed.now = lambda: paris("2026-11-23T12:00")
    with pytest.raises(RequestNotMet, match=r"a walltime of .* lies in no night or week-end") as raised:
        it.reserver.opens_in(30 * 86400.0)
    assert raised.value.__suppress_context__


# quarantine


def test_nodes_in_quarantine_are_left_out_until_they_are_trusted(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    it.reserver.avoid({"b": "silent", "a": "silent"})
    it.reserver.reserve(REQUEST)
    it.reserver.trust(["a", "unknown"])
    it.reserver.reserve(REQUEST)
    it.reserver.trust(["b"])
    it.reserver.reserve(REQUEST)
    assert [request.without for request in it.testbed.asked] == [("a", "b"), ("b",), ()]


def test_where_others_are_not_to_be_had_those_in_quarantine_are_tried(reserves: Callable[..., Reserves]) -> None:
    it = reserves(most=2)
    it.reserver.avoid({"a": "silent"})
    it.reserver.reserve(REQUEST)
    assert [request.without for request in it.testbed.asked] == [()]
    assert it.testbed.said == ["not enough nodes without a: tries those too"]


def test_another_error_is_not_blamed_on_quarantine(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    it.reserver.avoid({"a": "silent"})
    it.testbed.refusing.append(ReservationFailed("no"))
    with pytest.raises(ReservationFailed, match="no"):
        it.reserver.reserve(REQUEST)
    assert it.testbed.asked == []


def test_nodes_that_could_not_be_deployed_are_in_quarantine(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    it.testbed.undeployable = {"1-1"}
    with pytest.raises(DeploymentFailed, match="too few"):
        it.reserver.reserve(DEPLOYED)
    it.reserver.reserve(DEPLOYED)
    assert it.testbed.asked[1].without == ("1-1",)


def test_a_deployment_needs_the_nodes_that_are_used_not_those_that_stand_by(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    it.testbed.undeployable = {"1-1"}
    holding = it.reserver.reserve(Request(nodes=2, spare=1, environment="debian"))
    assert holding.lease.nodes.names == ["1-0", "1-2"]
    assert holding.spares == []


# lease files


def test_the_file_is_there_before_anything_is_asked_for(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    reserve, seen = it.testbed.reserve, []

    def watched(request: Request, *, remember: Any) -> Any:
        seen.append(it.entry().remains)
        lease = reserve(request, remember=remember)
        seen.append(it.entry().remains)
        return lease

    it.testbed.reserve = watched
    it.testbed.end = 1795802400.0
    holding = it.reserver.reserve(Request(nodes=1, spare=1))
    assert seen == [None, {"job": 1}]
    entry = it.entry()
    assert (entry.id, entry.end, entry.state) == (holding.lease.id, 1795802400.0, "held")
    assert [node.name for node in entry.nodes] == ["1-0", "1-1"]
    it.reserver.release(holding)
    assert it.book.entries() == []
    assert not it.reserver.left_behind()


def test_the_file_tells_of_the_nodes_as_they_are(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    holding = it.reserver.reserve(Request(nodes=1, spare=1))
    it.testbed.dead = {"1-0"}
    holding.mend(holding.examine())
    holding.lease.end = 99.0
    it.reserver.renew(holding)
    assert [node.name for node in it.entry().nodes] == ["1-1"]
    assert it.entry().end == 99.0


def test_a_file_that_can_not_be_renewed_is_old(
    reserves: Callable[..., Reserves], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = reserves()
    holding = it.reserver.reserve(REQUEST)

    def full(*arguments: object) -> None:
        raise CampaignError("no space left")

    monkeypatch.setattr("pytest_execo.leases.files.LeaseFile.describe", full)
    holding.lease.end = 99.0
    it.reserver.renew(holding)
    assert it.entry().end is None


@pytest.mark.parametrize("outlives", [True, False])
def test_without_a_file_nothing_is_reserved_that_outlives_us(
    reserves: Callable[..., Reserves], monkeypatch: pytest.MonkeyPatch, outlives: bool
) -> None:
    it = reserves()
    monkeypatch.setattr(type(it.testbed), "outlives_us", property(lambda testbed: outlives))
    monkeypatch.setattr(it.book, "open", lambda **options: (_ for _ in ()).throw(CampaignError("no space left")))
    if outlives:
        with pytest.raises(RequestNotMet, match="no space left"):
            it.reserver.reserve(REQUEST)
        assert it.testbed.asked == []
    else:
        holding = it.reserver.reserve(REQUEST)
        assert holding.lease.id
        it.reserver.release(holding)


@pytest.mark.parametrize("error", [ReservationFailed("no"), KeyboardInterrupt()], ids=["refused", "ctrl-c"])
def test_what_was_refused_before_anything_was_made_leaves_nothing(
    reserves: Callable[..., Reserves], error: BaseException
) -> None:
    it = reserves()
    it.testbed.refusing.append(error)
    with pytest.raises(type(error)):
        it.reserver.reserve(REQUEST)
    assert it.book.entries() == []
    assert it.testbed.reclaimed == []  # of nothing nothing is given back


def test_what_was_made_before_it_failed_is_given_back(reserves: Callable[..., Reserves]) -> None:
    it = reserves()

    def fails(request: Request, *, remember: Any) -> Any:
        remember({"job": 7})
        raise ReservationFailed("it ended while it waited")

    it.testbed.reserve = fails
    with pytest.raises(ReservationFailed, match="it ended while it waited"):
        it.reserver.reserve(REQUEST)
    assert it.testbed.reclaimed == [{"job": 7}]
    assert it.book.entries() == []


def test_what_can_not_be_given_back_keeps_its_file_until_it_can(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    it.testbed.irreclaimable = True
    it.testbed.failing.append(DeploymentFailed("no"))
    with pytest.raises(DeploymentFailed):
        it.reserver.reserve(DEPLOYED)
    assert it.entry().remains == {"job": 1}
    assert it.reserver.left_behind()
    it.testbed.irreclaimable = False
    assert not it.reserver.left_behind()
    assert it.book.entries() == []
    assert it.testbed.reclaimed == [{"job": 1}]


def test_what_can_not_be_released_is_reclaimed_later(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    holding = it.reserver.reserve(REQUEST)
    it.testbed.unreleasable = True
    with pytest.raises(TestbedError, match="1: can't be given back"):
        it.reserver.release(holding)
    assert it.entry().remains == {"job": 1}
    assert not it.reserver.left_behind()
    assert (it.testbed.reclaimed, it.book.entries()) == ([{"job": 1}], [])


def test_what_is_kept_has_a_name_and_is_not_ours_any_more(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    holding = it.reserver.reserve(REQUEST)
    assert it.reserver.keep(holding, "--execo-keep=always") == holding.lease.id == it.entry().id
    assert (it.entry().state, it.entry().kept) == ("kept", "--execo-keep=always")
    with pytest.raises(TestbedError, match="no file tells of them"):
        it.reserver.keep(holding, "again")


def test_what_the_testbed_can_not_keep_is_still_held(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    holding = it.reserver.reserve(REQUEST)

    def refuse() -> None:
        raise TestbedError("they end with us")

    holding.lease.keep = refuse  # type: ignore[method-assign]
    with pytest.raises(TestbedError, match="they end with us"):
        it.reserver.keep(holding, "--execo-keep=always")
    assert it.entry().state == "held"
    it.reserver.release(holding)
    assert it.book.entries() == []


def test_without_files_nothing_can_be_kept(reserves: Callable[..., Reserves]) -> None:
    it = reserves(files=False)
    holding = it.reserver.reserve(REQUEST)
    assert not it.reserver.has_files
    with pytest.raises(TestbedError, match="no file tells of them"):
        it.reserver.keep(holding, "why")
    names = {it.reserver.reserve(REQUEST).lease.id for _ in range(5)}
    assert len(names) == 5


# the end


def test_after_the_end_nothing_is_reserved(reserves: Callable[..., Reserves]) -> None:
    it = reserves()
    it.reserver.call_off()
    with pytest.raises(ReservationFailed, match="the run has ended"):
        it.reserver.reserve(REQUEST)
    assert (it.testbed.leases, it.book.entries()) == ([], [])


def test_a_reservation_that_can_not_be_called_off_does_not_hold_up_the_end(
    reserves: Callable[..., Reserves], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = reserves()
    monkeypatch.setattr(reserving, "_CALLED_OFF", 0.0)
    reserve, told = it.testbed.reserve, []

    def meanwhile(request: Request, *, remember: Callable[[Mapping[str, Any]], None]) -> Any:
        lease = reserve(request, remember=remember)
        it.testbed.irreclaimable = True
        it.reserver.call_off()  # by another thread; it does not wait for ever
        told.append(it.entry().remains)
        it.testbed.irreclaimable = False
        return lease

    it.testbed.reserve = meanwhile
    with pytest.raises(ReservationFailed, match="the run has ended"):
        it.reserver.reserve(REQUEST)
    assert told == [{"job": 1}]
    assert it.testbed.leases[0].done == [("release", ("1-0", "1-1"))]
    assert it.book.entries() == []
