"""The files of this machine. Files block, so every call is made in a worker thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from typing import ParamSpec, TypeVar

from ..errors import TransferFailed
from .contract import Entry, FileChannel
from .entries import PIECE, entry, printable

__all__ = ("LocalFiles",)

P = ParamSpec("P")
T = TypeVar("T")

_HERE = "localhost"


class LocalFiles(FileChannel):
    """The files of this machine. Nothing is kept open between two calls; reading and writing can be given up."""

    async def stat(self, path: str, *, follow: bool = True) -> Entry | None:
        with _told(path):
            try:
                return _entry(await _blocking(os.stat, _here(path), follow_symlinks=follow))
            except (FileNotFoundError, NotADirectoryError):
                return None

    async def list(self, path: str) -> list[str]:
        with _told(path):
            return sorted(await _blocking(os.listdir, _here(path)))

    async def entries(self, path: str) -> dict[str, Entry]:
        with _told(path):
            return await _blocking(_entries, _here(path))

    async def read(self, path: str, offset: int = 0) -> AsyncIterator[bytes]:
        with _told(path):
            file = await _opened(_here(path), os.O_RDONLY)
            try:
                while piece := await _blocking(os.pread, file, PIECE, offset):
                    offset += len(piece)
                    yield piece
            finally:
                os.close(file)

    async def write(self, path: str, pieces: AsyncIterator[bytes], offset: int = 0) -> None:
        with _told(path):
            file = await _opened(_here(path), os.O_WRONLY | os.O_CREAT)
            try:
                await _blocking(os.ftruncate, file, offset)
                held: list[bytes] = []
                async for piece in pieces:
                    held.append(piece)
                    # Small ones are put together: a call for each would cost more than the writing.
                    if (size := sum(map(len, held))) >= PIECE:
                        await _blocking(_write_all, file, held, offset)
                        offset += size
                        held = []
                await _blocking(_write_all, file, held, offset)
            finally:
                # What a file system says at the end only (quota, NFS) is told here.
                await _blocking(os.close, file)

    async def make_directory(self, path: str) -> None:
        with _told(path):
            try:
                await _blocking(os.mkdir, _here(path))
            except FileExistsError:
                if not await _blocking(os.path.isdir, _here(path)):
                    raise

    async def read_link(self, path: str) -> str:
        with _told(path):
            return await _blocking(os.readlink, _here(path))

    async def make_link(self, target: str, path: str) -> None:
        with _told(path):
            await _blocking(_make_link, target, _here(path))

    async def set_attributes(self, path: str, *, mode: int, mtime: float, atime: float) -> None:
        with _told(path):
            await _blocking(os.chmod, _here(path), mode)
            await _blocking(os.utime, _here(path), (atime, mtime))

    async def close(self) -> None:
        """Nothing is kept open."""


def _here(path: str) -> str:
    # Not ~user, which remote paths don't know either.
    return os.path.expanduser(path) if path == "~" or path.startswith("~/") else path or "."


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Say of an error which path it is about, and why."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise TransferFailed(_HERE, f"{printable(path)}: {why}") from error


async def _blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call in a worker thread. Cancelled, it waits for the call under way, which may use a descriptor closed next."""
    call = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await _end_of(call)
        if not call.cancelled():
            call.exception()  # nobody else asks
        raise


async def _end_of(call: asyncio.Future[T]) -> None:
    """Wait for a call that nothing can interrupt; whoever waits may be cancelled more than once meanwhile."""
    while not call.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([call])


async def _opened(path: str, flags: int) -> int:
    # Not blocking: a named pipe whose other end nobody opens would hold the thread for ever.
    opening = asyncio.ensure_future(asyncio.to_thread(os.open, path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o666))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        await _end_of(opening)
        if not opening.cancelled() and opening.exception() is None:
            os.close(opening.result())
        raise


def _write_all(file: int, pieces: list[bytes], offset: int) -> None:
    view = memoryview(b"".join(pieces))
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _entry(found: os.stat_result) -> Entry:
    return entry(found.st_mode, found.st_size, found.st_mtime, found.st_atime)


def _entries(path: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    with os.scandir(path) as names:
        for item in names:
            with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                found[item.name] = _entry(item.stat(follow_symlinks=False))
    return dict(sorted(found.items()))


def _make_link(target: str, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
    os.symlink(target, path)
