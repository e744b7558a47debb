"""A file channel over SFTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import asyncssh

from ...errors import TransferFailed
from ..contract import FileChannel
from .options import reason
from .pool import Pool

__all__ = ("Files",)


class Files(FileChannel):
    """A file channel over SFTP."""

    def __init__(self, pool: Pool, connection: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient) -> None:
        self._pool = pool
        self._connection = connection
        self._sftp = sftp
        self._open = True

    async def put(self, source: str, target: str) -> None:
        await self._copy(self._sftp.put, source, target)

    async def get(self, source: str, target: str) -> None:
        await self._copy(self._sftp.get, source, target)

    async def _copy(self, copy: Callable[..., Awaitable[None]], source: str, target: str) -> None:
        try:
            await copy(source, target, preserve=True, recurse=True, follow_symlinks=False)
        except (asyncssh.Error, OSError) as error:
            raise TransferFailed(self._pool.host.name, f"{source} → {target}: {reason(error)}") from error

    async def close(self) -> None:
        if self._open:
            self._open = False
            self._sftp.exit()
            with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
                await asyncio.wait_for(self._sftp.wait_closed(), 5)
            self._pool.give_back(self._connection)
