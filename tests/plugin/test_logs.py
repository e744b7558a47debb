"""The paper's rule: quiet as long as all is well, and after a failure complete."""

from __future__ import annotations

import pytest


def test_the_report_of_a_failing_test_has_its_failed_processes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_execo import Process, Remote

        def test_one():
            Process("echo fine").run()
            failed = Process("echo said; echo complained >&2; exit 3").run(check=False)
            assert failed.ok
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Captured log call*",
            "WARNING*exit 3*",
            "*connector local, pid *exit code 3, started *ended *",
            "*stdout:*",
            "*said*",
            "*stderr:*",
            "*complained*",
        ]
    )
    assert "fine" not in result.stdout.str().partition("Captured log call")[2]


def test_a_passing_test_says_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_execo import Process

        def test_one(caplog):
            Process("echo fine").run()
            Process("sleep 100").start().kill()
            Process("exit 3", ignore_exit_code=True).run()
            Process("exit 3", log=False).run(check=False)
            assert not caplog.records
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_long_output_is_shown_by_its_head_and_its_tail(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_execo import Process

        def test_one():
            Process("echo the-first-line; seq 1000000; echo the-last-line; exit 1").run()
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert "the-first-line" in text
    assert "the-last-line" in text
    assert len(text) < 40_000  # of seven million
    result.stdout.fnmatch_lines(["*… * bytes …*"])
