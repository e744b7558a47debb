from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import jsonschema  # type: ignore[import-untyped, unused-ignore]
import pytest

from pytest_execo.errors import RecordError
from pytest_execo.results import Fault, Record, RecordWriter, read_records, records, sync_file, sync_store
from pytest_execo.results.schema import load_schema, schema_path
from pytest_execo.sweeps import Attempt, CheckpointStore, SqliteStore, State

MakeRecord = Callable[..., Record]


class MemoryStore:
    """As much of a store as the records need: attempts, and how far each file was read."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int, str], Attempt] = {}
        self.read_to: dict[str, int] = {}

    def ingest(self, attempts: Iterable[Attempt], *, source: str, position: int) -> None:
        for attempt in attempts:
            self.known.setdefault((attempt.trial, attempt.attempt, attempt.ended_at), attempt)
        self.read_to[source] = position

    def positions(self) -> dict[str, int]:
        return dict(self.read_to)

    def store(self) -> CheckpointStore:
        return cast("CheckpointStore", self)


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record file that nobody has written yet."""
    (tmp_path / "records").mkdir()
    return tmp_path / "records" / "s.jsonl"


def line(record: Record) -> bytes:
    return json.dumps(record).encode() + b"\n"


def reasons(faults: list[Fault]) -> list[tuple[int, str]]:
    return [(fault.line, fault.reason) for fault in faults]


def test_what_is_written_is_read_and_is_as_the_schema_says(path: Path, make_record: MakeRecord) -> None:
    made = [
        make_record(1, source={"digest": "d", "commit": "c", "dirty": False}),
        make_record(
            2, outcome="failed", reason="ValueError: é\u2028", error={"type": "E", "message": "m", "traceback": None}
        ),
        make_record(3, measurements={"rate": "NaN", "all": [1, 2.5]}, extra={"mine": 1}),
        make_record(4, source={"digest": None, "commit": None, "dirty": None}),
    ]
    with RecordWriter(path) as writer:
        assert not path.exists()
        for record in made:
            writer.write(record)
    assert list(read_records(path.parent)) == made
    validator = jsonschema.Draft202012Validator(load_schema("record-1"))
    for record in made:
        validator.validate(record)
    for wrong in ({"surprise": 1}, {"source": {"digest": "d"}}, {"source": "d"}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**made[0], **wrong})


