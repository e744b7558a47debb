"""Mistakes of EnOSlib and execo with jobs that are not made here.

What each of the peers does is told by the docstring of the test. Where a platform is needed it is the emulator, by its
API, on a clock that goes on when somebody sleeps. Others of their mistakes are shown beside the code, in
``operations/test_jobs.py``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import time
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_execo.emulator.clock import ManualClock
from pytest_execo.emulator.faults import Faults
from pytest_execo.emulator.machines import NoMachines
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer
from pytest_execo.emulator.testbed import EmulatorTestbed
from pytest_execo.errors import ApiError, ReservationFailed
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.grid5000.answers import Job, Submission
from pytest_execo.testbeds.grid5000.client import Credentials, Grid5000Client
from pytest_execo.testbeds.grid5000.client.http import Http
from pytest_execo.testbeds.grid5000.operations import Waiting, find_job, submit_together, wait_for_start
from pytest_execo.testbeds.grid5000.operations.jobs import retry_at

HOUR = 3600.0
DAY_AND_AN_HOUR = 25 * HOUR


class Rehearsed(EmulatorTestbed):
    """The emulator with nodes that are only remembered, and a clock that goes on when somebody sleeps."""

    def __init__(self, **options: str) -> None:
        super().__init__("lyon", account=("me", "pw"), options=options)
        self.clock = ManualClock()
        self.faults = Faults()

    @functools.cached_property
    def server(self) -> EmulatorServer:
        return EmulatorServer.start(
            sample_reference(), machines=NoMachines(), clock=self.clock, users={"me": "pw"}, faults=self.faults
        )

    @functools.cached_property
    def client(self) -> Grid5000Client:
        return Grid5000Client(http=Http(self.server.uri, Credentials("me", "pw"), sleep=self.sleep))

    @functools.cached_property
    def waiting(self) -> Waiting:
        return Waiting(clock=self.clock.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        """Go on."""
        self.clock.advance(seconds)
        self.server.platform.advance()


@pytest.fixture
def rehearse() -> Iterator[Callable[..., Rehearsed]]:
    """Makes testbeds with options, which end with the test."""
    made: list[Rehearsed] = []

    def make(**options: str) -> Rehearsed:
        made.append(Rehearsed(**options))
        return made[-1]

    yield make
    for testbed in made:
        testbed.close()


# EnOSlib, row 4


@pytest.mark.slow
def test_25_hours_at_several_sites_at_one_date(rehearse: Callable[..., Rehearsed]) -> None:
    """EnOSlib can't shift a reservation of 24 hours or more: its walltime is a time of day, and the search for a common
    date ends in a ValueError. Here a reservation at two sites that are both busy for a while keeps its 25 hours."""
    testbed = rehearse()
    busy = Submission("nodes=ALL,walltime=1:00:00", command="sleep 1d", types=("exotic",))
    testbed.client.submit("lyon", busy)
    testbed.sleep(60)
    request = Request(nodes=2, shares=(("lyon", 1), ("gros", 1)), walltime=DAY_AND_AN_HOUR)
    plan = testbed.plan(request)
    assert plan.unmet == ()
    assert plan.start is not None
    assert plan.start > time.time() + 3000
    lease = testbed.reserve(request)
    assert {job.walltime for job in lease.jobs.values()} == {DAY_AND_AN_HOUR}
    assert {job.state for job in lease.jobs.values()} == {"running"}
    ends = [job.end for job in lease.jobs.values()]
    assert None not in ends
    assert len(set(ends)) == 1
    lease.release()


class Refusing:
    """A client whose site proposes another date, once."""

    user = "me"

    def __init__(self, said: str) -> None:
        self._said: str | None = said
        self.submitted: list[Submission] = []

    def submit(self, site: str, submission: Submission) -> Job:
        self.submitted.append(submission)
        if self._said is not None:
            said, self._said = self._said, None
            raise ApiError("POST", "http://api", 400, said)
        return Job(site, len(self.submitted), "waiting", walltime=DAY_AND_AN_HOUR)


@pytest.mark.parametrize("said", ["KO (This reservation could run at 2026-11-27 21:30:00)", "KO (Reservation too old)"])
def test_another_date_takes_nothing_of_the_walltime(said: str) -> None:
    """EnOSlib shortens the walltime by what the start has moved. Here the date alone is another one: who asked for 25
    hours gets 25 hours."""
    client = Refusing(said)
    asked = Submission("{cluster='taurus'}/nodes=2,walltime=25:00:00", reservation="2026-11-27 19:00:00")
    waiting = Waiting(clock=lambda: 1_795_802_400.0)
    submit_together(client, {"lyon": asked}, waiting=waiting)  # type: ignore[arg-type]  # a part of a client
    first, second = client.submitted
    assert second.reservation != first.reservation
    assert dataclasses.replace(second, reservation=first.reservation) == first


# EnOSlib, rows 3 and 5; execo, W-37


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "deleted", "state", "when"),
    [("sleep 1d", True, "error", "it ran"), ("sleep 1", False, "terminated", "its start was seen")],
)
def test_the_wait_for_a_job_that_is_over_ends(
    rehearse: Callable[..., Rehearsed], command: str, deleted: bool, state: str, when: str
) -> None:
    """EnOSlib waits for ever for a job that is terminated: only ``error`` ends its loop. By the API, with a job that is
    deleted by somebody else while it is waited for, and with one that came and went between two questions."""
    testbed = rehearse()
    client = testbed.client
    client.submit("lyon", Submission("{cluster='taurus'}/nodes=6,walltime=0:05:00", command="sleep 1d"))
    job = client.submit("lyon", Submission("{cluster='taurus'}/nodes=6,walltime=0:05:00", command=command))
    testbed.sleep(30)
    waits = client.job("lyon", job.id)
    assert (waits.state, waits.started_at) == ("waiting", None)  # the API says 0: not in 1970

    def sleep(seconds: float) -> None:
        if deleted and client.job("lyon", job.id).state == "waiting":
            client.delete_job("lyon", job.id)
        testbed.sleep(seconds + 400)

    waiting = dataclasses.replace(testbed.waiting.until(20 * HOUR), sleep=sleep)
    with pytest.raises(ReservationFailed, match=f"lyon: job {job.id} ended before {when}:"):
        wait_for_start(client, {"lyon": waits}, waiting=waiting)
    assert client.job("lyon", job.id).state == state


def test_jobs_without_a_name_and_without_a_date_are_jobs() -> None:
    """execo looks for a job by its name and ends with a KeyError at the first one that has none; so it does on jobs
    without a scheduled start where dates are looked at. Here fields that the API leaves out are empty ones."""
    bare = Job.from_json("lyon", {"uid": 1, "state": "waiting"})
    assert (bare.name, bare.scheduled_at, bare.begin, bare.end) == (None, None, None, None)

    class Listing:
        def jobs(self, site: str, **asked: Any) -> list[Job]:
            return [bare, Job.from_json(site, {"uid": 2, "state": "running", "name": "mine", "started_at": 0})]

        def job(self, site: str, number: int) -> Job:
            return next(job for job in self.jobs(site) if job.id == number)

    found = find_job(Listing(), "lyon", "mine", user="me")  # type: ignore[arg-type]  # a part of a client
    assert found is not None
    assert (found.id, found.started_at) == (2, None)


# EnOSlib, rows 15 and 16; execo, W-28


@pytest.mark.slow
def test_two_experiments_of_one_user_at_a_time(
    rehearse: Callable[..., Rehearsed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """EnOSlib has one job name for each user: a second experiment takes the first one's job, or destroys it when it
    needs another kind. And execo, inside of a job, crashes on ``$OAR_JOB_ID``. Here each lease is of its own jobs,
    wherever it is asked for, and the end of one is none of the other's."""
    monkeypatch.setenv("OAR_JOB_ID", "17")
    testbed = rehearse()
    one = testbed.reserve(Request(nodes=1, walltime=HOUR))
    # The answer to the second submission is lost on the way: the job is found, and not the other one.
    testbed.faults.api(502, path="/sites/lyon/jobs", times=1, done=True)
    other = testbed.reserve(Request(nodes=1, walltime=HOUR, types=("container",)))
    assert one.jobs["lyon"].id != other.jobs["lyon"].id
    assert not set(one.nodes.names) & set(other.nodes.names)
    one.release()
    testbed.sleep(60)
    assert not one.alive()
    assert other.alive()
    assert testbed.client.job("lyon", other.jobs["lyon"].id).state == "running"
    other.release()


