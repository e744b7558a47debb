"""A file channel over asyncssh's SFTP client.

A request takes a round trip, so that many of them are under way at once: up to :data:`_WINDOW` bytes of a file.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import asyncssh

from ...errors import ConnectionLost, TransferFailed
from ..contract import Entry, FileChannel
from ..entries import PIECE, UNEXPLAINED, entry, printable, remote_path, sftp_date
from ..supervision.pool import Link, Pool
from .options import reason

__all__ = ("Files",)

# Bytes of one file under way: a gigabit with a round trip of 32 ms. Also what a copy may hold in memory.
_WINDOW = 4 << 20
# Bytes of one request to read, at most, whatever the server allows: what is asked for can't be given up.
_REQUEST = 256 << 10
# Seconds for the server to close the channel; the room on the connection is free only then.
_CLOSE_TIMEOUT = 2

_MISSING = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory)
_GONE = (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.DisconnectError, ConnectionError)


class Files(FileChannel):
    """The files of a host, over a channel of one of its connections.

    :param pool: is given the room on ``connection`` back when this is closed.
    """

    def __init__(self, pool: Pool, connection: Link, sftp: asyncssh.SFTPClient) -> None:
        self._pool = pool
        self._connection = connection
        self._sftp = sftp
        self._open = True
        # Handles that nobody waits for: their file was given up half-way.
        self._closing: set[asyncio.Task[None]] = set()

    async def stat(self, path: str, *, follow: bool = True) -> Entry | None:
        with self._told(path):
            try:
                return _entry(await (self._sftp.stat if follow else self._sftp.lstat)(remote_path(path)))
            except _MISSING:
                return None

    async def list(self, path: str) -> list[str]:
        return list(await self.entries(path))

    async def entries(self, path: str) -> dict[str, Entry]:
        with self._told(path):
            names = await self._sftp.readdir(remote_path(path))
        # With the names come the attributes, which other programs would have to ask for one by one.
        found = {os.fsdecode(name.filename): _entry(name.attrs) for name in names}
        return {name: found[name] for name in sorted(found) if name not in (".", "..")}

    async def read(self, path: str, offset: int = 0) -> AsyncIterator[bytes]:
        limit = min(self._sftp.limits.max_read_len or _REQUEST, _REQUEST)
        with self._told(path):
            async with self._opened(path, asyncssh.FXF_READ, block_size=0) as file, _Window() as window:
                # For a small file this is all.
                attributes, piece = await asyncio.gather(file.stat(), _full(file, offset, limit))
                size = attributes.size or 0
                asked = offset = offset + len(piece)
                yield piece
                while piece and offset < size:
                    while asked < size and window.has_room:
                        length = min(limit, size - asked)
                        window.add(_full(file, asked, length), length)
                        asked += length
                    piece = await window.first()
                    offset += len(piece)
                    yield piece
                # Files that are made when they are read (/proc) say that they are empty.
                while piece and not size:
                    piece = await _full(file, offset, limit)
                    offset += len(piece)
                    yield piece

    async def write(self, path: str, pieces: AsyncIterator[bytes], offset: int = 0) -> None:
        flags = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | (0 if offset else asyncssh.FXF_TRUNC)
        with self._told(path):
            try:
                async with self._opened(path, flags) as file, _Window() as window:
                    if offset:
                        await file.truncate(offset)
                    async for piece in pieces:
                        while not window.has_room:
                            await window.first()
                        window.add(file.write(piece, offset), len(piece))
                        offset += len(piece)
                    while not window.empty:
                        await window.first()
            except asyncssh.SFTPFailure as error:
                if await self._disk_is_full(path):
                    raise self._failed(path, "no space left on device") from error
                raise

    async def make_directory(self, path: str) -> None:
        with self._told(path):
            try:
                await self._sftp.mkdir(remote_path(path))
            except asyncssh.SFTPError:
                if not await self._sftp.isdir(remote_path(path)):
                    raise

    async def read_link(self, path: str) -> str:
        with self._told(path):
            return os.fsdecode(await self._sftp.readlink(remote_path(path)))

    async def make_link(self, target: str, path: str) -> None:
        there = await self.stat(path, follow=False)
        with self._told(path):
            if there is not None and there.kind != "directory":
                await self._sftp.remove(remote_path(path))
            await self._sftp.symlink(os.fsencode(target), remote_path(path))

    async def set_attributes(self, path: str, *, mode: int, mtime: float, atime: float) -> None:
        attributes = asyncssh.SFTPAttrs(permissions=mode, mtime=sftp_date(mtime), atime=sftp_date(atime))
        with self._told(path):
            await self._sftp.setstat(remote_path(path), attributes)

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            self._sftp.exit()
            with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
                await asyncio.wait_for(self._sftp.wait_closed(), _CLOSE_TIMEOUT)
            for task in self._closing:
                task.cancel()
            await asyncio.gather(*self._closing, return_exceptions=True)
        finally:
            self._pool.give_back(self._connection)

    @contextlib.asynccontextmanager
    async def _opened(self, path: str, flags: int, block_size: int = -1) -> AsyncIterator[asyncssh.SFTPClientFile]:
        file = await self._sftp.open(remote_path(path), flags, encoding=None, block_size=block_size)
        try:
            yield file
        except BaseException:
            # Without waiting: the network may be what was given up.
            task = asyncio.ensure_future(_close(file))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            raise
        await file.close()

    async def _disk_is_full(self, path: str) -> bool:
        with contextlib.suppress(asyncssh.Error, OSError):
            system = await self._sftp.statvfs(remote_path(path))
            return (system.bavail or 0) * (system.frsize or 0) < PIECE
        return False

    @contextlib.contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Turn asyncssh's errors into ours, with the path."""
        try:
            yield
        except (asyncssh.Error, OSError, ValueError) as error:
            if isinstance(error, _GONE) or self._connection.connection.closed:
                raise ConnectionLost(self._pool.host.name, reason(error)) from error
            said = reason(error)
            raise self._failed(path, UNEXPLAINED if said.lower() in ("failure", "") else said) from error

    def _failed(self, path: str, why: str) -> TransferFailed:
        return TransferFailed(self._pool.host.name, f"{printable(path)}: {why}")


