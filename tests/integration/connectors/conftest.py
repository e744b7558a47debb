"""The far ends of the conformance suite: every connector, over every server that it is to work with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo import Host, Lease, Process

#: Connectors that reach other machines.
REMOTE = ("ssh", "openssh", "paramiko", "taktuk")


def far_end(request: pytest.FixtureRequest, connector: str, server: str) -> Host:
    """Return a host behind ``server``, to be reached by ``connector``."""
    if server == "openssh":
        host: Host = request.getfixturevalue("openssh")
    else:
        lease: Lease = request.getfixturevalue("embedded")
        host = lease.nodes[0]
    return dataclasses.replace(host, connector=connector)


@pytest.fixture(params=["local", *(f"{connector} to openssh" for connector in REMOTE), "ssh to embedded"])
def host(request: pytest.FixtureRequest) -> Host:
    """The far end."""
    if request.param == "local":
        return Host("localhost", connector="local")
    connector, _, server = request.param.partition(" to ")
    return far_end(request, connector, server)


@pytest.fixture(params=REMOTE)
def connector(request: pytest.FixtureRequest) -> str:
    """The name of a connector that reaches other machines."""
    name: str = request.param
    return name


@pytest.fixture
def process(host: Host) -> Callable[..., Process]:
    """Makes a process there, with a time-out that no test should reach."""

    def make(cmd: Any, **options: Any) -> Process:
        return Process(cmd, host, **{"timeout": 60, **options})

    return make
