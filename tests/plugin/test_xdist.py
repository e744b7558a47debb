"""Under pytest-xdist: groups stay together, on one lease each; the controller writes the records, once."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.integration]

GROUPS = """
import os, pytest
from pytest_execo import sweep

@pytest.fixture(scope="session")
def deployed(lease):
    with open("deployments", "a") as file:
        print(len(lease.nodes), os.environ.get("PYTEST_XDIST_WORKER"), file=file)
    return lease.nodes

@pytest.mark.execo(nodes=1)
@sweep(x=list(range(6)))
def test_one(deployed, trial, x):
    trial.record(worker=os.environ["PYTEST_XDIST_WORKER"], host=deployed.run("hostname")[0].stdout.strip())

@pytest.mark.execo(nodes=2)
@sweep(x=list(range(6)))
def test_two(deployed, trial, x):
    trial.record(worker=os.environ["PYTEST_XDIST_WORKER"])

@pytest.mark.execo(nodes=3)
@sweep(x=list(range(6)))
def test_three(deployed, trial, x):
    trial.record(worker=os.environ["PYTEST_XDIST_WORKER"])
    {crash}

@sweep(x=list(range(8)))
def test_without(trial, x):
    trial.record(worker=os.environ["PYTEST_XDIST_WORKER"])

def test_plain():
    pass
"""


def records(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    lines: list[str] = []
    for path in sorted(Path(pytester.path).glob("execo-results/*/records/*.jsonl")):
        lines += path.read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda record: record["started_at"])


def run(pytester: pytest.Pytester, *arguments: str, workers: int = 2) -> pytest.RunResult:
    # Without plugins that take each worker a second to load.
    return pytester.runpytest_subprocess("-n", str(workers), "-p", "no:hypothesispytest", *arguments, timeout=100)


def test_groups_stay_together_and_deploy_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(GROUPS.format(crash=""))
    result = run(pytester, workers=4)
    result.assert_outcomes(passed=27)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*execo: site local (embedded), 26 trials: 0 done before, 26 to run",
            "execo: 26 trials in this session: 26 passed",
        ]
    )
    found = records(pytester)
    assert Counter(r["outcome"] for r in found) == {"passed": 26}
    assert max(Counter(r["trial"] for r in found).values()) == 1
    assert len(list(Path(pytester.path).glob("execo-results/*/records/*.jsonl"))) == 1
    workers = defaultdict(set)
    for record in found:
        workers[record["test"].rpartition("::")[2]].add(record["measurements"]["worker"])
    assert all(len(workers[test]) == 1 for test in ("test_one", "test_two", "test_three"))
    assert len(workers["test_one"] | workers["test_two"] | workers["test_three"]) == 3
    deployments = Path(pytester.path, "deployments").read_text().splitlines()
    assert sorted(line.split()[0] for line in deployments) == ["1", "2", "3"]
    assert {len(r["nodes"]) for r in found if r["test"].endswith("test_three")} == {3}
    # And again: all is done, which the workers hear from the controller.
    result = run(pytester)
    assert result.ret == 0
    assert len(records(pytester)) == 26


def test_a_crash_costs_the_trial_in_flight(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(GROUPS.format(crash="if x == 2: os._exit(3)"))
    result = run(pytester, workers=4)
    assert result.ret == 75
    found = records(pytester)
    assert Counter(r["outcome"] for r in found) == {"passed": 25, "pending": 1}
    (pending,) = [r for r in found if r["outcome"] == "pending"]
    assert pending["params"] == {"x": 2}
    assert "crashed" in pending["reason"]
    # The lease is the controller's: the next worker goes on with the same nodes.
    three = [r for r in found if r["test"].endswith("test_three") and r["outcome"] == "passed"]
    assert len({tuple(r["nodes"]) for r in three}) == 1
    result.stdout.fnmatch_lines(["*1 pending: worker gw* crashed*", "execo: 1 trial left; to go on: *"])
    pytester.makepyfile(GROUPS.format(crash=""))
    again = run(pytester)
    assert again.ret == 0
    assert Counter(r["outcome"] for r in records(pytester)) == {"passed": 26, "pending": 1}


def test_what_is_wrong_is_said_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_execo import sweep

        @pytest.mark.execo(nods=2)
        @sweep(x=[1, 2])
        def test_it(nodes, x): pass
        """
    )
    result = run(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert str(result.stderr).count("unknown key; did you mean 'nodes'?") == 1
    assert not Path(pytester.path, "execo-results").exists()


def test_a_failure_is_retried_by_its_worker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pathlib
        from pytest_execo import sweep

        @sweep(x=list(range(8)))
        def test_it(trial, x):
            tried = pathlib.Path(f"tried-{x}")
            first = not tried.exists()
            tried.touch()
            assert not first
        """
    )
    result = run(pytester, "--execo-retries=1", "--execo-retry-budget=6")
    assert result.ret == 1
    assert Counter(r["outcome"] for r in records(pytester)) == {"failed": 8, "passed": 6}
    result.stdout.fnmatch_lines(["execo: 8 trials in this session: *", "execo: 6 failed attempts tried again"])


def test_runs_without_trials_are_left_to_xdist(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_a(): pass\ndef test_b(): pass\n")
    result = run(pytester)
    result.assert_outcomes(passed=2)
    assert "execo:" not in result.stdout.str()


def test_plan_needs_no_workers(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(GROUPS.format(crash=""))
    result = run(pytester, "--execo-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["execo: 6 trials on 2 nodes, *"])
    assert not Path(pytester.path, "execo-results").exists()


def test_nothing_is_left_behind(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = pytester.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", str(temporary))
    pytester.makepyfile(GROUPS.format(crash=""))
    run(pytester).assert_outcomes(passed=27)
    assert [name for name in os.listdir(temporary) if not name.startswith("pytest-of")] == []
