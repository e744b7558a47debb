"""Deployments: rights, durations, nodes that fail, ends that come early or never."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_execo.emulator.clock import SteppedClock
from pytest_execo.emulator.environments import find_environment, own_environments
from pytest_execo.emulator.faults import Faults
from pytest_execo.emulator.kadeploy import Deployment, Kadeploy, KadeployRefused, KadeploySettings
from pytest_execo.emulator.kavlan import DEFAULT, Kavlan
from pytest_execo.emulator.site import full_name, nodes_of, sites_of

T1, T2, T3 = (f"taurus-{number}.lyon.grid5000.fr" for number in (1, 2, 3))
ARM = "pyxis-1.lyon.grid5000.fr"
NOVA = "nova-1.lyon.grid5000.fr"


class World:
    """A kadeploy whose clock and rights are the test's."""

    def __init__(self, reference: Mapping[str, Any], **settings: Any) -> None:
        site = sites_of(reference)["lyon"]
        nodes = [node for _, node in nodes_of(site)]
        self.clock = SteppedClock(1000.0)
        self.faults = Faults()
        self.faults.begin(1000.0)
        self.owners = dict.fromkeys((T1, T2, T3, ARM), "alice")
        self.kavlan = Kavlan(
            site, nodes, [], holders=lambda: [("alice", "4"), ("bob", "5")], owners=lambda: self.owners
        )
        self.kadeploy = Kadeploy(
            "lyon",
            self.clock,
            architectures={full_name("lyon", node): node["architecture"]["platform_type"] for node in nodes},
            environments=own_environments(["alice"]),
            owners=lambda: self.owners,
            kavlan=self.kavlan,
            faults=self.faults,
            draw=random.Random(1),
            settings=KadeploySettings(**settings),
        )
        self.told: list[tuple[str, ...]] = []

    def submit(self, *nodes: str, environment: str = "debian12-min", user: str = "alice", **order: Any) -> Deployment:
        made = self.kadeploy.submit(user, {"nodes": list(nodes), "environment": environment, **order})
        self.advance(0)
        return made

    def advance(self, seconds: float) -> None:
        self.clock.step_to(self.clock.now() + seconds)
        self.told += [told.nodes for told in self.kadeploy.advance() if told.nodes]


@pytest.fixture
def world(small_reference: Mapping[str, Any]) -> World:
    """Alice has the taurus nodes and pyxis-1, and VLAN 4."""
    return World(small_reference)


def states(deployment: Deployment) -> dict[str, str]:
    assert deployment.shown is not None
    return {node.partition(".")[0]: entry["state"] for node, entry in deployment.shown.items()}


def test_a_deployment_takes_minutes_and_tells_only_at_its_end(world: World) -> None:
    made = world.submit(T1, T2)
    assert (made.status, made.shown) == ("processing", None)
    world.advance(150)
    assert (made.status, made.shown, world.told) == ("processing", None, [])
    made.refresh()
    assert {entry["macro"] for entry in (made.shown or {}).values()} <= {"BroadcastEnv", "BootNewEnv"}
    world.advance(200)
    assert (made.status, states(made), world.told) == ("terminated", {"taurus-1": "OK", "taurus-2": "OK"}, [(T1, T2)])
    assert made.shown == {
        node: {"macro": "BootNewEnv", "micro": None, "state": "OK", "error": None} for node in (T1, T2)
    }
    assert world.kadeploy.next_date() is None


def test_durations_are_those_of_the_settings(world: World) -> None:
    made = world.submit(T1)
    dates = [world.kadeploy.next_date()]
    while not made.is_over:
        world.advance((dates[-1] or 0) - world.clock.now())
        dates.append(world.kadeploy.next_date())
    lengths = [after - before for before, after in zip([1000.0, *dates[:2]], dates[:3], strict=True)]  # type: ignore[operator]
    for length, (low, high) in zip(lengths, ((80, 130), (40, 60), (60, 110)), strict=True):
        assert low <= length <= high


def test_nodes_fail_alone_and_the_end_is_terminated_all_the_same(world: World) -> None:
    world.faults.deployment_ko([T1])
    made = world.submit(T1, T2)
    world.advance(600)
    assert (made.status, states(made), world.told) == ("terminated", {"taurus-1": "KO", "taurus-2": "OK"}, [(T2,)])
    assert (made.shown or {})[T1]["error"]


def test_terminated_even_when_no_node_made_it(world: World) -> None:
    world.faults.deployment_ko(2)
    made = world.submit(T1, T2)
    world.advance(600)
    assert (made.status, set(states(made).values()), world.told) == ("terminated", {"KO"}, [])


def test_a_rate_of_failures_is_that_of_the_seed(small_reference: Mapping[str, Any]) -> None:
    def outcome() -> list[dict[str, str]]:
        world = World(small_reference, ko_rate=0.5)
        found = []
        for _ in range(10):
            made = world.submit(T1, T2, T3)
            world.advance(600)
            found.append(states(made))
        return found

    assert outcome() == outcome()
    assert {state for one in outcome() for state in one.values()} == {"OK", "KO"}


