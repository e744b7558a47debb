from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_execo.errors import RecordError
from pytest_execo.results import Fault, Record, fault_lines, lines, read_records
from pytest_execo.results.quarantine import quarantine

MakeRecord = Callable[..., Record]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    directory = tmp_path / "campaign" / "records"
    directory.mkdir(parents=True)
    return directory


def faults_of(records: Path) -> list[Fault]:
    faults: list[Fault] = []
    for _ in read_records(records, on_fault=faults.append):
        pass
    return faults


def kept(records: Path, name: str = "s.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (records.parent / "quarantine" / name).read_text().splitlines()]


def test_bad_lines_are_copied_with_their_places_and_the_file_stays(records: Path, make_record: MakeRecord) -> None:
    good = json.dumps(make_record(1)).encode()
    data = good + b"\ngarb\xc3\xa9ge\n" + good + b"\n\xff\xfe\n" + b"\0" * 10 + b'{"half' + b"\0" * 5000
    path = records / "s.jsonl"
    path.write_bytes(data)
    path.chmod(0o400)
    faults = faults_of(records)
    assert quarantine(records, faults) == faults
    assert path.read_bytes() == data
    text, binary, cut = kept(records)
    place = len(good) + 1
    assert text.pop("kept_at").endswith("Z")
    assert text == {
        "file": "s.jsonl",
        "line": 2,
        "offset": place,
        "length": 8,
        "reason": "not JSON",
        "sha256": hashlib.sha256(b"garb\xc3\xa9ge").hexdigest(),
        "text": "garbége",
    }
    assert (binary["line"], base64.b64decode(binary["base64"])) == (4, b"\xff\xfe")
    assert (cut["line"], cut["text"], cut["zeros"], cut["length"]) == (5, '{"half', [10, 5000], 5016)
    assert cut["sha256"] == hashlib.sha256(data[cut["offset"] :]).hexdigest()


def test_nothing_is_kept_twice(records: Path) -> None:
    (records / "s.jsonl").write_text("one\n")
    (first,) = faults_of(records)
    assert quarantine(records, [first, first]) == [first]
    (records / "s.jsonl").write_text("one\ntwo\n")
    second = faults_of(records)[1]
    assert quarantine(records, [first, second]) == [second]
    assert quarantine(records, faults_of(records)) == []
    assert [entry["text"] for entry in kept(records)] == ["one", "two"]


def test_several_at_once_keep_each_line_once(records: Path) -> None:
    (records / "s.jsonl").write_text("".join(f"garbage {number}\n" for number in range(50)))
    faults = faults_of(records)
    new: list[Fault] = []
    workers = [threading.Thread(target=lambda: new.extend(quarantine(records, faults))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(new, key=lambda fault: fault.line) == faults
    assert len(kept(records)) == 50


def test_a_quarantine_that_was_cut_itself_goes_on(records: Path) -> None:
    (records / "s.jsonl").write_text("one\ntwo\n")
    quarantine(records, faults_of(records))
    path = records.parent / "quarantine" / "s.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    (again,) = quarantine(records, faults_of(records))
    assert again.line == 2
    first, torn, second = path.read_text().splitlines()
    assert [json.loads(line)["text"] for line in (first, second)] == ["one", "two"]
    assert torn.startswith('{"file": "s.jsonl", "line": 2')


def test_files_have_files_of_their_own(records: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (records / name).write_text(f"in {name}\n")
    quarantine(records, faults_of(records))
    assert [kept(records, name)[0]["text"] for name in ("a.jsonl", "b.jsonl")] == ["in a.jsonl", "in b.jsonl"]


def test_without_faults_nothing_is_made(records: Path) -> None:
    assert quarantine(records, []) == []
    assert os.listdir(records.parent) == ["records"]


def test_of_a_line_that_is_too_long_the_beginning_is_kept(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST", 100_000)
    data = b"\0" + b"x" * 200_000
    (records / "s.jsonl").write_bytes(data + b"\n")
    quarantine(records, faults_of(records))
    (entry,) = kept(records)
    assert (entry["cut"], entry["length"], entry["text"]) == (True, 200_001, "x" * (64 << 10))
    assert entry["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_file_that_shrank_meanwhile_is_no_reason_to_stop(records: Path) -> None:
    (records / "s.jsonl").write_text("one\ntwo\n")
    faults = faults_of(records)
    (records / "s.jsonl").write_text("")
    assert quarantine(records, faults) == faults


def test_what_cannot_be_kept_is_told(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (records / "s.jsonl").write_text("one\n")
    (records.parent / "quarantine").touch()
    with pytest.raises(RecordError, match="quarantine: bad lines can't be kept here: File exists"):
        quarantine(records, faults_of(records))
    (records.parent / "quarantine").unlink()
    (records.parent / "quarantine").mkdir()

    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RecordError, match=r"s\.jsonl: can't be written: No space left on device \(\d+ free\)"):
        quarantine(records, faults_of(records))
    assert (records.parent / "quarantine" / "s.jsonl").read_bytes() == b""


LINES = st.one_of(
    st.integers(0, 50),
    st.binary(max_size=20).filter(
        lambda line: b"\n" not in line and line.strip(b"\0 \t\r\v\f") not in (b"", b"\xef\xbb\xbf")
    ),
)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(content=st.lists(LINES, max_size=8), torn=st.integers(0, 400))
def test_each_line_is_a_record_or_kept_as_it_is(
    records: Path, make_record: MakeRecord, content: list[int | bytes], torn: int
) -> None:
    whole = [json.dumps(make_record(x)).encode() if isinstance(x, int) else x for x in content]
    # Of the last line, some is missing. What lacks its line end only is whole.
    tail = json.dumps(make_record(99)).encode()[:torn]
    data = b"".join(line + b"\n" for line in whole) + tail
    path = records / "s.jsonl"
    path.write_bytes(data)
    for old in (records.parent / "quarantine").glob("*.jsonl"):
        old.unlink()
    faults: list[Fault] = []
    read = list(read_records(records, on_fault=faults.append))
    assert [record["params"]["x"] for record in read] == list(dict.fromkeys(x for x in content if isinstance(x, int)))
    quarantine(records, faults)
    assert path.read_bytes() == data
    bad = [line for x, line in zip(content, whole, strict=True) if isinstance(x, bytes)] + [tail] * bool(tail)
    entries = kept(records) if bad else []
    assert [entry["sha256"] for entry in entries] == [hashlib.sha256(line).hexdigest() for line in bad]
    for entry, line in zip(entries, bad, strict=True):
        copy = entry["text"].encode() if "text" in entry else base64.b64decode(entry["base64"])
        before, after = entry.get("zeros", (0, 0))
        assert bytes(before) + copy + bytes(after) == line
        assert data[entry["offset"] :][: entry["length"]] == line
        assert entry["line"] == data[: entry["offset"]].count(b"\n") + 1


def test_the_terminal_is_told_a_few(tmp_path: Path) -> None:
    path = tmp_path / "results" / "c" / "records" / "s.jsonl"
    newer = [Fault(path, line, line, 1, "schema 2 is newer", "2") for line in (1, 2, 3)]
    bad = [Fault(path, line, line, 1, "not JSON") for line in range(4, 12)]
    assert fault_lines([], tmp_path) == []
    place = "results/c/records/s.jsonl"
    assert fault_lines([*newer, *bad], tmp_path) == [
        f"{place}:1: schema 2 is newer (and 2 more of this file); kept in quarantine/s.jsonl",
        *(f"{place}:{n}: not JSON; kept in quarantine/s.jsonl" for n in (4, 5, 6, 7)),
        "4 more lines of records can't be read; kept in quarantine/",
    ]
    # A fault that is found twice, before the run and in it, is one.
    assert fault_lines([bad[0], bad[0]], "/elsewhere") == [f"{path}:4: not JSON; kept in quarantine/s.jsonl"]


def test_names_of_files_cannot_play_with_the_terminal(tmp_path: Path) -> None:
    (line,) = fault_lines([Fault(tmp_path / "a\x1b[2J\n.jsonl", 1, 0, 1, "not JSON")], tmp_path)
    assert line == r"a\x1b[2J\n.jsonl:1: not JSON; kept in quarantine/a\x1b[2J\n.jsonl"
