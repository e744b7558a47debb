"""The emulator with nodes: a job's and a deployment's, reached by ssh as the emulator says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from pytest_execo import Host
from pytest_execo.emulator.embedded import EmbeddedMachines
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    """An emulator whose hour takes six seconds."""
    with EmulatorServer.start(
        sample_reference(), machines=EmbeddedMachines(), users={"alice": "wonder"}, speed=600
    ) as server:
        yield server


def ask(server: EmulatorServer, method: str, path: str, **options: Any) -> Any:
    response = requests.request(method, f"{server.uri}{path}", auth=("alice", "wonder"), timeout=60, **options)
    response.raise_for_status()
    return response.json()


def reach(server: EmulatorServer, *names: str) -> list[Host]:
    url = f"{server.uri.removesuffix('/stable')}/emulator/nodes?names={','.join(names)}"
    response = requests.get(url, headers={"X-Emulator-Key": server.key}, timeout=60)
    return [Host(**entry) for entry in response.json()]


def test_nodes_are_the_users_then_roots_then_gone(server: EmulatorServer, eventually: Callable[..., None]) -> None:
    order = {"resources": "nodes=1,walltime=4:00:00", "command": "sleep 1d"}
    job = ask(server, "POST", "/sites/lyon/jobs", json=order)
    path = f"/sites/lyon/jobs/{job['uid']}"
    eventually(lambda: ask(server, "GET", path)["state"] == "running")
    (node,) = reach(server, *ask(server, "GET", path)["assigned_nodes"])
    assert node.run("whoami").stdout == "alice\n"

    order = {"resources": "nodes=1,walltime=4:00:00", "command": "sleep 1d", "types": ["deploy"]}
    job = ask(server, "POST", "/sites/lyon/jobs", json=order)
    path = f"/sites/lyon/jobs/{job['uid']}"
    eventually(lambda: ask(server, "GET", path)["state"] == "running")
    names = ask(server, "GET", path)["assigned_nodes"]
    assert reach(server, *names) == []
    made = ask(server, "POST", "/sites/lyon/deployments", json={"nodes": names, "environment": "debian13-min"})
    eventually(lambda: ask(server, "GET", f"/sites/lyon/deployments/{made['uid']}")["status"] == "terminated")
    (node,) = reach(server, *names)
    assert node.run("whoami; cat /etc/grid5000/release").stdout.split() == ["root", "debian13-min"]

    requests.delete(f"{server.uri}{path}", auth=("alice", "wonder"), timeout=60)
    eventually(lambda: reach(server, *names) == [])
