"""The connector: a pool for each host, a session for each command."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import asyncssh

from ...errors import ConnectionFailed, ConnectorError
from ...hosts import Host
from ..contract import Channel, Command, Connector, FileChannel, Receiver
from .files import Files
from .options import CONNECT_TIMEOUT
from .pool import Pool
from .session import Session, remote_line

__all__ = ("SshConnector",)

# Handshakes in flight. One costs about 10 ms of CPU on this side; more at once only make each of them late, and
# stock servers start to refuse (MaxStartups 10:30:100 counts per server, a campaign's hosts are many servers).
HANDSHAKES = 64


class SshConnector(Connector):
    """Starts commands on remote hosts through SSH 2.0, for Python alone and on one thread."""

    name = "ssh"

    def __init__(self) -> None:
        self._pools: dict[Host, Pool] = {}
        self._handshakes = asyncio.Semaphore(HANDSHAKES)
        self._orphans: set[asyncio.Task[None]] = set()

    def _pool(self, host: Host | None) -> Pool:
        if host is None:
            raise ConnectionFailed("localhost", "the ssh connector needs a host; use connector='local' or give host=")
        pool = self._pools.get(host)
        if pool is None:
            pool = self._pools[host] = Pool(host, self._handshakes)
        return pool

    async def start(self, host: Host | None, command: Command, receiver: Receiver) -> Channel:
        # Shielded: when the caller gives up half-way, the host may have begun the command all the same, and somebody
        # has to end it there.
        starting = asyncio.ensure_future(self._start(self._pool(host), command, receiver))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            orphan = asyncio.ensure_future(_end_orphan(starting))
            self._orphans.add(orphan)
            orphan.add_done_callback(self._orphans.discard)
            raise

    async def _start(self, pool: Pool, command: Command, receiver: Receiver) -> Session:
        line = remote_line(command)
        terminal: dict[str, Any] = {"term_type": os.environ.get("TERM", "dumb")} if command.pty else {}

        async def open_channel(connection: asyncssh.SSHClientConnection) -> Session:
            session = Session(pool, command, receiver)
            await connection.create_session(lambda: session, line, encoding=None, **terminal)
            return session

        session = await pool.use(open_channel, release=False)
        session.hold_room()
        try:
            await session.begun()
        except asyncio.CancelledError:
            session.close()
            raise
        return session

    async def files(self, host: Host | None) -> FileChannel:
        pool = self._pool(host)

        async def open_sftp(connection: asyncssh.SSHClientConnection) -> Files:
            return Files(pool, connection, await connection.start_sftp_client())

        return await pool.use(open_sftp, release=False)

    async def disconnect(self, host: Host) -> None:
        if pool := self._pools.pop(host, None):
            await pool.close()

    async def close(self) -> None:
        for orphan in self._orphans:
            orphan.cancel()
        pools = list(self._pools.values())
        self._pools.clear()
        await asyncio.gather(*(pool.close() for pool in pools))


async def _end_orphan(starting: asyncio.Task[Session]) -> None:
    """End a command that nobody waits for any more, as soon as the host says that it runs."""
    try:
        session = await asyncio.wait_for(starting, CONNECT_TIMEOUT)
        await session.signal(signal.SIGKILL)
        session.close()
    except (ConnectorError, TimeoutError):
        pass  # it did not start, or the host can't be reached
