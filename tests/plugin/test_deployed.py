"""An environment in the marker: what tests get where nothing is deployed, and what is said of it."""

from __future__ import annotations

import pytest

TEST = """
import pytest

@pytest.mark.execo(nodes=2, environment="debian12-min", queue="default")
def test_it(deployed, nodes):
    assert deployed is nodes
    assert deployed.run("hostname").ok
"""


def test_on_this_machine_nodes_are_what_they_are_and_it_is_said(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "execo: note: environment debian12-min is not deployed: nodes run this machine's system",
            "execo: note: without meaning here: queue",
        ]
    )


def test_without_an_environment_there_are_no_deployed_nodes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(deployed): pass")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*.py:1: the fixture deployed needs an environment: execo(environment='debian12-min')"]
    )


@pytest.mark.parametrize(
    ("marker", "reason"),
    [
        ("vlan=True", "asks for a VLAN (kavlan), local has none"),
        ("nodes={'lyon': 1}", "asks for nodes of other sites and clusters, local has none"),
        ("properties={'cores': '>=16'}", "asks for nodes with properties (cores), local has none"),
        ("hosts='taurus-1'", "asks for nodes by name (taurus-1), local has none"),
    ],
)
def test_what_would_change_the_experiment_is_pending(pytester: pytest.Pytester, marker: str, reason: str) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.execo({marker})\ndef test_it(nodes): pass")
    result = pytester.runpytest_inprocess("--execo-plan")
    assert result.ret == 75
    result.stdout.fnmatch_lines([f"execo: 1 trial of test_it can't run: {reason}"])


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("speed=2", "--execo-option=speed=2: unknown; testbed embedded has none"),
        ("speed", "--execo-option=speed: write NAME=VALUE"),
    ],
)
def test_an_option_that_the_testbed_does_not_have(pytester: pytest.Pytester, option: str, words: str) -> None:
    pytester.makepyfile("def test_it(nodes): pass")
    result = pytester.runpytest_inprocess(f"--execo-option={option}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {words}"])
