"""Passed, failed, skipped, pending; exit statuses; what of it is written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.plugin.outcomes import PENDING_EXIT


def records(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    (path,) = Path(pytester.path).glob("execo-results/*/records/*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_more_nodes_than_there_are(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.execo(nodes=3)
        def test_too_much(nodes): raise AssertionError("it ran")
        @pytest.mark.execo(nodes=2)
        def test_fits(nodes): assert len(nodes) == 2
        """
    )
    result = pytester.runpytest_inprocess("--execo-nodes=2", "-rs")
    outcomes = result.parseoutcomes()
    assert outcomes == {"passed": 1, "pending": 1}
    assert result.ret == PENDING_EXIT
    result.stdout.fnmatch_lines(["execo: 1 trial of test_* can't run: asks for 3 nodes, local has 2"])
    assert result.stdout.lines[-1].startswith("execo: 1 trial left; to go on: ")


def test_a_marker_asks_for_nodes_without_any_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.execo(nodes=3000)
        def test_marker_alone(): raise AssertionError("it ran")
        @pytest.mark.execo(cluster="taurus")
        def test_cluster(trial): raise AssertionError("it ran")
        """
    )
    result = pytester.runpytest_inprocess()
    assert result.parseoutcomes() == {"pending": 2}
    assert result.ret == PENDING_EXIT
    result.stdout.fnmatch_lines_random(
        [
            "execo: 1 trial of test_* can't run: asks for 3000 nodes, local has 256",
            "execo: 1 trial of test_* can't run: asks for cluster 'taurus', local has no clusters",
        ]
    )


def test_only_what_does_not_fit(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.execo(nodes=3)
        def test_too_much(nodes): raise AssertionError("it ran")
        """
    )
    result = pytester.runpytest_inprocess("--execo-nodes=2")
    assert result.ret == PENDING_EXIT
    assert pytester.runpytest_inprocess("--execo-nodes=2", "--execo-plan").ret == PENDING_EXIT


def test_plan(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_execo import sweep
        @pytest.mark.execo(nodes=2, walltime="1:30:00")
        @sweep(x=range(5))
        def test_a(nodes, x): raise AssertionError("it ran")
        def test_b(nodes): raise AssertionError("it ran")
        def test_d(trial): raise AssertionError("it ran")
        @pytest.mark.execo(nodes=300)
        def test_c(nodes): raise AssertionError("it ran")
        """
    )
    result = pytester.runpytest_inprocess("--execo-plan")
    result.stdout.fnmatch_lines_random(
        [
            "execo: 5 trials on 2 nodes, walltime 1 h 30 min, start now",
            "execo: 1 trial on 1 node, no walltime, start now",
            "execo: 1 trial without nodes",
            "execo: 1 trial of test_* can't run: asks for 300 nodes, local has 256",
        ]
    )
    assert result.parseoutcomes() == {}


def test_records_of_failures(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_execo import Process

        @pytest.fixture
        def bad_setup(): raise RuntimeError("no set-up")
        @pytest.fixture
        def bad_teardown():
            yield
            raise RuntimeError("no teardown")

        def test_assertion(trial):
            trial.record(before=1)
            assert 1 == 2
        def test_setup(trial, bad_setup): pass
        def test_teardown(trial, bad_teardown): pass
        def test_skip(trial): pytest.skip("why not")
        @pytest.mark.xfail(reason="known")
        def test_xfail(trial): assert False
        def test_process(trial): Process("echo out; echo err >&2; exit 3").run()
        def test_two_processes_killed(trial):
            for _ in range(2): Process("sleep 100").start()
        """
    )
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    found = {r["test"].rpartition("::")[2].removeprefix("test_"): r for r in records(pytester)}
    assert {name: (r["outcome"], r["reason"]) for name, r in found.items()} == {
        "assertion": ("failed", "AssertionError: assert 1 == 2"),
        "setup": ("failed", "RuntimeError: no set-up (in setup)"),
        "teardown": ("failed", "RuntimeError: no teardown (in teardown)"),
        "skip": ("skipped", "why not"),
        "xfail": ("skipped", "expected failure: known"),
        "process": ("failed", found["process"]["reason"]),
        "two_processes_killed": ("passed", None),
    }
    assert found["assertion"]["measurements"] == {"before": 1}
    assert found["process"]["error"]["type"] == "ProcessFailed"
    (log,) = Path(pytester.path).glob(f"execo-results/*/trials/{found['process']['trial']}/attempt-1/*.log")
    assert "exit_code: 3" in log.read_text()
    assert "out\n" in log.read_text()
    assert "err\n" in log.read_text()
    assert len(list(Path(pytester.path).glob("execo-results/*/trials/*"))) == 1


