"""Runs on two machines share a campaign through PostgreSQL, and half of them are killed again and again.

A machine is a directory with the test in it: runs on one share its results, runs on another see the database alone.
"""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.torture, pytest.mark.integration, pytest.mark.timeout(900)]

TEST = """
import time
from pytest_execo import sweep

@sweep(x=list(range({points})), repeat=5)
def test_it(trial, x):
    time.sleep(0.02)
    trial.record(x=x)
"""
RUNS, MORTAL = 8, 4


def test_nothing_is_lost_and_nothing_is_done_twice(
    tmp_path: Path, postgres: str, chance: random.Random, scaled: Callable[[int], int]
) -> None:
    trials = 5 * max(100, scaled(500))  # 500 in CI
    machines = [tmp_path / "one", tmp_path / "two"]
    for machine in machines:
        machine.mkdir()
        (machine / "test_shared.py").write_text(TEST.format(points=trials // 5))
    kills = scaled(120)
    deadline = time.monotonic() + 600
    runs = [_started(machines[number % 2], postgres) for number in range(RUNS)]
    killed = 0
    try:
        while killed < kills and any(run.poll() is None for run in runs):
            assert time.monotonic() < deadline
            time.sleep(chance.uniform(0.2, 1.5))
            number = chance.randrange(MORTAL)
            if runs[number].poll() is None:
                os.kill(runs[number].pid, signal.SIGKILL)
                killed += 1
            runs[number].wait()
            runs[number] = _started(machines[number % 2], postgres)
        for run in runs:
            run.wait(max(1.0, deadline - time.monotonic()))
    finally:
        for run in runs:
            if run.poll() is None:
                run.kill()
            run.wait()
    print(f"{killed} runs killed")
    assert killed

    last = _started(machines[0], postgres)
    assert last.wait(120) == 0, (machines[0] / "log").read_text()
    records = [record for machine in machines for record in _records(machine)]
    passed = collections.Counter(record["trial"] for record in records if record["outcome"] == "passed")
    assert len(passed) == trials
    assert set(passed.values()) == {1}
    assert {record["outcome"] for record in records} == {"passed"}
    assert len({record["campaign"] for record in records}) == 1


def _started(machine: Path, url: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"]
    with open(machine / "log", "ab") as log:
        return subprocess.Popen(
            command,
            cwd=machine,
            env={**os.environ, "EXECO_CHECKPOINT": url},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _records(machine: Path) -> list[dict[str, Any]]:
    found = []
    for path in machine.glob("execo-results/*/records/*.jsonl"):
        # A run that was killed may leave a part of a line.
        found += [json.loads(line) for line in path.read_bytes().split(b"\n") if line.endswith(b"}")]
    return found
