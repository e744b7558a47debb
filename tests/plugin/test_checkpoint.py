"""--execo-checkpoint: where the states of trials are kept, and campaigns that several places share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.postgres import PASSWORD, postgres, postgres_server

__all__ = ("postgres", "postgres_server")

SWEEP = """
from pytest_execo import sweep

@sweep(x=[1, 2, 3])
def test_it(trial, x):
    trial.record(y=x)
"""


def records(directory: Path) -> list[dict[str, Any]]:
    lines: list[str] = []
    for path in sorted(directory.glob("**/records/*.jsonl")):
        lines += path.read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda record: record["started_at"])


def test_a_file(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    pytester.runpytest_inprocess("--execo-checkpoint=states.sqlite").assert_outcomes(passed=3)
    assert Path(pytester.path, "states.sqlite").exists()
    (campaign,) = Path(pytester.path, "execo-results").glob("*/campaign.json")
    extra = json.loads(campaign.read_text())["sessions"][0]["extra"]
    assert extra["checkpoint"] == str(Path(pytester.path, "states.sqlite"))
    pytester.runpytest_inprocess("--execo-checkpoint=states.sqlite").assert_outcomes(deselected=3)


def test_of_another_campaign_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SWEEP)
    pytester.runpytest_inprocess("--execo-checkpoint=states.sqlite").assert_outcomes(passed=3)
    result = pytester.runpytest_inprocess("--execo-checkpoint=states.sqlite", "--execo-campaign=other")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --execo-checkpoint: *states.sqlite: the checkpoint store of campaign *, not *"]
    )
    assert records(Path(pytester.path, "other")) == []


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("mysql://host/db", "postgresql://"),
        ("/proc/nowhere/states.sqlite", "can't be opened"),
        ("postgresql://nobody:hidden@127.0.0.1:1/none", "Connection refused"),
    ],
)
def test_what_can_not_be_used_is_refused_before_anything(pytester: pytest.Pytester, where: str, words: str) -> None:
    pytester.makepyfile(SWEEP)
    result = pytester.runpytest_inprocess(f"--execo-checkpoint={where}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.stderr.lines if line.startswith("ERROR: ")]
    assert line.startswith("ERROR: --execo-checkpoint: ")
    assert words in line
    assert "hidden" not in line
    assert records(Path(pytester.path)) == []


@pytest.mark.slow
@pytest.mark.integration
def test_two_places_share_a_campaign(pytester: pytest.Pytester, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECO_CHECKPOINT", postgres)
    places = [pytester.mkdir("one"), pytester.mkdir("two")]
    for place in places:
        (place / "test_it.py").write_text(SWEEP)
    os.chdir(places[0])
    pytester.runpytest_inprocess(f"--rootdir={places[0]}", "-k", "x:1").assert_outcomes(passed=1, deselected=2)
    os.chdir(places[1])
    result = pytester.runpytest_inprocess(f"--rootdir={places[1]}")
    result.assert_outcomes(passed=2, deselected=1)
    assert len({record["campaign"] for place in places for record in records(place)}) == 1
    assert [record["params"]["x"] for place in places for record in records(place)] == [1, 2, 3]
    # A fresh one is another one, for both.
    fresh = pytester.runpytest_inprocess(f"--rootdir={places[1]}", "--execo-fresh")
    fresh.assert_outcomes(passed=3)
    written = "".join(path.read_text() for place in places for path in place.glob("**/campaign.json"))
    assert PASSWORD not in written
    assert "s3cret" not in written
    assert "s3cret" not in result.stdout.str() + fresh.stdout.str()


@pytest.mark.slow
@pytest.mark.integration
def test_a_password_on_the_command_line_stays_there(pytester: pytest.Pytester, postgres: str) -> None:
    pytester.makepyfile(SWEEP)
    result = pytester.runpytest_inprocess(f"--execo-checkpoint={postgres}")
    result.assert_outcomes(passed=3)
    (campaign,) = Path(pytester.path, "execo-results").glob("*/campaign.json")
    assert "s3cret" not in campaign.read_text()
    assert "s3cret" not in result.stdout.str()
