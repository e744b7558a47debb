"""Time on the platform: what is due happens at its date, machines follow, faults strike, nothing is left."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.emulator.clock import ManualClock
from pytest_execo.emulator.faults import Faults
from pytest_execo.emulator.kadeploy import KadeployRefused
from pytest_execo.emulator.machineroom import MachineRoom
from pytest_execo.emulator.machines import NoMachines
from pytest_execo.emulator.platform import Platform
from pytest_execo.errors import InvalidRequest, ReservationFailed, TestbedError

TAURUS = "{cluster='taurus'}/nodes=3,walltime=1:00:00"


class World:
    """A platform whose clock is the test's."""

    def __init__(self, reference: Mapping[str, Any], faults: str | Faults = "", machines: Any = None) -> None:
        self.clock = ManualClock()
        self.machines = machines or NoMachines()
        self.faults = Faults.parse(faults) if isinstance(faults, str) else faults
        self.platform = Platform(reference, self.clock, self.machines, users=("alice",), faults=self.faults)
        self.lyon = self.platform.sites["lyon"]

    def submit(self, resources: str = TAURUS, **more: Any) -> int:
        with self.platform.at_now():
            return self.lyon.oar.submit("alice", resources=resources, command="sleep 1d", **more)

    def deploy(self, job: int) -> Any:
        with self.platform.at_now():
            order = {"nodes": self.lyon.nodes_of_job[job], "environment": "debian12-min"}
            return self.lyon.kadeploy.submit("alice", order)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.platform.advance()

    def state(self, job: int) -> str:
        return self.lyon.oar.job(job).state


@pytest.fixture
def world(small_reference: Mapping[str, Any]) -> World:
    """Nothing goes wrong in it."""
    return World(small_reference)


def test_nodes_come_with_a_job_and_go_with_it_also_when_nobody_asks(world: World) -> None:
    job = world.submit()
    world.pass_time(30)
    assert set(world.machines.on) == set(world.lyon.nodes_of_job[job])
    assert {(entry["user"], entry["environment"]) for entry in world.machines.on.values()} == {("alice", None)}
    world.pass_time(7200)
    assert (world.state(job), world.machines.on) == ("Error", {})


def test_what_was_due_long_ago_happened_at_its_date(world: World) -> None:
    job = world.submit()
    world.pass_time(10 * 86400)
    entry = world.lyon.oar.job(job)
    assert entry.stopped is not None
    assert 3600 <= entry.stopped - entry.started <= 3700


def test_the_date_does_not_depend_on_how_often_one_looks(small_reference: Mapping[str, Any]) -> None:
    def events(steps: Sequence[float]) -> list[Any]:
        world = World(small_reference, "job-killed=any:at=+400,deployment-ko=1,node-dies=any:at=+900")
        job = world.submit(types=("deploy",))
        world.pass_time(30)
        world.deploy(job)
        for step in steps:
            world.pass_time(step)
        entry = world.lyon.oar.job(job)
        (deployment,) = world.lyon.kadeploy.deployments.values()
        shown = {node: run.state for node, run in deployment.runs.items()}
        return [entry.state, entry.stopped, deployment.status, deployment.updated_at, shown, world.faults.happened]

    assert events([1800]) == events([1.5] * 1200) == events([13.7] * 132)


def test_a_job_without_machines_gets_none(world: World) -> None:
    world.submit(types=("deploy",))
    world.submit("{cluster='nova'}/nodes=1,walltime=1:00:00", types=("noop",), queue="production")
    world.pass_time(30)
    assert len(world.lyon.nodes_of_job) == 2
    assert world.machines.on == {}


def test_nodes_that_two_jobs_share_go_with_the_second(world: World) -> None:
    first = world.submit("{cluster='nova'}/nodes=1/core=1,walltime=0:10:00", queue="production")
    second = world.submit("{cluster='nova'}/nodes=1/core=1,walltime=0:30:00", queue="production")
    provided: list[Any] = []
    provide = world.machines.provide
    world.machines.provide = lambda *a, **k: provided.append(a[1]) or provide(*a, **k)
    world.pass_time(120)
    assert (world.state(first), world.state(second)) == ("Running", "Running")
    assert provided in ([["nova-1.lyon.grid5000.fr"], []], [["nova-1.lyon.grid5000.fr"]])
    world.pass_time(900)
    assert (world.state(first), len(world.machines.on)) == ("Error", 1)
    world.pass_time(1200)
    assert (world.state(second), len(world.machines.on)) == ("Error", 0)


def test_a_node_dies_and_is_not_used_again(small_reference: Mapping[str, Any]) -> None:
    world = World(small_reference, "node-dies=taurus-2:at=+60")
    job = world.submit()
    world.pass_time(59)
    assert "taurus-2.lyon.grid5000.fr" in world.machines.on
    world.pass_time(1)
    assert "taurus-2.lyon.grid5000.fr" not in world.machines.on
    assert world.state(job) == "Running"
    world.pass_time(4000)
    waits = world.submit()
    again = world.submit(TAURUS.replace("3", "2", 1))
    world.pass_time(30)
    assert set(world.machines.on) == {f"taurus-{number}.lyon.grid5000.fr" for number in (1, 3)}
    assert (world.state(again), world.state(waits)) == ("Running", "Waiting")


