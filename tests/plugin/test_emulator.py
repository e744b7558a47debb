"""Experiments on an emulated Grid'5000: the same files as on this machine, with jobs, deployments and faults."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LYON = ("--execo-testbed=emulator", "--execo-site=lyon")
SAME = """
import pytest
from pytest_execo import sweep

@pytest.mark.execo(nodes=2, environment="debian12-min", walltime="0:30:00")
@sweep(x=[1, 2, 3])
def test_it(deployed, trial, x):
    hosts = [process.stdout.strip() for process in deployed.run("hostname")]
    assert hosts == deployed.names
    trial.record(system=deployed[0].run("cat /etc/grid5000/release || uname").stdout.strip(), user=deployed[0].user)
"""


def records(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    """Return all records, in the order of time."""
    lines: list[str] = []
    for path in Path(pytester.path).glob("execo-results/*/records/*.jsonl"):
        lines += path.read_text().splitlines()
    return sorted(map(json.loads, lines), key=lambda record: record["started_at"])


def test_the_same_file_here_and_there(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SAME)
    pytester.runpytest_subprocess().assert_outcomes(passed=3)
    result = pytester.runpytest_subprocess(*LYON)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["execo: note: lyon: 2 of *", "execo: deploying debian12-min on 2 nodes"])
    here, there = records(pytester)[:3], records(pytester)[3:]
    assert {record["measurements"]["system"] for record in here} == {"Linux"}
    assert [record["measurements"] for record in there] == [{"system": "debian12-min", "user": "root"}] * 3
    assert len({tuple(record["nodes"]) for record in there}) == 1  # one deployment for all
    (campaign,) = Path(pytester.path).glob("execo-results/lyon-*/campaign.json")
    (session,) = json.loads(campaign.read_text())["sessions"]
    assert session["nodes"][0]["description"]["architecture"]["nb_cores"] >= 12  # what the reference data say


def test_a_plan_reserves_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SAME + "\n@pytest.mark.execo(cluster='taurus', nodes=7)\ndef test_seven(nodes): pass\n")
    result = pytester.runpytest_subprocess(*LYON, "--execo-plan")
    assert result.ret == 75
    result.stdout.fnmatch_lines(
        [
            "execo: 3 trials on 2 nodes, walltime 30 min 00 s, start now",
            "execo: 1 trial of test_seven can't run: asks for 7 nodes of taurus, 6 meet the request",
        ]
    )
    assert not Path(pytester.path, "execo-results").exists()


def test_a_node_that_fails_is_deployed_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SAME)
    result = pytester.runpytest_subprocess(*LYON, "--execo-option=faults=deployment-ko=1:times=1")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["execo: deploying debian12-min on 1 node, attempt 2 of 3"])


def test_a_job_that_is_killed_costs_no_trial(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SAME.replace("hosts = [", "import time; time.sleep(1); hosts = ["))
    # Its clock runs 60 times faster: the job is killed while the second or third trial runs.
    killed = "--execo-option=faults=job-killed=any:at=+600"
    pytester.runpytest_subprocess(*LYON, killed)
    assert {record["outcome"] for record in records(pytester)} <= {"passed", "pending"}
    pytester.runpytest_subprocess(*LYON)
    passed = [record["params"]["x"] for record in records(pytester) if record["outcome"] == "passed"]
    assert sorted(passed) == [1, 2, 3]


def test_what_was_measured_is_in_the_record(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest, time
        @pytest.mark.execo(cluster="taurus", nodes=1, metrics="wattmetre_power_watt")
        def test_it(nodes): time.sleep(0.5)
        """
    )
    pytester.runpytest_subprocess(*LYON).assert_outcomes(passed=1)
    [record] = records(pytester)
    [(node, series)] = record["measurements"]["wattmetre_power_watt"].items()
    assert node == "taurus-1.lyon.grid5000.fr"
    assert series["unit"] == "W"
    assert len(series["dates"]) == len(series["values"]) > 10
    assert all(0 < value < 1000 for value in series["values"])


def test_several_sites_in_one_vlan(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.execo(nodes={"lyon": 1, "nancy": 1}, environment="debian12-min", vlan="kavlan-global")
        def test_it(deployed, lease):
            [vlan] = lease.networks
            assert vlan.kind == "kavlan-global"
            names = [process.stdout.strip() for process in deployed.run("hostname")]
            assert all(f"-kavlan-{vlan.id}." in name for name in names)
            assert {name.split(".")[1] for name in names} == {"lyon", "nancy"}
        """
    )
    pytester.runpytest_subprocess(*LYON).assert_outcomes(passed=1)


def test_workers_share_the_jobs_of_the_controller(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SAME + "\n@pytest.mark.execo(cluster='taurus')\ndef test_other(nodes): nodes.run('true')\n")
    pytester.runpytest_subprocess(*LYON, "-n", "2").assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("speed=0", "--execo-option=speed=0: write a number, above 0"),
        ("seed=x", "--execo-option=seed=x: write a number"),
        ("walltime=soon", "--execo-option=walltime=soon: 'soon' is not a duration"),
        ("faults=node-dise=1", "node-dise"),
        ("uri=http://127.0.0.1:1/stable", "uri= and key= of an emulator that runs are given together"),
        ("reference=nowhere.json", "nowhere.json: can't be read"),
        ("sped=2", "--execo-option=sped=2: unknown; the options of testbed emulator are: "),
    ],
)
def test_options_that_are_wrong(pytester: pytest.Pytester, option: str, words: str) -> None:
    pytester.makepyfile(SAME)
    result = pytester.runpytest_subprocess(*LYON, f"--execo-option={option}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.stdout.str()
    (line,) = [line for line in result.stderr.lines if line.startswith("ERROR: ")]
    assert words in line


@pytest.fixture
def emulator() -> Iterator[list[str]]:
    """An emulator by the command: the options that lead to it."""
    with subprocess.Popen(
        [sys.executable, "-m", "pytest_execo", "emulator", "--speed=120"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(4)]
        try:
            yield said[2].split()[1:]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 128 + signal.SIGTERM


def test_an_emulator_that_runs_already(pytester: pytest.Pytester, emulator: list[str]) -> None:
    pytester.makepyfile(SAME)
    pytester.runpytest_subprocess(*emulator).assert_outcomes(passed=3)
    pytester.runpytest_subprocess(*emulator, "--execo-rerun=all").assert_outcomes(passed=3)
    text = "".join(path.read_text() for path in Path(pytester.path).rglob("*.json*"))
    key = emulator[-1].partition("key=")[2]
    assert len(key) > 20
    assert key not in text
