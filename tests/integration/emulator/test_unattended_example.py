"""The example of an unattended campaign: 120 trials on leases that hold about 15 of them."""

from __future__ import annotations

import datetime as dt
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.emulator.embedded import EmbeddedMachines
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer
from pytest_execo.emulator.testbed import DEFAULT_ACCOUNT

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

EXAMPLE = Path(__file__).parents[3] / "conftest_examples" / "unattended_campaign"
SPEED = 60.0
WALLTIME = 900.0 / SPEED
TRIALS = 120


def test_all_is_done_on_leases_that_end(tmp_path: Path) -> None:
    with EmulatorServer.start(
        sample_reference(), machines=EmbeddedMachines(), speed=SPEED, users=dict([DEFAULT_ACCOUNT])
    ) as server:
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(EXAMPLE), "--execo-testbed=emulator",
                "--execo-site=lyon", f"--execo-option=uri={server.uri}", f"--execo-option=key={server.key}",
                f"--execo-campaign={tmp_path / 'campaign'}", f"--execo-checkpoint={tmp_path / 'checkpoint'}",
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        jobs = server.platform.sites["lyon"].oar.jobs()
    assert done.returncode == 0, done.stdout + done.stderr
    records: list[dict[str, Any]] = [
        json.loads(line)
        for path in (tmp_path / "campaign" / "records").iterdir()
        for line in path.read_text().splitlines()
    ]
    passed = [record for record in records if record["outcome"] == "passed"]
    assert len({record["trial"] for record in passed}) == len(passed) == TRIALS
    assert {record["outcome"] for record in records} <= {"passed", "pending"}
    (session,) = json.loads((tmp_path / "campaign" / "campaign.json").read_text())["sessions"]
    leases = session["leases"]
    assert len(leases) >= 8
    assert {record["lease"] for record in passed} == {lease["id"] for lease in leases}
    assert (tmp_path / "campaign" / "leases.png").exists()

    # The time that nodes were held, against what the trials took and the deployments of as few leases as can hold them.
    held = sum((job.stopped - job.started) / SPEED for job in jobs if job.stopped and job.started)
    worked = sum(record["duration"] for record in passed)
    deployment = statistics.median(WALLTIME - (date(lease["end"]) - date(lease["taken_at"])) for lease in leases)
    fewest = math.ceil(worked / (WALLTIME - deployment))
    ideal = worked + fewest * deployment
    print(f"held {held:.1f} s, worked {worked:.1f} s, {len(leases)} leases, {held / ideal:.2f} of the ideal")
    assert held <= 1.15 * ideal


def date(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()
