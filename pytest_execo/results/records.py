"""Records: one JSON line for each attempt at a trial, in one file for each session.

The files are the truth of a campaign. They are only ever appended to; a line that was cut by a crash is left where
it is and skipped by the readers, with a warning that names it.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from pytest_execo.errors import RecordError
from pytest_execo.sweeps.store import Attempt, CheckpointStore

from .files import fsync_directory

__all__ = ("SCHEMA", "Record", "RecordWriter", "read_records", "sync_store")

SCHEMA = "pytest-execo/record/1"
"""The ``schema`` of the records written here; ``schema/record-1.json`` describes them."""

Record: TypeAlias = dict[str, Any]

_log = logging.getLogger(__name__)

_PREFIX, _VERSION = "pytest-execo/record/", 1
_OUTCOMES = ("passed", "failed", "skipped", "pending")
_BATCH = 10_000


class RecordWriter:
    """Appends records to the file of one session.

    The file is made with the first record. A record is on disk when :meth:`write` returns; when it raises, the file
    is as it was before. Safe to use from several threads; two processes must not share a file.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path: Path = Path(path)
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record and bring it to the disk.

        :raises RecordError: it can't be written (disk full, no permission, not JSON); no half line stays.
        """
        with self._lock:
            try:
                line = _encode(record)
            except (TypeError, ValueError, RecursionError) as error:
                raise RecordError(
                    f"{self.path}: the record of trial {record.get('trial')} is not JSON: {error}"
                ) from error
            try:
                self._append(line)
            except OSError as error:
                raise RecordError(f"{self.path}: the record can't be written: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file; a later record opens it again. Idempotent."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        if self._descriptor is None:
            self._descriptor = self._open()
        status = os.fstat(self._descriptor)
        if not status.st_nlink:
            raise OSError("the file was removed")
        length = status.st_size
        if length and os.pread(self._descriptor, 1, length - 1) != b"\n":
            # Somebody's line was cut here; ours begins on its own, and theirs stays to be seen.
            line = b"\n" + line
        try:
            written = os.write(self._descriptor, line)
            while written < len(line):
                # The disk has just become full, as a rule: writing the rest says so by an error.
                written += os.write(self._descriptor, line[written:])
            os.fsync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, length)
            raise

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        try:
            return os.open(self.path, flags)
        except FileNotFoundError:
            self.path.parent.mkdir(exist_ok=True)
            descriptor = os.open(self.path, flags | os.O_CREAT, 0o666)
            fsync_directory(self.path.parent)
            return descriptor


def _encode(record: Mapping[str, Any]) -> bytes:
    plain = dict(record)
    try:
        return f"{json.dumps(plain, ensure_ascii=False, allow_nan=False)}\n".encode()
    except UnicodeEncodeError:
        # Lone surrogates, from names of files that are not UTF-8: JSON can escape them, UTF-8 can't hold them.
        return f"{json.dumps(plain, allow_nan=False)}\n".encode("ascii")


def read_records(records_dir: str | PathLike[str]) -> Iterator[Record]:
    """Yield all the records of a campaign, file by file in order of name, which is the order of the sessions.

    What can't be read is skipped with a warning that names file and line: a last line without its end, garbage, a
    record of a newer schema.

    :raises RecordError: the directory or a file can't be read.
    """
    for path in _files(Path(records_dir)):
        for _, record in _read(path, 0):
            if record is not None:
                yield record


def sync_store(store: CheckpointStore, records_dir: str | PathLike[str]) -> None:
    """Bring a checkpoint store up to date with the records: the last attempt at each trial decides.

    The store remembers how far each file was read; only what is new is read, and calling it again changes nothing.

    :raises RecordError: the directory or a file can't be read.
    """
    positions = store.positions()
    for path in _files(Path(records_dir)):
        known = positions.get(path.name, 0)
        size = _size(path)
        if size == known:
            continue
        # A file that has become shorter was replaced by hand; reading it all again does no harm.
        start = known if known < size else 0
        batch: list[Attempt] = []
        end = start
        for end, record in _read(path, start):
            if record is not None:
                batch.append(Attempt(record["trial"], record["outcome"], record["attempt"], record["ended_at"]))
            if len(batch) >= _BATCH:
                store.ingest(batch, source=path.name, position=end)
                batch = []
        store.ingest(batch, source=path.name, position=end)


def _files(directory: Path) -> list[Path]:
    try:
        return [directory / name for name in sorted(os.listdir(directory)) if name.endswith(".jsonl")]
    except OSError as error:
        raise RecordError(f"{directory}: the records can't be read: {error.strerror}") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise RecordError(f"{path}: the records can't be read: {error.strerror}") from error


def _read(path: Path, start: int) -> Iterator[tuple[int, Record | None]]:
    """Yield, for each whole line after ``start``, where it ends and its record; None for what is skipped."""
    try:
        with open(path, "rb") as file:
            number = _lines_before(file.fileno(), start)
            file.seek(start)
            newer: set[str] = set()
            end = start
            for line in file:
                number += 1
                if not line.endswith(b"\n"):
                    _log.warning("%s:%d: the last line was cut; skipped", path, number)
                    return
                end += len(line)
                yield end, _decode(line, path, number, newer)
    except OSError as error:
        raise RecordError(f"{path}: the records can't be read: {error.strerror}") from error


def _lines_before(descriptor: int, end: int) -> int:
    # Only for the numbers in warnings, and cheap beside parsing: a campaign of 100 000 records is 100 MB.
    lines = position = 0
    while position < end and (block := os.pread(descriptor, min(1 << 20, end - position), position)):
        lines += block.count(b"\n")
        position += len(block)
    return lines


def _decode(line: bytes, path: Path, number: int, newer: set[str]) -> Record | None:
    if not line.strip():
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        _log.warning("%s:%d: not JSON; skipped", path, number)
        return None
    schema = record.get("schema") if isinstance(record, dict) else None
    version = schema.removeprefix(_PREFIX) if isinstance(schema, str) and schema.startswith(_PREFIX) else ""
    if len(version) < 10 and version.isascii() and version.isdigit() and int(version) > _VERSION:
        if version not in newer:  # once for each file: the whole of it was written by that version
            newer.add(version)
            _log.warning(
                "%s:%d: schema %s is newer than %s; skipped, upgrade pytest-execo", path, number, schema, SCHEMA
            )
        return None
    if wrong := _wrong(record, version):
        _log.warning("%s:%d: not a record: %s; skipped", path, number, wrong)
        return None
    return dict(record)


def _wrong(record: object, version: str) -> str:
    """Say what keeps a line from being a record, as far as the readers rely on it."""
    if not isinstance(record, dict):
        return "not an object"
    if version != str(_VERSION):
        return f"its schema is not {SCHEMA}"
    for name, kind in (("trial", str), ("ended_at", str), ("test", str), ("params", dict), ("measurements", dict)):
        if not isinstance(record.get(name), kind):
            return f"no {name!r}"
    attempt = record.get("attempt")
    if isinstance(attempt, bool) or not isinstance(attempt, int) or attempt < 1:
        return "no 'attempt'"
    return "" if record.get("outcome") in _OUTCOMES else "no 'outcome'"