def test_a_testbed_that_breaks_leaves_trials_pending(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        from pytest_execo import ReservationFailed
        from pytest_execo.testbeds.embedded import EmbeddedTestbed
        asked = []
        @pytest.fixture(autouse=True, scope="session")
        def broken():
            with pytest.MonkeyPatch.context() as patch:
                def reserve(self, request, *, remember):
                    asked.append(request)
                    raise ReservationFailed("the site burns")
                patch.setattr(EmbeddedTestbed, "reserve", reserve)
                yield
            assert len(asked) == 1
        """
    )
    pytester.makepyfile(
        """
        from pytest_execo import sweep
        @sweep(x=[1, 2, 3])
        def test_it(nodes, x): raise AssertionError("it ran")
        """
    )
    result = pytester.runpytest_inprocess("--execo-rebuilds=0")
    assert result.parseoutcomes() == {"pending": 3}
    assert result.ret == PENDING_EXIT
    (record,) = records(pytester)
    assert (record["outcome"], record["reason"]) == ("pending", "the site burns")


def test_a_teardown_that_fails_on_a_lease_that_ends_is_an_error_and_no_more(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.fixture(scope="session")
        def service(lease):
            yield
            raise RuntimeError("it would not stop")
        @pytest.mark.execo(nodes=1)
        def test_a(service): pass
        @pytest.mark.execo(nodes=2)
        def test_b(nodes): assert len(nodes) == 2
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*RuntimeError: it would not stop"])


def test_a_teardown_that_fails_because_the_lease_was_lost_is_not_the_tests_fault(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest, time
        from pytest_execo import sweep
        @pytest.fixture(scope="session")
        def service(lease):
            yield
            assert lease.alive(), "gone"
        @pytest.mark.execo(walltime=1)
        @sweep(x=[1])
        def test_a(service, lease, x):
            while lease.alive(): time.sleep(0.01)
            assert False
        """
    )
    result = pytester.runpytest_inprocess()
    # It takes longer than a lease: to run it a third time would not help.
    assert result.parseoutcomes() == {"interrupted": 2, "pending": 1}
    result.stdout.fnmatch_lines(
        ["execo: warning: a fixture's teardown, after its lease was lost: AssertionError: gone"]
    )


def test_a_test_without_nodes_is_judged_by_itself(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest, time
        @pytest.mark.execo(walltime=0.3)
        def test_a(lease):
            while lease.alive(): time.sleep(0.01)
        @pytest.mark.execo(walltime=0.3)
        def test_b(trial): assert False
        @pytest.mark.execo(walltime=0.3)
        def test_c(nodes): pass
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=2, failed=1)


def test_groups_of_environment_faults_are_pending(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_execo import LeaseLost
        def test_all(trial): raise ExceptionGroup("both", [LeaseLost("a"), LeaseLost("b")])
        def test_some(trial): raise ExceptionGroup("both", [LeaseLost("a"), ValueError("b")])
        """
    )
    result = pytester.runpytest_inprocess()
    assert result.parseoutcomes() == {"pending": 1, "failed": 1}


def test_a_skipped_part_is_not_a_skipped_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import unittest, pytest
        class TestIt(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _trial(self, trial): pass
            def test_parts(self):
                for n in range(3):
                    with self.subTest(n=n):
                        if n == 1: self.skipTest("one")
        """
    )
    pytester.runpytest_inprocess()
    (record,) = records(pytester)
    assert record["outcome"] == "passed"


def test_a_campaign_that_is_removed_ends_the_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import shutil
        from pytest_execo import sweep
        @sweep(x=range(5))
        def test_it(trial, campaign, x):
            if x == 2: shutil.rmtree(campaign.directory)
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["*the record can't be written: the file was removed*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_log_that_cannot_be_written_costs_no_record(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_execo import Process
        def test_it(trial, campaign):
            (campaign.directory / "trials").write_text("in the way")
            Process("exit 1").run()
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    (record,) = records(pytester)
    assert record["outcome"] == "failed"


def test_junit_is_kept_when_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(trial): pass")
    pytester.runpytest_inprocess("--junitxml=out.xml")
    assert pytester.runpytest_inprocess("--execo-campaign=c", "--junitxml=c/junit.xml").ret == pytest.ExitCode.OK
    (copy,) = Path(pytester.path).glob("execo-results/*/junit.xml")
    assert copy.read_bytes() == Path(pytester.path, "out.xml").read_bytes()


def test_report_hook(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        def pytest_execo_report(config, campaign):
            path = campaign.directory / "picture.png"
            path.write_bytes(b"")
            return path
        """
    )
    pytester.makepyfile("def test_it(trial): pass")
    result = pytester.runpytest_inprocess()
    result.stdout.fnmatch_lines(["execo: picture  execo-results/*/picture.png"])


def test_a_broken_report_hook_breaks_nothing(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_execo_report(campaign): raise ValueError('no ink')")
    pytester.makepyfile("def test_it(trial): pass")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["execo: warning: no picture: ValueError: no ink"])
