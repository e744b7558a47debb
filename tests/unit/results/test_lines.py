from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_execo.results import lines
from pytest_execo.results.lines import Line, count_lines, scan


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


def content(descriptor: int, data: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(st.sampled_from([b"\n", b"\0", b"\0\0\0", b"a", b"\xff", b"bcd"])).map(b"".join),
    block=st.integers(1, 5),
)
def test_no_byte_is_lost_or_moved_wherever_blocks_end(descriptor: int, data: bytes, block: int) -> None:
    content(descriptor, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_BLOCK", block)
        patch.setattr(lines, "_ZEROS", bytes(block))
        found = list(scan(descriptor, 0))
        assert count_lines(descriptor, len(data)) == data.count(b"\n")
    assert b"".join(data[line.offset : line.end] for line in found) == data
    for line in found:
        whole = data[line.offset : line.offset + line.length]
        assert line.content is not None
        assert whole == bytes(line.zeros_before) + line.content + bytes(line.zeros_after)
        assert line.content == whole.strip(b"\0")
        assert b"\n" not in whole
    assert [line.ended for line in found] == [True] * data.count(b"\n") + [False] * (data[-1:] not in (b"", b"\n"))


def test_reading_begins_where_it_is_told(descriptor: int) -> None:
    content(descriptor, b"one\ntwo\nthr")
    assert list(scan(descriptor, 4)) == [Line(4, 3, b"two", 0, 0, True), Line(8, 3, b"thr", 0, 0, False)]
    assert list(scan(descriptor, 11)) == []


def test_a_line_that_is_too_long_is_measured_and_not_kept(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST", 10)
    content(descriptor, b"\0" + b"x" * 11 + b"\0\0\n" + b"y" * 10 + b"\n" + b"a" + b"\0" * 50 + b"b")
    assert list(scan(descriptor, 0)) == [
        Line(0, 14, None, 1, 2, True),
        Line(15, 10, b"yyyyyyyyyy", 0, 0, True),
        Line(26, 52, None, 0, 0, False),
    ]


@pytest.mark.slow
def test_gigabytes_of_nothing_take_no_memory(descriptor: int) -> None:
    os.pwrite(descriptor, b"{}\n", 0)
    os.pwrite(descriptor, b"\n", 1 << 30)  # a hole between them: zero bytes without a disk
    tracemalloc.start()
    try:
        found = list(scan(descriptor, 0))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [Line(0, 2, b"{}", 0, 0, True), Line(3, (1 << 30) - 3, b"", (1 << 30) - 3, 0, True)]
    assert peak < 8 << 20


@pytest.mark.slow
def test_garbage_without_an_end_takes_bounded_memory(descriptor: int) -> None:
    block = b"x" * (1 << 20)
    for _ in range(200):
        os.write(descriptor, block)
    tracemalloc.start()
    try:
        (line,) = scan(descriptor, 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (line.length, line.content) == (200 << 20, None)
    assert peak < lines.LONGEST + (8 << 20)
