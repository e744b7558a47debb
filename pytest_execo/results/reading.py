"""Records as they are read from files that may hold anything: the whole ones, and what is wrong with the rest."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from pytest_execo.errors import RecordError

from .lines import LONGEST, Line, count_lines, scan
from .quarantine import Fault, told
from .writing import is_held

__all__ = ("SCHEMA", "Entry", "Record", "entries", "read_records", "record_files", "unread_from")

SCHEMA = "pytest-execo/record/1"
"""The ``schema`` of the records written here; ``schema/record-1.json`` describes them."""

Record: TypeAlias = dict[str, Any]

_log = logging.getLogger(__name__)

_PREFIX, _VERSION = "pytest-execo/record/", 1
_OUTCOMES = ("passed", "failed", "skipped", "pending")
_TRIAL = re.compile(r"[0-9a-f]{16}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_BOM = b"\xef\xbb\xbf"


class Entry(NamedTuple):
    """What a line of a record file holds: a record, or a fault, or both where zero bytes surround a record."""

    record: Record | None
    fault: Fault | None
    #: Where the next line begins.
    end: int
    #: Whether the line end is there. Without it, the line is to be read again next time.
    ended: bool


def read_records(
    records_dir: str | PathLike[str], *, on_fault: Callable[[Fault], object] | None = None
) -> Iterator[Record]:
    """Yield all the records of a campaign, file by file in order of name, which is the order of the sessions.

    An attempt that is there twice (same session, trial, attempt and end), as in the directories of two machines that
    were copied together, is yielded once. A last line that a living session is just writing is left out.

    :param on_fault: called for each line that is not a record. Default: at the end, a warning in the log for each of
        the first five, and how many more there are.
    :raises RecordError: the directory or a file can't be read.
    """
    seen: set[tuple[object, ...]] = set()
    faults: list[Fault] = []
    tell = faults.append if on_fault is None else on_fault
    try:
        for path in record_files(records_dir):
            for entry in entries(path, 0):
                if entry.fault is not None:
                    tell(entry.fault)
                record = entry.record
                if record is None:
                    continue
                key = (record.get("session"), record["trial"], record["attempt"], record["ended_at"])
                if key not in seen:
                    seen.add(key)
                    yield record
    finally:
        for what, _ in told(faults):
            _log.warning("%s; skipped", what)


def record_files(records_dir: str | PathLike[str]) -> list[Path]:
    """Return the record files of a campaign in order of name.

    :raises RecordError: the directory can't be read.
    """
    directory = Path(records_dir)
    try:
        return [directory / name for name in sorted(os.listdir(directory)) if name.endswith(".jsonl")]
    except OSError as error:
        raise RecordError(f"{directory}: the records can't be read: {error.strerror}") from error


def unread_from(path: Path, known: int) -> int | None:
    """Return from where a file that was read up to ``known`` is to be read on; ``None`` when nothing was added.

    A file that was replaced by hand is read again from its beginning, which does no harm: when it has become shorter,
    or ``known`` is no beginning of a line in it.

    :raises RecordError: the file can't be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size == known:
                return None
            return known if known and known < size and os.pread(file.fileno(), 1, known - 1) == b"\n" else 0
    except OSError as error:
        raise RecordError(f"{path}: the records can't be read: {error.strerror}") from error


def entries(path: Path, start: int) -> Iterator[Entry]:
    """Yield what the lines after ``start``, the beginning of one, hold. Blank lines hold nothing and are yielded.

    A last line without its end is left out while the session that writes it lives, or when it grew meanwhile.

    :raises RecordError: the file can't be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            before: int | None = None
            for number, line in enumerate(scan(descriptor, start), start=1):
                if not line.ended and (is_held(descriptor) or os.fstat(descriptor).st_size != line.end):
                    return
                record, reason, schema = _decode(line)
                fault = None
                if reason:
                    if before is None:  # counted for the first fault only: nobody else asks for numbers
                        before = count_lines(descriptor, start)
                    fault = Fault(path, before + number, line.offset, line.length, reason, schema)
                yield Entry(record, fault, line.end, line.ended)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RecordError(f"{path}: the records can't be read: {error.strerror}") from error


class _TwiceError(ValueError):
    """A key that an object has twice: which value was meant, nobody knows."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(f"{twice[:40]!a} twice")
    return made


# Made once: json.loads() with a hook makes a decoder for each line.
_JSON = json.JSONDecoder(object_pairs_hook=_object)
_NOT_JSON = "not JSON"


def _decode(line: Line) -> tuple[Record | None, str, str | None]:
    """Return the record of a line, what is wrong with it, and the schema it names when that is newer than ours."""
    zeros = line.zeros_before + line.zeros_after
    if line.content is None:
        return None, f"a line of {line.length} bytes, more than {LONGEST >> 20} MiB: not a record", None
    content = line.content.removeprefix(_BOM).strip()
    if not content:
        return None, f"{zeros} zero bytes, as a crash of the machine leaves them" if zeros else "", None
    record, reason, schema = _parse(content)
    if reason == _NOT_JSON and not line.ended:
        reason = "the last line was cut"
    if zeros:
        reason = (
            f"{reason}, among {zeros} zero bytes" if reason else f"{zeros} zero bytes beside a record, which counts"
        )
    return record, reason, schema


def _parse(content: bytes) -> tuple[Record | None, str, str | None]:
    try:
        record = _JSON.decode(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        # A character that was cut in two at the very end is the doing of what cut the line.
        cut = error.reason == "unexpected end of data"
        return None, _NOT_JSON if cut else f"not UTF-8 at its byte {error.start + 1}", None
    except _TwiceError as error:
        return None, f"not a record: {error}", None
    except (ValueError, RecursionError):
        return None, _NOT_JSON, None
    schema = record.get("schema") if isinstance(record, dict) else None
    version = schema.removeprefix(_PREFIX) if isinstance(schema, str) and schema.startswith(_PREFIX) else ""
    if len(version) < 10 and version.isascii() and version.isdigit() and int(version) > _VERSION:
        return None, f"schema {schema} is newer than {SCHEMA}; upgrade pytest-execo", schema
    if wrong := _wrong(record, version):
        return None, f"not a record: {wrong}", None
    return dict(record), "", None


def _wrong(record: object, version: str) -> str:
    """Say what keeps a line from being a record, as far as the readers rely on it."""
    if not isinstance(record, dict):
        return "not an object"
    if version != str(_VERSION):
        return f"its schema is not {SCHEMA}"
    for name, kind in (("test", str), ("params", dict), ("measurements", dict)):
        if not isinstance(record.get(name), kind):
            return f"no {name!r}"
    if not isinstance(record.get("trial"), str) or not _TRIAL.fullmatch(record["trial"]):
        return "no 'trial'"
    for name in ("started_at", "ended_at"):
        if not _is_date(record.get(name)):
            return f"no {name!r}"
    # What a database's integer holds; more attempts than that were never made.
    if not _is_count(record.get("attempt"), 1):
        return "no 'attempt'"
    if not _is_count(record.get("repetition"), 0):
        return "no 'repetition'"
    return "" if record.get("outcome") in _OUTCOMES else "no 'outcome'"


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        dt.datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31
