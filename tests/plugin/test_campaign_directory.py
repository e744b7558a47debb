"""What a real run leaves on disk, against the published schemas."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from pytest_execo.results.schema import load_schema

pytestmark = pytest.mark.integration

TEST = """
import pytest
from pytest_execo import Process, sweep

@pytest.mark.execo(nodes=2)
@sweep(x=[1, 2], kernel=[pytest.param(object(), id="odd"), "5.10"], repeat=2)
def test_it(nodes, trial, campaign, tmp_path, x, kernel):
    assert nodes.run("echo $HOSTNAME")[1].stdout == "node-2.local\\n"
    trial.record(duration=0.5, series=[1, 2.5, None], text="é<script>", nan=float("nan"))
    (tmp_path / "out.txt").write_text("attached")
    assert trial.attach(tmp_path / "out.txt").read_text() == "attached"
    assert isinstance(campaign.seed, int)
    if x == 2:
        nodes[0].run("echo partial; exit 3")

@pytest.mark.parametrize("thing", [object, 3])
def test_other(trial, thing): pytest.skip("not today")
"""


def test_everything_is_valid(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=TEST)
    pytester.runpytest_inprocess("--junitxml=junit.xml").assert_outcomes(passed=4, failed=4, skipped=2)
    pytester.runpytest_inprocess("--execo-rerun=failed").assert_outcomes(failed=4, skipped=2, deselected=4)
    (directory,) = Path(pytester.path, "execo-results").iterdir()

    campaign = json.loads((directory / "campaign.json").read_text())
    jsonschema.validate(campaign, load_schema("campaign-1"))
    assert [session["exit_status"] for session in campaign["sessions"]] == [1, 1]
    first = campaign["sessions"][0]
    assert {node["name"] for node in first["nodes"]} == {"node-1.local", "node-2.local"}
    assert first["counts"] == {"passed": 4, "failed": 4, "skipped": 2}
    assert first["versions"]["distributions"]["pytest"] == pytest.__version__

    lines = [line for path in (directory / "records").iterdir() for line in path.read_text().splitlines()]
    schema = load_schema("record-1")
    records = [json.loads(line) for line in lines]
    for record in records:
        jsonschema.validate(record, schema)
    assert len(records) == 10 + 6
    assert {record["params"].get("kernel") for record in records} == {"odd", "5.10", None}
    for record in records:
        assert all((directory / path).read_text() == "attached" for path in record["attachments"])
        logs = list(directory.glob(f"trials/{record['trial']}/attempt-{record['attempt']}/process-*.log"))
        assert len(logs) == (record["outcome"] == "failed")
    assert (directory / "junit.xml").exists()
    assert all(
        path.name in {"campaign.json", ".campaign.lock", "records", "trials", "junit.xml"}
        for path in directory.iterdir()
    )