@pytest.mark.parametrize(
    ("order", "number"),
    [
        ({"nodes": ["taurus-9.lyon.grid5000.fr"]}, 2),
        ({"nodes": [T1, NOVA]}, 6),
        ({"nodes": [T1], "user": "bob"}, 6),
        ({"nodes": [T1], "environment": "debian99-min"}, 7),
        ({"nodes": [T1], "version": 2001010100}, 7),
        ({"nodes": [ARM], "environment": "debian12-mine"}, 7),
        ({"nodes": [T1, ARM]}, 7),
        ({"nodes": [T1], "environment": "http://example.org/photo.jpg"}, 7),
        ({"nodes": [T1], "vlan": "99"}, 9),
        ({"nodes": [T1], "vlan": "5"}, 9),
    ],
)
def test_what_is_refused_has_kadeploys_number(world: World, order: dict[str, Any], number: int) -> None:
    with pytest.raises(KadeployRefused) as caught:
        world.submit(*order.pop("nodes"), **order)
    assert str(caught.value).startswith(f"Kadeploy error #{number}: ")
    assert caught.value.number == number


def test_the_environment_is_the_latest_for_the_arch_of_the_nodes(world: World) -> None:
    assert world.submit(T1).environment.version == 2026012214
    assert world.submit(ARM).environment.arch == "aarch64"
    assert world.submit(T2, version=2025061410).environment.version == 2025061410
    assert world.submit(T3, environment="debian12-mine@alice").environment.user == "alice"


def test_an_environment_of_a_url_has_the_name_of_its_file(world: World) -> None:
    made = world.submit(T1, environment="https://api.example.org/public/alice/mine.yaml")
    assert made.environment.name == "mine"


def test_nodes_of_another_deployment_are_discarded(world: World) -> None:
    world.submit(T1)
    second = world.submit(T1, T2)
    world.advance(600)
    assert (second.status, states(second)) == ("terminated", {"taurus-1": "DISCARDED", "taurus-2": "OK"})
    assert sorted(world.told) == [(T1,), (T2,)]


def test_all_discarded_is_refused(world: World) -> None:
    world.submit(T1)
    with pytest.raises(KadeployRefused, match="#14: All the nodes have been discarded"):
        world.submit(T1)


def test_nodes_are_taken_from_another_deployment_when_told(world: World) -> None:
    first = world.submit(T1, T2)
    second = world.submit(T1, ignore_nodes_deploying=True)
    world.advance(600)
    assert (states(first), states(second)) == ({"taurus-1": "ABORTED", "taurus-2": "OK"}, {"taurus-1": "OK"})


def test_a_canceled_one_brings_up_no_node_and_stays_canceled(world: World) -> None:
    made = world.submit(T1)
    world.kadeploy.cancel(made)
    world.advance(600)
    assert (made.status, world.told, world.kadeploy.next_date()) == ("canceled", [], None)
    world.submit(T1)  # the node is free again


def test_canceling_one_that_is_over_changes_nothing(world: World) -> None:
    made = world.submit(T1)
    world.advance(600)
    world.kadeploy.cancel(made)
    assert made.status == "terminated"


def test_a_fault_cancels(world: World) -> None:
    world.faults.deployment_canceled(after=30)
    made = world.submit(T1)
    world.advance(29)
    assert made.status == "processing"
    world.advance(1)
    assert (made.status, bool(made.output), world.told) == ("canceled", True, [])


def test_a_stuck_one_stays_processing_and_leaves_its_nodes_free(world: World) -> None:
    world.faults.deployment_stuck()
    made = world.submit(T1)
    assert world.kadeploy.next_date() is None
    world.advance(1e6)
    assert made.status == "processing"
    again = world.submit(T1)
    world.advance(600)
    assert (again.status, states(again)) == ("terminated", {"taurus-1": "OK"})
    world.kadeploy.cancel(made)
    assert made.status == "canceled"


def test_a_dead_node_fails(world: World) -> None:
    made = world.submit(T1, T2)
    world.kadeploy.dead.add(T1)
    world.advance(600)
    assert states(made) == {"taurus-1": "KO", "taurus-2": "OK"}


def test_nodes_of_a_job_that_is_over_do_not_come_up(world: World) -> None:
    made = world.submit(T1, T2)
    del world.owners[T1]
    world.kadeploy.release([T1])
    world.advance(600)
    assert (states(made), world.told) == ({"taurus-1": "ABORTED", "taurus-2": "OK"}, [(T2,)])


def test_nodes_come_up_in_the_vlan_and_are_in_the_default_one_before(world: World) -> None:
    world.kavlan.move([T1], "4")
    world.faults.deployment_ko([T2])
    world.submit(T1, T2, vlan="4")
    assert world.kavlan.vlan_of(T1) == DEFAULT
    world.advance(600)
    assert (world.kavlan.vlan_of(T1), world.kavlan.vlan_of(T2)) == ("4", DEFAULT)


def test_private_environments_are_their_owners() -> None:
    known = own_environments(["alice"])
    assert find_environment(known, "debian12-mine", user="bob") is None
    assert find_environment(known, "debian12-x64-min", user="bob") is not None
    assert find_environment(known, "debian12-min@bob", user="bob") is None
    assert len({environment.uid for environment in known}) == len(known)
