"""Options of pytest that change what runs, or how far it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_execo.plugin.outcomes import PENDING_EXIT


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan"])
def test_what_did_not_run_has_no_outcome(pytester: pytest.Pytester, option: str) -> None:
    pytester.makepyfile("from pytest_execo import sweep\n@sweep(x=[1, 2])\ndef test_it(trial, x): pass")
    assert pytester.runpytest_inprocess(option).ret == PENDING_EXIT
    pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_a_sweep_alone_is_enough(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("from pytest_execo import sweep\n@sweep(x=[1, 2])\ndef test_it(x): pass")
    pytester.runpytest_inprocess().assert_outcomes(passed=2)
    pytester.runpytest_inprocess().assert_outcomes(deselected=2)


def test_sweeps_on_classes_and_modules(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_execo import sweep
        pytestmark = sweep(x=[1, 2])
        @sweep(y=["a", "b"])
        class TestIt:
            def test_one(self, x, y): pass
            def test_two(self, x, y): pass
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=8)
    pytester.runpytest_inprocess("-k", "x:1 and y:b").assert_outcomes(deselected=8)


def test_a_sweep_on_a_unittest_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import unittest
        from pytest_execo import sweep
        class TestIt(unittest.TestCase):
            @sweep(x=[1, 2])
            def test_it(self, x=0): pass
        """
    )
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *test_it: @sweep is for functions*"])


def test_last_failed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pathlib
        class TestIt:
            def test_a(self, trial): pass
            def test_b(self, trial): assert pathlib.Path("mended").exists()
            def test_c(self, trial): pass
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=2, failed=1)
    Path(pytester.path, "mended").touch()
    result = pytester.runpytest_inprocess("--lf")
    result.assert_outcomes(passed=1, deselected=2)
    assert result.ret == pytest.ExitCode.OK


def test_failed_first_keeps_groups_together(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest, pathlib
        one, two = pytest.mark.execo(nodes=1), pytest.mark.execo(nodes=2)
        @one
        def test_a(trial): pass
        @two
        def test_b(trial): assert pathlib.Path("mended").exists()
        @one
        def test_c(trial): assert pathlib.Path("mended").exists()
        @two
        def test_d(trial): pass
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=2, failed=2)
    Path(pytester.path, "mended").touch()
    result = pytester.runpytest_inprocess("--ff", "-v")
    order = [line.split("::")[1].split()[0] for line in result.stdout.lines if "::test_" in line and "PASSED" in line]
    assert order == ["test_b", "test_d", "test_c", "test_a"]


def test_a_broken_neighbour(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_broken="import no_such_module", test_it="def test_it(trial): pass")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result = pytester.runpytest_inprocess("--continue-on-collection-errors")
    result.assert_outcomes(passed=1, errors=1)


def test_a_plan_runs_nothing_even_where_nothing_is_planned(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): raise AssertionError('it ran')")
    result = pytester.runpytest_inprocess("--execo-plan")
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes() == {}


def test_without_a_terminal(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(trial): pass")
    assert pytester.runpytest_inprocess("-p", "no:terminal").ret == pytest.ExitCode.OK


def test_nodes_that_nobody_could_see_coming(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(request): request.getfixturevalue('nodes')")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*as an argument, or with*"])
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.execo(nodes=2)
        def test_it(request): assert len(request.getfixturevalue("nodes")) == 2
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_identity_does_not_depend_on_other_parameters(pytester: pytest.Pytester) -> None:
    text = """
        import pytest
        from pytest_execo import sweep
        @pytest.fixture(scope="module", params=[dict, list])
        def kind(request): return request.param
        @sweep(x=[1, 2])
        def test_it(kind, x): pass
        """
    pytester.makepyfile(text)
    pytester.runpytest_inprocess().assert_outcomes(passed=4)
    pytester.makepyfile(text.replace("x=[1, 2]", "x=[1, 2], repeat=2"))
    pytester.runpytest_inprocess().assert_outcomes(passed=4, deselected=4)
