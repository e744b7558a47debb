"""The change of a running job's walltime: texts and codes of §2.9, and what the scheduler grants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.emulator.oar.dates import text_of
from pytest_execo.emulator.oar.engine import OarRefused


def test_a_running_job_shows_its_walltime(bench: Any) -> None:
    job = bench.run("nodes=1,walltime=1:00")
    assert bench.oar.walltime(job) == {
        "uid": job, "walltime": "1:0:0", "possible": "UNLIMITED", "pending": "+0:0:0", "timeout": 0,
        "force": "FORBIDDEN", "delay_next_jobs": "NO", "whole": "NO", "granted": "+0:0:0",
        "granted_with_force": "+0:0:0", "granted_with_delay_next_jobs": "+0:0:0", "granted_with_whole": "+0:0:0",
    }  # fmt: skip


def test_a_job_that_does_not_run_shows_no_durations(bench: Any) -> None:
    job = bench.submit()
    assert set(bench.oar.walltime(job)) == {"uid", "force", "delay_next_jobs", "whole"}
    with pytest.raises(KeyError):
        bench.oar.walltime(99)


@pytest.mark.parametrize(
    ("text", "walltime", "granted"),
    [
        ("+1:30", "2:30:0", "+1:30:0"),
        ("2:00:00", "2:0:0", "+1:0:0"),
        ("+0:0:30", "1:0:30", "+0:0:30"),
        ("3", "3:0:0", "+2:0:0"),
    ],
)
def test_it_grows_at_the_next_pass(bench: Any, text: str, walltime: str, granted: str) -> None:
    job = bench.run("nodes=1,walltime=1:00")
    assert bench.oar.change_walltime("alice", job, text) == (
        f"Walltime change request updated for job {job}, it will be handled shortly"
    )
    assert (bench.oar.walltime(job)["walltime"], bench.oar.walltime(job)["pending"]) == ("1:0:0", granted)
    bench.go(1)
    shown = bench.oar.walltime(job)
    assert (shown["walltime"], shown["pending"], shown["granted"]) == (walltime, "+0:0:0", granted)
    found = bench.oar.job(job)
    assert found.walltime >= 3600
    bench.until(job, "Finishing")
    assert found.walltime <= bench.clock.date - found.started <= found.walltime + 5


def _refusal(bench: Any, user: str, job: int, text: str, **more: Any) -> tuple[int, str]:
    with pytest.raises(OarRefused) as refused:
        bench.oar.change_walltime(user, job, text, **more)
    return refused.value.http, refused.value.message


@pytest.mark.parametrize(
    ("text", "http", "message"),
    [
        ("+01h", 400, "Syntax error"),
        ("", 400, "Syntax error"),
        ("+1:2:3:4", 400, "Syntax error"),
        ("-0:10", 400, "Walltime reduction is not allowed"),
        ("0:30", 400, "Walltime reduction is not allowed"),
    ],
)
def test_what_is_no_walltime(bench: Any, text: str, http: int, message: str) -> None:
    assert _refusal(bench, "alice", bench.run(), text) == (http, message)


def test_who_may_not(bench: Any, make_bench: Callable[..., Any]) -> None:
    job = bench.run("nodes=1,walltime=0:20")
    assert _refusal(bench, "bob", job, "+1") == (403, f"Job {job} does not belong to you")
    assert _refusal(bench, "alice", 99, "+1")[0] == 404
    assert _refusal(bench, "alice", job, "+1", force=True) == (
        403, "Walltime change for this job is not allowed to be forced",
    )  # fmt: skip
    waiting = bench.submit("nodes=ALL")
    bench.go(1)
    assert _refusal(bench, "alice", waiting, "+1") == (403, f"Job {waiting} is not running")
    other = make_bench(users_to_delay=(), users_to_force=("alice",), walltime_min=1800, walltime_max_increase=600)
    short, job = other.run("nodes=1,walltime=0:20"), other.run("nodes=1,walltime=0:30")
    assert _refusal(other, "alice", job, "+0:5", delay_next_jobs=True) == (
        403, "Walltime change for this job is not allowed to delay other jobs",
    )  # fmt: skip
    assert _refusal(other, "alice", short, "+0:5") == (
        403, "Walltime change is not allowed for a job with walltime < 0:30:0",
    )  # fmt: skip
    other.oar.change_walltime("alice", job, "+0:5", force=True)
    other.go(1)
    assert other.oar.walltime(job)["possible"] == "+0:5:0"
    assert (other.oar.walltime(job)["force"], other.oar.walltime(job)["granted_with_force"]) == ("YES", "+0:5:0")
    assert other.oar.walltime(job)["delay_next_jobs"] == "FORBIDDEN"
    code, message = _refusal(other, "alice", job, "+0:6")
    assert code == 403
    assert "request cannot be updated because the walltime cannot increase by more than" in message
    off = make_bench(walltime_change=False)
    assert _refusal(off, "alice", off.run(), "+1")[0] == 403


def _with_neighbour(bench: Any) -> tuple[int, int]:
    """Return a running job, and one that is planned on its nodes 30 minutes later."""
    job = bench.run("nodes=4,walltime=1:00")
    other = bench.submit("nodes=4,walltime=1:00", user="bob")
    bench.go(1)
    return job, other


def test_not_at_the_expense_of_the_next_job(bench: Any) -> None:
    job, other = _with_neighbour(bench)
    before = bench.oar.job(other).scheduled
    bench.oar.change_walltime("alice", job, "+0:30")
    bench.go(1)
    assert bench.oar.walltime(job)["pending"] == "+0:30:0"
    assert bench.oar.job(other).scheduled == before
    bench.oar.delete("bob", other)
    bench.go(5)
    assert bench.oar.walltime(job)["granted"] == "+0:30:0"  # as soon as there is room


def test_unless_the_next_job_may_be_delayed(bench: Any) -> None:
    job, other = _with_neighbour(bench)
    before = bench.oar.job(other).scheduled
    bench.oar.change_walltime("alice", job, "+0:30", delay_next_jobs=True)
    bench.go(1)
    shown = bench.oar.walltime(job)
    assert (shown["granted"], shown["granted_with_delay_next_jobs"], shown["delay_next_jobs"]) == (
        "+0:30:0", "+0:30:0", "YES",
    )  # fmt: skip
    assert bench.oar.job(other).scheduled == before + 1800


@pytest.mark.parametrize(("whole", "granted"), [(False, "+0:10:0"), (True, "+0:0:0")])
def test_up_to_a_reservation_and_no_further(bench: Any, whole: bool, granted: str) -> None:
    job = bench.run("nodes=4,walltime=1:00")
    end = bench.oar.job(job).started + 3600 + 60
    bench.submit("nodes=1,walltime=1:00", reservation=text_of(end + 600.5), user="bob")
    bench.oar.change_walltime("alice", job, "+1", delay_next_jobs=True, whole=whole)
    bench.go(1)
    assert bench.oar.walltime(job)["granted"] == granted


def test_a_request_is_given_up_in_time(bench: Any) -> None:
    job, _ = _with_neighbour(bench)
    bench.oar.change_walltime("alice", job, "+0:30", timeout=120)
    bench.go(100)
    assert (bench.oar.walltime(job)["pending"], bench.oar.walltime(job)["timeout"]) == ("+0:30:0", 120)
    bench.go(30)
    assert bench.oar.walltime(job)["pending"] == "+0:0:0"


def test_a_new_request_takes_the_place_of_the_old_one(bench: Any) -> None:
    job, _ = _with_neighbour(bench)
    bench.oar.change_walltime("alice", job, "+0:30")
    bench.oar.change_walltime("alice", job, "+0:20")
    assert bench.oar.walltime(job)["pending"] == "+0:20:0"


def test_it_shrinks_where_that_is_allowed(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(walltime_reduction=True)
    job, other = _with_neighbour(bench)
    bench.oar.change_walltime("alice", job, "-0:30")
    bench.go(1)
    assert bench.oar.walltime(job)["walltime"] == "0:30:0"
    bench.until(other, "Running")
    assert bench.clock.date - bench.begin < 1810
    bench.oar.change_walltime("bob", other, "0:00:10")
    bench.until(other, "Error")
    assert bench.clock.date - bench.begin < 1830


def test_not_beyond_its_container(bench: Any) -> None:
    container = bench.run("nodes=2,walltime=1:00", types=["container"])
    inner = bench.run("nodes=1,walltime=0:30", types=[f"inner={container}"])
    bench.oar.change_walltime("alice", inner, "+2")
    bench.go(1)
    ends = bench.oar.job(inner).started + bench.oar.job(inner).walltime
    assert ends <= bench.oar.job(container).started + 3600
