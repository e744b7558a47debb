"""Ctrl-C and SIGTERM: nodes gone, processes gone, records whole, the resume command is the last line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TEST = """
import json, os, pathlib, time, pytest
from pytest_execo import Process, sweep

@pytest.fixture(scope="module")
def service(nodes):
    yield nodes[0].start("echo service; exec sleep 1000")
    pathlib.Path("torn-down").touch()

@pytest.mark.execo(nodes=3)
@sweep(x=[1, 2, 3])
def test_it(lease, nodes, remote, service, trial, x):
    trial.record(x=x)
    if x == 2:
        group = remote.start("trap '' TERM INT HUP; echo up; while :; do sleep 1000; done")
        here = Process("sleep 1000").start()
        while not all("up" in process.stdout for process in group):
            time.sleep(0.01)
        pathlib.Path("running.tmp").write_text(json.dumps({"directory": str(lease.directory), "pid": here.pid}))
        os.rename("running.tmp", "running")
        nodes[1].run("sleep 1000")
"""


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 2), (signal.SIGTERM, 128 + signal.SIGTERM)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_leaves_nothing(
    pytester: pytest.Pytester, eventually: Callable[..., None], number: signal.Signals, status: int
) -> None:
    pytester.makepyfile(TEST)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=pytester.path
    ) as run:
        eventually(lambda: Path(pytester.path, "running").exists() or run.poll() is not None, 60)
        run.send_signal(number)
        output, _ = run.communicate(timeout=60)
    assert run.returncode == status, output
    last = output.splitlines()[-1]
    assert last.startswith("execo: 2 trials left; to go on: "), output
    assert Path(pytester.path, "torn-down").exists()
    told = json.loads(Path(pytester.path, "running").read_text())
    assert not Path(told["directory"]).exists()
    assert not processes_of(told["directory"])
    assert not Path("/proc", str(told["pid"])).exists()
    (records,) = Path(pytester.path).glob("execo-results/*/records/*.jsonl")
    outcomes = [(r["outcome"], r["measurements"]) for r in map(json.loads, records.read_text().splitlines())]
    assert outcomes == [("passed", {"x": 1}), ("pending", {"x": 2})]


SWALLOWS = """
import os, signal, pytest
from pytest_execo import sweep

@sweep(x=range(5))
def test_it(trial, x):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except BaseException:
        pass
"""


def test_a_test_that_swallows_the_signal_is_the_last_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWALLOWS)
    result = pytester.runpytest_subprocess()
    assert result.ret == 128 + signal.SIGTERM
    assert result.stdout.lines[-1].startswith("execo: 4 trials left; to go on: ")


def processes_of(directory: str) -> list[str]:
    """Find processes that live in the lease's directory: by their environment, which children inherit."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if os.fsencode(directory) in environment.read_bytes():
                found.append(environment.parent.name)
        except OSError:
            continue
    return found


SLOW = """
import os, pathlib, time, pytest
from pytest_execo import sweep

@pytest.fixture(scope="module")
def service(lease):
    yield
    pathlib.Path("tearing-down").write_text(lease.directory)
    time.sleep(1000)

@sweep(x=[1, 2, 3])
def test_it(nodes, service, x):
    pathlib.Path("running").touch()
    time.sleep(1000)
"""


def test_a_second_signal_gives_the_nodes_back_at_once(
    pytester: pytest.Pytester, eventually: Callable[..., None], lease_files: Path
) -> None:
    pytester.makepyfile(SLOW)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=pytester.path
    ) as run:
        for sign in ("running", "tearing-down"):
            path = Path(pytester.path, sign)
            eventually(lambda path=path: path.exists() or run.poll() is not None, 60)
            run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=60)
    assert run.returncode == 2, output
    assert "Traceback" not in output
    assert "execo: Ctrl-C again: fixtures are left as they are" in output
    assert output.splitlines()[-1].startswith("execo: 3 trials left; to go on: "), output
    directory = Path(pytester.path, "tearing-down").read_text()
    assert not Path(directory).exists()
    assert not processes_of(directory)
    assert list(lease_files.glob("*.json")) == []
