"""Advance reservations: decided at once, kept at their date (§2.7; real OAR, 1.5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.emulator.oar.dates import read_reservation, text_of
from pytest_execo.emulator.oar.engine import OarRefused

HOST = "taurus-1.lyon.grid5000.fr"


def reserve(bench: Any, ahead: float, resources: str = "nodes=4,walltime=0:10", **more: Any) -> int:
    return int(bench.submit(resources, reservation=text_of(bench.clock.date + ahead), **more))


def refusal(bench: Any, ahead: float, resources: str = "nodes=4,walltime=0:10") -> str:
    with pytest.raises(OarRefused) as refused:
        reserve(bench, ahead, resources)
    assert (refused.value.exit_code, refused.value.http) == (10, 400)
    found = re.search(r"# Reservation not valid --> KO \((.*)\)", refused.value.message)
    assert found is not None
    job = bench.oar.jobs()[0]
    assert f"OAR_JOB_ID={job.id}\n" in refused.value.message
    assert (job.state, job.message) == ("Error", found[1])
    return found[1]


def test_it_is_accepted_and_starts_at_its_date(bench: Any) -> None:
    job = reserve(bench, 600, command=None)
    found = bench.oar.job(job)
    start = bench.begin + 600
    assert bench.oar.advance()[-3:][0].new == "Waiting"
    assert (found.state, found.reservation, found.started, found.scheduled) == ("Waiting", "Scheduled", start, start)
    assert len(bench.nodes(job)) == 4
    bench.until(job, "Running")
    assert bench.clock.date == start + bench.oar.settings.launch
    assert found.started == start


def test_its_states(bench: Any) -> None:
    job = reserve(bench, 600)
    bench.until(job, "Error", "Terminated")
    assert bench.states(job) == [
        "Hold", "Waiting", "toAckReservation", "Waiting", "toLaunch", "Launching", "Running", "Finishing", "Error",
    ]  # fmt: skip
    assert bench.oar.job(job).stopped <= bench.begin + 600 + 600 + 5


def test_now(bench: Any) -> None:
    bench.clock.date += 0.7
    job = bench.submit("nodes=1", reservation="now", command=None)
    bench.until(job, "Running")
    assert bench.clock.date - bench.begin < 5
    assert "REDUCE_RESERVATION_WALLTIME" not in bench.events(job)


def test_a_date_that_another_reservation_has(bench: Any) -> None:
    reserve(bench, 600)
    reason = refusal(bench, 700)
    assert reason == f"This reservation could run at {text_of(bench.begin + 600 + 600 + 60)}"
    date, _ = read_reservation(reason.removeprefix("This reservation could run at "), 0)
    assert bench.oar.job(reserve(bench, date - bench.begin)).state == "Waiting"


def test_it_fits_beside_another(bench: Any) -> None:
    reserve(bench, 600, "nodes=2,walltime=0:10")
    assert bench.nodes(reserve(bench, 700, "nodes=2,walltime=0:10", user="bob")) == ["taurus-3", "taurus-4"]


def test_nodes_that_a_running_job_has(bench: Any) -> None:
    first = bench.run("nodes=1,walltime=0:30")
    could = bench.oar.job(first).started + 1800 + 60
    assert refusal(bench, 600) == f"This reservation could run at {text_of(could + 0.999)}"


def test_it_goes_before_jobs_that_wait(bench: Any) -> None:
    bench.run("nodes=4,walltime=0:10")
    waiting = bench.submit("nodes=4,walltime=1:00")
    bench.go(1)
    job = reserve(bench, 700)
    bench.go(1)
    assert bench.oar.job(waiting).scheduled == bench.oar.job(job).started + 660
    bench.until(job, "Running")


def test_a_date_that_is_over(bench: Any) -> None:
    assert refusal(bench, -601) == "Reservation too old"


def test_a_date_that_has_begun_is_moved_to_now(bench: Any) -> None:
    job = reserve(bench, -200)
    found = bench.oar.job(job)
    assert (found.started, found.walltime) == (bench.begin, 400)
    bench.until(job, "Running")
    assert bench.until(job, "Error") - bench.begin < 410


def test_what_can_never_be_at_any_date(bench: Any) -> None:
    bench.oar.set_node_state(HOST, "Suspected")
    assert refusal(bench, 600) == "This reservation cannot run"


def test_best_effort_goes_in_time(bench: Any) -> None:
    besteffort = bench.run("nodes=4,walltime=10:00", types=["besteffort"])
    job = reserve(bench, 600)
    start = bench.oar.job(job).started
    bench.until(besteffort, "Error")
    assert start - 10 < bench.clock.date <= start
    bench.until(job, "Running")
    assert bench.oar.job(job).started == start


def test_only_the_first_alternative_counts(bench: Any) -> None:
    job = bench.submit(["nodes=3,walltime=0:10", "nodes=1,walltime=0:20"], reservation=text_of(bench.begin + 600))
    assert (len(bench.nodes(job)), bench.oar.job(job).walltime) == (3, 600)


def test_it_waits_for_a_node_that_comes_back(bench: Any) -> None:
    job = reserve(bench, 600)
    bench.oar.set_node_state(HOST, "Suspected")
    bench.go(700)
    assert bench.oar.job(job).state == "Waiting"
    bench.oar.set_node_state(HOST, "Alive")
    bench.until(job, "Running")
    assert len(bench.nodes(job)) == 4
    assert "REDUCE_RESERVATION_WALLTIME" in bench.events(job)
    assert 495 <= bench.oar.job(job).walltime <= 500


def test_it_goes_on_with_less_when_a_node_stays_away(bench: Any) -> None:
    job = reserve(bench, 600)
    bench.oar.set_node_state(HOST, "Dead")
    bench.until(job, "Running")
    assert bench.clock.date - bench.begin == 600 + bench.oar.settings.reservation_timeout + bench.oar.settings.launch
    assert bench.nodes(job) == ["taurus-2", "taurus-3", "taurus-4"]
    assert bench.events(job) == ["SCHEDULER_REDUCE_NB_NODES_FOR_RESERVATION", "REDUCE_RESERVATION_WALLTIME"]


@pytest.mark.parametrize("resources", ["nodes=1,walltime=0:10", "{type='kavlan'}/vlan=1+nodes=1,walltime=0:10"])
def test_it_is_in_error_when_no_node_is_left(bench: Any, resources: str) -> None:
    job = reserve(bench, 600, resources)
    bench.oar.set_node_state(HOST, "Dead")
    bench.until(job, "Running", "Error")
    assert bench.oar.job(job).state == "Error"
    assert bench.events(job)[0] == "RESERVATION_NO_NODE"


def test_it_is_too_old_when_its_nodes_are_too_late(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(reservation_timeout=900.0)
    job = reserve(bench, 600)
    bench.oar.set_node_state(HOST, "Dead")
    bench.until(job, "Running", "Error")
    assert (bench.oar.job(job).state, bench.oar.job(job).message) == ("Error", "Reservation too old")


def test_one_that_is_deleted_leaves_its_place(bench: Any) -> None:
    job = reserve(bench, 600)
    bench.oar.delete("alice", job)
    bench.until(job, "Error")
    assert bench.oar.job(reserve(bench, 600)).state == "Waiting"


def test_reservations_inside_of_a_container(bench: Any) -> None:
    container = bench.run("nodes=2,walltime=1:00", types=["container"])
    job = reserve(bench, 600, "nodes=2,walltime=0:10", types=[f"inner={container}"])
    bench.until(job, "Running")
    assert set(bench.nodes(job)) == set(bench.nodes(container))
    assert "could run" in refusal(bench, 1, "nodes=4,walltime=0:10")
