"""Waiting for a job's start and end."""

from __future__ import annotations

import pytest

from pytest_execo.errors import ReservationFailed
from pytest_execo.testbeds.oar.frontend import Unreachable
from pytest_execo.testbeds.oar.waiting import wait_until_over, wait_until_running
from tests.unit.testbeds.oar.fake_oar import NOW, FakeOar, full_job

DAY = 86400


def until_running(oar: FakeOar, deadline: float = NOW + DAY, number: int = 7) -> tuple[int, list[str]]:
    said: list[str] = []
    job = wait_until_running(oar, number, deadline=deadline, say=said.append)
    return job.id, said


def test_all_states_on_the_way_are_waited_for(oar: FakeOar) -> None:
    states = ["Hold", "Waiting", "toAckReservation", "Waiting", "toLaunch", "Launching", "Running"]
    oar.answers["oarstat -f"] = [full_job(state=state, scheduledStart=None) for state in states]
    number, said = until_running(oar)
    assert number == 7
    assert said == [f"job 7 on front is {state}" for state in states[:-1]]
    assert oar.time.slept == sorted(oar.time.slept)


def test_the_forecast_decides_how_often_is_asked(oar: FakeOar) -> None:
    start = NOW + 6 * 3600

    def job(words: list[str]) -> str:
        state = "Running" if oar.time.now() >= start else "Waiting"
        return full_job(state=state, scheduledStart=int(start))

    oar.answers["oarstat -f"] = job
    _, said = until_running(oar)
    assert len(said) == 1, "the same line again and again"
    assert "start expected at " in said[0]
    assert max(oar.time.slept) <= 60
    assert oar.count("oarstat") < 400
    assert oar.time.now() < start + 11


def test_without_forecast_it_is_asked_less_and_less(oar: FakeOar) -> None:
    oar.answers["oarstat -f"] = [full_job(state="Waiting", scheduledStart=None)] * 99 + [full_job()]
    until_running(oar)
    assert oar.time.slept[0] == 0.5
    assert oar.time.slept[-1] == 10


def test_a_deadline(oar: FakeOar) -> None:
    oar.answers["oarstat -f"] = full_job(state="Waiting", scheduledStart=None, message="no matching slot")
    with pytest.raises(ReservationFailed, match="job 7 on front is Waiting: no matching slot; it had to run by now"):
        until_running(oar, NOW + 100)
    assert NOW + 100 <= oar.time.now() < NOW + 101


def test_a_job_that_ends_before_it_runs(oar: FakeOar) -> None:
    events = [{"type": "FRAG_JOB_REQUEST", "description": "User root requested to frag the job 7"}]
    oar.answers["oarstat -f"] = full_job(state="Error", events=events)
    with pytest.raises(
        ReservationFailed,
        match=r"job 7 ended before it ran \(Error\): FRAG_JOB_REQUEST: User root requested to frag the job 7",
    ):
        until_running(oar)


def test_a_job_that_nobody_knows(oar: FakeOar) -> None:
    oar.answers["oarstat -f"] = ""
    with pytest.raises(ReservationFailed, match="OAR does not know job 7 any more"):
        until_running(oar)


def test_a_job_that_oar_submits_again_is_followed(oar: FakeOar) -> None:
    oar.answers |= {
        "oarstat -f -J -j 7": [full_job(state="Launching"), full_job(state="Error")],
        "oarstat -f -J -j 8": [full_job(8, state="Waiting", scheduledStart=None), full_job(8)],
        "oarstat -J -u": full_job(8, state="Waiting", resubmit_job_id=7),
    }
    number, said = until_running(oar)
    assert number == 8
    assert "job 7 on front could not be launched; OAR submitted it again as 8" in said


def test_a_frontend_that_is_restarted_is_waited_for(oar: FakeOar) -> None:
    oar.answers["oarstat -f"] = [Unreachable("front: refused")] * 12 + [full_job()]
    number, said = until_running(oar)
    assert number == 7
    assert said == ["front: refused"]


def test_and_one_that_is_gone_is_not(oar: FakeOar) -> None:
    oar.answers["oarstat -f"] = Unreachable("front: refused")
    with pytest.raises(Unreachable):
        until_running(oar)
    assert 600 < oar.time.now() - NOW < 700


@pytest.mark.parametrize("last", ["7: Terminated\n", "7: Error\n", ""])
def test_an_end_is_waited_for(oar: FakeOar, last: str) -> None:
    oar.answers["oarstat -s"] = ["7: Running\n", "7: Finishing\n", last]
    assert wait_until_over(oar, 7, timeout=60)


def test_and_one_that_does_not_come_is_told(oar: FakeOar) -> None:
    oar.answers["oarstat -s"] = "7: Finishing\n"
    assert not wait_until_over(oar, 7, timeout=60)
    assert oar.time.now() <= NOW + 71
