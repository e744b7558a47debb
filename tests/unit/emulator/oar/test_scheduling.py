"""Who runs when: order, backfilling, queues, best effort, containers, days and nights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.emulator.oar.dates import text_of
from pytest_execo.emulator.oar.engine import OarRefused

# Between two jobs on a node.
GAP = 60


def planned(bench: Any, job: int) -> float | None:
    """Return when a job is planned to start, seconds after the beginning."""
    scheduled = bench.oar.job(job).scheduled
    return None if scheduled is None else round(scheduled - bench.begin, 1)


def test_first_come_first_served(bench: Any) -> None:
    jobs = [bench.submit("nodes=3,walltime=0:10") for _ in range(3)]
    bench.go(1)
    assert [planned(bench, job) for job in jobs] == [0.5, 0.5 + 600 + GAP, 0.5 + 2 * (600 + GAP)]


def test_a_short_job_goes_before_where_it_delays_nobody(bench: Any) -> None:
    bench.submit("nodes=3,walltime=0:10")
    wide = bench.submit("nodes=4,walltime=0:10")
    short = bench.submit("nodes=1,walltime=0:10")
    long = bench.submit("nodes=1,walltime=0:11")
    bench.go(1)
    assert planned(bench, wide) == 660.5
    assert planned(bench, short) == 0.5
    assert planned(bench, long) == 1320.5


def test_jobs_move_up_when_one_ends_early(bench: Any) -> None:
    first = bench.run("nodes=4,walltime=1:00")
    second, third = bench.submit("nodes=4,walltime=0:10"), bench.submit("nodes=4,walltime=0:10")
    bench.go(1)
    assert bench.nodes(second) == ["taurus-1", "taurus-2", "taurus-3", "taurus-4"]  # told before it starts
    bench.oar.end_command(first)
    bench.until(second, "Running")
    assert bench.clock.date - bench.begin < 10
    assert planned(bench, third) == pytest.approx(bench.oar.job(second).started - bench.begin + 660, abs=0.1)


def test_a_job_that_finds_no_place_says_so(bench: Any) -> None:
    for number in range(1, 5):
        bench.oar.set_node_state(f"taurus-{number}.lyon.grid5000.fr", "Suspected")
    job = bench.submit()
    bench.go(10)
    found = bench.oar.job(job)
    assert (found.state, found.scheduled, found.plan) == ("Waiting", None, None)
    assert found.message == "No enough matching resources (no_matching_slot)"
    bench.oar.set_node_state("taurus-3.lyon.grid5000.fr", "Alive")
    bench.until(job, "Running")
    assert (bench.nodes(job), found.message) == (["taurus-3"], "FIFO scheduling OK")


def test_a_plan_on_a_node_that_dies_is_made_anew(bench: Any) -> None:
    bench.run("nodes=3,walltime=0:10")
    job = bench.submit("nodes=1,walltime=0:10")
    wide = bench.submit("nodes=3,walltime=0:10")
    bench.go(1)
    assert bench.nodes(job) == ["taurus-4"]
    before = set(bench.nodes(wide))
    bench.oar.set_node_state("taurus-2.lyon.grid5000.fr", "Dead")
    bench.go(1)
    assert "taurus-2" in before
    assert set(bench.nodes(wide)) == {"taurus-1", "taurus-3", "taurus-4"}


def test_who_lost_a_place_does_not_go_behind_who_came_later(bench: Any) -> None:
    bench.run("nodes=4,walltime=0:10")
    first, second = bench.submit("nodes=4,walltime=1:00"), bench.submit("nodes=3,walltime=1:00")
    bench.go(1)
    bench.oar.set_node_state("taurus-4.lyon.grid5000.fr", "Suspected")
    bench.go(1)
    bench.oar.set_node_state("taurus-4.lyon.grid5000.fr", "Alive")
    bench.go(1)
    third = bench.submit("nodes=4,walltime=0:10")
    bench.go(1)
    order = sorted((first, second, third), key=lambda job: planned(bench, job) or 0)
    assert order.index(third) == 2


def test_a_queue_of_higher_priority_goes_first(bench: Any) -> None:
    bench.run("nodes=4,walltime=0:10")
    default, admin = bench.submit("nodes=4,walltime=0:10"), bench.submit("{cluster='taurus'}/nodes=4", queue="admin")
    bench.until(admin, "Running")
    assert bench.oar.job(default).state == "Waiting"


def test_best_effort_takes_what_is_left_and_goes_when_it_is_needed(bench: Any) -> None:
    besteffort = bench.run("nodes=4,walltime=10:00", types=["besteffort"])
    job = bench.submit("nodes=2")
    asked = bench.clock.date
    bench.until(job, "Running")
    assert bench.clock.date - asked < 10
    assert bench.oar.job(besteffort).state == "Error"
    assert bench.events(besteffort)[:2] == ["BESTEFFORT_KILL", "FRAG_JOB_REQUEST"]


def test_best_effort_is_not_killed_where_other_nodes_are_free(bench: Any) -> None:
    besteffort = bench.run("nodes=2,walltime=10:00", types=["besteffort"])
    assert bench.nodes(bench.run("nodes=2")) == ["taurus-3", "taurus-4"]
    assert bench.oar.job(besteffort).state == "Running"


def test_best_effort_does_not_start_where_it_would_have_to_go(bench: Any) -> None:
    bench.run("nodes=3,walltime=0:10")
    wide = bench.submit("nodes=4,walltime=0:10")
    bench.go(1)
    long = bench.submit("{cluster='taurus'}/nodes=1,walltime=0:30", types=["besteffort"])
    short = bench.submit("{cluster='taurus'}/nodes=1,walltime=0:09", types=["besteffort"])
    bench.until(short, "Running")
    assert planned(bench, long) == 1320.5
    assert planned(bench, wide) == 660.5
    bench.until(wide, "Running")
    assert planned(bench, wide) is not None
    assert bench.oar.job(wide).started - bench.begin <= 660.5


def test_best_effort_goes_in_time_for_a_job_that_is_planned(bench: Any) -> None:
    bench.run("nodes=4,walltime=0:10", command="sleep 100")
    wide = bench.submit("nodes=4,walltime=0:10")
    bench.go(1)
    besteffort = bench.submit("{cluster='taurus'}/nodes=1,walltime=0:30", types=["besteffort"])
    bench.until(wide, "Running")
    assert bench.oar.job(besteffort).state in ("Waiting", "Error")


def test_an_idempotent_best_effort_job_comes_again(bench: Any) -> None:
    bench.run("nodes=4,walltime=10:00", types=["besteffort", "idempotent"])
    bench.run("nodes=4,walltime=0:10", command="sleep 10")
    again = bench.oar.jobs()[0]
    assert (again.queue, again.state) == ("besteffort", "Waiting")
    bench.until(again.id, "Running")


def test_jobs_run_inside_of_their_container(bench: Any) -> None:
    container = bench.run("nodes=2,walltime=1:00", types=["container"])
    inner = [bench.submit("nodes=1,walltime=0:10", types=[f"inner={container}"]) for _ in range(3)]
    bench.go(5)
    assert [bench.nodes(job) for job in inner[:2]] == [["taurus-1"], ["taurus-2"]]
    assert [bench.oar.job(job).state for job in inner] == ["Running", "Running", "Waiting"]
    assert bench.nodes(bench.run("nodes=2")) == ["taurus-3", "taurus-4"]
    bench.until(inner[2], "Running")
    assert set(bench.nodes(inner[2])) <= set(bench.nodes(container))


def test_jobs_too_big_for_their_container_wait(bench: Any) -> None:
    container = bench.run("nodes=2,walltime=1:00", types=["container"])
    wide = bench.submit("nodes=3,walltime=0:10", types=[f"inner={container}"])
    long = bench.submit("nodes=1,walltime=2:00", types=[f"inner={container}"])
    bench.go(10)
    for job in (wide, long):
        assert bench.oar.job(job).state == "Waiting"
        assert bench.oar.job(job).message == "No enough matching resources (no_matching_slot)"


def test_jobs_end_with_their_container(bench: Any) -> None:
    container = bench.run("nodes=2,walltime=1:00", types=["container"])
    inner = bench.run("nodes=1,walltime=0:30", types=[f"inner={container}"])
    waiting = bench.submit("nodes=3,walltime=0:10", types=[f"inner={container}"])
    bench.oar.delete("alice", container)
    bench.until(inner, "Error")
    bench.until(waiting, "Error")
    assert bench.oar.job(container).state == "Error"


def test_jobs_are_planned_in_a_container_that_waits(bench: Any) -> None:
    bench.run("nodes=4,walltime=0:10")
    container = bench.submit("nodes=2,walltime=1:00", types=["container"])
    inner = bench.submit("nodes=1,walltime=0:10", types=[f"inner={container}"])
    bench.go(1)
    assert planned(bench, inner) == planned(bench, container) == 660.5
    bench.until(inner, "Running")
    assert bench.oar.job(container).state == "Running"


# The beginning is Friday 09:00 in Paris.
@pytest.mark.parametrize(
    ("kind", "walltime", "hours"),
    [("day", "4:00", 0), ("night", "4:00", 10), ("night", "60:00", 10), ("day", "9:59", 0)],
)
def test_days_and_nights(bench: Any, kind: str, walltime: str, hours: float) -> None:
    job = bench.submit(f"nodes=1,walltime={walltime}", types=[kind])
    bench.go(1)
    assert planned(bench, job) == (hours * 3600 or 0.5)


def test_a_job_that_fits_into_no_night_has_no_place(bench: Any) -> None:
    job = bench.submit("nodes=1,walltime=100:00", types=["night"])
    bench.go(1)
    assert planned(bench, job) is None


def test_the_time_between_jobs_is_a_setting(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(security_time=5.0)
    jobs = [bench.submit("nodes=4,walltime=0:10") for _ in range(2)]
    bench.go(1)
    assert planned(bench, jobs[1]) == 605.5


@pytest.mark.parametrize("security_time", [0.0, 1.0, 60.0])
def test_all_jobs_run_one_after_the_other(make_bench: Callable[..., Any], security_time: float) -> None:
    bench = make_bench(security_time=security_time)
    jobs = [bench.submit("nodes=3,walltime=0:10") for _ in range(4)]
    for job in jobs:
        bench.until(job, "Error")
    started = [bench.oar.job(job).started for job in jobs]
    assert started == sorted(started)
    assert started[-1] - started[0] < 3 * (600 + 10)


def test_an_advance_reservation_does_not_turn_the_order_around(bench: Any) -> None:
    bench.run("nodes=4,walltime=0:10")
    first, second = bench.submit("nodes=4,walltime=1:00"), bench.submit("nodes=4,walltime=0:10")
    bench.go(1)
    bench.submit("nodes=1,walltime=0:10", reservation=text_of(bench.begin + 700), user="bob")
    bench.go(1)
    assert planned(bench, first) == 700 + 660
    assert planned(bench, second) == 700 + 660 + 3660


def test_jobs_move_up_with_their_container(bench: Any) -> None:
    first = bench.run("nodes=4,walltime=1:00")
    container = bench.submit("nodes=2,walltime=1:00", types=["container"])
    inner = bench.submit("nodes=1,walltime=0:10", types=[f"inner={container}"])
    bench.go(1)
    bench.oar.end_command(first)
    bench.go(1.5)  # the pass that finds the new place of both
    assert planned(bench, inner) == planned(bench, container)
    bench.until(inner, "Running")
    assert bench.clock.date - bench.begin < 20


def test_nodes_that_were_told_stay_where_nothing_is_won(bench: Any) -> None:
    bench.run("nodes=4,walltime=0:10")
    bench.oar.set_node_state("taurus-1.lyon.grid5000.fr", "Suspected")
    job = bench.submit("nodes=1,walltime=0:10")
    bench.go(1)
    assert bench.nodes(job) == ["taurus-2"]
    bench.oar.set_node_state("taurus-1.lyon.grid5000.fr", "Alive")
    bench.go(1)
    assert bench.nodes(job) == ["taurus-2"]


def test_best_effort_gives_its_place_to_who_comes_later(bench: Any) -> None:
    bench.run("nodes=4,walltime=0:10")
    besteffort = bench.submit("{cluster='taurus'}/nodes=4,walltime=0:10", types=["besteffort"])
    bench.go(1)
    assert planned(bench, besteffort) == 660.5
    job = bench.submit("nodes=4,walltime=0:10")
    bench.go(1)
    assert (planned(bench, job), planned(bench, besteffort)) == (660.5, 1320.5)


def test_what_is_held_beyond_its_time_is_not_given_away(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(security_time=0.0)
    job = bench.run("nodes=4,walltime=0:10")
    bench.until(job, "Finishing")
    assert bench.clock.date > bench.oar.job(job).started + 600
    with pytest.raises(OarRefused, match="could run at"):
        bench.submit("nodes=4,walltime=0:10", reservation="now")


def test_a_job_that_had_to_wait_for_best_effort_has_its_whole_walltime(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(security_time=0.0)
    bench.run("{cluster='taurus'}/nodes=4,walltime=1:00", types=["besteffort"])
    job = bench.oar.job(bench.run("nodes=4,walltime=0:10"))
    assert job.until == job.started + 600