class _Window:
    """Requests for one file that are under way; their answers are taken in the order of the requests."""

    def __init__(self) -> None:
        self._requests: collections.deque[tuple[asyncio.Task[Any], int]] = collections.deque()
        self._size = 0

    @property
    def has_room(self) -> bool:
        return self._size < _WINDOW

    @property
    def empty(self) -> bool:
        return not self._requests

    def add(self, request: Coroutine[Any, Any, Any], size: int) -> None:
        self._requests.append((asyncio.ensure_future(request), size))
        self._size += size

    async def first(self) -> Any:
        """Wait for the oldest request and return its answer."""
        request, size = self._requests[0]
        answer = await request
        self._requests.popleft()
        self._size -= size
        return answer

    async def __aenter__(self) -> _Window:
        return self

    async def __aexit__(self, *_: object) -> None:
        for request, _size in self._requests:
            request.cancel()
        await asyncio.gather(*(request for request, _size in self._requests), return_exceptions=True)


async def _full(file: asyncssh.SFTPClientFile, offset: int, length: int) -> bytes:
    """Read ``length`` bytes, less at the end of the file alone: a server may give less than it was asked for."""
    piece: bytes = await file.read(length, offset)
    while 0 < len(piece) < length:
        more: bytes = await file.read(length - len(piece), offset + len(piece))
        if not more:
            break
        piece += more
    return piece


async def _close(file: asyncssh.SFTPClientFile) -> None:
    with contextlib.suppress(asyncssh.Error, OSError):
        await file.close()


def _entry(attributes: asyncssh.SFTPAttrs) -> Entry:
    return entry(attributes.permissions, attributes.size, attributes.mtime, attributes.atime)
