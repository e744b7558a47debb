"""What a chain carries: one file as it is, or anything else as a tar archive."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import IO, Literal, cast

from ..checksums import Cksum

__all__ = ("PackingStopped", "Source")

# Bytes that are read at once.
_BLOCK = 1 << 20


class PackingStopped(Exception):
    """Nobody waits for the archive any more."""


class Source:
    """An open file and what a host has to know of it. Made in a thread; :meth:`close` ends it.

    A regular file is sent as it is. A directory, a symbolic link (copied as a link, as by ``Put``) and several sources
    are packed first, into a file that has no name: any part of it may have to be sent again, to anybody.

    :param paths: at least one.
    :param go_on: asked while packing; ``False`` ends it.
    :raises OSError: when they can't be read.
    :raises PackingStopped: when ``go_on`` said no.
    """

    def __init__(self, paths: Sequence[str], go_on: Callable[[], bool] = lambda: True) -> None:
        first = os.lstat(paths[0])
        #: ``tar`` is one thing that is unpacked under the target's name, ``tars`` several, into a directory.
        self.kind: Literal["file", "tar", "tars"] = "file"
        if len(paths) > 1:
            self.kind = "tars"
        elif not stat.S_ISREG(first.st_mode):
            self.kind = "tar"
        #: Its name on a host where the target is a directory.
        self.name: str = os.path.basename(os.path.abspath(paths[0])) if len(paths) == 1 else ""
        self.mode: int = stat.S_IMODE(first.st_mode)
        self.mtime: float = first.st_mtime
        if self.kind == "file":
            self._fd = os.open(paths[0], os.O_RDONLY | os.O_CLOEXEC)
        else:
            self._fd = _pack(paths, go_on)
        self.size: int = os.fstat(self._fd).st_size
        self._sums: dict[str, str] = {}

    @property
    def stamp(self) -> str:
        """The time of the last change as ``touch -t`` takes it, in UTC: whole seconds, as in every copy by SFTP."""
        return time.strftime("%Y%m%d%H%M.%S", time.gmtime(self.mtime))

    def read(self, offset: int, size: int = _BLOCK) -> bytes:
        """Return at most ``size`` bytes from ``offset``.

        :raises OSError: also when the file has become shorter.
        """
        data = os.pread(self._fd, min(size, self.size - offset), offset)
        if not data and offset < self.size:
            raise OSError("it became shorter while it was copied")
        return data

    def sum(self, program: str) -> str:
        """Return what ``sha256sum`` or ``cksum`` prints of it, without the name."""
        if program not in self._sums:
            make = {"sha256sum": _sha256, "cksum": _cksum}[program]
            self._sums[program] = make(self)
        return self._sums[program]

    def blocks(self) -> Sequence[int]:
        """Return the offsets at which :meth:`read` gets all of it."""
        return range(0, self.size, _BLOCK)

    def close(self) -> None:
        """Close it. A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _Archive:
    """What tarfile writes to: a file, until nobody wants it any more."""

    def __init__(self, file: IO[bytes], go_on: Callable[[], bool]) -> None:
        self._file = file
        self._go_on = go_on

    def write(self, data: bytes) -> int:
        if not self._go_on():
            raise PackingStopped
        return self._file.write(data)


def _pack(paths: Sequence[str], go_on: Callable[[], bool]) -> int:
    with tempfile.TemporaryFile(prefix="execo-chain-") as file:
        # GNU's format is the one with long names that the tar of busybox reads too.
        with tarfile.open(
            fileobj=cast(IO[bytes], _Archive(file, go_on)), mode="w|", bufsize=_BLOCK, format=tarfile.GNU_FORMAT
        ) as archive:
            for path in paths:
                archive.add(path, os.path.basename(os.path.abspath(path)))
        file.flush()
        return os.dup(file.fileno())


def _sha256(source: Source) -> str:
    digest = hashlib.sha256()
    for offset in source.blocks():
        digest.update(source.read(offset))
    return digest.hexdigest()


def _cksum(source: Source) -> str:
    checksum = Cksum()
    for offset in source.blocks():
        checksum.update(source.read(offset))
    return str(checksum.result())
