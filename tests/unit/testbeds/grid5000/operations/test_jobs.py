"""Jobs: all or none, waited for with an end, extended, deleted."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pytest_execo.errors import ApiError, ReservationFailed, TestbedError
from pytest_execo.testbeds.grid5000.answers import Job, JobEvent, Submission
from pytest_execo.testbeds.grid5000.operations import delete, extend, find_job, submit_together, wait_for_start

SUBMISSION = Submission("nodes=1", name="mine")
DATED = Submission("nodes=1", reservation="2026-11-27 19:00:00")


def refusal(status: int | None, reason: str) -> ApiError:
    """Return what the client raises."""
    return ApiError("POST", "http://api", status, reason)


def runs_after(seconds: float) -> Any:
    """Have jobs run after so long."""

    def life(job: Job, now: float) -> Job:
        begun = now >= 1_790_000_000 + seconds
        return dataclasses.replace(job, state="running", started_at=now) if begun else job

    return life


# submitted together


def test_a_job_for_each_site(platform: Any) -> None:
    jobs = submit_together(platform, {"lyon": SUBMISSION, "nancy": SUBMISSION}, waiting=platform.waiting)
    assert {site: job.id for site, job in jobs.items()} == {"lyon": 1, "nancy": 2}


def test_none_stays_when_a_site_refuses(platform: Any) -> None:
    platform.refusals = {"nancy": [refusal(400, "There are not enough resources for your request")]}
    with pytest.raises(ReservationFailed, match=r"^nancy: There are not enough resources for your request$"):
        submit_together(platform, {"lyon": SUBMISSION, "nancy": SUBMISSION}, waiting=platform.waiting)
    assert platform.deleted == [1]


def test_the_date_that_a_site_proposes_is_asked_of_all(platform: Any) -> None:
    could = "Reservation not valid --> KO (This reservation could run at 2026-11-27 21:30:00)"
    platform.refusals = {"nancy": [refusal(400, could), None]}
    jobs = submit_together(platform, {"lyon": DATED, "nancy": DATED}, waiting=platform.waiting)
    assert set(jobs) == {"lyon", "nancy"}
    assert platform.deleted == [1]
    assert [each.reservation for _, each in platform.submitted] == [
        "2026-11-27 19:00:00", "2026-11-27 19:00:00", "2026-11-27 21:30:00", "2026-11-27 21:30:00",
    ]  # fmt: skip


def test_proposals_end(platform: Any) -> None:
    could = "KO (This reservation could run at 2026-11-27 21:30:00)"
    platform.refusals = {"lyon": [refusal(400, could)] * 99}
    with pytest.raises(ReservationFailed, match="5 dates were tried"):
        submit_together(platform, {"lyon": DATED}, waiting=platform.waiting)
    assert len(platform.submitted) == 5


def test_a_date_that_has_passed_becomes_now(platform: Any) -> None:
    platform.refusals = {"lyon": [refusal(400, "Reservation not valid --> KO (Reservation too old)")]}
    submit_together(platform, {"lyon": DATED}, waiting=platform.waiting)
    assert platform.submitted[1][1].reservation == "2026-09-21 16:14:20"


@pytest.mark.parametrize("status", [None, 502])
def test_a_job_whose_number_was_lost_on_the_way_is_found_by_its_name(platform: Any, status: int | None) -> None:
    platform.refusals = {"lyon": [refusal(status, "the connection broke")]}
    platform.loses_answers = True
    jobs = submit_together(platform, {"lyon": SUBMISSION, "nancy": SUBMISSION}, waiting=platform.waiting)
    assert {site: job.id for site, job in jobs.items()} == {"lyon": 1, "nancy": 2}


def test_a_submission_that_was_lost_is_a_failure(platform: Any) -> None:
    platform.refusals = {"lyon": [refusal(None, "no answer within 330 s")]}
    with pytest.raises(ReservationFailed, match="lyon: no answer within 330 s"):
        submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)


# waited for


def test_they_are_waited_for_and_the_forecast_is_told(platform: Any) -> None:
    jobs = submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    forecast = dataclasses.replace(jobs["lyon"], scheduled_at=platform.now + 7200)
    platform.jobs_of["lyon", 1] = forecast
    platform.life = runs_after(7200)
    told: list[str] = []
    running = wait_for_start(platform, jobs, waiting=platform.waiting.until(10_000), progress=told.append)
    assert running["lyon"].state == "running"
    assert platform.now - 1_790_000_000 < 7210  # the forecast was believed
    assert told == [
        "lyon 1: waiting, starts in about 2 h 00 min (2026-09-21 18:13 in Paris)",
        "lyon 1: running",
    ]


@pytest.mark.parametrize("state", ["terminated", "error", "toerror"])
def test_a_job_that_ends_while_it_is_waited_for(platform: Any, state: str) -> None:
    # EnOSlib waits for ever for one that is terminated.
    jobs = submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    event = JobEvent("FRAG_JOB_REQUEST", "User root requested to frag the job 1")
    platform.life = lambda job, now: dataclasses.replace(job, state=state, events=(event,))
    with pytest.raises(ReservationFailed, match="job 1 ended before it ran: User root requested"):
        wait_for_start(platform, jobs, waiting=platform.waiting.until(10_000))


def test_a_job_that_does_not_start(platform: Any) -> None:
    jobs = submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    with pytest.raises(ReservationFailed, match="not started in time: lyon 1: waiting"):
        wait_for_start(platform, jobs, waiting=platform.waiting.until(600))
    assert platform.now == pytest.approx(1_790_000_600)


def test_an_api_that_is_away_for_a_while_is_waited_for(platform: Any) -> None:
    jobs = submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    platform.life = runs_after(60)
    platform.trouble = [
        refusal(503, "Server Unavailable"), refusal(None, "no answer within 60 s"), refusal(200, "not JSON"), None,
    ]  # fmt: skip
    assert wait_for_start(platform, jobs, waiting=platform.waiting.until(600))["lyon"].state == "running"


def test_an_api_that_stays_away(platform: Any) -> None:
    jobs = submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    platform.trouble = [refusal(503, "Server Unavailable")] * 999
    with pytest.raises(ReservationFailed, match="the API was away for 15 min"):
        wait_for_start(platform, jobs, waiting=platform.waiting.until(100_000))


def test_whoever_interrupts_the_sleep_ends_the_wait(platform: Any) -> None:
    jobs = submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_for_start(platform, jobs, waiting=dataclasses.replace(platform.waiting, sleep=interrupted))


# found again


def test_a_job_is_found_in_every_state_in_which_it_may_run(platform: Any) -> None:
    # EnOSlib asks for three of them, and submits a second job while the first is in hold.
    submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    for state in ("waiting", "hold", "tolaunch", "toackreservation", "launching", "running"):
        platform.life = lambda job, now, state=state: dataclasses.replace(job, state=state)
        found = find_job(platform, "lyon", "mine", user="me")
        assert found is not None
        assert found.id == 1
    platform.life = lambda job, now: dataclasses.replace(job, state="error")
    assert find_job(platform, "lyon", "mine", user="me") is None
    assert find_job(platform, "nancy", "mine", user="me") is None


def test_two_jobs_of_one_name(platform: Any) -> None:
    submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    with pytest.raises(ReservationFailed, match="several jobs are called 'mine': 1, 2"):
        find_job(platform, "lyon", "mine", user="me")


# deleted, extended


def test_a_deletion_is_insisted_on(platform: Any) -> None:
    jobs = submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    platform.trouble = [refusal(503, "Server Unavailable"), refusal(502, "Bad Gateway"), None]
    delete(platform, jobs, waiting=platform.waiting)
    assert platform.deleted == [1]


def test_one_that_can_not_be_deleted_does_not_keep_the_others(platform: Any) -> None:
    jobs = submit_together(platform, {"lyon": SUBMISSION, "nancy": SUBMISSION}, waiting=platform.waiting)
    platform.trouble = [refusal(403, "not yours"), None]
    with pytest.raises(TestbedError, match="lyon: job 1 could not be deleted: not yours"):
        delete(platform, jobs, waiting=platform.waiting)
    assert platform.deleted == [2]


def test_a_job_that_is_gone_is_no_error(platform: Any) -> None:
    jobs = submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    platform.trouble = [refusal(404, "Couldn't find OAR::Job with 'job_id'=1")]
    delete(platform, jobs, waiting=platform.waiting)


def test_an_extension_is_waited_for(platform: Any) -> None:
    submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    began = platform.now
    platform.life = lambda job, now: dataclasses.replace(
        job, state="running", started_at=began, walltime=5400.0 if now > began + 30 else 3600.0
    )
    assert extend(platform, "lyon", 1, 1800.0, waiting=platform.waiting) == began + 5400
    assert platform.walltimes == [1800.0]


def test_an_extension_that_is_refused_or_not_given(platform: Any) -> None:
    submit_together(platform, {"lyon": SUBMISSION}, waiting=platform.waiting)
    platform.life = lambda job, now: dataclasses.replace(job, state="running", started_at=1_790_000_000.0)
    with pytest.raises(ReservationFailed, match=r"asked for 30 min 00 s more, got 0\.0 s"):
        extend(platform, "lyon", 1, 1800.0, waiting=platform.waiting)
    platform.trouble = [None, refusal(403, "Job 1 does not belong to you")]
    with pytest.raises(ReservationFailed, match="lyon: job 1: Job 1 does not belong to you"):
        extend(platform, "lyon", 1, 1800.0, waiting=platform.waiting)
