"""The sweeper in a database that several machines share, and the status of it."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from pytest_execo.cli import main
from pytest_execo.errors import CheckpointError
from pytest_execo.results.progress import sweep_progress
from pytest_execo.sweeps import ParamSweeper, State

pytestmark = pytest.mark.integration

SWEEP = {"x": [1, 2, (3, "é")], "y": {"a": {}, "b": {"z": [0.5]}}}


def test_two_workers_share_a_sweep(postgres: str) -> None:
    with ParamSweeper(postgres, SWEEP, name="copy", retries=1) as one, ParamSweeper(postgres, name="copy") as other:
        assert list(other.get_sweeps()) == list(one.get_sweeps())
        first, second = one.get_next(), other.get_next()
        assert first != second
        one.done(first)
        other.fail(second, "no")
        other.skip(other.get_next())
        assert one.stats().skipped == other.stats().skipped
        assert (len(one.get_done()), len(one.get_failed()), len(other.get_failed())) == (1, 0, 1)
        one.done_batch(one.get_next_batch(10))
        assert len(one.get_done()) == 5
        assert other.get_next() is None


def test_sweeps_of_two_names_do_not_meet(postgres: str) -> None:
    with ParamSweeper(postgres, SWEEP, name="one") as one, ParamSweeper(postgres, name="other") as other:
        one.done(one.get_next())
        assert len(other.get_sweeps()) == 0


def test_a_worker_that_is_killed_loses_nothing(postgres: str) -> None:
    code = """
import sys
from pytest_execo.sweeps import ParamSweeper
sweeper = ParamSweeper(sys.argv[1], {"x": range(4)}, name="killed")
sweeper.done(sweeper.get_next())
print(sweeper.get_next()["x"], flush=True)
sys.stdin.readline()
"""
    command = [sys.executable, "-c", code, postgres]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "1\n"
        with ParamSweeper(postgres, {"x": range(4)}, name="killed") as one:
            assert [comb["x"] for comb in one] == [2, 3]
            worker.kill()
            worker.wait(30)
            assert [comb["x"] for comb in one] == [1]
            assert [comb["x"] for comb in one.get_done()] == [0]


def test_status_reads_and_makes_nothing(postgres: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckpointError, match="nothing of this campaign or sweep"):
        sweep_progress(postgres, name="copy")
    with psycopg.connect(postgres) as connection:
        schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'execo%'"
        assert connection.execute(schemas).fetchone() == (0,)
    with ParamSweeper(postgres, SWEEP, name="copy") as sweeper:
        sweeper.done(sweeper.get_next())
        sweeper.get_next()
        assert sweep_progress(postgres, name="copy").counts[State.CLAIMED] == 1
        assert main(["status", "--checkpoint", postgres, "--name", "copy", "--by", "y"]) == 0
    out = capsys.readouterr().out
    assert "6 trials: 1 passed, 1 claimed, 4 todo; 16 % done" in out


def test_a_password_is_never_shown(postgres: str, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = postgres.replace("s3cret", "geheim")
    assert main(["status", "--checkpoint", wrong, "--name", "copy"]) == 1
    captured = capsys.readouterr()
    assert "geheim" not in captured.err + captured.out
    assert len(captured.err.splitlines()) == 1
    with ParamSweeper(postgres, SWEEP, name="copy") as sweeper:
        assert "s3cret" not in f"{sweeper!r} {sweeper}"