@pytest.mark.parametrize("name", ["record-1", "campaign-1"])
def test_schemas_are_valid(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(load_schema(name))
    assert schema_path(name).is_file()


def test_a_schema_that_does_not_exist_is_named() -> None:
    with pytest.raises(KeyError, match="no schema 'record-9'; there are campaign-1, record-1"):
        schema_path("record-9")


def test_the_store_is_told_what_the_record_says(path: Path, make_record: MakeRecord, memory: MemoryStore) -> None:
    source = {"digest": "abc", "commit": None, "dirty": None}
    told = make_record(1, outcome="failed", reason="no", source=source)
    strange = make_record(2, reason=3, source="abc", session=None, duration=10**400)
    path.write_bytes(line(told) + line(strange))
    sync_store(memory.store(), path.parent)
    first, second = memory.known.values()
    assert first == Attempt(
        told["trial"],
        "failed",
        1,
        told["ended_at"],
        reason="no",
        source="abc",
        session=told["session"],
        duration=0.5,
    )
    assert (second.reason, second.source, second.session, second.duration) == (None, None, None, None)


def test_only_new_lines_are_read_and_a_bad_one_is_told_once(
    path: Path, make_record: MakeRecord, memory: MemoryStore
) -> None:
    path.write_bytes(line(make_record(0)) + b"garbage\n")
    assert reasons(sync_store(memory.store(), path.parent)) == [(2, "not JSON")]
    assert memory.read_to == {"s.jsonl": path.stat().st_size}
    assert sync_store(memory.store(), path.parent) == []
    with path.open("a") as file:
        file.write("more\n")
    assert reasons(sync_store(memory.store(), path.parent)) == [(3, "not JSON")]
    # A store that was lost reads it all again; what is in the quarantine needs no telling.
    assert sync_store(MemoryStore().store(), path.parent) == []
    assert reasons(sync_store(MemoryStore().store(), path.parent, keep=False)) == [(2, "not JSON"), (3, "not JSON")]


def test_without_keeping_nothing_is_written(path: Path, memory: MemoryStore) -> None:
    path.write_bytes(b"garbage\n")
    told: list[Fault] = []
    assert sync_store(memory.store(), path.parent, keep=False, on_fault=told.append) == told
    assert reasons(told) == [(1, "not JSON")]
    assert os.listdir(path.parent.parent) == ["records"]


def test_a_bad_line_is_kept_before_the_store_takes_it_for_read(path: Path, memory: MemoryStore) -> None:
    path.write_bytes(b"garbage\n")
    (path.parent.parent / "quarantine").touch()
    with pytest.raises(RecordError, match="can't be kept here"):
        sync_store(memory.store(), path.parent)
    assert memory.read_to == {}
    (path.parent.parent / "quarantine").unlink()

    def listener(fault: Fault) -> None:
        assert memory.read_to == {}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync_store(memory.store(), path.parent, on_fault=listener)
    assert memory.read_to == {}


def test_a_tail_without_an_end_is_read_again(path: Path, make_record: MakeRecord, memory: MemoryStore) -> None:
    whole = line(make_record(0))
    path.write_bytes(line(make_record(1)) + whole[:50])
    position = len(line(make_record(1)))
    assert reasons(sync_store(memory.store(), path.parent)) == [(2, "the last line was cut")]
    assert memory.read_to == {"s.jsonl": position}
    assert sync_store(memory.store(), path.parent) == []  # in the quarantine, and still not read
    path.write_bytes(line(make_record(1)) + whole[:-1])  # a record that lacks its line end only
    assert sync_store(memory.store(), path.parent) == []
    assert (len(memory.known), memory.read_to) == (2, {"s.jsonl": position})
    path.write_bytes(line(make_record(1)) + whole)
    sync_store(memory.store(), path.parent)
    assert (len(memory.known), memory.read_to) == (2, {"s.jsonl": path.stat().st_size})


def test_a_tail_of_a_living_session_is_no_fault(path: Path, make_record: MakeRecord, memory: MemoryStore) -> None:
    with RecordWriter(path) as writer:
        writer.write(make_record(0))
        with path.open("ab") as half:
            half.write(line(make_record(1))[:50])
        assert sync_store(memory.store(), path.parent) == []
        assert memory.read_to == {"s.jsonl": len(json.dumps(make_record(0), ensure_ascii=False)) + 1}
    assert reasons(sync_store(memory.store(), path.parent)) == [(2, "the last line was cut")]


def test_a_newer_schema_is_left_for_a_newer_version(path: Path, make_record: MakeRecord, memory: MemoryStore) -> None:
    newer = line({**make_record(2), "schema": "pytest-execo/record/2"})
    path.write_bytes(line(make_record(1)) + newer + line(make_record(3)))
    (fault,) = sync_store(memory.store(), path.parent)
    assert (fault.line, fault.schema) == (2, "pytest-execo/record/2")
    assert len(memory.known) == 2  # the one after it counts
    # A version that reads it begins there, with the same store.
    assert memory.read_to == {"s.jsonl": len(line(make_record(1)))}
    assert sync_store(memory.store(), path.parent) == []


def test_batches_never_pass_what_was_not_noted(
    path: Path, make_record: MakeRecord, memory: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_BATCH", 2)
    path.write_bytes(b"".join(line(make_record(n)) if n % 3 else b"garbage\n" for n in range(20)))
    assert len(sync_store(memory.store(), path.parent)) == 7
    assert len(memory.known) == 13
    assert memory.read_to == {"s.jsonl": path.stat().st_size}


@pytest.mark.parametrize("padding", [0, 7, 5000])
def test_a_file_that_was_replaced_is_read_again(
    path: Path, make_record: MakeRecord, memory: MemoryStore, padding: int
) -> None:
    path.write_bytes(line(make_record(0, reason="x" * 100)))
    sync_store(memory.store(), path.parent)
    path.write_bytes(line(make_record(1, reason="x" * padding)) + line(make_record(2)))
    assert sync_store(memory.store(), path.parent) == []
    assert len(memory.known) == 3
    assert memory.read_to == {"s.jsonl": path.stat().st_size}


def test_one_file_of_a_dead_session_is_read_alone(path: Path, make_record: MakeRecord, memory: MemoryStore) -> None:
    path.write_bytes(line(make_record(0)) + b"garbage\n")
    (path.parent / "other.jsonl").write_bytes(line(make_record(1)))
    assert reasons(sync_file(memory.store(), str(path))) == [(2, "not JSON")]
    assert memory.read_to == {"s.jsonl": path.stat().st_size}
    with pytest.raises(RecordError, match=r"gone\.jsonl: the records can't be read: No such file"):
        sync_file(memory.store(), path.with_name("gone.jsonl"))


def states(store: SqliteStore, trials: list[str]) -> list[State]:
    return [known.state for known in store.look(trials).values()]


def test_the_store_follows_the_records(tmp_path: Path, make_record: MakeRecord) -> None:
    directory, trials = tmp_path / "records", [make_record(number)["trial"] for number in range(3)]
    writer = RecordWriter(directory / "s.jsonl")
    writer.write(make_record(0, attempt=2))
    writer.write(make_record(0, attempt=1, outcome="failed"))
    writer.write(make_record(1, outcome="pending"))
    with SqliteStore(tmp_path / "a.db", campaign="c" * 32) as store:
        for _ in range(2):
            sync_store(store, directory)
            assert states(store, trials) == [State.PASSED, State.TODO, State.TODO]
        assert store.positions() == {"s.jsonl": writer.path.stat().st_size}
        writer.write(make_record(1, attempt=2, outcome="skipped"))
        sync_store(store, directory)
        assert states(store, trials) == [State.PASSED, State.SKIPPED, State.TODO]
        writer.close()
        # Replaced by hand by a shorter file: read again from its beginning.
        writer.path.write_text(json.dumps(make_record(2)) + "\n")
        sync_store(store, directory)
        assert states(store, trials)[2] is State.PASSED


def test_a_lost_store_is_made_anew(tmp_path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.db"
    options: dict[str, Any] = {"campaign": "c" * 32}
    with RecordWriter(tmp_path / "records" / "s.jsonl") as writer:
        for number in range(20):
            writer.write(make_record(number, outcome="passed" if number % 3 else "failed"))
    with SqliteStore(path, **options) as store:
        sync_store(store, tmp_path / "records")
        before = store.stats()
    os.truncate(path, 5000)
    with caplog.at_level(logging.ERROR), SqliteStore(path, **options) as store:
        sync_store(store, tmp_path / "records")
        assert store.stats() == before
    assert before[State.PASSED] == 13
