"""Nodes of the emulator: they come fresh, know what was deployed, and go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import asyncssh
import pytest

from pytest_execo import Host
from pytest_execo.emulator.embedded import EmbeddedMachines

pytestmark = pytest.mark.integration

NODES = ("taurus-1.lyon.grid5000.fr", "taurus-2.lyon.grid5000.fr")


@pytest.fixture
def machines() -> Iterator[EmbeddedMachines]:
    """None of them is on."""
    machines = EmbeddedMachines()
    yield machines
    machines.close()


def hosts(machines: EmbeddedMachines, *nodes: str) -> list[Host]:
    """Return how they are reached now."""
    return [Host(**entry) for entry in machines.reach(nodes or NODES)]


def provide(machines: EmbeddedMachines, *nodes: str, **options: Any) -> list[Host]:
    """Provide nodes, for alice and as they are unless said otherwise, and return how they are reached."""
    options = {"user": "alice", "environment": None, "keys": (), **options}
    machines.provide("lyon", nodes or NODES, **options)
    return hosts(machines, *nodes)


def test_a_node_of_a_job_lets_the_jobs_user_in(machines: EmbeddedMachines) -> None:
    first, second = provide(machines)
    assert first.run("cat /etc/grid5000/release; whoami; hostname").stdout.split() == [
        "debian12-std",
        "alice",
        NODES[0],
    ]
    assert second.name == NODES[1]


def test_a_deployed_node_is_another_one_at_the_same_name(machines: EmbeddedMachines) -> None:
    before = provide(machines)
    before[0].run("echo mine > note")
    first, second = provide(machines, environment="debian12-min")
    assert first.run("cat /etc/grid5000/release; whoami; ls").stdout.split() == ["debian12-min", "root"]
    assert first.host_key != before[0].host_key
    assert second.run("hostname").stdout == f"{NODES[1]}\n"
    assert not before[0].run("true", check=False).ok


def test_one_of_two_is_deployed(machines: EmbeddedMachines) -> None:
    before = provide(machines)
    provide(machines, NODES[1], environment="debian12-min")
    assert before[0].run("cat /etc/grid5000/release").stdout == "debian12-std\n"
    assert hosts(machines)[1].run("cat /etc/grid5000/release").stdout == "debian12-min\n"


def test_a_key_that_was_given_gets_in(machines: EmbeddedMachines, tmp_path: Any) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    path = tmp_path / "key"
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    [node, _] = provide(machines, environment="debian12-min", keys=[key.export_public_key().decode()])
    mine = Host(node.address, name="mine", port=node.port, user="root", keyfile=str(path), host_key=node.host_key)
    assert mine.run("echo in").stdout == "in\n"


def test_in_a_vlan_a_node_has_the_name_of_the_vlan(machines: EmbeddedMachines) -> None:
    [node, _] = provide(machines, environment="debian12-min", vlan="4")
    assert node.run("hostname").stdout == "taurus-1-kavlan-4.lyon.grid5000.fr\n"


def test_nodes_go(machines: EmbeddedMachines) -> None:
    first, second = provide(machines)
    machines.withdraw([NODES[0]])
    assert [host.name for host in hosts(machines)] == [NODES[1]]
    assert not first.run("true", check=False).ok
    assert second.run("true").ok
    [(client, _)] = machines._on.values()
    machines.withdraw(NODES)
    assert not client.alive()
    assert not os.path.exists(client.paths.directory)


def test_a_node_that_died_stays_dead(machines: EmbeddedMachines) -> None:
    first, second = provide(machines)
    machines.power_off(NODES[0])
    machines.power_off("taurus-9.lyon.grid5000.fr")
    assert not first.run("true", check=False).ok
    assert second.run("true").ok
