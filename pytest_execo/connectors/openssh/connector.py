"""The connector: opens connections, and what is not a command on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

import asyncssh

from ...errors import ConnectionFailed, ConnectorError, StartFailed
from ...hosts import Host
from ..contract import FileChannel, TcpReader, TcpWriter
from ..ssh.files import Files
from ..supervision import Connection, Refused, SupervisedConnector
from ..supervision.pool import Link
from .channel import NO_SESSION
from .connection import OpensshConnection
from .nest import Nest
from .streams import ClientStream, sftp_client

__all__ = ("OpensshConnector",)

# Handshakes in flight. Each is a program of its own that computes for 10 to 100 ms, on the cores of this machine: more
# at once only make each of them late.
_HANDSHAKES = 32
# Seconds for connections that were given up while they were being opened.
_CLOSE_TIMEOUT = 2


class OpensshConnector(SupervisedConnector):
    """Starts commands on remote hosts through the user's ssh program, one connection for all of a host's."""

    name = "openssh"
    # The program ends with 255 for every signal, and for its own troubles.
    reports: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self._handshakes = asyncio.Semaphore(_HANDSHAKES)
        self._nest: Nest | None = None
        self._openings: dict[asyncio.Task[object], Host] = {}
        self._connections: set[OpensshConnection] = set()

    async def connect(self, host: Host) -> Connection:
        task = asyncio.current_task()
        assert task is not None
        self._openings[task] = host
        try:
            async with self._handshakes:
                nest = self._nest = self._nest or Nest()
                try:
                    await nest.open()
                except OSError as error:
                    raise ConnectionFailed(host.name, f"no place for a socket: {error.strerror or error}") from error
                connection = OpensshConnection(host, nest, self._connections.discard)
                self._connections.add(connection)
                await connection.open()
                return connection
        finally:
            del self._openings[task]

    async def files(self, host: Host | None) -> FileChannel:
        pool = self.pool(host)

        async def open_sftp(link: Link) -> Files:
            connection = link.connection
            assert isinstance(connection, OpensshConnection)
            stream = await connection.stream("-s", last="sftp")
            try:
                return Files(pool, link, await sftp_client(stream))
            except (asyncssh.Error, OSError, EOFError) as error:
                stream.close()
                await stream.wait_closed()
                raise await _why(connection, stream, "no sftp there") from error
            except BaseException:
                stream.kill()
                raise

        return await pool.use(open_sftp, release=False)

    async def open_tcp(self, host: Host | None, address: str, port: int) -> tuple[TcpReader, TcpWriter]:
        pool = self.pool(host)

        async def open_stream(link: Link) -> tuple[TcpReader, TcpWriter]:
            connection = link.connection
            assert isinstance(connection, OpensshConnection)
            place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            stream = await connection.stream("-W", place, verbose=True)
            try:
                if await stream.granted():
                    return stream, stream
            except BaseException:
                stream.kill()
                raise
            if not await connection.master.answers():
                raise await connection.master.lost()
            # Not a lack of room: forwarded connections are not counted as sessions.
            reason = await connection.master.failed_open() or "the host does not forward connections"
            raise ConnectionFailed(pool.host.name, f"{address} port {port}: {reason}")

        return await pool.use(open_stream)

    async def disconnect(self, host: Host) -> None:
        await super().disconnect(host)
        await self._end(lambda other: other == host)

    async def close(self) -> None:
        await super().close()
        await self._end(lambda other: True)

    async def _end(self, concerns: Callable[[Host], bool]) -> None:
        """Wait until nothing is left of the connections to some hosts, those included that were being opened."""
        openings = [task for task, host in self._openings.items() if concerns(host)]
        if openings:
            await asyncio.wait(openings, timeout=_CLOSE_TIMEOUT)
        connections = [connection for connection in self._connections if concerns(connection.host)]
        await asyncio.gather(*(connection.close() for connection in connections))
        if self._nest is not None and not self._openings and not self._connections:
            nest, self._nest = self._nest, None
            await nest.close()

    def forget(self) -> None:
        if self._nest is not None:
            self._nest.drop()


async def _why(connection: OpensshConnection, stream: ClientStream, otherwise: str) -> ConnectorError:
    """Return the error for a client that did not get what it asked for, and has ended."""
    if refused := NO_SESSION.search("\n".join(stream.said)):
        return Refused(connection.host.name, refused[1].strip())
    if await connection.master.answers():
        return StartFailed(connection.host.name, otherwise)
    return await connection.master.lost()
