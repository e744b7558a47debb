"""Options for runs that nobody watches: notifications, kept nodes, several leases, several sites, nights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def records(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    """All records, in the order of their beginnings."""
    lines = [
        json.loads(line)
        for path in Path(pytester.path).glob("execo-results/*/records/*.jsonl")
        for line in path.read_text().splitlines()
    ]
    return sorted(lines, key=lambda record: str(record["started_at"]))


def execo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``pytest-execo``."""
    command = [sys.executable, "-m", "pytest_execo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


LOSES = """
import os, signal
from pytest_execo import sweep
killed = []
@sweep(x=[1, 2])
def test_it(lease, nodes, x):
    if x == 2 and not killed:
        killed.append(x)
        os.kill(lease._client.pid, signal.SIGKILL)
        while True: nodes.run("true")  # until it shows
    nodes.run("true")
"""


def test_a_command_and_a_hook_are_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(LOSES)
    pytester.makeconftest(
        """
        def pytest_execo_event(event):
            with open("hook", "a") as file:
                file.write(f"{event.kind}\\n")
        """
    )
    result = pytester.runpytest_subprocess("--execo-notify=cat >> told; echo >> told")
    assert result.parseoutcomes() == {"passed": 2, "interrupted": 1}
    told = [json.loads(line) for line in Path(pytester.path, "told").read_text().splitlines() if line]
    kinds = ["started", "lease-taken", "lease-lost", "lease-taken", "finished"]
    assert [event["kind"] for event in told] == kinds
    assert Path(pytester.path, "hook").read_text().split() == kinds
    (campaign,) = Path(pytester.path, "execo-results").iterdir()
    assert {event["campaign"] for event in told} == {campaign.name}
    assert told[-1]["data"]["outcomes"] == {"passed": 2}


def test_a_hook_that_fails_is_a_warning(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(nodes): pass")
    pytester.makeconftest("def pytest_execo_event(event): raise RuntimeError('no')")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["execo: warning: pytest_execo_event: RuntimeError: no"])


FAILS = """
from pytest_execo import sweep
@sweep(x=[1, 2])
def test_it(nodes, x):
    nodes.run("touch was-here")
    assert x == 1
"""


def test_nodes_are_kept_after_a_failure(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILS)
    result = pytester.runpytest_subprocess("--execo-keep=on-failure")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["execo: kept: node-1.local; to enter: pytest-execo shell node-1.local"])
    name = next(line for line in result.outlines if "to give back" in line).split()[-1]
    try:
        entered = execo("shell", "--lease", name, "node-1.local", "ls")
        assert entered.stdout.split() == ["was-here"], entered.stderr
    finally:
        given_back = execo("release", name)
    assert given_back.returncode == 0, given_back.stderr
    assert execo("release", name).stdout == "nothing to give back\n"


def test_nodes_are_not_kept_without_a_failure(pytester: pytest.Pytester, lease_files: Path) -> None:
    pytester.makepyfile("def test_it(nodes): pass")
    result = pytester.runpytest_subprocess("--execo-keep=on-failure")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("execo: kept*")


def test_one_group_on_several_leases_at_a_time(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import time, pytest
        from pytest_execo import sweep
        @pytest.mark.execo(nodes=2)
        @sweep(x=range(8))
        def test_it(nodes, x):
            nodes.run("true")
            time.sleep(0.5)
        """
    )
    result = pytester.runpytest_subprocess("-n", "2", "--execo-leases=2")
    result.assert_outcomes(passed=8)
    found = records(pytester)
    assert len({record["lease"] for record in found}) == 2
    nodes = {record["lease"]: frozenset(record["nodes"]) for record in found}
    first, second = nodes.values()
    assert not first & second
    spans = [(record["lease"], record["started_at"], record["ended_at"]) for record in found]
    assert any(a[0] != b[0] and a[1] < b[2] and b[1] < a[2] for a in spans for b in spans)


def test_one_campaign_on_two_sites(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import time, pytest
        from pytest_execo import sweep
        @pytest.mark.execo(nodes=1, walltime="1:00:00")
        @sweep(x=range(6))
        def test_it(nodes, x):
            nodes.run("true")
            time.sleep(0.5)
        """
    )
    result = pytester.runpytest_subprocess(
        "-n", "2", "--execo-leases=2", "--execo-testbed=emulator", "--execo-site=lyon,nancy"
    )
    result.assert_outcomes(passed=6)
    sites = {record["nodes"][0].split(".")[1] for record in records(pytester)}
    assert sites == {"lyon", "nancy"}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--execo-keep=sometimes", "--execo-keep=sometimes: write never, on-failure or always"),
        ("--execo-hours=noon", "--execo-hours=noon: 'noon' are no hours for leases; write 'any' or 'nights'*"),
        ("--execo-wait=soon", "--execo-wait=soon: *"),
        ("--execo-leases=0", "--execo-leases=0: write how many leases *, 1 or more"),
        ("--execo-notify=ftp://secret.example/x", "--execo-notify: *"),
        ("--execo-site=lyon,lyon", "--execo-site=lyon,lyon: lyon is named twice"),
        ("--execo-site=lyon,mars", "--execo-site=mars: unknown site*"),
    ],
)
def test_bad_options(pytester: pytest.Pytester, option: str, message: str) -> None:
    pytester.makepyfile("def test_it(nodes): pass")
    result = pytester.runpytest_inprocess(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}"])
    assert "secret.example" not in result.stderr.str()


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("spare=0", "*spare=0*"),
        ("hosts=['a'], spare=1", "*spare=1*: goes with nodes= as a number alone"),
        ("nodes=2, min_nodes=3", "*min_nodes=3*"),
    ],
)
def test_contradictions(pytester: pytest.Pytester, marker: str, message: str) -> None:
    pytester.makepyfile(
        f"""
        import pytest
        @pytest.mark.execo({marker})
        def test_it(nodes): pass
        """
    )
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