@pytest.mark.slow
def test_a_job_that_is_being_deleted_is_not_used_again(rehearse: Callable[..., Rehearsed]) -> None:
    """EnOSlib's changelog: "race condition when destroying and reloading jobs". The API deletes some time after it was
    asked to, and the job runs until then: who reloads it by its name in the meantime has nodes that go in a moment. The
    event FRAG_JOB_REQUEST tells."""
    testbed = rehearse(job="mine")
    before = testbed.reserve(Request(nodes=1, walltime=HOUR))
    before.release()
    assert testbed.client.job("lyon", before.jobs["lyon"].id).state == "running"  # OAR takes its time
    after = testbed.reserve(Request(nodes=1, walltime=HOUR))
    testbed.sleep(120)
    assert after.alive()
    after.release()


# EnOSlib, row 9


@pytest.mark.slow
@pytest.mark.parametrize("queue", ["abaca", "production", None])
def test_clusters_of_the_queue_abaca(rehearse: Callable[..., Rehearsed], queue: str | None) -> None:
    """EnOSlib's list of queues has no ``abaca``, and three quarters of all clusters are in the queues abaca, admin and
    production. Here a queue is what the reference data say; one that the cluster has is found for who names none."""
    testbed = rehearse()
    request = Request(nodes=1, cluster="paradoxe", queue=queue, walltime=HOUR)
    rennes = testbed.at("rennes")
    assert rennes.plan(request).unmet == ()
    lease = rennes.reserve(request)
    assert lease.jobs["rennes"].queue == (queue or "production")
    assert lease.nodes.names[0].startswith("paradoxe-")
    lease.release()


# execo, W-36 and its dates


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "America/New_York", "Asia/Tokyo"])
def test_dates_of_reservations_are_in_paris_wherever_we_are(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """execo's periods are wrong unless the machine is in Paris, and its dates are turned in a child of their own, where
    the zone can be set. Here what OAR is told, and what it tells, is the same date on a machine in any zone."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        at = dt.datetime(2026, 7, 14, 21, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")).timestamp()
        said = "Reservation not valid --> KO (This reservation could run at 2026-07-14 21:30:00)"
        assert retry_at(ApiError("POST", "http://api", 400, said), 0.0) == at
        client = Refusing(said)
        asked = Submission("nodes=1", reservation="2026-07-14 19:00:00")
        submit_together(client, {"lyon": asked}, waiting=Waiting(clock=lambda: at))  # type: ignore[arg-type]
        assert client.submitted[-1].reservation == "2026-07-14 21:30:00"
    finally:
        monkeypatch.undo()
        time.tzset()
