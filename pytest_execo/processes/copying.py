"""Copies files between two file channels, one of this machine and one of a host, whatever connector it is of."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar, cast

from ..connectors.entries import PIECE
from .checksums import Checksums, cksum
from .planning import Item, Plan, Side, make_plan

__all__ = ("Copy", "Progress", "Verified")

T = TypeVar("T")

#: What a copy was verified by.
Verified = Literal["sha256", "cksum", "size"]

# Files that are copied at a time: each takes some round trips before and after its contents.
_FILES = 8
# Seconds between two reports.
_REPORT_INTERVAL = 0.2
# Until a file has its own mode, it must not be readable for those who may not read the source.
_EVERYBODY_READS = 0o044


@dataclass
class Progress:
    """How far a copy is. Written on the I/O thread; any thread may read.

    :param report: called on the I/O thread, at most every 0.2 s.
    """

    report: Callable[[], object] | None = None
    #: Of the contents of files: handed over so far, what was there already included; and in all, as far as is known.
    bytes_done: int = 0
    bytes_total: int = 0
    #: Of ``bytes_done``, those that were there already and were kept.
    bytes_kept: int = 0
    #: Files and symbolic links.
    files_done: int = 0
    files_total: int = 0
    verified: Verified | None = None
    _began: float | None = None
    _ended: float | None = None
    _reported: float = field(default=0.0)

    @property
    def rate(self) -> float:
        """Bytes per second, from the first file to the last, or to now; 0 before."""
        if self._began is None:
            return 0.0
        seconds = (time.monotonic() if self._ended is None else self._ended) - self._began
        return (self.bytes_done - self.bytes_kept) / seconds if seconds > 0 else 0.0

    def begin(self, plan: Plan) -> None:
        """Take note of what there is to do."""
        self.bytes_total = sum(item.entry.size for item in plan.files)
        self.files_total = len(plan.files) + len(plan.links)
        self._began = time.monotonic()

    def end(self) -> None:
        """Take note that all was handed over."""
        self._ended = time.monotonic()

    def add(self, size: int) -> None:
        """Count bytes, and report if it is time."""
        self.bytes_done += size
        now = time.monotonic()
        if self.report is not None and now - self._reported >= _REPORT_INTERVAL:
            self._reported = now
            self.report()

    def file_done(self, item: Item) -> None:
        """Count a file, with the size that it had when it was read."""
        self.bytes_total += item.size - item.entry.size
        self.files_done += 1

    def file_again(self, item: Item) -> None:
        """Count a file out again, which was done and will be copied once more."""
        self.bytes_total -= item.size - item.entry.size
        self.bytes_done -= item.size
        self.bytes_kept -= item.kept
        self.files_done -= 1


class Copy:
    """One copy, of any number of files.

    Files are written under their final names, each from its beginning to its end, several at a time; mode and dates
    come after the contents, those of directories last. A copy that is interrupted so leaves whole files, up to eight
    that are too short, and directories that can be written. With ``resume`` the next one goes on from there: what is
    too short is continued, what has the source's size is left alone if its checksum is the source's too, and whatever
    turns out wrong at the end is copied again from its beginning, once.

    :param checksums: computes checksums on the host, see :func:`~.checksums.host_checksums`.
    :param put: ``target`` is the host's side; else it is ``source``.
    :param verify: compare checksums, where the host has none: sizes. ``resume`` does so in any case.
    """

    def __init__(
        self,
        source: Side,
        target: Side,
        checksums: Callable[[Mapping[str, int | None]], Awaitable[Checksums | None]],
        *,
        put: bool,
        resume: bool = False,
        verify: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self._source = source
        self._target = target
        self._checksums = checksums
        self._put = put
        self._resume = resume
        self._verify = verify or resume
        self._progress = progress or Progress()

    async def run(self, sources: Sequence[str], target: str) -> None:
        """Copy. Cancelled, it stops between two pieces.

        :raises ConnectorError: what failed first; the rest is given up.
        """
        plan = await make_plan(self._source, self._target, sources, target)
        self._progress.begin(plan)
        for path in plan.parents:
            await self._target.files.make_directory(path)
        for item in plan.directories:
            await self._make_directory(item)
        await _each(self._copy_link, plan.links)
        await self._copy_files(plan.files)
        self._progress.end()
        if self._verify and plan.files:
            await self._check(plan.files)
        for item in reversed(plan.directories):
            if not item.keeps_attributes:
                await self._set_attributes(item)

    async def _make_directory(self, item: Item) -> None:
        if item.there is None:
            await self._target.files.make_directory(item.target)
            await self._hide(item, 0o700)

    async def _copy_link(self, item: Item) -> None:
        to = await self._source.files.read_link(item.source)
        files = self._target.files
        if item.there is None or item.there.kind != "link" or await files.read_link(item.target) != to:
            await files.make_link(to, item.target)
        self._progress.files_done += 1

    async def _copy_files(self, items: Sequence[Item]) -> None:
        await _each(self._copy_file, items)

    async def _copy_file(self, item: Item) -> None:
        files = self._target.files
        digest = _Digest() if self._verify else None
        item.kept = item.size = self._to_keep(item)
        if item.kept and digest is not None:
            await self._digest_kept(item, digest)
        elif item.there is None and item.entry.mode & _EVERYBODY_READS != _EVERYBODY_READS:
            await files.write(item.target, _nothing())
            await self._hide(item, 0o600)
        self._progress.bytes_kept += item.kept
        self._progress.add(item.kept)
        if item.kept < item.entry.size or not item.kept:
            async with _closing(self._pieces(item, digest)) as pieces:
                await files.write(item.target, pieces, item.kept)
        if digest is not None:
            item.digest = await digest.result()
        await self._set_attributes(item)
        self._progress.file_done(item)

    def _to_keep(self, item: Item) -> int:
        """Return how much of what is there may be the beginning of the file."""
        there = item.there
        if not self._resume or there is None or there.size > item.entry.size:
            return 0
        return there.size

    async def _digest_kept(self, item: Item, digest: _Digest) -> None:
        """Take into ``digest`` what will not come by, from the side that is this machine's."""
        side, path = (self._source, item.source) if self._put else (self._target, item.target)
        left = item.kept
        async with _closing(side.files.read(path)) as pieces:
            async for piece in pieces:
                await digest.update(piece[:left])
                left -= len(piece[:left])
                if not left:
                    break

    async def _pieces(self, item: Item, digest: _Digest | None) -> AsyncIterator[bytes]:
        async with _closing(self._source.files.read(item.source, item.kept)) as pieces:
            async for piece in pieces:
                if digest is not None:
                    await digest.update(piece)
                item.size += len(piece)
                yield piece
                self._progress.add(len(piece))

    async def _set_attributes(self, item: Item) -> None:
        entry = item.entry
        await self._target.files.set_attributes(item.target, mode=entry.mode, mtime=entry.mtime, atime=entry.atime)

    async def _hide(self, item: Item, mode: int) -> None:
        if item.entry.mode & _EVERYBODY_READS != _EVERYBODY_READS:
            now = time.time()
            await self._target.files.set_attributes(item.target, mode=mode, mtime=now, atime=now)

    # verification

    async def _check(self, items: Sequence[Item]) -> None:
        """Compare what was copied with the sources; copy again what had been continued and is wrong."""
        wrong = await self._wrong(items)
        again = [item for item, _ in wrong if item.kept]
        if len(again) == len(wrong) and again:
            for item in again:
                self._progress.file_again(item)
                item.there = None
            await _each(self._copy_file, again)
            wrong = await self._wrong(again)
        for item, why in wrong:
            raise self._target.failed(item.target, why)

    async def _wrong(self, items: Sequence[Item]) -> list[tuple[Item, str]]:
        """Return what is not as it should be, and why."""
        # Files that are made when they are read (/proc) may be others at each reading.
        steady = [item for item in items if item.entry.size or not item.size]
        found = await self._checksums({self._on_host(item): None for item in steady})
        self._progress.verified = found.method if found is not None else "size"
        wrong: list[tuple[Item, str]] = []
        # The size of what was written here; on the host its checksum tells that too.
        await _each(lambda item: self._compare_size(item, found is None, wrong), items)
        if found is None:
            return wrong
        other = [item for item in steady if not await self._is_same(item, found)]
        if other and not self._put:
            # A log that is written to: what was read of it must be its beginning still.
            found = await self._checksums({item.source: item.size for item in other}) or found
            other = [item for item in other if not await self._is_same(item, found)]
        return wrong + [(item, await self._difference(item, found)) for item in other]

    def _on_host(self, item: Item) -> str:
        return item.target if self._put else item.source

    async def _compare_size(self, item: Item, alone: bool, wrong: list[tuple[Item, str]]) -> None:
        there = await self._target.files.stat(item.target)
        size = there.size if there is not None else 0
        if size != item.size:
            wrong.append((item, f"{size} bytes were written of the source's {item.size}"))
        elif alone and item.kept == item.size > 0 and item.there and int(item.there.mtime) != int(item.entry.mtime):
            # Nothing was sent, nothing can be compared, and it was not finished by a copy, which sets the date.
            wrong.append((item, "nothing tells whether it is the source's copy"))

    async def _is_same(self, item: Item, found: Checksums) -> bool:
        checksum = found.of.get(self._on_host(item))
        if found.method == "sha256":
            return checksum == item.digest
        side, path = (self._source, item.source) if self._put else (self._target, item.target)
        async with _closing(side.files.read(path)) as pieces:
            return checksum == await cksum(pieces)

    async def _difference(self, item: Item, found: Checksums) -> str:
        if self._on_host(item) not in found.of:
            return f"its {found.method} could not be computed there"
        now = await self._source.files.stat(item.source)
        if now is None or (now.size, now.mtime) != (item.entry.size, item.entry.mtime):
            return "the source changed while it was copied"
        return f"its {found.method} is not the source's: it was damaged on the way"


