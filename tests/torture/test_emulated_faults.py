"""Seeded faults on an emulated Grid'5000: a lease is reserved, deployed, used and given back, whatever happens.

Time is the test's own: hours pass in a moment, and the same seed does the same.
"""

from __future__ import annotations

import functools
import json
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pytest_execo.emulator.clock import ManualClock
from pytest_execo.emulator.faults import Faults
from pytest_execo.emulator.machines import NoMachines
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer
from pytest_execo.emulator.testbed import EmulatorTestbed
from pytest_execo.errors import TestbedError
from pytest_execo.hosts import Host, Hosts
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.grid5000.client import Credentials, Grid5000Client
from pytest_execo.testbeds.grid5000.client.http import Http
from pytest_execo.testbeds.grid5000.operations import Waiting

pytestmark = [pytest.mark.torture, pytest.mark.integration, pytest.mark.timeout(1800)]

#: Emulated seconds within which faults begin: the time that all of it takes when nothing goes wrong.
HORIZON = 1500.0
#: Emulated seconds within which it has to end, one way or another: three deployments that hang, and outages.
LONGEST = 4 * 3600.0
PASSWORD = "not-to-be-seen-anywhere"


class Rehearsed(EmulatorTestbed):
    """The emulator with nodes that are only remembered, and a clock that goes on when somebody sleeps."""

    def __init__(self, seed: int) -> None:
        super().__init__("lyon", account=("me", PASSWORD))
        self.seed = seed
        self.clock = ManualClock()
        self.machines = NoMachines()
        self.faults = Faults.random(seed, HORIZON)

    @functools.cached_property
    def server(self) -> EmulatorServer:
        return EmulatorServer.start(
            sample_reference(),
            machines=self.machines,
            clock=self.clock,
            users={"me": PASSWORD},
            faults=self.faults,
            seed=self.seed,
        )

    @functools.cached_property
    def client(self) -> Grid5000Client:
        return Grid5000Client(http=Http(self.server.uri, Credentials("me", PASSWORD), sleep=self.sleep))

    @functools.cached_property
    def waiting(self) -> Waiting:
        return Waiting(clock=self.clock.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.server.platform.advance()

    def hosts(self, names: Sequence[str], *, deployed: bool, vlan: str | None = None) -> Hosts:
        return Hosts(Host(name, name=name, description=self.describe_node(name)) for name in names)

    def on(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the nodes that are on, after all that was ordered of them."""
        self._ask("nodes", names=",".join(names))
        return {name: self.machines.on[name] for name in names if name in self.machines.on}

    def have_environment(self, names: Sequence[str], environment: str, vlan: str | None) -> dict[str, bool]:
        on = self.on(names)
        return {name: on.get(name, {}).get("environment") == environment for name in names}

    def answering(self, nodes: Hosts) -> Hosts:
        on = self.on(nodes.names)
        return Hosts(node for node in nodes if node.name in on)


def experiment(testbed: Rehearsed, request: Request) -> str:
    """Do what a run does; return how it ended."""
    try:
        lease = testbed.reserve(request)
    except TestbedError as error:
        return f"not reserved: {type(error).__name__}: {error}"
    try:
        assert request.environment is not None
        nodes = lease.deploy(request.environment, min_nodes=request.min_nodes)
        assert {node["environment"] for node in testbed.on(nodes.names).values()} == {request.environment}
        trials = 0
        while trials < 10:
            testbed.sleep(60)
            if not lease.alive():
                return f"lost after {trials} trials"
            trials += 1
        return "done"
    except TestbedError as error:
        return f"not deployed: {type(error).__name__}: {error}"
    finally:
        assert PASSWORD not in json.dumps(lease.describe())  # what records have of it
        lease.release()
        assert not lease.alive()


def run(seed: int) -> str:
    """Run one schedule and check what has to hold after it."""
    testbed = Rehearsed(seed)
    began = testbed.clock.now()
    try:
        chance = random.Random(seed)
        nodes = chance.randint(2, 5)
        request = Request(nodes=nodes, walltime=7200, environment="debian12-min", min_nodes=chance.choice([None, 1]))
        outcome = experiment(testbed, request)
        assert testbed.clock.now() - began < LONGEST, outcome
        happened = testbed.faults.happened
        if not happened:
            assert outcome == "done"
        if outcome.startswith("lost"):
            assert any(each["kind"] == "job-killed" for each in happened), (outcome, happened)
        assert PASSWORD not in outcome
        # Nothing is left: what was asked to end has ended a little later.
        testbed.faults.clear()
        testbed.sleep(600)
        jobs = testbed._ask("jobs")
        assert {job["state"] for job in jobs} <= {"error", "terminated"}, (outcome, jobs)
        for site in testbed.reference.sites:
            assert all(each.is_over for each in testbed.client.deployments(site)), outcome
        everywhere = [node.name for node in testbed.reference.nodes()]
        assert testbed.on(everywhere) == {}, outcome
        return outcome
    finally:
        testbed.close()


def test_every_schedule_of_faults_ends_well(
    scaled: Callable[[int], int], chance: random.Random, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    outcomes: dict[str, int] = {}
    runs = scaled(300)
    for _ in range(runs):
        seed = chance.randrange(2**32)
        try:
            outcome = run(seed)
        except BaseException:
            print(f"the schedule of seed {seed}: {Faults.random(seed, HORIZON).to_json()}")
            raise
        kind = outcome.partition(":")[0].partition(" after")[0]
        outcomes[kind] = outcomes.get(kind, 0) + 1
    print(outcomes)
    assert PASSWORD not in caplog.text
    # Of a few schedules all may be bad ones.
    assert outcomes.get("done", 0) > 0 or runs < 10


def test_the_same_seed_does_the_same() -> None:
    def story(seed: int) -> Any:
        testbed = Rehearsed(seed)
        try:
            request = Request(nodes=3, walltime=7200, environment="debian12-min", min_nodes=1)
            return experiment(testbed, request), testbed.faults.happened
        finally:
            testbed.close()

    assert story(7) == story(7)
