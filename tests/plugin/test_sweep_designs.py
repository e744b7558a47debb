"""What ``@sweep`` takes besides a full factorial, and in which order it is run."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest


def collected(pytester: pytest.Pytester, text: str, *arguments: str) -> list[str]:
    pytester.makepyfile(f"from pytest_execo import Space, sweep\nimport pytest\n{text}")
    result = pytester.runpytest_inprocess("--collect-only", "-q", *arguments)
    return [line.rpartition("::")[2] for line in result.stdout.lines if "::" in line]


def refused(pytester: pytest.Pytester, text: str) -> str:
    pytester.makepyfile(f"from pytest_execo import Space, sweep\nimport pytest\n{text}")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.stderr.lines if line.startswith("ERROR: ")]
    return line


def test_constraints_and_samples_limit_what_is_collected(pytester: pytest.Pytester) -> None:
    text = """
@sweep(x=range(1000), y=range(1000), where=lambda x, y: x < y, sample=5)
def test_it(x, y):
    assert x < y
"""
    first = collected(pytester, text)
    assert len(first) == 5
    assert set(first) < set(collected(pytester, text.replace("sample=5", "sample=8")))
    pytester.runpytest_inprocess("-q").assert_outcomes(passed=8)


def test_conditional_factors(pytester: pytest.Pytester) -> None:
    text = """
@sweep({"hypervisor": {"kvm": {"cache": ["none", "writeback"]}, "lxc": {}}}, repeat=2)
def test_it(trial, hypervisor, cache):
    assert (cache is None) == (hypervisor == "lxc") == ("cache" not in trial.params)
"""
    assert collected(pytester, text)[:3] == [
        "test_it[hypervisor:kvm-cache:none-r0]",
        "test_it[hypervisor:kvm-cache:writeback-r0]",
        "test_it[hypervisor:lxc-r0]",
    ]
    pytester.runpytest_inprocess().assert_outcomes(passed=6)


def test_settings_from_a_file_beside_the_test(pytester: pytest.Pytester) -> None:
    pytester.makefile(".csv", settings="size,tool\n1,md5sum\n10,sha256sum\n")
    assert collected(pytester, "@sweep('settings.csv', repeat=2)\ndef test_it(size, tool): assert size in (1, 10)") == [
        "test_it[size:1-tool:md5sum-r0]",
        "test_it[size:10-tool:sha256sum-r0]",
        "test_it[size:1-tool:md5sum-r1]",
        "test_it[size:10-tool:sha256sum-r1]",
    ]
    pytester.makefile(".csv", settings="size,tool\n1,md5sum\n1,md5sum\n")
    assert "settings.csv:3" in refused(pytester, "@sweep('settings.csv')\ndef test_it(size, tool): pass")


def test_spaces_multiply_with_sweeps(pytester: pytest.Pytester) -> None:
    text = """
@sweep(Space(x=[1, 2]) | Space(x=[2, 3]))
@sweep(y=[7])
def test_it(x, y): pass
"""
    assert collected(pytester, text) == ["test_it[y:7-x:1]", "test_it[y:7-x:2]", "test_it[y:7-x:3]"]


def test_a_space_too_large_to_collect_is_refused(pytester: pytest.Pytester) -> None:
    line = refused(pytester, "@sweep(x=range(10000), y=range(10000))\ndef test_it(x, y): pass")
    assert "1e+08 trials are too many to collect; sample=100" in line


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("x=[1], where=3", "where"),
        ("x=[1], where=lambda z: True", "no factor 'z'"),
        ("x=[1, 2], sample=3", "of a space of 2 settings"),
        ("Space(x=[1]), y=[2]", "multiply them"),
        ("x=[1], until=3", "write until=Until"),
        ("'nowhere.csv'", "nowhere.csv"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(pytester: pytest.Pytester, call: str, words: str) -> None:
    assert words in refused(pytester, f"@sweep({call})\ndef test_it(x): pass")


def order(pytester: pytest.Pytester) -> list[tuple[int, int]]:
    records: list[dict[str, Any]] = []
    for path in sorted(Path(pytester.path).glob("execo-results/*/records/*.jsonl")):
        records += [json.loads(line) for line in path.read_text().splitlines()]
    return [(record["repetition"], record["params"]["x"]) for record in records]


def test_random_order_is_another_one_in_each_repetition(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_execo import sweep
        @sweep(x=list(range(12)), repeat=2)
        def test_it(trial, x): pass
        """
    )
    pytester.runpytest_inprocess("--execo-order=random", "--maxfail=1").assert_outcomes(passed=24)
    first = order(pytester)
    assert [repetition for repetition, _ in first] == [0] * 12 + [1] * 12
    one, two = [x for r, x in first if r == 0], [x for r, x in first if r == 1]
    assert sorted(one) == sorted(two) == list(range(12))
    assert len({tuple(one), tuple(two), tuple(range(12))}) == 3
    (campaign,) = Path(pytester.path, "execo-results").glob("*/campaign.json")
    session = json.loads(campaign.read_text())["sessions"][0]
    assert session["extra"]["order"] == "random"
    # The same again from the seed, which is in the file.
    pytester.runpytest_inprocess("--execo-order=random", "--execo-rerun=all")
    assert order(pytester) == first + first


def test_another_word_for_the_order_is_refused(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("--execo-order=shuffled")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --execo-order=shuffled: write given or random"])


def test_the_garbage_collector_waits_for_a_large_collection_and_no_longer(pytester: pytest.Pytester) -> None:
    text = "import gc\n@sweep(x=range(6000))\ndef test_it(x): assert gc.isenabled()"
    assert len(collected(pytester, text)) == 6000
    assert gc.isenabled()
    pytester.runpytest_inprocess("-k", "x:5999").assert_outcomes(passed=1, deselected=5999)
    assert "no argument 'y'" in refused(pytester, "@sweep(x=range(6000))\n@sweep(y=[1])\ndef test_it(x): pass")
    assert gc.isenabled()
