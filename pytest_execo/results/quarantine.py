"""What can't be read in record files: named, and copied to where it can be looked at.

A record file is never changed. The copies are in ``<campaign>/quarantine/``, in a file for each record file, a line of
JSON for each bad line: ``file``, ``line``, ``offset`` and ``length`` (bytes), ``reason``, ``sha256`` of the bytes,
and the bytes as ``text``, or as ``base64`` where they are not UTF-8. Zero bytes around them are counted in ``zeros``
(before, after); of a line of more than 64 MiB the beginning is kept, and ``cut`` says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from pytest_execo.errors import RecordError
from pytest_execo.units import iso_date

from .files import locked
from .lines import scan
from .writing import append_lines, encode

__all__ = ("Fault", "fault_lines", "quarantine")

_SHOWN = 5
_HEAD = 64 << 10
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Fault:
    """A line of a record file that is not a record, or not one alone.

    :param path: the record file.
    :param line: the number of the line, from 1.
    :param offset: where the line begins, in bytes.
    :param length: its bytes, without the line end.
    :param reason: what is wrong with it, in a few words.
    :param schema: the schema that it names, when that is newer than ours: a newer version of pytest-execo reads it.
    """

    path: Path
    line: int
    offset: int
    length: int
    reason: str
    schema: str | None = None

    def __str__(self) -> str:
        return f"{_printable(self.path)}:{self.line}: {self.reason}"


def quarantine(records_dir: str | PathLike[str], faults: Iterable[Fault]) -> list[Fault]:
    """Copy bad lines to the ``quarantine`` beside the directory of the records; return those that were not there yet.

    They are on disk when it returns. Calling it again, in this process or in several at once, copies nothing twice.
    A line that changed since the fault was found (its end came) is copied as it is now.

    :raises RecordError: in one line: a record file can't be read, or a copy can't be written.
    """
    by_path: dict[Path, list[Fault]] = {}
    for fault in faults:
        by_path.setdefault(fault.path, []).append(fault)
    if not by_path:
        return []
    directory = Path(records_dir).absolute().parent / "quarantine"
    new: list[Fault] = []
    try:
        directory.mkdir(exist_ok=True)
        with locked(directory / ".lock"):
            for path, found in by_path.items():
                target = directory / path.name
                there = set(_kept(target))
                missing = [fault for fault, key in zip(found, _keys(path, found), strict=True) if key not in there]
                missing = list(dict.fromkeys(missing))
                if missing:
                    append_lines(target, _copies(path, missing))
                new += missing
    except OSError as error:
        raise RecordError(f"{directory}: bad lines can't be kept here: {error.strerror}") from error
    return new


def fault_lines(faults: Iterable[Fault], relative_to: str | PathLike[str]) -> list[str]:
    """Return what is to be said of faults: a line for each of the first five, and how many more there are.

    Lines of a newer schema are told once for each file, for as a rule the whole file was written by that version.

    :param relative_to: the directory that the user is in; files below it are named from there.
    """
    return [f"{what}; kept in {where}" for what, where in told(faults, relative_to)]


def told(faults: Iterable[Fault], relative_to: str | PathLike[str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield what is said of faults, as :func:`fault_lines` does, and where the copies are."""
    groups: dict[tuple[object, ...], list[Fault]] = {}
    for fault in faults:
        key = (fault.path, fault.schema) if fault.schema else (fault.path, fault.offset, fault.reason)
        groups.setdefault(key, []).append(fault)
    for group in list(groups.values())[:_SHOWN]:
        fault = group[0]
        name = fault.path if relative_to is None else os.path.relpath(fault.path, relative_to)
        if os.fspath(name).startswith(".."):
            name = fault.path
        others = f" (and {len(group) - 1} more of this file)" if fault.schema and len(group) > 1 else ""
        kept = _printable(Path("quarantine", fault.path.name))
        yield f"{_printable(name)}:{fault.line}: {fault.reason}{others}", kept
    more = sum(map(len, list(groups.values())[_SHOWN:]))
    if more:
        yield f"{more} more lines of records can't be read", "quarantine/"


def _kept(target: Path) -> Iterator[tuple[int, str]]:
    """Yield offset and checksum of what is in a quarantine file, which may have been cut by a crash itself."""
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        for line in scan(descriptor, 0):
            try:
                entry = json.loads(line.content or b"")
                yield entry["offset"], entry["sha256"]
            except (ValueError, RecursionError, KeyError, TypeError):
                continue
    finally:
        os.close(descriptor)


def _keys(path: Path, faults: Iterable[Fault]) -> Iterator[tuple[int, str]]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for fault in faults:
            yield fault.offset, _checksum(descriptor, fault.offset, fault.length)
    finally:
        os.close(descriptor)


def _checksum(descriptor: int, offset: int, length: int) -> str:
    import hashlib

    digest = hashlib.sha256()
    end = offset + length
    while offset < end and (block := os.pread(descriptor, min(_BLOCK, end - offset), offset)):
        digest.update(block)
        offset += len(block)
    return digest.hexdigest()


def _copies(path: Path, faults: Iterable[Fault]) -> Iterator[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for fault in faults:
            yield encode(_copy(descriptor, fault))
    finally:
        os.close(descriptor)


def _copy(descriptor: int, fault: Fault) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "file": fault.path.name,
        "line": fault.line,
        "offset": fault.offset,
        "length": fault.length,
        "reason": fault.reason,
        "sha256": _checksum(descriptor, fault.offset, fault.length),
        "kept_at": iso_date(),
    }
    line = next(scan(descriptor, fault.offset), None)
    if line is None:  # the file was cut meanwhile
        return entry
    if line.zeros_before or line.zeros_after:
        entry["zeros"] = [line.zeros_before, line.zeros_after]
    content = line.content
    if content is None:
        entry["cut"] = True
        content = os.pread(descriptor, _HEAD, fault.offset + line.zeros_before)
    try:
        return {**entry, "text": content.decode("utf-8")}
    except UnicodeDecodeError:
        import base64

        return {**entry, "base64": base64.b64encode(content).decode("ascii")}


def _printable(path: str | PathLike[str]) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in os.fspath(path))
