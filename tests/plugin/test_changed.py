"""Results of two versions of a test do not get mixed unseen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.engine.source import source_digest

SWEEP = """
from pytest_execo import sweep

# {comment}
@sweep(x={levels})
def test_it(trial, x):
    trial.record(y={factor} * x)
"""


def make(pytester: pytest.Pytester, *, comment: str = "first", levels: str = "[1, 2, 3]", factor: int = 10) -> None:
    pytester.makepyfile(SWEEP.format(comment=comment, levels=levels, factor=factor))


def records(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    lines: list[str] = []
    for path in sorted(Path(pytester.path).glob("execo-results/*/records/*.jsonl")):
        lines += path.read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda record: record["started_at"])


def test_a_changed_test_is_reported_and_run_again_when_asked(pytester: pytest.Pytester) -> None:
    make(pytester)
    pytester.runpytest_subprocess("-k", "x:1 or x:2").assert_outcomes(passed=2, deselected=1)
    make(pytester, factor=20)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.fnmatch_lines(["execo: 2 done with an older version of this test; to run again: *=changed"])
    result = pytester.runpytest_subprocess("--execo-rerun=changed")
    result.assert_outcomes(passed=2, deselected=1)
    assert [(r["params"]["x"], r["measurements"]["y"]) for r in records(pytester)] == [
        (1, 10), (2, 20), (3, 60), (1, 20), (2, 40),
    ]  # fmt: skip
    assert len({r["source"]["digest"] for r in records(pytester)}) == 2
    assert "older version" not in pytester.runpytest_subprocess().stdout.str()


def test_levels_and_comments_are_no_change(pytester: pytest.Pytester) -> None:
    make(pytester)
    pytester.runpytest_subprocess()
    make(pytester, comment="second", levels="[1, 2, 3, 4]")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, deselected=3)
    assert "older version" not in result.stdout.str()


def test_the_commit_is_in_each_record(pytester: pytest.Pytester) -> None:
    make(pytester)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main")
    pytester.run(*git, "init", "-q")
    pytester.run(*git, "add", "test_the_commit_is_in_each_record.py")
    pytester.run(*git, "commit", "-qm", "first")
    commit = pytester.run(*git, "rev-parse", "HEAD").stdout.lines[0]
    pytester.runpytest_subprocess()
    assert {(r["source"]["commit"], r["source"]["dirty"]) for r in records(pytester)} == {(commit, False)}


def test_digest_is_of_the_code_alone() -> None:
    def one(x: int) -> int:
        # a comment
        return x + 1

    first = source_digest(one)

    def one(x: int) -> int:  # type: ignore[no-redef]

        return x + 1

    second = source_digest(one)

    def one(x: int) -> int:  # type: ignore[no-redef]
        return x + 2

    assert first == second != source_digest(one)
    assert source_digest(len) is None


def test_an_item_that_is_no_function_is_recorded_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        pytestmark = pytest.mark.execo(nodes=1)

        def test_it(trial):
            '''
            >>> 1 + 1
            2
            '''
        """
    )
    pytester.runpytest_inprocess("--doctest-modules").assert_outcomes(passed=2)
    assert [record["source"]["digest"] is None for record in records(pytester)] == [True, False]
