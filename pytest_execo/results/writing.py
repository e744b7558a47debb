"""Appending lines that are on disk when we say so, on disks that fill up, fail, or turn read-only."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

from pytest_execo.errors import RecordError

from .files import fsync_directory

__all__ = ("RecordWriter", "append_lines", "check_writable", "encode", "is_disk_fault", "is_held")

_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)

# A record is a few kilobytes. A traceback and a thousand measurements fit, and so does the entry in campaign.json.
_ROOM = 256 << 10


class RecordWriter:
    """Appends records to the file of one session.

    The file is made with the first record. A record is on disk when :meth:`write` returns; when it raises, the file
    is as it was before. Safe to use from several threads; two processes must not share a file.

    The file is locked (``flock``) from the first record until :meth:`close` or the end of the process: readers know
    by it that a last line without its end is still being written. A file system without locks does without.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path: Path = Path(path)
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._held = False

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record and bring it to the disk.

        :raises RecordError: in one line: it can't be written (disk full, with what is free and needed; no permission;
            a failing disk; not JSON); no half line stays. The writer can be used again when the cause is gone.
        """
        with self._lock:
            try:
                line = encode(record)
            except (TypeError, ValueError, RecursionError) as error:
                raise RecordError(
                    f"{self.path}: the record of trial {record.get('trial')} is not JSON: {error}"
                ) from error
            try:
                if self._descriptor is None:
                    self._descriptor, self._held = _open(self.path), False
                self._held = self._held or _hold(self._descriptor)
                _append(self._descriptor, [line])
            except OSError as error:
                # After a failed fsync the kernel takes its pages for written. A fresh descriptor is told of errors
                # anew, and the next record is written through it from its first byte on.
                self._close()
                raise RecordError(
                    f"{self.path}: the record can't be written: {_reason(error, self.path, len(line))}"
                ) from error

    def check_room(self, size: int = _ROOM) -> None:
        """Refuse to go on without room for a record: better than after a trial of hours. Takes microseconds.

        It writes nothing, and what others write meanwhile may still take the room.

        :param size: bytes. Default: what the largest records and the campaign's description take together.
        :raises RecordError: in one line: less than that is free, or the file system has turned read-only.
        """
        place = _existing(self.path)
        try:
            status = os.statvfs(place)
        except OSError as error:
            raise RecordError(f"{self.path}: no record can be written: {error.strerror}") from error
        if status.f_flag & os.ST_RDONLY:
            raise RecordError(f"{self.path}: no record can be written: {os.strerror(errno.EROFS)}")
        free = _free(status)
        if free is not None and free < size:
            raise RecordError(f"{self.path}: no room for the next record: {size} bytes needed, {free} free")

    def close(self) -> None:
        """Close the file; a later record opens it again. Idempotent."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):  # all that matters was synced
                os.close(descriptor)

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def append_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Append lines, with their ends, to a file that is made when missing; all of them are on disk then, or none is.

    :raises RecordError: they can't be written.
    """
    try:
        descriptor = _open(path)
        try:
            _append(descriptor, lines)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RecordError(f"{path}: can't be written: {_reason(error, path, None)}") from error


def check_writable(directory: str | PathLike[str]) -> None:
    """Try out that files can be made and filled in a directory, or in the nearest one above it that exists.

    Permission bits do not tell all: root passes them, NFS servers have rules of their own, disks are full. Nothing
    stays.

    :raises RecordError: in one line that names the directory and the cause.
    """
    place = _existing(Path(directory))
    try:
        with tempfile.TemporaryFile(dir=place) as file:  # without a name where the system can do that
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RecordError(f"{place} is not writable: {_reason(error, place, 4096)}") from error


def is_disk_fault(error: RecordError) -> bool:
    """Tell whether the campaign's disk is at fault: full, over a quota, read-only, or failing.

    Then it will fail for the next trial too, and what a test was doing (attaching a file) says nothing about the test.
    Other causes (a file to attach that nobody may read) are the test's own.
    """
    cause = error.__cause__
    if isinstance(cause, shutil.Error):  # of a directory: (source, target, why in words) for each of its files
        words = [os.strerror(code) for code in _DISK_FAULTS]
        return any(word in str(cause) for word in words)
    return isinstance(cause, OSError) and cause.errno in _DISK_FAULTS


def is_held(descriptor: int) -> bool:
    """Tell whether a living process has this file open for its records. Without locks: no."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def encode(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line.

    :raises TypeError, ValueError, RecursionError: it is not JSON.
    """
    plain = dict(record)
    try:
        return f"{json.dumps(plain, ensure_ascii=False, allow_nan=False)}\n".encode()
    except UnicodeEncodeError:
        # Lone surrogates, from names of files that are not UTF-8: JSON can escape them, UTF-8 can't hold them.
        return f"{json.dumps(plain, allow_nan=False)}\n".encode("ascii")


def _hold(descriptor: int) -> bool:
    # Not waiting: a reader holds it for microseconds, and the next record tries again.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        path.parent.mkdir(exist_ok=True)
        descriptor = os.open(path, flags | os.O_CREAT, 0o666)
        fsync_directory(path.parent)
        return descriptor


def _append(descriptor: int, lines: Iterable[bytes]) -> None:
    status = os.fstat(descriptor)
    if not status.st_nlink:
        raise OSError("the file was removed")
    length = status.st_size
    try:
        if length and os.pread(descriptor, 1, length - 1) != b"\n":
            # Somebody's line was cut here; ours begins on its own, and theirs stays to be seen.
            _write(descriptor, b"\n")
        for line in lines:
            _write(descriptor, line)
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.ftruncate(descriptor, length)
            os.fsync(descriptor)
        raise


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        # The disk has just become full, as a rule: writing the rest says so by an error.
        written += os.write(descriptor, data[written:])


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.is_dir())


def _free(status: os.statvfs_result) -> int | None:
    """Return the bytes that we may still fill; ``None`` where the file system does not say (some of FUSE)."""
    if not status.f_blocks:
        return None
    return (status.f_bavail if os.geteuid() else status.f_bfree) * status.f_frsize


def _reason(error: OSError, path: Path, needed: int | None) -> str:
    reason = error.strerror or str(error)
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return reason
    told = [] if needed is None else [f"{needed} bytes needed"]
    if error.errno == errno.ENOSPC:
        with suppress(OSError):
            status = os.statvfs(_existing(path))
            if (free := _free(status)) is not None:
                told.append(f"{free} free")
            if status.f_files and not status.f_favail:
                told.append("no inode left")
    return f"{reason} ({', '.join(told)})" if told else reason
