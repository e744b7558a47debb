"""The connector: connections by paramiko, processes by supervision. Paramiko is imported when it is first needed."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, cast

from ...errors import ConnectionFailed
from ...hosts import Host
from ..contract import FileChannel, TcpReader, TcpWriter
from ..supervision import Connection, SupervisedConnector
from ..supervision.pool import Link, Pool

if TYPE_CHECKING:
    import paramiko  # type: ignore[import-untyped, unused-ignore]

    from .connection import ParamikoConnection
    from .opening import Opener

__all__ = ("ParamikoConnector",)

# Threads for calls of paramiko's that block, for all hosts together: one waits for a host's answer, or for a piece of
# a file, and is free for the next.
_THREADS = 32


class ParamikoConnector(SupervisedConnector):
    """Starts commands on remote hosts through paramiko."""

    name = "paramiko"
    reports: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self._executor = concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="pytest-execo paramiko")
        self._opener: Opener | None = None

    def _opening(self, host: Host) -> Opener:
        if self._opener is None:
            try:
                from .opening import Opener
            except ImportError as error:
                raise ConnectionFailed(
                    host.name, f"the paramiko connector: {error}; pip install pytest-execo[paramiko]"
                ) from error
            self._opener = Opener(self._executor)
        return self._opener

    async def connect(self, host: Host) -> Connection:
        return await self._opening(host).connect(host)

    async def client(self, host: Host) -> paramiko.SSHClient:
        """Return a connected client of paramiko's, that the caller closes; see :meth:`Host.paramiko`.

        :raises ConnectionFailed: with the reason.
        """
        return await self._opening(host).client(host)

    async def files(self, host: Host | None) -> FileChannel:
        pool = self.pool(host)

        async def open_files(link: Link) -> FileChannel:
            return await _connection(link).open_files(_giving_back(pool, link))

        return await pool.use(open_files, release=False)

    async def open_tcp(self, host: Host | None, address: str, port: int) -> tuple[TcpReader, TcpWriter]:
        async def open_stream(link: Link) -> tuple[TcpReader, TcpWriter]:
            return await _connection(link).open_stream(address, port)

        return await self.pool(host).use(open_stream)

    async def close(self) -> None:
        await super().close()
        if self._opener is not None:
            await self._opener.close()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def forget(self) -> None:
        for pool in self._pools.values():
            for link in pool.links:
                _connection(link).forget()


def _connection(link: Link) -> ParamikoConnection:
    return cast("ParamikoConnection", link.connection)


def _giving_back(pool: Pool, link: Link) -> Callable[[], Awaitable[None]]:
    async def give_back() -> None:
        pool.give_back(link)

    return give_back
