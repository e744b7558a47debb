from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_execo.errors import RecordError
from pytest_execo.results import Fault, Record, RecordWriter, lines, read_records, reading

MakeRecord = Callable[..., Record]


def read(directory: Path) -> tuple[list[Record], list[tuple[int, str]]]:
    """Return the records, and line number and reason of each fault."""
    faults: list[Fault] = []
    records = list(read_records(directory, on_fault=faults.append))
    return records, [(fault.line, fault.reason) for fault in faults]


def test_files_are_read_in_order_of_name_and_others_left_alone(tmp_path: Path, make_record: MakeRecord) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.txt"):
        with RecordWriter(tmp_path / name) as writer:
            writer.write(make_record(session=name))
    assert [record["session"] for record in read_records(tmp_path)] == ["a.jsonl", "b.jsonl"]


def test_an_attempt_that_is_there_twice_is_one(tmp_path: Path, make_record: MakeRecord) -> None:
    first, again = make_record(1), make_record(1, attempt=2)
    other_session = make_record(1, session="20260101T000000Z-2-abcd")
    for name in ("a.jsonl", "copy of a.jsonl"):
        with RecordWriter(tmp_path / name) as writer:
            for record in (first, first, again, other_session):
                writer.write(record)
    assert read(tmp_path) == ([first, again, other_session], [])


@pytest.mark.slow
def test_a_tail_cut_anywhere_costs_its_own_record_only(tmp_path: Path, make_record: MakeRecord) -> None:
    whole, path = tmp_path / "whole.jsonl", tmp_path / "records" / "s.jsonl"
    path.parent.mkdir()
    records = [make_record(1), make_record(2, reason="é")]
    with RecordWriter(whole) as writer:
        for record in records:
            writer.write(record)
    data = whole.read_bytes()
    first = data.index(b"\n") + 1
    for cut in range(first, len(data) + 1):
        path.write_bytes(data[:cut])
        # Of a record that lacks its line end only, nothing is lost.
        lost = first < cut < len(data) - 1
        kept = records if cut >= len(data) - 1 else records[:1]
        assert read(path.parent) == (kept, [(2, "the last line was cut")] if lost else [])
        assert path.read_bytes() == data[:cut]


def test_what_a_living_session_is_writing_is_left_to_the_next_read(tmp_path: Path, make_record: MakeRecord) -> None:
    writer = RecordWriter(tmp_path / "s.jsonl")
    writer.write(make_record(1))
    with writer.path.open("ab") as half:
        half.write(b'{"schema": "pytest-exe')
    assert read(tmp_path) == ([make_record(1)], [])
    writer.close()
    assert read(tmp_path) == ([make_record(1)], [(2, "the last line was cut")])


