"""A file channel over paramiko's SFTP client.

One thread at a time may use such a client: an answer that another thread waits for is dropped (so does paramiko's
``_read_response``), and a packet larger than the window is sent in parts, between which another's would come. So each
call here is a whole: what it asks for it also takes the answers to. Within a call many requests are under way.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import paramiko  # type: ignore[import-untyped, unused-ignore]
from paramiko.sftp import (  # type: ignore[import-untyped, unused-ignore]
    CMD_CLOSE,
    CMD_HANDLE,
    CMD_OPENDIR,
    CMD_READDIR,
)

from ...errors import ConnectionLost, TransferFailed
from ..contract import Entry, FileChannel
from ..entries import PIECE, UNEXPLAINED, entry, printable, remote_path, sftp_date

__all__ = ("ParamikoFiles",)

T = TypeVar("T")

# Bytes of one request, which every server takes.
_REQUEST = 32 << 10
# Seconds for the channel to be closed when the network says nothing any more.
_CLOSE_TIMEOUT = 2


class ParamikoFiles(FileChannel):
    """The files of a host, over a client that is this channel's alone.

    :param sftp: the client; closed with the channel.
    :param host_name: the host's name, for messages.
    :param executor: where the calls are made, which block. A call can't be interrupted: on a silent network it holds
        its thread until the channel is closed.
    :param close: called once, after the client was closed: gives back what the channel stands on.
    """

    def __init__(
        self,
        sftp: paramiko.SFTPClient,
        host_name: str,
        executor: concurrent.futures.Executor,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._sftp: Any = sftp
        self._host_name = host_name
        self._executor = executor
        self._close = close
        self._lock = threading.Lock()
        self._open = True

    async def stat(self, path: str, *, follow: bool = True) -> Entry | None:
        with self._told(path):
            try:
                return _entry(await self._call(self._sftp.stat if follow else self._sftp.lstat, remote_path(path)))
            except FileNotFoundError:
                return None

    async def list(self, path: str) -> list[str]:
        return list(await self.entries(path))

    async def entries(self, path: str) -> dict[str, Entry]:
        with self._told(path):
            found = await self._call(_entries, self._sftp, remote_path(path))
        return dict(sorted(found.items()))

    async def read(self, path: str, offset: int = 0) -> AsyncIterator[bytes]:
        with self._told(path):
            async with self._opened(path, "r") as file:
                size = (await self._call(file.stat)).st_size or 0
                while piece := await self._call(_read, file, offset, size):
                    offset += len(piece)
                    yield piece

    async def write(self, path: str, pieces: AsyncIterator[bytes], offset: int = 0) -> None:
        with self._told(path):
            # Append would be wrong (the offset is ours to say) and "w" empties; paramiko has no word for "make it,
            # and leave what is there".
            async with self._opened(path, "r+" if offset else "w") as file:
                if offset:
                    await self._call(file.truncate, offset)
                async for piece in pieces:
                    await self._call(_write, file, offset, piece)
                    offset += len(piece)

    async def make_directory(self, path: str) -> None:
        with self._told(path):
            try:
                await self._call(self._sftp.mkdir, remote_path(path))
            except OSError:
                there = await self.stat(path)
                if there is None or there.kind != "directory":
                    raise

    async def read_link(self, path: str) -> str:
        with self._told(path):
            return os.fsdecode(await self._call(self._sftp.readlink, remote_path(path)) or "")

    async def make_link(self, target: str, path: str) -> None:
        there = await self.stat(path, follow=False)
        with self._told(path):
            if there is not None and there.kind != "directory":
                await self._call(self._sftp.remove, remote_path(path))
            await self._call(self._sftp.symlink, os.fsencode(target), remote_path(path))

    async def set_attributes(self, path: str, *, mode: int, mtime: float, atime: float) -> None:
        with self._told(path):
            await self._call(self._sftp.chmod, remote_path(path), mode)
            await self._call(self._sftp.utime, remote_path(path), (sftp_date(atime), sftp_date(mtime)))

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            # Without the lock: a call that hangs ends by this.
            closing = asyncio.get_running_loop().run_in_executor(self._executor, self._sftp.close)
            await asyncio.wait([closing], timeout=_CLOSE_TIMEOUT)
        finally:
            await self._close()

    async def _call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call in a thread of the executor, when no other call is under way."""

        def call() -> T:
            with self._lock:
                return function(*arguments)

        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    @contextlib.asynccontextmanager
    async def _opened(self, path: str, mode: str) -> AsyncIterator[Any]:
        file = await self._call(self._sftp.open, remote_path(path), mode, 0)
        try:
            yield file
        except BaseException:
            # Without waiting: the network may be what was given up.
            with contextlib.suppress(RuntimeError):  # the executor has ended
                self._executor.submit(self._close_quietly, file)
            raise
        await self._call(file.close)

    def _close_quietly(self, file: Any) -> None:
        with contextlib.suppress(Exception), self._lock:
            file.close()

    @contextlib.contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Turn paramiko's errors into ours, with the path."""
        try:
            yield
        except (paramiko.SSHException, paramiko.sftp.SFTPError, OSError, EOFError, ValueError) as error:
            channel = self._sftp.get_channel()
            transport = channel.get_transport()
            if channel.closed or transport is None or not transport.is_active():
                raise ConnectionLost(self._host_name, str(error) or "the file channel was closed") from error
            said = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
            why = UNEXPLAINED if said.lower() in ("failure", "") else said
            raise TransferFailed(self._host_name, f"{printable(path)}: {why}") from error


def _read(file: Any, offset: int, size: int) -> bytes:
    """Read a piece from ``offset`` on, up to the ``size`` that is known; past that, whatever is there."""
    end = min(offset + PIECE, size)
    if offset >= end:
        # Files that are made when they are read (/proc) say that they are empty; others end where they said.
        file.seek(offset)
        return b"" if size else bytes(file.read(_REQUEST))
    chunks = [(at, min(_REQUEST, end - at)) for at in range(offset, end, _REQUEST)]
    try:
        return b"".join(file.readv(chunks))
    except EOFError:  # it was cut meanwhile
        return b""


def _write(file: Any, offset: int, piece: bytes) -> None:
    """Write a piece, and return when the server has confirmed all of it."""
    file.seek(offset)
    file.set_pipelined(True)
    file.write(piece[:-_REQUEST])
    # A request that is not pipelined takes all the answers that are due. To close the file would not: paramiko then
    # drops those that say "disk full".
    file.set_pipelined(False)
    file.write(piece[-_REQUEST:])


def _entries(sftp: Any, path: bytes) -> dict[str, Entry]:
    """List a directory. Paramiko's own way gives up at a name that is not UTF-8, so this asks as it does."""
    found: dict[str, Entry] = {}
    kind, message = sftp._request(CMD_OPENDIR, path)
    if kind != CMD_HANDLE:
        raise paramiko.sftp.SFTPError("a directory was opened without a handle")
    handle = message.get_binary()
    try:
        while True:
            _, message = sftp._request(CMD_READDIR, handle)
            for _ in range(message.get_int()):
                name = os.fsdecode(message.get_binary())
                message.get_binary()  # the line of "ls -l"
                attributes = paramiko.SFTPAttributes._from_msg(message)
                if name not in (".", ".."):
                    found[name] = _entry(attributes)
    except EOFError:
        return found
    finally:
        sftp._request(CMD_CLOSE, handle)


def _entry(attributes: Any) -> Entry:
    return entry(attributes.st_mode, attributes.st_size, attributes.st_mtime, attributes.st_atime)
