"""A host that only its connector reaches, as one behind a gateway."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from pytest_execo import Host
from pytest_execo.connectors import _CONNECTORS as available
from pytest_execo.connectors.contract import Channel, Command, Receiver, TcpReader, TcpWriter
from pytest_execo.connectors.ssh import SshConnector
from pytest_execo.connectors.supervision import Connection
from pytest_execo.processes.io_thread import io_thread

# No address of this machine or of any other.
NOWHERE = "fe80::1%none"


class Gateway(SshConnector):
    """Knows where the host is. Nobody else does: neither its address nor what ssh tells it is of use to others."""

    def __init__(self, behind: Host, forwards: bool) -> None:
        super().__init__()
        self.behind = behind
        self.forwards = forwards
        #: Of the host, to which connections were opened.
        self.ports: list[int] = []

    async def connect(self, host: Host) -> Connection:
        return await super().connect(self.behind)

    async def start(self, host: Host | None, command: Command, receiver: Receiver) -> Channel:
        env = {**command.env, "SSH_CONNECTION": f"{NOWHERE} 1 {NOWHERE} 22"}
        return await super().start(host, dataclasses.replace(command, env=env), receiver)

    async def open_tcp(self, host: Host | None, address: str, port: int) -> tuple[TcpReader, TcpWriter]:
        if not self.forwards:
            raise self.refusal("tcp", host)
        opened = await super().open_tcp(host, address, port)
        self.ports.append(port)
        return opened


@pytest.fixture
def behind_a_gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Host, bool], Host]]:
    """Put a host behind a gateway, which forwards TCP connections or does not; ``host.connector`` is its own."""
    made: dict[str, Gateway] = {}
    connectors = io_thread()._connectors

    def put(behind: Host, forwards: bool) -> Host:
        name = f"gateway {len(made)}"
        made[name] = connectors[name] = Gateway(behind, forwards)  # type: ignore[assignment]
        monkeypatch.setitem(available, name, ("ssh", "SshConnector"))  # for those who ask what it can do
        return Host(NOWHERE, name=f"{behind} inside", connector=name)

    yield put
    for name, gateway in made.items():
        del connectors[name]
        io_thread().submit(gateway.close()).result(10)


@pytest.fixture
def forwarded() -> Callable[[Host], list[int]]:
    """Tell to which ports of a host its gateway has connected."""
    return lambda host: cast(Gateway, io_thread()._connectors[host.connector]).ports
