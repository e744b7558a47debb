"""The connector: opens connections, and what is not a command on them."""

from __future__ import annotations

import asyncio
import logging

import asyncssh

from ...errors import ConnectionFailed
from ...hosts import Host
from ..contract import FileChannel, TcpReader, TcpWriter
from ..host_keys import host_keys
from ..supervision import Connection, SupervisedConnector
from ..supervision.pool import Link
from .connection import SshConnection
from .files import Files
from .options import options, reason

__all__ = ("SshConnector",)

# Handshakes in flight. One costs about 10 ms of CPU on this side; more at once only make each of them late, and
# stock servers start to refuse (MaxStartups 10:30:100 counts per server, a campaign's hosts are many servers).
_HANDSHAKES = 64


class SshConnector(SupervisedConnector):
    """Starts commands on remote hosts through SSH 2.0, for Python alone and on one thread."""

    name = "ssh"

    def __init__(self) -> None:
        super().__init__()
        self._handshakes = asyncio.Semaphore(_HANDSHAKES)
        logger = logging.getLogger("asyncssh")
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)  # at INFO it writes every command line, and what is in it

    async def connect(self, host: Host) -> Connection:
        async with self._handshakes:
            try:
                connection = await asyncssh.connect(host.address, **options(host))
            except (asyncssh.Error, OSError, TimeoutError) as error:
                raise ConnectionFailed(host.name, reason(error, host)) from error
            except (ValueError, asyncssh.KeyImportError) as error:  # a bad key file or configuration
                raise ConnectionFailed(host.name, str(error)) from error
        key = connection.get_server_host_key()
        if key is not None:
            try:
                host_keys.check(host, key.export_public_key().decode())
            except ConnectionFailed:
                connection.abort()
                raise
        return SshConnection(host.name, connection)

    async def files(self, host: Host | None) -> FileChannel:
        pool = self.pool(host)

        async def open_sftp(link: Link) -> Files:
            connection = link.connection
            assert isinstance(connection, SshConnection)
            try:
                sftp = await connection.asyncssh.start_sftp_client()
            except (asyncssh.Error, OSError) as error:
                raise connection.error(error) from error
            return Files(pool, link, sftp)

        return await pool.use(open_sftp, release=False)

    async def open_tcp(self, host: Host | None, address: str, port: int) -> tuple[TcpReader, TcpWriter]:
        pool = self.pool(host)

        async def open_stream(link: Link) -> tuple[TcpReader, TcpWriter]:
            connection = link.connection
            assert isinstance(connection, SshConnection)
            try:
                reader, writer = await connection.asyncssh.open_connection(address, port)
            except asyncssh.ChannelOpenError as error:
                # Not a lack of room: forwarded connections are not counted as sessions.
                raise ConnectionFailed(pool.host.name, f"{address} port {port}: {error.reason}") from error
            except (asyncssh.Error, OSError) as error:
                raise connection.error(error) from error
            return _Reader(connection, reader), writer

        return await pool.use(open_stream)


class _Reader:
    """What comes over a forwarded connection: a lost ssh connection is not its end."""

    def __init__(self, connection: SshConnection, reader: asyncssh.SSHReader[bytes]) -> None:
        self._connection = connection
        self._reader = reader

    async def read(self, n: int, /) -> bytes:
        try:
            data = await self._reader.read(n)
        except (asyncssh.Error, OSError) as error:
            raise self._connection.error(error) from error
        if not data and self._connection.closed:  # asyncssh tells an end when it was we who closed it
            raise self._connection.error(ConnectionAbortedError("disconnected"))
        return data
