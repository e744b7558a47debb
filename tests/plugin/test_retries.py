"""--execo-retries: a failed trial runs again, within the budget of the campaign; what was tried is on record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FLAKY = """
import pathlib
import pytest
from pytest_execo import sweep

@pytest.fixture(scope="session")
def expensive():
    print("built")
    yield
    print("torn down")

@sweep(x=[1, 2, 3])
def test_it(expensive, trial, x):
    tries = pathlib.Path(f"tries-{{x}}")
    tries.write_text(tries.read_text() + "." if tries.exists() else ".")
    trial.record(tries=len(tries.read_text()))
    assert len(tries.read_text()) > {failures}[x - 1]
"""


def records(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    lines: list[str] = []
    for path in sorted(Path(pytester.path).glob("execo-results/*/records/*.jsonl")):
        lines += path.read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda record: record["started_at"])


def make(pytester: pytest.Pytester, *failures: int) -> None:
    pytester.makepyfile(FLAKY.format(failures=failures))


def test_a_trial_that_fails_is_tried_again(pytester: pytest.Pytester) -> None:
    make(pytester, 0, 2, 0)
    result = pytester.runpytest_inprocess("--execo-retries=2", "-s")
    result.assert_outcomes(passed=3)
    assert result.ret == 0
    assert [(r["params"]["x"], r["attempt"], r["outcome"]) for r in records(pytester)] == [
        (1, 1, "passed"), (2, 1, "failed"), (2, 2, "failed"), (2, 3, "passed"), (3, 1, "passed"),
    ]  # fmt: skip
    assert "assert 1 > 2" in records(pytester)[1]["error"]["message"]
    # What is expensive was built once: only the function's own fixtures are made anew.
    assert result.stdout.str().count("built") == 1
    result.stdout.fnmatch_lines(["execo: 3 trials in this session: 3 passed", "execo: 2 failed attempts tried again"])


def test_the_last_trial_of_a_run_keeps_its_fixtures_too(pytester: pytest.Pytester) -> None:
    make(pytester, 0, 0, 1)
    result = pytester.runpytest_inprocess("--execo-retries=1", "-s")
    result.assert_outcomes(passed=3)
    assert result.stdout.str().count("built") == result.stdout.str().count("torn down") == 1


def test_a_trial_that_fails_too_often_has_failed(pytester: pytest.Pytester) -> None:
    make(pytester, 0, 9, 0)
    result = pytester.runpytest_inprocess("--execo-retries=2", "-rA")
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == 1
    assert [r["attempt"] for r in records(pytester) if r["outcome"] == "failed"] == [1, 2, 3]


def test_the_budget_is_the_campaigns(pytester: pytest.Pytester) -> None:
    make(pytester, 9, 9, 9)
    result = pytester.runpytest_inprocess("--execo-retries=3", "--execo-retry-budget=4")
    result.assert_outcomes(failed=3)
    assert [r["params"]["x"] for r in records(pytester)] == [1, 1, 1, 1, 2, 2, 3]
    result.stdout.fnmatch_lines(["execo: the retries of the campaign are used up (4); --execo-retry-budget=N *"])
    # Also in the next session: what was tried is on record.
    result = pytester.runpytest_inprocess(
        "--execo-retries=3", "--execo-retry-budget=4", "--execo-rerun=failed", "--cache-clear"
    )
    result.assert_outcomes(failed=3)
    assert len(records(pytester)) == 10


def test_retries_come_from_the_ini_file_too(pytester: pytest.Pytester) -> None:
    make(pytester, 1, 1, 1)
    pytester.makeini("[pytest]\nexeco_retries = 1\nexeco_retry_budget = 2\n")
    pytester.runpytest_inprocess().assert_outcomes(passed=2, failed=1)


def test_a_setup_that_fails_is_tried_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pathlib
        import pytest
        from pytest_execo import sweep

        @pytest.fixture
        def shaky():
            tried = pathlib.Path("tried")
            if not tried.exists():
                tried.touch()
                raise RuntimeError("not yet")

        @sweep(x=[1])
        def test_it(shaky, x): pass
        """
    )
    result = pytester.runpytest_inprocess("--execo-retries=1")
    result.assert_outcomes(passed=1)
    assert [r["outcome"] for r in records(pytester)] == ["failed", "passed"]


@pytest.mark.parametrize("option", ["--execo-retries=-1", "--execo-retries=two", "--execo-retry-budget=-1"])
def test_bad_numbers_are_refused(pytester: pytest.Pytester, option: str) -> None:
    make(pytester, 0, 0, 0)
    result = pytester.runpytest_inprocess(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option}: write *0 or more"])
