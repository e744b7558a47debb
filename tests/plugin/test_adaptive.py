"""Sweeps that decide as they go: repetitions until it is precise, and points that a search chooses."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

UNTIL = """
from pytest_execo import Until, sweep

VALUES = {"steady": [10.0, 10.0, 10.0], "noisy": [1.0, 9.0, 2.0, 30.0, 4.0, 17.0]}

@sweep(load=["steady", "noisy"], until=Until("duration", relative=0.05, at_least=3, at_most=6))
def test_it(trial, load):
    trial.record(duration=VALUES[load][trial.repetition])
"""

SEARCH = """
from pytest_execo import sweep
from pytest_execo.sweeps import Bisect

@sweep(rate=list(range(1, 101)), search=lambda space: Bisect(space, "rate"), trials=10)
def test_it(trial, rate):
    trial.record(rate=rate)
    assert rate <= 36{more}
"""


def records(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    lines: list[str] = []
    for path in sorted(Path(pytester.path).glob("execo-results/*/records/*.jsonl")):
        lines += path.read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda record: record["started_at"])


@pytest.mark.slow
def test_repeats_until_it_is_precise(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(UNTIL)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=9)
    assert result.ret == 0
    assert Counter(r["params"]["load"] for r in records(pytester)) == {"steady": 3, "noisy": 6}
    result.stdout.fnmatch_lines(["execo: 3 trials not needed: the sweep's rule was met before"])
    # What is known now is known at the next time.
    again = pytester.runpytest_subprocess()
    assert again.ret == 0
    assert len(records(pytester)) == 9


@pytest.mark.slow
def test_an_interrupted_rule_goes_on(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(UNTIL)
    pytester.runpytest_subprocess("-k", "r0 or r1").assert_outcomes(passed=4, deselected=8)
    pytester.runpytest_subprocess().assert_outcomes(passed=5, deselected=4)
    assert Counter(r["params"]["load"] for r in records(pytester)) == {"steady": 3, "noisy": 6}


def test_a_search_chooses_and_is_recorded(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SEARCH.format(more=""))
    result = pytester.runpytest_inprocess()
    chosen = [r["params"]["rate"] for r in records(pytester)]
    assert chosen[0] == 50
    assert {36, 37} <= set(chosen)
    assert len(chosen) <= 8
    assert all((r["outcome"] == "passed") == (r["params"]["rate"] <= 36) for r in records(pytester))
    result.stdout.fnmatch_lines(["execo: * trials not needed: *"])
    assert result.ret == 1  # trials have failed, as they should


def test_a_search_that_was_interrupted_goes_on(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SEARCH.format(more="\n    assert rate != 25, 'stop here'"))
    pytester.runpytest_inprocess("-x")
    first = [r["params"]["rate"] for r in records(pytester)]
    assert first == [50]
    pytester.makepyfile(SEARCH.format(more=""))
    pytester.runpytest_inprocess()
    whole = [r["params"]["rate"] for r in records(pytester)]
    assert whole[:1] == first
    assert len(set(whole)) == len(whole)
    assert {36, 37} <= set(whole)


def test_a_search_needs_its_budget(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SEARCH.format(more="").replace(", trials=10", ""))
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *search needs trials=*"])


def test_items_that_are_not_needed_leave_no_fixture_standing(pytester: pytest.Pytester) -> None:
    fixture = """
import pytest

@pytest.fixture(scope="module")
def place():
    print("{name} up")
    yield
    print("{name} down")

@pytest.fixture(autouse=True)
def use(place): pass
"""
    for name in ("first", "second"):
        pytester.makepyfile(**{f"test_{name}": fixture.format(name=name) + SEARCH.format(more="").replace("10", "9")})
    result = pytester.runpytest_inprocess("-s")
    said = [word for line in result.stdout.lines for word in line.split() if word in ("up", "down")]
    assert said == ["up", "down", "up", "down"]
    assert "not torn down" not in result.stdout.str()
