"""The SSH server of one node, and the manager's hand in it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Collection
from typing import Any

import asyncssh
from asyncssh.forward import SSHForwarder

from ...connectors.pumps import HIGH_WATER, LOW_WATER, WINDOW
from .children import Children
from .layout import Account
from .network import Gate, Wire
from .sessions import Session

__all__ = ("serve",)


async def serve(
    account: Account,
    host_key: asyncssh.SSHKey,
    logins: Collection[bytes],
    listening: socket.socket,
    control: socket.socket,
) -> None:
    """Serve until the manager closes ``control``. The keys of ``logins`` log in, under one name."""
    children = Children()
    gate = Gate(listening)
    tunnel: Any = gate  # only its create_server is called
    await asyncssh.listen(
        tunnel=tunnel,
        server_factory=lambda: _Server(account, logins, children),
        server_host_keys=[host_key],
        encoding=None,
        line_editor=False,
        window=WINDOW,
        agent_forwarding=True,
        gss_host=None,
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
    )
    reader, writer = await asyncio.open_connection(sock=control)
    writer.write(b'{"up": true}\n')
    while line := await reader.readline():
        message = json.loads(line)
        gate.set(Wire(**message["wire"]))
        writer.write(json.dumps({"done": message["id"]}).encode() + b"\n")


class _Server(asyncssh.SSHServer):
    """What one connection may do: log in as the account's user; then everything."""

    def __init__(self, account: Account, logins: Collection[bytes], children: Children) -> None:
        self._account = account
        self._logins = logins
        self._children = children

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == self._account.user and key.public_data in self._logins

    def session_requested(self) -> Any:
        return Session(self._account, self._children)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        return _forward(asyncio.get_running_loop().create_connection(SSHForwarder, dest_host, dest_port))

    def unix_connection_requested(self, dest_path: str) -> Any:
        return _forward(asyncio.get_running_loop().create_unix_connection(SSHForwarder, dest_path))

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        return True

    def unix_server_requested(self, listen_path: str) -> bool:
        return True


async def _forward(opening: Awaitable[tuple[asyncio.Transport, SSHForwarder]]) -> SSHForwarder:
    """Connect a channel to what ``opening`` opens: asyncssh's own way, with buffers that stay bounded."""
    try:
        transport, peer = await opening
    except OSError as error:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, str(error)) from None
    transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
    return SSHForwarder(peer)
