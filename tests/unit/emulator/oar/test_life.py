"""The states of a job from its submission to its end, and what is noted on the way (§2.6 - §2.8; real OAR, 1.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.emulator.oar.engine import OarRefused

STARTED = ["Hold", "Waiting", "toLaunch", "Launching", "Running"]


def test_the_states_of_a_job_that_ends_by_itself(bench: Any) -> None:
    job = bench.run()
    assert bench.states(job) == STARTED
    bench.go(10)
    bench.oar.end_command(job, 3)
    bench.until(job, "Terminated", "Error")
    assert bench.states(job) == [*STARTED, "Finishing", "Terminated"]
    assert (bench.oar.job(job).exit_code, bench.events(job)) == (768, [])


def test_when_it_happens(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(scheduler_latency=2.0, launch=3.0, end=4.0)
    job = bench.run()
    dates = {change.new: change.date - bench.begin for change in bench.changes if change.job_id == job}
    assert dates == {"Hold": 0, "Waiting": 0, "toLaunch": 2, "Launching": 2, "Running": 5}
    found = bench.oar.job(job)
    assert (found.submitted, found.started, found.scheduled) == (bench.begin, bench.begin + 2, bench.begin + 2)
    bench.oar.end_command(job)
    bench.until(job, "Terminated")
    assert found.stopped == bench.begin + 9


def test_changes_are_told_once_and_in_order(bench: Any) -> None:
    bench.submit()
    bench.submit()
    bench.go(100)
    dates = [change.date for change in bench.changes]
    assert dates == sorted(dates)
    assert bench.oar.advance() == []


def test_nothing_is_due_where_nothing_was_asked_for(bench: Any) -> None:
    bench.go(1)
    assert bench.oar.next_date() is None
    bench.submit()
    assert bench.oar.next_date() == bench.clock.date + bench.oar.settings.scheduler_latency


def test_one_big_step_is_the_same_as_many_small_ones(make_bench: Callable[..., Any]) -> None:
    def history(step: float) -> list[Any]:
        bench = make_bench(jitter=0.5)
        for count in (1, 3, 2, 4):
            bench.submit(f"nodes={count},walltime=0:10", command="sleep 100")
        while bench.clock.date < bench.begin + 3000:
            bench.go(step)
        return list(bench.changes)

    assert history(3000) == history(7.5)


@pytest.mark.parametrize(
    ("command", "seconds"),
    [("sleep 30", 30), ("sleep 2m", 120), ("exec sleep 0.5h", 1800), ("sleep 1d", None), ("hostname; sleep 3", None)],
)
def test_a_command_that_sleeps_ends_by_itself(bench: Any, command: str, seconds: float | None) -> None:
    job = bench.run("nodes=1,walltime=1:00", command=command)
    began = bench.clock.date
    ended = bench.until(job, "Finishing")
    if seconds is None:
        assert "WALLTIME" in bench.events(job)
    else:
        assert ended - began == seconds
        bench.until(job, "Terminated")
        assert bench.oar.job(job).exit_code == 0


def test_walltime(bench: Any) -> None:
    job = bench.run("nodes=1,walltime=0:10")
    ended = bench.until(job, "Terminated", "Error")
    found = bench.oar.job(job)
    assert bench.states(job) == [*STARTED, "Finishing", "Error"]
    assert bench.events(job) == ["WALLTIME", "FRAG_JOB_REQUEST", "SEND_KILL_JOB", "SWITCH_INTO_ERROR_STATE"]
    assert found.events[-4].description.endswith("(Elapsed)")
    assert found.events[-3].description == f"User root requested to frag the job {job}"
    assert 600 <= ended - found.started <= 605
    assert found.exit_code is None


def test_a_job_that_is_deleted_ends_in_error(bench: Any) -> None:
    job = bench.run()
    assert bench.oar.delete("alice", job) == (
        f"Deleting the job = {job} ...REGISTERED. The job(s) [ {job} ] will be deleted in a near future."
    )
    assert bench.oar.job(job).state == "Running"  # not yet
    bench.until(job, "Terminated", "Error")
    assert bench.states(job) == [*STARTED, "Finishing", "Error"]
    assert bench.events(job) == ["FRAG_JOB_REQUEST", "SEND_KILL_JOB", "SWITCH_INTO_ERROR_STATE"]
    frag = next(event for event in bench.oar.job(job).events if event.type == "FRAG_JOB_REQUEST")
    assert frag.description == f"User alice requested to frag the job {job}"


def test_a_job_that_waits_is_deleted(bench: Any) -> None:
    bench.run("nodes=ALL")
    job = bench.submit()
    bench.go(1)
    bench.oar.delete("alice", job)
    bench.until(job, "Error")
    assert bench.states(job) == ["Hold", "Waiting", "toError", "Error"]
    found = bench.oar.job(job)
    assert (found.started, found.assigned, found.plan) == (0, 0, None)


def test_a_job_is_deleted_while_it_is_launched(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(deletion=5.0)
    job = bench.submit()
    bench.until(job, "Launching")
    bench.oar.delete("alice", job)
    bench.until(job, "Terminated", "Error")
    assert bench.states(job)[-3:] == ["Launching", "Finishing", "Error"]


def test_a_job_that_is_over_can_be_deleted_once(bench: Any) -> None:
    job = bench.run()
    bench.oar.end_command(job)
    bench.until(job, "Terminated")
    bench.oar.delete("alice", job)
    bench.go(10)
    assert bench.oar.job(job).state == "Terminated"
    with pytest.raises(OarRefused, match="already killed"):
        bench.oar.delete("alice", job)


@pytest.mark.parametrize(
    ("user", "number", "http", "status", "reason"),
    [
        ("alice", 1, 400, 1536, "Cannot frag 1 ; This job was already killed."),
        ("bob", 1, 403, 256, "Cannot frag 1 ; You are not the right user."),
        ("alice", 7, 404, 1024, "Cannot frag 7 ; This job does not exist."),
    ],
)
def test_what_cannot_be_deleted(bench: Any, user: str, number: int, http: int, status: int, reason: str) -> None:
    bench.oar.delete("alice", bench.run())
    with pytest.raises(OarRefused) as refused:
        bench.oar.delete(user, number)
    assert refused.value.http == http
    assert refused.value.message == (
        f"Oardel command exited with status {status}: Deleting the job = {number} ...ERROR.\n{reason}"
    )


def test_a_job_whose_walltime_was_over_was_already_killed(bench: Any) -> None:
    job = bench.run("nodes=1,walltime=0:1")
    bench.until(job, "Error")
    with pytest.raises(OarRefused, match="already killed"):
        bench.oar.delete("alice", job)


def test_a_noop_job_that_is_killed_is_terminated(bench: Any) -> None:
    job = bench.run(types=["noop"], command=None)
    bench.oar.delete("alice", job)
    bench.until(job, "Terminated", "Error")
    assert bench.oar.job(job).state == "Terminated"


def test_a_fault_ends_a_job_early(bench: Any) -> None:
    job = bench.run()
    bench.oar.kill(job, "power failure")
    bench.until(job, "Terminated", "Error")
    assert bench.oar.job(job).state == "Error"
    assert any("power failure" in event.description for event in bench.oar.job(job).events)
    before = list(bench.oar.job(job).events)
    bench.oar.kill(job, "again")
    assert bench.oar.job(job).events == before


def test_idempotent_jobs_are_submitted_again(bench: Any) -> None:
    first = bench.run(types=["idempotent"])
    bench.oar.end_command(first, 99)
    bench.until(first, "Terminated")
    assert len(bench.oar.jobs()) == 2
    second = bench.oar.jobs()[0]
    assert (second.order.wanted, second.user) == (bench.oar.job(first).order.wanted, "alice")
    bench.until(second.id, "Running")
    bench.oar.end_command(second.id, 1)
    bench.until(second.id, "Terminated")
    assert len(bench.oar.jobs()) == 2


def test_a_job_on_a_node_that_dies_goes_on(bench: Any) -> None:
    job = bench.run()
    bench.oar.set_node_state("taurus-1.lyon.grid5000.fr", "Dead")
    bench.go(60)
    assert bench.oar.job(job).state == "Running"
    assert bench.nodes(bench.run("nodes=1")) == ["taurus-2"]


@pytest.mark.parametrize(("types", "state"), [((), "Error"), (("deploy",), "Running"), (("noop",), "Running")])
def test_a_node_that_dies_while_a_job_is_launched(bench: Any, types: tuple[str, ...], state: str) -> None:
    job = bench.submit(types=types)
    bench.until(job, "Launching")
    bench.oar.set_node_state("taurus-1.lyon.grid5000.fr", "Suspected")
    bench.until(job, "Running", "Error")
    assert bench.oar.job(job).state == state
    assert ("CPUSET_ERROR" in bench.events(job)) == (state == "Error")


def test_a_node_that_is_woken_takes_longer(bench: Any) -> None:
    for number in range(1, 5):
        bench.oar.set_node_state(f"taurus-{number}.lyon.grid5000.fr", "Standby")
    assert bench.oar.status()["nodes"]["taurus-1.lyon.grid5000.fr"]["hard"] == "standby"
    job = bench.run()
    assert bench.clock.date - bench.begin == pytest.approx(0.5 + 1 + bench.oar.settings.wake)
    assert bench.oar.status()["nodes"]["taurus-1.lyon.grid5000.fr"]["hard"] == "alive"
    assert bench.nodes(job) == ["taurus-1"]


def test_unknown_nodes_states_and_jobs(bench: Any) -> None:
    with pytest.raises(KeyError):
        bench.oar.set_node_state("nosuch", "Dead")
    with pytest.raises(ValueError, match="write one of Alive"):
        bench.oar.set_node_state("taurus-1.lyon.grid5000.fr", "broken")
    with pytest.raises(KeyError):
        bench.oar.job(1)


def test_numbers_go_on_from_the_first(small: dict[str, Any], make_bench: Callable[..., Any]) -> None:
    bench = make_bench(small)
    other = type(bench)(small, first_job=1234567)
    assert other.submit() == 1234567
    assert other.submit() == 1234568
    assert [job.id for job in other.oar.jobs()] == [1234568, 1234567]
