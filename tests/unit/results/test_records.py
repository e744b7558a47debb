from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema  # type: ignore[import-untyped, unused-ignore]
import pytest

from pytest_execo.errors import RecordError
from pytest_execo.results import Record, RecordWriter, read_records, sync_store
from pytest_execo.results.schema import load_schema, schema_path
from pytest_execo.sweeps import SqliteStore, State

MakeRecord = Callable[..., Record]


def test_what_is_written_is_read_and_is_as_the_schema_says(tmp_path: Path, make_record: MakeRecord) -> None:
    records = [
        make_record(1),
        make_record(
            2, outcome="failed", reason="ValueError: é\u2028", error={"type": "E", "message": "m", "traceback": None}
        ),
        make_record(3, measurements={"rate": "NaN", "all": [1, 2.5]}, extra={"mine": 1}),
    ]
    with RecordWriter(tmp_path / "records" / "s.jsonl") as writer:
        assert not writer.path.exists()
        for record in records:
            writer.write(record)
    assert list(read_records(tmp_path / "records")) == records
    validator = jsonschema.Draft202012Validator(load_schema("record-1"))
    for record in records:
        validator.validate(record)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**records[0], "surprise": 1})


@pytest.mark.parametrize("name", ["record-1", "campaign-1"])
def test_schemas_are_valid(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(load_schema(name))
    assert schema_path(name).is_file()


def test_a_schema_that_does_not_exist_is_named() -> None:
    with pytest.raises(KeyError, match="no schema 'record-9'; there are campaign-1, record-1"):
        schema_path("record-9")


def test_names_that_are_not_utf8_can_be_recorded(tmp_path: Path, make_record: MakeRecord) -> None:
    with RecordWriter(tmp_path / "s.jsonl") as writer:
        writer.write(make_record(1, reason="no file \udcff"))
    assert [record["reason"] for record in read_records(tmp_path)] == ["no file \udcff"]


def test_a_record_that_is_not_json_leaves_nothing(tmp_path: Path, make_record: MakeRecord) -> None:
    with RecordWriter(tmp_path / "s.jsonl") as writer:
        writer.write(make_record(1))
        for value in (object(), float("nan")):
            with pytest.raises(RecordError, match="is not JSON"):
                writer.write(make_record(2, measurements={"x": value}))
    assert len(list(read_records(tmp_path))) == 1


def test_a_closed_writer_opens_again(tmp_path: Path, make_record: MakeRecord) -> None:
    writer = RecordWriter(tmp_path / "s.jsonl")
    for number in range(2):
        writer.write(make_record(number))
        writer.close()
    writer.close()
    assert len(list(read_records(tmp_path))) == 2


def test_files_are_read_in_order_of_name_and_others_left_alone(tmp_path: Path, make_record: MakeRecord) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.txt"):
        with RecordWriter(tmp_path / name) as writer:
            writer.write(make_record(session=name))
    assert [record["session"] for record in read_records(tmp_path)] == ["a.jsonl", "b.jsonl"]


@pytest.mark.slow
def test_a_tail_cut_anywhere_costs_its_own_record_only(
    tmp_path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    whole, path = tmp_path / "whole.jsonl", tmp_path / "records" / "s.jsonl"
    path.parent.mkdir()
    with RecordWriter(whole) as writer:
        writer.write(make_record(1))
        writer.write(make_record(2, reason="é"))
    data = whole.read_bytes()
    first = data.index(b"\n") + 1
    for cut in range(first, len(data)):
        path.write_bytes(data[:cut])
        caplog.clear()
        assert [record["params"]["x"] for record in read_records(path.parent)] == [1]
        warned = [record.getMessage() for record in caplog.records]
        assert warned == ([] if cut == first else [f"{path}:2: the last line was cut; skipped"])
        assert path.read_bytes() == data[:cut]


def test_a_cut_tail_does_not_spoil_the_next_record(
    tmp_path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text('{"schema": "pytest-exe')
    with RecordWriter(path) as writer:
        writer.write(make_record(1))
    assert len(list(read_records(tmp_path))) == 1
    assert caplog.messages == [f"{path}:1: not JSON; skipped"]


def test_what_cannot_be_read_is_skipped_with_its_place(
    tmp_path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.jsonl"
    good = json.dumps(make_record(1))
    newer = json.dumps({"schema": "pytest-execo/record/2"})
    strange = [
        "\0" * 40,
        "[" * 100_000,
        "[]",
        "",
        json.dumps({**make_record(2), "schema": "other/1"}),
        json.dumps({**make_record(2), "attempt": True}),
        json.dumps({**make_record(2), "outcome": "ok"}),
        json.dumps({key: value for key, value in make_record(2).items() if key != "trial"}),
        newer,
        newer,
    ]
    path.write_bytes("\n".join([good, *strange, good]).encode() + b"\n\xff\xfe\n")
    assert len(list(read_records(tmp_path))) == 2
    assert caplog.messages == [
        f"{path}:2: not JSON; skipped",
        f"{path}:3: not JSON; skipped",
        f"{path}:4: not a record: not an object; skipped",
        f"{path}:6: not a record: its schema is not pytest-execo/record/1; skipped",
        f"{path}:7: not a record: no 'attempt'; skipped",
        f"{path}:8: not a record: no 'outcome'; skipped",
        f"{path}:9: not a record: no 'trial'; skipped",
        f"{path}:10: schema pytest-execo/record/2 is newer than pytest-execo/record/1; skipped, upgrade pytest-execo",
        f"{path}:13: not JSON; skipped",
    ]


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"nowhere: the records can't be read: No such file"):
        list(read_records(tmp_path / "nowhere"))
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(RecordError, match=r"a\.jsonl: the records can't be read: Is a directory"):
        list(read_records(tmp_path))


# In a process of its own: the limit on the size of files would hold for the tests' own files too.
_FULL = """
import resource, sys
from pytest_execo.errors import RecordError
from pytest_execo.results import RecordWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
writer = RecordWriter(sys.argv[1])
writer.write({"line": 1})
try:
    writer.write({"line": "x" * 200})
except RecordError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
writer.write({"line": 3})
"""


@pytest.mark.slow
@pytest.mark.parametrize("room", [12, 100])
def test_a_full_disk_leaves_no_half_line(tmp_path: Path, room: int) -> None:
    path = tmp_path / "s.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(path), str(room)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{path}: the record can't be written: File too large\n"
    assert path.read_text() == '{"line": 1}\n{"line": 3}\n'


def test_a_device_without_room_is_a_record_error(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").symlink_to("/dev/full")
    with RecordWriter(tmp_path / "s.jsonl") as writer, pytest.raises(RecordError, match="No space left on device"):
        writer.write({})


def test_the_store_follows_the_records(tmp_path: Path, make_record: MakeRecord) -> None:
    records, trials = tmp_path / "records", [make_record(number)["trial"] for number in range(3)]
    writer = RecordWriter(records / "s.jsonl")
    writer.write(make_record(0, attempt=2))
    writer.write(make_record(0, attempt=1, outcome="failed"))
    writer.write(make_record(1, outcome="pending"))
    with SqliteStore(tmp_path / "a.db") as store:
        for _ in range(2):
            sync_store(store, records)
            assert list(store.states(trials).values()) == [State.PASSED, State.TODO, State.TODO]
        assert store.positions() == {"s.jsonl": writer.path.stat().st_size}
        writer.write(make_record(1, attempt=2, outcome="skipped"))
        sync_store(store, records)
        assert list(store.states(trials).values()) == [State.PASSED, State.SKIPPED, State.TODO]
        writer.close()
        # Replaced by hand by a shorter file: read again from its beginning.
        writer.path.write_text(json.dumps(make_record(2)) + "\n")
        sync_store(store, records)
        assert store.states(trials)[trials[2]] is State.PASSED


def test_only_new_lines_are_read(tmp_path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "records" / "s.jsonl"
    with RecordWriter(path) as writer:
        writer.write(make_record(0))
    with path.open("a") as file:
        file.write("garbage\n")
    with SqliteStore(tmp_path / "a.db") as store:
        sync_store(store, path.parent)
        assert caplog.messages == [f"{path}:2: not JSON; skipped"]
        with path.open("a") as file:
            file.write("more\n")
        sync_store(store, path.parent)
        assert caplog.messages[1:] == [f"{path}:3: not JSON; skipped"]


def test_a_tail_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path, make_record: MakeRecord) -> None:
    path = tmp_path / "records" / "s.jsonl"
    path.parent.mkdir()
    line = json.dumps(make_record(0)).encode() + b"\n"
    trial = make_record(0)["trial"]
    with SqliteStore(tmp_path / "a.db") as store:
        path.write_bytes(line[:50])
        sync_store(store, path.parent)
        assert store.states([trial]) == {trial: State.TODO}
        with path.open("ab") as file:
            file.write(line[50:])
        sync_store(store, path.parent)
        assert store.states([trial]) == {trial: State.PASSED}


def test_a_lost_store_is_made_anew(tmp_path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.db"
    with RecordWriter(tmp_path / "records" / "s.jsonl") as writer:
        for number in range(20):
            writer.write(make_record(number, outcome="passed" if number % 3 else "failed"))
    with SqliteStore(path) as store:
        sync_store(store, tmp_path / "records")
        before = store.stats()
    os.truncate(path, 5000)
    with caplog.at_level(logging.ERROR), SqliteStore(path) as store:
        sync_store(store, tmp_path / "records")
        assert store.stats() == before
    assert before[State.PASSED] == 13
