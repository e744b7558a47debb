"""A sweep killed by SIGKILL at random moments and run again to the end: nothing lost, nothing done twice."""

from __future__ import annotations

import collections
import json
import os
import random
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.torture, pytest.mark.integration, pytest.mark.timeout(900)]

TRIALS = 40
TEST = """
import os, pytest
from pytest_execo import sweep

def note(what, trial):
    with open("diary", "a") as diary:  # a line of this size is appended whole or not at all
        diary.write(f"{what} {trial.id}\\n")

@pytest.mark.execo(nodes=2)
@sweep(x=range(20), repeat=2)
def test_it(nodes, trial, x):
    note("began", trial)
    assert nodes.run("sleep 0.05; echo $HOSTNAME")[1].stdout == "node-2.local\\n"
    trial.record(x=x)
    note("ended", trial)
"""


def test_killed_at_random_moments(pytester: pytest.Pytester, pytestconfig: pytest.Config) -> None:
    kills = max(3, round(20 * pytestconfig.getoption("--torture-scale")))
    seed = pytestconfig.getoption("--torture-seed")
    seed = secrets.randbits(32) if seed is None else seed
    print(f"--torture-seed={seed}")
    moments = random.Random(seed)
    pytester.makepyfile(TEST)
    finished_at: list[tuple[set[str], int]] = []
    for _ in range(kills):
        # A start takes about a second, a trial 0.1 s: many kills fall into trials, some between, some before.
        _killed_after(pytester, moments.uniform(0.3, 2.5))
        finished_at.append((set(_passed(pytester)), len(_diary(pytester))))
    # The last run goes to the end.
    done = subprocess.run(_command(), cwd=pytester.path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    passed = _passed(pytester)
    assert len(passed) == TRIALS
    assert set(passed.values()) == {1}
    diary = _diary(pytester)
    for finished, position in finished_at:
        assert not finished & {trial for what, trial in diary[position:] if what == "began"}
    began = collections.Counter(trial for what, trial in diary if what == "began")
    assert set(began) == set(passed)
    assert sum(began.values()) - TRIALS <= kills  # only what was in flight at a kill began twice
    (campaign,) = Path(pytester.path, "execo-results").iterdir()
    assert len(json.loads((campaign / "campaign.json").read_text())["sessions"]) <= kills + 1


def _command() -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest"]


def _killed_after(pytester: pytest.Pytester, seconds: float) -> None:
    with subprocess.Popen(
        _command(), cwd=pytester.path, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True
    ) as run:
        try:
            run.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(run.pid, signal.SIGKILL)


def _passed(pytester: pytest.Pytester) -> collections.Counter[str]:
    """Count the passed records of each trial."""
    lines: list[str] = []
    for path in Path(pytester.path).glob("execo-results/*/records/*.jsonl"):
        lines += path.read_text().splitlines()
    return collections.Counter(r["trial"] for r in map(json.loads, lines) if r["outcome"] == "passed")


def _diary(pytester: pytest.Pytester) -> list[list[str]]:
    """Return what the trials wrote: ``["began", trial]`` or ``["ended", trial]``."""
    diary = Path(pytester.path, "diary")
    return [line.split() for line in diary.read_text().splitlines()] if diary.exists() else []