class _Digest:
    """The SHA-256 of what comes by, computed in a worker thread: it costs as much as the encryption."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._pieces: list[bytes] = []
        self._size = 0
        self._last: asyncio.Future[None] | None = None

    async def update(self, piece: bytes) -> None:
        """Take a piece. It waits when it is two behind, so that little is held."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= PIECE:
            await self._begin()

    async def _begin(self) -> None:
        if self._last is not None:
            await self._last
        pieces, self._pieces, self._size = self._pieces, [], 0
        self._last = asyncio.get_running_loop().run_in_executor(None, self._hash.update, b"".join(pieces))

    async def result(self) -> str:
        await self._begin()
        assert self._last is not None
        await self._last
        return self._hash.hexdigest()


async def _each(act: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    """Do ``act`` for each, several at a time; the first error ends all."""
    left = iter(items)

    async def work() -> None:
        for item in left:
            await act(item)

    workers = [asyncio.ensure_future(work()) for _ in range(_FILES)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def _closing(pieces: AsyncIterator[bytes]) -> contextlib.aclosing[AsyncGenerator[bytes, None]]:
    """Close a reader at the end of a block, also when it was not read to its end: it holds a file open."""
    return contextlib.aclosing(cast("AsyncGenerator[bytes, None]", pieces))


async def _nothing() -> AsyncIterator[bytes]:
    empty: tuple[bytes, ...] = ()
    for piece in empty:
        yield piece
