"""Records: one JSON line for each attempt at a trial, in one file for each session.

The files are the truth of a campaign. They are only ever appended to. A line that can't be read stays where it is, is
copied to the quarantine, and is named; the lines around it count.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from pytest_execo.sweeps.stores.store import Attempt, CheckpointStore

from .quarantine import Fault, quarantine
from .reading import SCHEMA, Record, entries, read_records, record_files, unread_from
from .writing import RecordWriter, check_writable

__all__ = ("SCHEMA", "Record", "RecordWriter", "check_writable", "read_records", "sync_file", "sync_store")

_BATCH = 10_000


def sync_store(
    store: CheckpointStore,
    records_dir: str | PathLike[str],
    *,
    on_fault: Callable[[Fault], object] | None = None,
    keep: bool = True,
) -> list[Fault]:
    """Bring a checkpoint store up to date with the records: the last attempt at each trial decides.

    The store remembers how far each file was read; only what is new is read, and calling it again changes nothing.
    Two things are read again each time: a last line without its end, for the rest may come, and everything from the
    first record of a newer schema on, for a newer version of pytest-execo may read it with this very store.

    :param on_fault: called for each fault that is returned, before the store takes its line for read.
    :param keep: copy bad lines to the quarantine, also before the store takes them for read. Not for a reader that
        must not write, as it may be on somebody else's directory.
    :return: what can't be read and was not in the quarantine yet, so that each bad line is told once for a campaign;
        all that was found in what was read when not ``keep``.
    :raises RecordError: the directory or a file can't be read, or the quarantine can't be written.
    """
    positions = store.positions()
    faults: list[Fault] = []
    for path in record_files(records_dir):
        faults += _sync(store, path, positions.get(path.name, 0), on_fault, keep)
    return faults


def sync_file(
    store: CheckpointStore,
    path: str | PathLike[str],
    *,
    on_fault: Callable[[Fault], object] | None = None,
    keep: bool = True,
) -> list[Fault]:
    """Bring a store up to date with one record file, as :func:`sync_store` does with all of them.

    For a claim that was taken over: its dead owner may have written the record and not lived to tell the store.
    """
    path = Path(path)
    return _sync(store, path, store.positions().get(path.name, 0), on_fault, keep)


def _sync(
    store: CheckpointStore, path: Path, known: int, on_fault: Callable[[Fault], object] | None, keep: bool
) -> list[Fault]:
    start = unread_from(path, known)
    if start is None:
        return []
    position = start
    told: list[Fault] = []
    batch: list[Attempt] = []
    faults: list[Fault] = []

    def flush() -> None:
        nonlocal batch, faults
        new = quarantine(path.parent, faults) if keep else faults
        for fault in new:
            if on_fault is not None:
                on_fault(fault)
        told.extend(new)
        if batch or position != known:
            store.ingest(batch, source=path.name, position=position)
        batch, faults = [], []

    passes = True
    for entry in entries(path, position):
        if entry.fault is not None:
            faults.append(entry.fault)
            passes = passes and entry.fault.schema is None
        if entry.record is not None:
            batch.append(_attempt(entry.record))
        if passes and entry.ended:
            position = entry.end
        if len(batch) + len(faults) >= _BATCH:
            flush()
    flush()
    return told


def _attempt(record: Record) -> Attempt:
    source = record.get("source")
    return Attempt(
        record["trial"],
        record["outcome"],
        record["attempt"],
        record["ended_at"],
        reason=_text(record.get("reason")),
        source=_text(source.get("digest")) if isinstance(source, dict) else None,
        session=_text(record.get("session")),
        duration=_seconds(record.get("duration")),
    )


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e12 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
