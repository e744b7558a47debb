"""Campaigns that nobody watches, on an emulated Grid'5000 where anything fails: every trial is done, or pending truly.

A schedule takes about 15 s, so CI runs six; 200 are ``--torture-scale=33``, an hour.

Seeded: ``--torture-seed`` repeats all runs. What threads and processes do at the same time is not in the seed.
"""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.emulator.embedded import EmbeddedMachines
from pytest_execo.emulator.faults import Faults
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer
from pytest_execo.leases.files import LeaseBook

pytestmark = [pytest.mark.torture, pytest.mark.integration, pytest.mark.timeout(3600)]

#: Emulated seconds in a real one: a lease of ten minutes takes five seconds.
SPEED = 120.0
#: Emulated seconds within which faults begin.
HORIZON = 1800.0
#: Real seconds for one session of pytest, whatever happens.
LONGEST = 180
LOGIN = ("emulated", "emulated")

TRIALS = 10
WRONG = 4
TEST = f"""
import pytest
from pytest_execo import sweep

@pytest.fixture(scope="session")
def service(deployed):
    deployed.run("true")
    yield deployed.names
    deployed.run("true", check=False)

@pytest.mark.execo(nodes=2, cluster="taurus", walltime="0:15:00", environment="debian12-min", SPARE)
@sweep(x=range({TRIALS}))
def test_it(deployed, service, trial, x):
    assert service == deployed.names, "fixtures of other nodes"
    for node in deployed:
        node.run("sleep 0.1; hostname")
    assert x != {WRONG}, "its own mistake"
"""


def test_campaigns_end_well_whatever_happens(
    scaled: Callable[[int], int],
    chance: random.Random,
    tmp_path: Path,
    lease_files: Path,
    eventually: Callable[..., None],
) -> None:
    told: collections.Counter[str] = collections.Counter()
    for number in range(scaled(60)):
        seed = chance.randrange(2**32)
        place = tmp_path / str(number)
        place.mkdir()
        try:
            told += Schedule(seed, place, lease_files, eventually).run()
        except BaseException:
            print(f"schedule {number} of seed {seed}: {Faults.random(seed, HORIZON).to_json()}; see {place}")
            raise
    print(dict(told))


def running(server: EmulatorServer) -> dict[int, str]:
    """Return the jobs that are not over, and their states."""
    jobs = [job for site in server.platform.sites.values() for job in site.oar.jobs()]
    return {job.id: job.state for job in jobs if job.state.lower() not in ("error", "terminated")}


class Schedule:
    """One campaign under the faults of one seed."""

    def __init__(self, seed: int, place: Path, lease_files: Path, eventually: Callable[..., None]) -> None:
        self.seed = seed
        self.eventually = eventually
        self.chance = random.Random(seed)
        self.place = place
        self.lease_files = lease_files
        self.sessions = 0
        #: In one process, or by two workers, on a lease each or on parts of one.
        self.workers = self.chance.choice([[], [], ["-n2", "--execo-leases=2"], ["-n2", "--execo-parts=2"]])

    def run(self) -> collections.Counter[str]:
        spare = self.chance.choice(["", "spare=1", "min_nodes=1"])
        (self.place / "test_it.py").write_text(TEST.replace("SPARE", spare))
        (self.place / "pytest.ini").write_text("[pytest]\n")
        faults = Faults.random(self.seed, HORIZON)
        with EmulatorServer.start(
            sample_reference(),
            machines=EmbeddedMachines(),
            speed=SPEED,
            seed=self.seed,
            users=dict([LOGIN]),
            faults=faults,
        ) as server:
            killed = self.chance.random() < 0.3
            if killed:
                self.session(server, kill_after=self.chance.uniform(1.0, 12.0))
                # Some are interrupted while they clean up, some begin beside what the dead left.
                if self.chance.random() < 0.5:
                    self.release()
            self.session(server)
            self.release()
            happened = [each["kind"] for each in faults.happened]
            faults.clear()
            self.nothing_is_left(server)
            self.everything_is_accounted_for(faulty=bool(happened) or killed)
            # With a testbed that works what is left is done.
            done = self.session(server)
            self.release()
            self.nothing_is_left(server)
            records = self.records()
            assert done == pytest.ExitCode.TESTS_FAILED, self.output()
            assert {r["params"]["x"] for r in records if r["outcome"] == "passed"} == {*range(TRIALS)} - {WRONG}
        return collections.Counter([*happened, "controller-killed"] if killed else happened)

    def session(self, server: EmulatorServer, kill_after: float | None = None) -> int:
        self.sessions += 1
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:cacheprovider",
            "--execo-testbed=emulator", "--execo-site=lyon", f"--execo-option=uri={server.uri}",
            f"--execo-option=key={server.key}", f"--execo-checkpoint={self.place / 'checkpoint'}", *self.workers,
        ]  # fmt: skip
        with (self.place / f"output-{self.sessions}").open("w") as output:
            run = subprocess.Popen(
                command, cwd=self.place, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                return run.wait(LONGEST if kill_after is None else kill_after)
            except subprocess.TimeoutExpired:
                assert kill_after is not None, f"not over within {LONGEST} s: {self.output()}"
                return 0
            finally:
                if run.poll() is None:
                    os.kill(run.pid, signal.SIGKILL)
                    run.wait()

    def release(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "pytest_execo", "release"], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def nothing_is_left(self, server: EmulatorServer) -> None:
        assert LeaseBook(self.lease_files).entries() == []
        # What was asked to end has ended a little later.
        self.eventually(lambda: running(server) == {}, 20.0)

    def everything_is_accounted_for(self, *, faulty: bool) -> None:
        records = self.records()
        by_trial: dict[int, list[dict[str, Any]]] = collections.defaultdict(list)
        for record in records:
            by_trial[record["params"]["x"]].append(record)
        for x, attempts in by_trial.items():
            outcomes = [attempt["outcome"] for attempt in attempts]
            # The environment's faults are nobody's failure; what the test itself does wrong is one, once.
            assert outcomes.count("passed") == (0 if x == WRONG else outcomes.count("passed"))
            assert outcomes.count("failed") <= (1 if x == WRONG else 0), attempts
            assert outcomes.count("passed") <= 1, attempts
            assert set(outcomes[:-1]) <= {"pending"}, attempts
            assert all(a["reason"] for a in attempts if a["outcome"] == "pending")
            assert [a["attempt"] for a in attempts] == sorted({a["attempt"] for a in attempts})
        if not faulty:
            assert len(by_trial) == TRIALS
            assert all(len(attempts) == 1 for attempts in by_trial.values())

    def records(self) -> list[dict[str, Any]]:
        lines: list[str] = []
        for path in self.place.glob("execo-results/*/records/*.jsonl"):
            lines += path.read_text().splitlines()
        return sorted(map(json.loads, lines), key=lambda record: str(record["started_at"]))

    def output(self) -> str:
        return (self.place / f"output-{self.sessions}").read_text()
