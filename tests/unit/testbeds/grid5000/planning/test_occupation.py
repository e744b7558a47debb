"""What is busy, from the status of a site."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds.grid5000.answers import SiteStatus
from pytest_execo.testbeds.grid5000.planning import Interval, occupation
from pytest_execo.testbeds.grid5000.planning.occupation import gaps, merge

DAY = 86400
NODE = "taurus-1.lyon.grid5000.fr"
Make = Callable[..., Any]

intervals = st.lists(
    st.tuples(st.integers(-50, 150), st.integers(-50, 150)).map(lambda pair: (float(min(pair)), float(max(pair)))),
    max_size=12,
)


# intervals


def test_an_interval_inside_the_last_one_is_merged() -> None:
    """execo: ``[(0, 100), (10, 20)]`` stayed so, and 20 to 100 was free."""
    busy = merge([(0, 100), (10, 20)], (0, 1000))
    assert busy == ((0, 100),)
    assert gaps(busy, (0, 1000)) == ((100, 1000),)


@pytest.mark.parametrize(
    ("given_", "busy"),
    [
        ([], ()),
        ([(10, 20), (20, 30)], ((10, 30),)),
        ([(50, 60), (10, 20)], ((10, 20), (50, 60))),
        ([(-5, 5), (95, 200)], ((0, 5), (95, 100))),
        ([(-5, 0), (100, 110), (7, 7)], ()),
        ([(3, math.inf)], ((3, 100),)),
    ],
)
def test_merge(given_: list[Interval], busy: tuple[Interval, ...]) -> None:
    assert merge(given_, (0, 100)) == busy


@settings(max_examples=30)
@given(intervals)
def test_busy_and_free_are_the_window(times: list[Interval]) -> None:
    window = (0.0, 100.0)
    busy = merge(times, window)
    free = gaps(busy, window)
    both = sorted(busy + free)
    assert [both[0][0], both[-1][1]] == [0, 100]
    assert all(one[1] == two[0] for one, two in itertools.pairwise(both))  # no hole, no overlap
    assert all(start < end for start, end in both)
    assert all(one[1] < two[0] for one, two in itertools.pairwise(busy))
    for second in range(100):
        assert any(s <= second < e for s, e in times) == any(s <= second < e for s, e in busy)


# jobs


@pytest.fixture
def busy(now: int, job: Make, status: Make) -> Callable[..., list[Interval]]:
    """Return when a node with these jobs is busy, in seconds from now."""

    def busy(*jobs: dict[str, Any], hard: str | None = None, **options: Any) -> list[Interval]:
        made = [job(number, **each) for number, each in enumerate(jobs, 1)]
        answer = status("lyon", {NODE: hard or made})
        taken = occupation({"lyon": answer}, (now, now + 28 * DAY), **options)["lyon"]
        return [(start - now, end - now) for start, end in taken.busy(NODE)]

    return busy


def test_a_running_job_ends_with_its_walltime(now: int, busy: Make) -> None:
    assert busy({"started_at": now - 600, "scheduled_at": now - 600, "walltime": 3600}) == [(0, 3000)]


def test_a_waiting_job_holds_what_is_forecast(now: int, busy: Make) -> None:
    """EnOSlib: the API says ``started_at: 0`` of a job that waits, which was read as 1970, so long ago."""
    assert busy({"state": "waiting", "started_at": 0, "scheduled_at": now + 100, "walltime": 50}) == [(100, 150)]


def test_a_reservation_holds_its_date(now: int, busy: Make) -> None:
    reserved = {"state": "waiting", "started_at": now + 500, "scheduled_at": now + 500, "walltime": 25 * 3600}
    assert busy(reserved) == [(500, 500 + 25 * 3600)]


def test_a_job_without_a_date_hides_no_other(now: int, job: Make, status: Make) -> None:
    """EnOSlib: the loop over the jobs ended at the first one without an estimate."""
    jobs = [
        job(1, state="waiting", started_at=0, walltime=3600),
        job(2, state="waiting", started_at=0, scheduled_at=now + 10, walltime=20),
    ]
    answer = status("lyon", {NODE: jobs, "taurus-2.lyon.grid5000.fr": jobs[:1]})
    taken = occupation({"lyon": answer}, (now, now + 100))["lyon"]
    assert taken.busy(NODE) == ((now + 10, now + 30),)
    assert taken.busy("taurus-2.lyon.grid5000.fr") == ()
    assert taken.unscheduled == 1  # one job, though it is at two nodes


@pytest.mark.parametrize("state", ["running", "finishing", "suspended"])
def test_a_job_past_its_walltime_ends_soon(state: str, now: int, busy: Make) -> None:
    assert busy({"state": state, "started_at": now - 3700, "walltime": 3600}) == [(0, 60)]


def test_a_job_that_is_late_to_start_has_its_whole_walltime(now: int, busy: Make) -> None:
    assert busy({"state": "launching", "started_at": 0, "scheduled_at": now - 30, "walltime": 100}) == [(0, 100)]


def test_a_reservation_that_is_late_ends_as_reserved(now: int, busy: Make) -> None:
    assert busy({"state": "launching", "started_at": now - 30, "scheduled_at": now, "walltime": 100}) == [(0, 70)]


def test_a_reservation_that_was_missed_holds_nothing(now: int, busy: Make) -> None:
    assert busy({"state": "waiting", "started_at": now - 500, "scheduled_at": now, "walltime": 100}) == []


def test_a_job_without_walltime_never_ends(now: int, busy: Make) -> None:
    assert busy({"started_at": now - 10}) == [(0, 28 * DAY)]


def test_a_running_job_without_a_date_holds_its_nodes(busy: Make) -> None:
    assert busy({"started_at": 0, "walltime": 100}) == [(0, 100)]


@pytest.mark.parametrize("state", ["terminated", "error"])
def test_a_job_that_is_over_holds_nothing(state: str, now: int, busy: Make) -> None:
    assert busy({"state": state, "started_at": now - 10, "walltime": 100}) == []


@pytest.mark.parametrize("how", [{"queue": "besteffort"}, {"types": ["besteffort"]}])
def test_best_effort_jobs_are_in_nobodys_way(how: dict[str, Any], now: int, busy: Make) -> None:
    job = {"started_at": now, "walltime": 100, **how}
    assert busy(job) == []
    assert busy(job, ignore_besteffort=False) == [(0, 100)]


def test_only_some_queues(now: int, busy: Make) -> None:
    jobs = [
        {"started_at": now, "walltime": 100},
        {"queue": "production", "state": "waiting", "started_at": now + 200, "walltime": 10},
    ]
    assert busy(*jobs, queues=["production"]) == [(200, 210)]
    assert busy(*jobs) == [(0, 100), (200, 210)]


# hard states


def test_a_standby_node_is_free(busy: Make) -> None:
    assert busy(hard="standby") == []


@pytest.mark.parametrize("hard", ["absent", "suspected", "dead", "new-in-oar-3"])
def test_a_node_that_is_not_there_is_busy(hard: str, now: int, status: Make) -> None:
    """EnOSlib: absent nodes were free."""
    window = (now, now + 28 * DAY)
    taken = occupation({"lyon": status("lyon", {NODE: hard})}, window)["lyon"]
    assert taken.busy(NODE) == (window,)
    assert taken.free(NODE) == ()
    assert taken.unusable == {NODE: hard}


def test_a_node_that_is_not_known_is_not_free(now: int, status: Make) -> None:
    taken = occupation({"lyon": status("lyon", {})}, (now, now + 10))["lyon"]
    assert taken.free("taurus-99.lyon.grid5000.fr") == ()


# networks and disks


def test_vlans_subnets_and_disks(now: int, job: Make, status: Make) -> None:
    disk = "sdb.parasilo-1.rennes.grid5000.fr"
    held = {"hard": "alive", "soft": "busy", "reservations": [job(1, started_at=now, walltime=60)]}
    answer = status(
        "rennes",
        {"parasilo-1.rennes.grid5000.fr": []},
        vlans={"4": {**held, "type": "kavlan"}, "1": {"hard": "alive", "soft": "free", "type": "kavlan-local"}},
        subnets={"10.158.0.0/22": held, "10.158.4.0/22": {"hard": "dead", "soft": "free"}},
        disks={disk: held},
    )
    window = (now, now + 100)
    taken = occupation({"rennes": answer}, window)["rennes"]
    assert taken.vlans == {"4": ((now, now + 60),), "1": ()}
    assert taken.vlan_kinds == {"4": "kavlan", "1": "kavlan-local"}
    assert taken.subnets == {"10.158.0.0/22": ((now, now + 60),), "10.158.4.0/22": (window,)}
    assert taken.disks == {disk: ((now, now + 60),)}
    assert taken.free("parasilo-1.rennes.grid5000.fr") == (window,)
    with_disks = occupation({"rennes": answer}, window, disks=True)["rennes"]
    assert with_disks.free("parasilo-1.rennes.grid5000.fr") == ((now + 60, now + 100),)


def test_anonymous_status_has_no_jobs(now: int) -> None:
    answer = SiteStatus.from_json("lyon", {"uid": now, "nodes": {NODE: {"hard": "alive", "soft": "busy"}}})
    assert occupation({"lyon": answer}, (now, now + 10))["lyon"].busy(NODE) == ()


@pytest.mark.parametrize("window", [(10, 10), (10, 5), (0, math.inf), (math.nan, 5)])
def test_a_window_that_is_none(window: Interval) -> None:
    with pytest.raises(InvalidRequest, match="two Unix dates"):
        occupation({}, window)


def test_the_status_is_left_as_it_is(now: int, job: Make, status: Make) -> None:
    answer = status("lyon", {NODE: [job(1, started_at=now, walltime=60)]})
    before = copy.deepcopy(answer)
    occupation({"lyon": answer}, (now, now + 100), disks=True)
    assert answer == before
