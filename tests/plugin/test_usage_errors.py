"""Bad input: one line that names the option or the marker, exit status 4, nothing reserved or written."""

from __future__ import annotations

import pytest

USAGE_ERROR = pytest.ExitCode.USAGE_ERROR


def run(pytester: pytest.Pytester, body: str, *args: str) -> list[str]:
    """Run a test file that is refused; return the lines of its ERROR."""
    pytester.makepyfile(f"import pytest\nfrom pytest_execo import sweep, Level\n{body}")
    result = pytester.runpytest_inprocess("-p", "no:randomly", *args)
    assert result.ret == USAGE_ERROR, result.stdout.str() + result.stderr.str()
    lines = [line for line in result.stderr.lines if line.startswith("ERROR: ")]
    assert len(lines) == 1, result.stderr.str()
    assert not (pytester.path / "execo-results").exists()
    return [line for line in result.stderr.lines if line.strip()]


TEST = "def test_it(nodes): raise AssertionError('it ran')"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--execo-site=mars", ["--execo-site=mars", "unknown site", "local"]),
        ("--execo-testbed=moon", ["--execo-testbed=moon", "no such testbed", "embedded"]),
        ("--execo-nodes=0", ["--execo-nodes=0", "1 or more"]),
        ("--execo-nodes=-3", ["--execo-nodes=-3", "1 or more"]),
        ("--execo-nodes=two", ["--execo-nodes=two", "1 or more"]),
        ("--execo-nodes=1.5", ["--execo-nodes=1.5", "1 or more"]),
        ("--execo-site=", ["--execo-site=", "empty"]),
        ("--execo-rerun=some", ["--execo-rerun=some", "failed, changed or all"]),
    ],
)
def test_options(pytester: pytest.Pytester, option: str, words: list[str]) -> None:
    (line,) = run(pytester, TEST, option)
    assert all(word in line for word in words), line


def test_a_bad_option_is_refused_without_any_test_of_execo(pytester: pytest.Pytester) -> None:
    (line,) = run(pytester, "def test_it(): pass", "--execo-nodes=0")
    assert "--execo-nodes=0" in line


def test_fresh_and_rerun_exclude_each_other(pytester: pytest.Pytester) -> None:
    (line,) = run(pytester, TEST, "--execo-fresh", "--execo-rerun=all")
    assert "--execo-fresh" in line
    assert "--execo-rerun=all" in line


def test_environment_and_ini_are_named_as_they_were_given(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nexeco_nodes = none\n")
    (line,) = run(pytester, TEST)
    assert "execo_nodes = none" in line
    monkeypatch.setenv("EXECO_NODES", "zero")
    (line,) = run(pytester, TEST)
    assert "EXECO_NODES=zero" in line


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("nodes=0", ["nodes=0", "1 or more"]),
        ("nodes=-1", ["nodes=-1"]),
        ("nodes='two'", ["nodes='two'", "1 or more"]),
        ("nodes=2.0", ["nodes=2.0"]),
        ("nodes=True", ["nodes=True"]),
        ("node=2", ["node=2", "unknown key", "'nodes'"]),
        ("waltime='1:00:00'", ["waltime", "'walltime'"]),
        ("zzz=1", ["zzz=1", "known: cluster, disks, environment", "vlan, walltime"]),
        ("walltime='soon'", ["walltime='soon'", "2:00:00"]),
        ("walltime='1:30'", ["walltime='1:30'"]),
        ("walltime=0", ["walltime=0"]),
        ("walltime=float('nan')", ["walltime=nan"]),
        ("cluster=3", ["cluster=3"]),
        ("2", ["execo(2)", "nodes=2"]),
    ],
)
def test_marker(pytester: pytest.Pytester, marker: str, words: list[str]) -> None:
    (line,) = run(pytester, f"@pytest.mark.execo({marker})\n{TEST}")
    assert all(word in line for word in words), line
    assert "test_marker.py:3: @pytest.mark.execo" in line


def test_every_fault_gets_its_line(pytester: pytest.Pytester) -> None:
    lines = run(
        pytester,
        "@pytest.mark.execo(nodes=0)\ndef test_a(): pass\n@pytest.mark.execo(walltime='x')\ndef test_b(): pass",
    )
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("design", "words"),
    [
        ("x=[]", ["'x'", "no level"]),
        ("x=3", ["'x'"]),
        ("x=None", ["'x'"]),
        ("x='abc'", ["'x'"]),
        ("x={1, 2}", ["'x'", "sort"]),
        ("x=[1], repeat=0", ["repeat"]),
        ("x=[1], repeat='many'", ["repeat"]),
        ("{'x': [1]}, x=[2]", ["'x'", "twice"]),
        ("x=[1, 1]", ["'x'", "give it once"]),
        ("y=[1]", ["no argument 'y'"]),
        ("x=[1, object()]", ["level 1 of factor 'x'", "pytest.param(value, id="]),
        ("x=[float('nan')]", ["'x'"]),
        ("x=[pytest.param(object())]", ["'x'", "id"]),
        ("[1, 2]", ["mapping"]),
    ],
)
def test_sweep(pytester: pytest.Pytester, design: str, words: list[str]) -> None:
    (line,) = run(pytester, f"@sweep({design})\ndef test_it(x): raise AssertionError('it ran')")
    assert all(word in line for word in words), line
    assert "test_sweep.py:3: @sweep of test_it: " in line


def test_two_decorators_with_one_factor(pytester: pytest.Pytester) -> None:
    (line,) = run(pytester, "@sweep(x=[1])\n@sweep(x=[2])\ndef test_it(x): pass")
    assert "'x'" in line
    assert "twice" in line


def test_factor_and_parametrize_of_one_name(pytester: pytest.Pytester) -> None:
    (line,) = run(pytester, "@sweep(x=[1])\n@pytest.mark.parametrize('x', [2])\ndef test_it(x): pass")
    assert "'x' is given twice" in line


def test_a_mistyped_factor_is_told_the_nearest_argument(pytester: pytest.Pytester) -> None:
    (line,) = run(pytester, "@sweep(memmory=[1])\ndef test_it(memory): pass")
    assert "'memory'" in line


def test_sweep_without_parentheses(pytester: pytest.Pytester) -> None:
    (line,) = run(pytester, "@sweep\ndef test_it(trial): pass\ndef test_other(): pass")
    assert "@sweep of test_it: it needs factors: @sweep(size=[1, 10])" in line


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--execo-campaign=test_places.py", "test_places.py is a file"),
        ("--execo-campaign=test_places.py/deep", "test_places.py is a file"),
        ("--execo-campaign=.", "other things"),
        ("--execo-campaign=/proc/campaign", "--execo-campaign=/proc/campaign: "),
    ],
)
def test_places(pytester: pytest.Pytester, option: str, words: str) -> None:
    lines = run(pytester, "def test_it(trial): raise AssertionError('it ran')", option)
    assert len(lines) == 1
    assert option in lines[0]
    assert words in lines[0]


def test_campaign_of_another_kind(pytester: pytest.Pytester) -> None:
    (pytester.path / "notes").mkdir()
    (pytester.path / "notes" / "diary.txt").write_text("dear diary")
    pytester.makepyfile("def test_it(trial): raise AssertionError('it ran')")
    result = pytester.runpytest_inprocess("--execo-campaign=notes")
    assert result.ret == USAGE_ERROR
    assert [path.name for path in (pytester.path / "notes").iterdir()] == ["diary.txt"]
