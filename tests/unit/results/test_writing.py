from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.errors import RecordError
from pytest_execo.results import Record, RecordWriter, Trial, check_writable, read_records
from pytest_execo.results.writing import append_lines, is_disk_fault, is_held

MakeRecord = Callable[..., Record]


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


def test_a_cut_tail_does_not_spoil_the_next_record(tmp_path: Path, make_record: MakeRecord) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text('{"schema": "pytest-exe')
    with RecordWriter(path) as writer:
        writer.write(make_record(1))
    assert list(read_records(tmp_path, on_fault=lambda fault: None)) == [make_record(1)]
    assert path.read_text().startswith('{"schema": "pytest-exe\n{"')


def test_a_file_is_held_from_the_first_record_to_the_end(tmp_path: Path, make_record: MakeRecord) -> None:
    writer = RecordWriter(tmp_path / "s.jsonl")
    writer.write(make_record(1))
    descriptor = os.open(writer.path, os.O_RDONLY)
    try:
        assert is_held(descriptor)
        writer.close()
        assert not is_held(descriptor)
        writer.write(make_record(2))
        assert is_held(descriptor)
    finally:
        writer.close()
        os.close(descriptor)


def test_a_reader_that_looks_just_then_delays_the_lock_only(tmp_path: Path, make_record: MakeRecord) -> None:
    import fcntl

    path = tmp_path / "s.jsonl"
    path.touch()
    with path.open() as reader, RecordWriter(path) as writer:
        fcntl.flock(reader, fcntl.LOCK_SH)
        writer.write(make_record(1))
        fcntl.flock(reader, fcntl.LOCK_UN)
        assert not is_held(reader.fileno())
        writer.write(make_record(2))
        assert is_held(reader.fileno())


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
def test_a_limit_on_files_leaves_no_half_line(tmp_path: Path, room: int) -> None:
    path = tmp_path / "s.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(path), str(room)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{path}: the record can't be written: File too large\n"
    assert path.read_text() == '{"line": 1}\n{"line": 3}\n'


def test_a_device_without_room_is_a_record_error(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").symlink_to("/dev/full")
    with (
        RecordWriter(tmp_path / "s.jsonl") as writer,
        pytest.raises(RecordError, match=r"No space left on device \(3 bytes needed, \d+ free\)$"),
    ):
        writer.write({})


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EDQUOT, r"Disk quota exceeded \(\d+ bytes needed\)"), (errno.EROFS, "Read-only file")]
)
def test_a_disk_that_stops_in_the_middle_of_a_line(
    tmp_path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    real = os.write
    left = 10

    def write(descriptor: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(code, os.strerror(code))
        part, left = data[:left], 0
        return real(descriptor, part)

    with RecordWriter(tmp_path / "s.jsonl") as writer:
        writer.write(make_record(1))
        before = writer.path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            with pytest.raises(RecordError, match=f"the record can't be written: {words}"):
                writer.write(make_record(2))
        assert not left
        assert writer.path.read_bytes() == before
        writer.write(make_record(3))
    assert list(read_records(tmp_path)) == [make_record(1), make_record(3)]


def test_a_record_that_does_not_reach_the_disk_is_taken_back(
    tmp_path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing: list[int] = []

    def fsync(descriptor: int) -> None:
        failing.append(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with RecordWriter(tmp_path / "s.jsonl") as writer:
        writer.write(make_record(1))
        before = writer.path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(RecordError, match="the record can't be written: Input/output error"):
                writer.write(make_record(2))
        assert failing
        assert writer.path.read_bytes() == before
        # The kernel has forgotten what it could not write: the same record is written anew, not synced again.
        written: list[Any] = []
        real = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: written.append(data) or real(fd, data))
        writer.write(make_record(2))
    assert len(written) == 1
    assert list(read_records(tmp_path)) == [make_record(1), make_record(2)]


def test_a_record_cut_by_ctrl_c_is_taken_back(
    tmp_path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        raise KeyboardInterrupt

    with RecordWriter(tmp_path / "s.jsonl") as writer:
        writer.write(make_record(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(KeyboardInterrupt):
                writer.write(make_record(2))
    assert list(read_records(tmp_path)) == [make_record(1)]


def test_a_removed_file_is_told(tmp_path: Path, make_record: MakeRecord) -> None:
    with RecordWriter(tmp_path / "s.jsonl") as writer:
        writer.write(make_record(1))
        writer.path.unlink()
        with pytest.raises(RecordError, match="the file was removed"):
            writer.write(make_record(2))


def test_room_is_asked_for_before_a_trial(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / "records" / "s.jsonl")
    writer.check_room()
    with pytest.raises(RecordError, match=rf"{writer.path}: no room for the next record: {1 << 62} bytes needed, \d+"):
        writer.check_room(1 << 62)
    assert list(tmp_path.iterdir()) == []
    if Path("/sys").is_mount():  # says that it has no blocks at all: nothing can be known
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "ST_RDONLY", 0)
            RecordWriter("/sys/s.jsonl").check_room()


def test_what_is_writable_is_tried_and_nothing_stays(tmp_path: Path) -> None:
    check_writable(tmp_path)
    check_writable(tmp_path / "not" / "yet")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RecordError, match=r"^/proc is not writable: "):
        check_writable("/proc/campaign")


def test_faults_of_the_disk_are_told_from_those_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(source: Path, code: int) -> bool:
        def copy(*args: object, **options: object) -> None:
            raise OSError(code, os.strerror(code), "file")

        def copy_tree(*args: object, **options: object) -> None:  # it goes on, and raises what it gathered
            raise shutil.Error([("a", "b", str(OSError(code, os.strerror(code), "a")))])

        monkeypatch.setattr(shutil, "copy2", copy)
        monkeypatch.setattr(shutil, "copytree", copy_tree)
        trial = Trial(id="0" * 16, test="t", params={}, repetition=0, attempt=1, directory=tmp_path / "trials" / "t")
        with pytest.raises(RecordError) as caught:
            trial.attach(source)
        return is_disk_fault(caught.value)

    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "file").touch()
    for source in (tmp_path / "directory" / "file", tmp_path / "directory"):
        assert fault(source, errno.ENOSPC)
        assert fault(source, errno.EROFS)
        assert not fault(source, errno.EACCES)
    assert not is_disk_fault(RecordError("something else"))


def test_lines_are_appended_all_or_none(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    append_lines(path, [b"a\n", b"b\n"])

    def broken() -> Any:
        yield b"c\n"
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(RecordError, match="can't be written: Input/output error"):
        append_lines(path, broken())
    assert path.read_bytes() == b"a\nb\n"
