"""One lease, several workers: disjoint nodes run trials at the same time."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TEST = """
    import os, pathlib, signal, time, pytest
    from pytest_execo import sweep

    def manager(nodes):
        directory = os.path.dirname(nodes[0].keyfile)
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = pathlib.Path(f"/proc/{number}/cmdline").read_bytes().split(b"\\0")
                parent = int(pathlib.Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if directory.encode() in words and parent == os.getppid():
                return int(number)

    @pytest.fixture(scope="session")
    def service(nodes):
        yield nodes.names

    @pytest.mark.execo(nodes=2)
    @sweep(x=range(6))
    def test_it(nodes, service, trial, x):
        assert service == nodes.names
        mine = pathlib.Path(f"at-{nodes[0].name}")
        trial.record(manager=manager(nodes), beside=len(list(pathlib.Path().glob("at-*"))))
        mine.touch()
        if not os.path.exists("met"):  # each waits for another one: they run at the same time, or the test fails
            deadline = time.monotonic() + 60
            while len(list(pathlib.Path().glob("at-*"))) < 2:
                assert time.monotonic() < deadline, "nobody else"
                time.sleep(0.01)
            pathlib.Path("met").touch()
        LOSE
        nodes.run("true")
"""


def run(pytester: pytest.Pytester, lose: str = "pass", *options: str) -> tuple[Any, list[dict[str, Any]]]:
    """Run the sweep in three parts; return the result and the records."""
    pytester.makepyfile(TEST.replace("LOSE", lose))
    result = pytester.runpytest_subprocess("-n", "3", "--execo-parts=3", *options)
    lines = [
        json.loads(line)
        for path in Path(pytester.path).glob("execo-results/*/records/*.jsonl")
        for line in path.read_text().splitlines()
    ]
    return result, lines


def test_a_lease_is_used_in_parts_at_the_same_time(pytester: pytest.Pytester, lease_files: Path) -> None:
    result, records = run(pytester)
    result.assert_outcomes(passed=6)
    assert len({record["measurements"]["manager"] for record in records}) == 1  # one lease of six nodes
    parts = {record["lease"]: set(record["nodes"]) for record in records}
    assert len(parts) >= 2
    assert all(not one & other for one, other in combinations(parts.values(), 2))
    assert {name for part in parts.values() for name in part} <= {f"node-{n}.local" for n in range(1, 7)}
    assert not list(lease_files.glob("*.json"))


def test_all_parts_are_taken_anew_when_the_lease_is_lost(pytester: pytest.Pytester, lease_files: Path) -> None:
    lose = """
        if x == 5 and not os.path.exists("lost"):
            pathlib.Path("lost").touch()
            os.kill(manager(nodes), signal.SIGKILL)
            while True: nodes.run("true")
    """
    result, records = run(pytester, lose.strip())
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 6
    assert outcomes["interrupted"] >= 1
    assert {record["outcome"] for record in records} == {"passed", "pending"}
    assert not list(lease_files.glob("*.json"))


def test_the_plan_says_how_many_nodes_that_takes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    result = pytester.runpytest_subprocess("-n", "3", "--execo-parts=3", "--execo-plan")
    result.stdout.fnmatch_lines(["execo: 6 trials on 6 nodes, *"])
    assert pytester.runpytest_subprocess("--execo-parts=2", "--execo-leases=2").ret == pytest.ExitCode.USAGE_ERROR
