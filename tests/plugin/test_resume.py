"""A second run of the same command runs only what is not done, and says how many were done before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SWEEP = """
import pathlib
from pytest_execo import sweep

@sweep(x=[1, 2, 3], repeat=2)
def test_it(trial, x):
    trial.record(y=10 * x)
    assert not pathlib.Path("broken").exists() or x != 2
"""


def records(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    lines: list[str] = []
    for path in sorted(Path(pytester.path).glob("execo-results/*/records/*.jsonl")):
        lines += path.read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda record: record["started_at"])


def campaigns(pytester: pytest.Pytester) -> list[Path]:
    return sorted(Path(pytester.path, "execo-results").iterdir())


def test_second_run_has_nothing_left(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    first = pytester.runpytest_inprocess()
    first.assert_outcomes(passed=6)
    first.stdout.fnmatch_lines(["execo: site local (embedded), 6 trials: 0 done before, 6 to run"])
    second = pytester.runpytest_inprocess()
    second.assert_outcomes(deselected=6)
    assert second.ret == pytest.ExitCode.OK
    second.stdout.fnmatch_lines(
        ["execo: site local (embedded), 6 trials: 6 done before, 0 to run", "execo: nothing left to run; campaign *"]
    )
    assert [(r["params"]["x"], r["repetition"], r["measurements"]["y"]) for r in records(pytester)] == [
        (1, 0, 10), (2, 0, 20), (3, 0, 30), (1, 1, 10), (2, 1, 20), (3, 1, 30),
    ]  # fmt: skip
    assert len(campaigns(pytester)) == 1


def test_what_a_part_has_done_is_not_done_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    pytester.runpytest_inprocess("-k", "x:1").assert_outcomes(passed=2, deselected=4)
    pytester.runpytest_inprocess().assert_outcomes(passed=4, deselected=2)
    assert len(records(pytester)) == 6


def test_changed_levels_keep_what_was_done(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    pytester.runpytest_inprocess()
    pytester.makepyfile(SWEEP.replace("x=[1, 2, 3]", "x=[3, 4]"))
    pytester.runpytest_inprocess().assert_outcomes(passed=2, deselected=2)


def test_a_lost_cache_loses_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    pytester.runpytest_inprocess()
    pytester.runpytest_inprocess("--cache-clear").assert_outcomes(deselected=6)
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(deselected=6)


def test_failed_trials_run_again_when_asked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    broken = Path(pytester.path, "broken")
    broken.touch()
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=4, failed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["execo: 2 trials failed; to run again: * --execo-rerun=failed"])
    # Not run again by itself, and not green for that.
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(deselected=6)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*6 done before (2 of them failed), 0 to run"])
    broken.unlink()
    result = pytester.runpytest_inprocess("--execo-rerun=failed")
    result.assert_outcomes(passed=2, deselected=4)
    assert result.ret == pytest.ExitCode.OK
    assert [r["attempt"] for r in records(pytester) if r["params"]["x"] == 2] == [1, 1, 2, 2]
    assert pytester.runpytest_inprocess().ret == pytest.ExitCode.OK


def test_all_run_again_when_asked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    pytester.runpytest_inprocess()
    pytester.runpytest_inprocess("--execo-rerun=all").assert_outcomes(passed=6)
    assert len(records(pytester)) == 12
    assert len(campaigns(pytester)) == 1


def test_fresh_starts_another_campaign_and_keeps_the_old_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    pytester.runpytest_inprocess()
    pytester.runpytest_inprocess("--execo-fresh").assert_outcomes(passed=6)
    assert len(campaigns(pytester)) == 2
    pytester.runpytest_inprocess().assert_outcomes(deselected=6)


def test_a_campaign_by_name(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    pytester.runpytest_inprocess("--execo-campaign=there").assert_outcomes(passed=6)
    pytester.runpytest_inprocess("--execo-campaign=there").assert_outcomes(deselected=6)
    pytester.runpytest_inprocess("--execo-campaign=elsewhere").assert_outcomes(passed=6)
    assert Path(pytester.path, "there", "campaign.json").exists()
    result = pytester.runpytest_inprocess("--execo-campaign=there", "--execo-fresh")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_interrupted_with_x_goes_on(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    Path(pytester.path, "broken").touch()
    result = pytester.runpytest_inprocess("-x")
    result.assert_outcomes(passed=1, failed=1)
    assert result.stdout.lines[-1].startswith("execo: 4 trials left; to go on: ")
    pytester.runpytest_inprocess().assert_outcomes(passed=3, failed=1, deselected=2)


def test_tests_without_a_sweep_run_each_time(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(trial): trial.record(x=1)")
    for _ in range(2):
        pytester.runpytest_inprocess().assert_outcomes(passed=1)
    assert [(r["attempt"], r["measurements"]) for r in records(pytester)] == [(1, {"x": 1}), (2, {"x": 1})]


def test_a_skipped_trial_is_asked_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP.replace("    trial.record(y=10 * x)", "    import pytest; pytest.skip('not today')"))
    pytester.runpytest_inprocess().assert_outcomes(skipped=6)
    pytester.runpytest_inprocess().assert_outcomes(skipped=6)
    assert {(r["outcome"], r["reason"]) for r in records(pytester)} == {("skipped", "not today")}


def test_the_resume_command_says_what_to_run_and_not_how_to_begin(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    result = pytester.runpytest_inprocess(
        "--execo-fresh",
        "-k",
        "x:1 or x:2",
        "--execo-site=local",
        "test_the_resume_command_says_what_to_run_and_not_how_to_begin.py",
    )
    result.stdout.fnmatch_lines(
        ["execo: if it is interrupted, go on with: *pytest -k 'x:1 or x:2' --execo-site=local test_the_resume*.py"]
    )


def test_the_same_trial_twice_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_execo import sweep
        @sweep(y=[1, 2])
        @pytest.mark.parametrize("x", [1, 1])
        def test_it(trial, x, y): pass
        """
    )
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *is the same trial as*"])


def test_collect_only_and_plan_write_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    assert pytester.runpytest_inprocess("--collect-only").ret == pytest.ExitCode.OK
    assert pytester.runpytest_inprocess("--execo-plan").ret == pytest.ExitCode.OK
    assert not Path(pytester.path, "execo-results").exists()