def test_a_node_that_dies_is_one_in_use_when_none_is_named(small_reference: Mapping[str, Any]) -> None:
    world = World(small_reference, "node-dies=any:at=+10")
    world.pass_time(100)
    assert world.faults.happened == []
    world.submit("{cluster='taurus'}/nodes=1,walltime=1:00:00")
    world.pass_time(30)
    (happened,) = world.faults.happened
    assert happened["whom"] == world.lyon.nodes_of_job[100001][0]
    assert world.machines.on == {}


def test_a_job_is_killed(small_reference: Mapping[str, Any]) -> None:
    world = World(small_reference, "job-killed=any:at=+100")
    job = world.submit()
    world.pass_time(99)
    assert world.state(job) == "Running"
    world.pass_time(60)
    assert (world.state(job), world.machines.on) == ("Error", {})


def test_a_deployment_that_ends_after_its_job_brings_up_nothing(world: World) -> None:
    job = world.submit("{cluster='taurus'}/nodes=1,walltime=0:02:00", types=("deploy",))
    world.pass_time(30)
    made = world.deploy(job)
    world.pass_time(1000)
    assert (made.status, world.machines.on) == ("terminated", {})
    with pytest.raises(KadeployRefused, match="#6"):
        world.deploy(job)


def test_a_machine_that_can_not_be_made_ends_the_job(small_reference: Mapping[str, Any]) -> None:
    class Broken(NoMachines):
        def provide(self, *arguments: Any, **options: Any) -> None:
            raise ReservationFailed("no memory left")

    world = World(small_reference, machines=Broken())
    job = world.submit()
    world.pass_time(60)
    assert world.state(job) == "Error"
    assert any("no memory left" in event.description for event in world.lyon.oar.job(job).events)


def test_orders_to_machines_are_carried_out_in_order_by_a_thread() -> None:
    class Noting(NoMachines):
        def __init__(self) -> None:
            super().__init__()
            self.log: list[str] = []

        def provide(self, site: str, nodes: Sequence[str], **options: Any) -> None:
            self.log.append(f"provide {nodes[0]}")
            super().provide(site, nodes, **options)

        def withdraw(self, nodes: Sequence[str]) -> None:
            self.log.append(f"withdraw {nodes[0]}")
            if nodes[0] == "bad":
                raise TestbedError("it is gone")
            super().withdraw(nodes)

    machines = Noting()
    room = MachineRoom(machines, threaded=True)
    options: dict[str, Any] = {"user": "a", "environment": None, "keys": (), "vlan": None, "failed": print}
    for node in ("a", "b"):
        room.provide("lyon", [node], **options)
    room.withdraw(["bad"])
    room.withdraw(["a"])
    assert [entry["name"] for entry in room.reach(["a", "b"], timeout=10)] == ["b"]
    assert machines.log == ["provide a", "provide b", "withdraw bad", "withdraw a"]
    room.close()
    room.close()
    assert machines.on == {}


def test_asking_too_long_is_an_error_and_not_a_hang(small_reference: Mapping[str, Any]) -> None:
    release = threading.Event()

    class Slow(NoMachines):
        def withdraw(self, nodes: Sequence[str]) -> None:
            release.wait(10)

    room = MachineRoom(Slow(), threaded=True)
    room.withdraw(["a"])
    with pytest.raises(TestbedError, match=r"within 0\.01 s"):
        room.reach(["a"], timeout=0.01)
    release.set()
    room.close()


def test_reference_data_without_a_site_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="deep=1"):
        Platform({"items": {}}, ManualClock(), NoMachines())


@given(seed=st.integers(0, 10**6))
@settings(max_examples=25)
def test_whatever_goes_wrong_all_ends_and_no_node_is_left(small_reference: Mapping[str, Any], seed: int) -> None:
    world = World(small_reference, Faults.random(seed, 1800.0))
    jobs = [world.submit("{cluster='taurus'}/nodes=1,walltime=0:30:00", types=("deploy",)) for _ in range(3)]
    world.pass_time(60)
    for job in jobs:
        if world.state(job) == "Running":
            world.deploy(job)
    for _ in range(10):
        world.pass_time(120)
        assert set(world.machines.on).isdisjoint(world.lyon.kadeploy.dead)
    world.pass_time(6 * 3600)
    assert {world.state(job) for job in jobs} <= {"Terminated", "Error"}
    assert world.machines.on == {}
    assert world.lyon.kadeploy.next_date() is None
    stuck = [made for made in world.lyon.kadeploy.deployments.values() if made.status == "processing"]
    assert all(made.stuck for made in stuck)


@pytest.mark.parametrize(
    ("faults", "line"),
    [
        ("node-dies=tarus-1", "fault node-dies: there is no node 'tarus-1'; did you mean 'taurus-1'"),
        ("deployment-ko=taurus-1+taurus-99", "fault deployment-ko: there is no node 'taurus-99'"),
        ("frontend-unreachable=paris:for=9", "fault frontend-unreachable: there is no site 'paris'"),
    ],
)
def test_faults_of_what_is_not_there_are_refused(small_reference: Mapping[str, Any], faults: str, line: str) -> None:
    with pytest.raises(InvalidRequest, match=line):
        World(small_reference, faults)
    World(small_reference, "node-dies=taurus-1,deployment-ko=2,frontend-unreachable=lyon:for=9")