def test_a_tail_that_grew_meanwhile_is_left_to_the_next_read(
    tmp_path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.jsonl"
    line = json.dumps(make_record(1))
    path.write_text(line[:40])

    def finishes(descriptor: int) -> bool:
        path.write_text(line + "\n")
        return False

    monkeypatch.setattr(reading, "is_held", finishes)
    assert read(tmp_path) == ([], [])
    assert read(tmp_path) == ([make_record(1)], [])


def test_what_cannot_be_read_is_named(tmp_path: Path, make_record: MakeRecord) -> None:
    def changed(**fields: object) -> str:
        return json.dumps({**make_record(2), **fields})

    def without(name: str) -> str:
        return json.dumps({key: value for key, value in make_record(2).items() if key != name})

    strange: list[tuple[bytes | str, str]] = [
        (b"\0" * 40, "40 zero bytes, as a crash of the machine leaves them"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a record: not an object"),
        (changed(schema="other/1"), "not a record: its schema is not pytest-execo/record/1"),
        (changed(attempt=True), "not a record: no 'attempt'"),
        (changed(attempt=2**31), "not a record: no 'attempt'"),
        (changed(outcome="ok"), "not a record: no 'outcome'"),
        (changed(repetition=-1), "not a record: no 'repetition'"),
        (changed(trial="../../etc"), "not a record: no 'trial'"),
        (changed(ended_at="yesterday"), "not a record: no 'ended_at'"),
        (changed(ended_at="2026-13-41T00:00:00.000000Z"), "not a record: no 'ended_at'"),
        (without("trial"), "not a record: no 'trial'"),
        (
            changed(schema="pytest-execo/record/2"),
            "schema pytest-execo/record/2 is newer than pytest-execo/record/1; upgrade pytest-execo",
        ),
        (b"\xff\xfe", "not UTF-8 at its byte 1"),
        (json.dumps(make_record(2)).encode("utf-16"), "not UTF-8 at its byte 1, among 1 zero bytes"),
        (json.dumps(make_record(2))[:-1] + ', "outcome": "failed"}', "not a record: 'outcome' twice"),
        (b'{"a": "\xc3', "not JSON"),
        (b"\0\0{\0\0\0", "not JSON, among 5 zero bytes"),
    ]
    good = [json.dumps(make_record(number, session=str(number))) for number in range(len(strange) + 1)]
    data = good[0].encode() + b"\n"
    for (line, _), record in zip(strange, good[1:], strict=True):
        data += (line if isinstance(line, bytes) else line.encode()) + b"\n" + record.encode() + b"\n"
    path = tmp_path / "s.jsonl"
    path.write_bytes(data)
    records, faults = read(tmp_path)
    assert [record["session"] for record in records] == [str(number) for number in range(len(strange) + 1)]
    assert faults == [(2 * number, reason) for number, (_, reason) in enumerate(strange, start=1)]
    assert path.read_bytes() == data


def test_what_editors_and_systems_do_to_text_is_read(tmp_path: Path, make_record: MakeRecord) -> None:
    records = [make_record(number, reason="\u2028 \ud800") for number in range(4)]
    first, second, third, fourth = (json.dumps(record).encode() for record in records)
    data = b"\xef\xbb\xbf" + first + b"\r\n\r\n \n" + second + b"\r\n" + b"\xef\xbb\xbf" + third + b"\n" + fourth
    (tmp_path / "s.jsonl").write_bytes(data)
    assert read(tmp_path) == (records, [])


def test_a_record_among_zero_bytes_counts(tmp_path: Path, make_record: MakeRecord) -> None:
    lines = [json.dumps(make_record(number)).encode() for number in range(2)]
    (tmp_path / "s.jsonl").write_bytes(bytes(5) + lines[0] + b"\n" + lines[1] + bytes(4096))
    records, faults = read(tmp_path)
    assert records == [make_record(0), make_record(1)]
    assert faults == [
        (1, "5 zero bytes beside a record, which counts"),
        (2, "4096 zero bytes beside a record, which counts"),
    ]


def test_a_line_without_an_end_is_not_kept_in_memory(
    tmp_path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 2000)
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"x" * 2001 + b"\n" + json.dumps(make_record(1)).encode() + b"\n")
    records, faults = read(tmp_path)
    assert records == [make_record(1)]
    assert faults == [(1, "a line of 2001 bytes, more than 64 MiB: not a record")]


def test_without_a_listener_the_log_tells_the_first_and_how_many_more(
    tmp_path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    newer = json.dumps({"schema": "pytest-execo/record/3"})
    path = tmp_path / "s.jsonl"
    path.write_text("\n".join([newer, newer, *["garbage"] * 8, json.dumps(make_record(1)), ""]))
    assert list(read_records(tmp_path)) == [make_record(1)]
    assert caplog.messages == [
        f"{path}:1: schema pytest-execo/record/3 is newer than pytest-execo/record/1; upgrade pytest-execo "
        "(and 1 more of this file); skipped",
        *(f"{path}:{number}: not JSON; skipped" for number in (3, 4, 5, 6)),
        "4 more lines of records can't be read; skipped",
    ]


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"nowhere: the records can't be read: No such file"):
        list(read_records(tmp_path / "nowhere"))
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(RecordError, match=r"a\.jsonl: the records can't be read: Is a directory"):
        list(read_records(tmp_path))


def test_no_file_stays_open(tmp_path: Path, make_record: MakeRecord) -> None:
    with RecordWriter(tmp_path / "s.jsonl") as writer:
        writer.write(make_record(1))
        writer.write(make_record(2))
    before = os.listdir("/proc/self/fd")
    reader = read_records(tmp_path)
    next(reader)
    reader.close()  # type: ignore[attr-defined]
    assert os.listdir("/proc/self/fd") == before
