"""What is kept of a stream, against a model that keeps everything."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.errors import InvalidInput
from pytest_execo.processes import output as module
from pytest_execo.processes.output import MEMORY, Output

pieces = st.lists(st.binary(max_size=70), max_size=30)
keeps = st.integers(0, 300)


@contextlib.contextmanager
def memory(size: int) -> Iterator[None]:
    """Have streams go to a file after ``size`` bytes, so that small examples get there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MEMORY", size)
        yield


@contextlib.contextmanager
def disk_full_after(size: int) -> Iterator[None]:
    """Have no file grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fed(keep: int, *pieces: bytes) -> Output:
    output = Output(keep)
    for piece in pieces:
        output.feed(piece)
    return output


def model(keep: int, data: bytes) -> tuple[bytes, int, bytes]:
    """Head, number of bytes lost, tail."""
    if len(data) <= keep:
        return data, 0, b""
    head = keep // 2
    return data[:head], len(data) - keep, data[len(data) - (keep - head) :]


def check(output: Output, keep: int, data: bytes) -> None:
    head, lost, tail = model(keep, data)
    assert (output.read(), output.lost, output.size) == (head + tail, lost, len(data))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
@settings(deadline=None)
@given(keeps, pieces)
def test_head_and_tail_are_kept(keep: int, pieces: list[bytes]) -> None:
    with memory(64):
        output = Output(keep)
        came = b""
        for piece in pieces:
            output.feed(piece)
            came += piece
            check(output, keep, came)
        output.discard()


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(0, 100), pieces)
def test_without_a_temporary_directory_it_goes_on_in_memory(keep: int, pieces: list[bytes]) -> None:
    with memory(64), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", "/no/such/directory")
        output = fed(keep, *pieces)
    came = b"".join(pieces)
    fits = keep if keep <= 64 or len(came) <= 64 else 64
    check(output, fits, came)


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(65, 300), st.integers(0, 300), pieces)
def test_with_a_full_disk_it_goes_back_to_memory(keep: int, room: int, pieces: list[bytes]) -> None:
    with memory(64), disk_full_after(room):
        output = fed(keep, *pieces)
    came = b"".join(pieces)
    needed = min(keep, len(came))
    check(output, keep if needed <= 64 or needed <= room else 64, came)
    output.discard()


@pytest.mark.slow
@settings(deadline=None)
@given(keeps, pieces, st.integers(0, 300), st.integers(0, 300))
def test_parts_of_a_stream(keep: int, pieces: list[bytes], position: int, limit: int) -> None:
    came = b"".join(pieces)
    head, lost, _ = model(keep, came)
    kept = set(range(len(head))) | set(range(len(head) + lost, len(came)))
    with memory(64):
        output = fed(keep, *pieces)

        start, data = output.since(position, limit)
        assert data == came[start:]
        if position <= len(came) and kept >= set(range(position, len(came))) and len(came) - position <= limit:
            assert start == position
        elif position <= len(came):
            last = len(came) - limit
            assert start == max(last, len(head) + lost if lost else 0, position)

        start, data = output.after(position, limit)
        assert data == came[start : start + len(data)]
        assert len(data) <= limit
        assert not any(skipped in kept for skipped in range(position, start))
        whole = len(data) == limit or start + len(data) >= len(came)
        assert whole or start + len(data) not in kept
        output.discard()


@pytest.mark.parametrize(
    ("keep", "text"),
    [(1000, "0123456789äöü"), (8, "0123\n[… 8 bytes lost …]\nöü"), (0, "\n[… 16 bytes lost …]\n")],
)
def test_text_says_how_much_is_lost(keep: int, text: str) -> None:
    assert fed(keep, "0123456789äöü".encode()).text() == text


def test_text_that_is_not_utf_8() -> None:
    assert fed(100, b"a\xffb\xc3").text() == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    # The head ends within a character, and nothing is lost.
    assert fed(6, b"ab\xc3", b"\xa4cd").text() == "abäcd"


@pytest.mark.parametrize(
    ("keep", "limit", "text"),
    [
        (1000, 10, "äöü0123\n[… 2 bytes …]\n6789äöü"),
        (1000, 11, "äöü0123456789äöü"),
        (1000, 3, "ä\n[… 18 bytes …]\nü"),
        (10, 100, "äö\n[… 14 bytes …]\nöü"),
        (0, 100, "\n[… 22 bytes …]\n"),
    ],
)
def test_an_excerpt_cuts_no_character(keep: int, limit: int, text: str) -> None:
    assert fed(keep, "äöü0123456789äöü".encode()).excerpt(limit) == text


def test_a_negative_keep_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"keep: -1 .* 0 keeps nothing"):
        Output(-1)


def test_memory_is_bounded_and_the_file_is_not_opened_before() -> None:
    before = descriptors()
    piece = bytes(64 * 1024)
    tracemalloc.start()
    output = fed(4 * MEMORY, *[piece] * 16)
    assert descriptors() == before
    for _ in range(100):
        output.feed(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert descriptors() == before + 1
    assert peak < 2.5 * MEMORY
    assert (output.lost, len(output.read())) == (116 * len(piece) - 4 * MEMORY, 4 * MEMORY)
    output.discard()
    assert descriptors() == before
    assert (output.read(), output.size, output.lost) == (b"", 116 * len(piece), 116 * len(piece))


def test_the_file_goes_with_the_output() -> None:
    before = descriptors()
    output = fed(4 * MEMORY, bytes(2 * MEMORY))
    assert descriptors() == before + 1
    del output
    gc.collect()
    assert descriptors() == before


def test_nothing_is_in_the_temporary_directory(tmp_path: os.PathLike[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", os.fspath(tmp_path))
        output = fed(4 * MEMORY, bytes(2 * MEMORY))
        assert os.listdir(tmp_path) == []
        output.discard()


def test_reading_while_it_is_fed_sees_one_moment() -> None:
    # Each byte tells its position, so that a seam in the wrong place would show.
    pattern = bytes(range(251)) * 251
    with memory(1024):
        output = Output(200_000)
        stop = threading.Event()

        def feed() -> None:
            while not stop.is_set():
                output.feed(pattern)

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            output.wait_beyond(1_000_000, None)
            for _ in range(20):
                kept = output.read()
                head, tail = kept[:100_000], kept[100_000:]
                assert head == (pattern * 2)[:100_000]
                # Where the feeder was faster than the reader, less of the tail is left, or none.
                assert not tail or tail == (pattern * 3)[tail[0] : tail[0] + len(tail)]
        finally:
            stop.set()
            feeder.join()
            output.discard()


def in_thread(function: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    return thread, results


def watched(output: Output) -> bool:
    return bool(output._waking)  # whether somebody waits: nothing else tells


def test_waiting_ends_with_more_output(eventually: Callable[..., None]) -> None:
    output = fed(10, b"abc")
    assert output.wait_beyond(2, None)
    thread, results = in_thread(lambda: output.wait_beyond(4, None))
    eventually(lambda: watched(output))
    output.feed(b"d")
    output.feed(b"e")
    thread.join(10)
    assert results == [True]
    assert not watched(output)


def test_waiting_ends_with_the_stream(eventually: Callable[..., None]) -> None:
    output = fed(10, b"abc")
    thread, results = in_thread(lambda: output.wait_beyond(3, None))
    eventually(lambda: watched(output))
    output.close()
    thread.join(10)
    assert results == [False]
    assert output.closed
    assert output.read() == b"abc"


def test_waiting_ends_with_the_deadline() -> None:
    output = fed(10, b"abc")
    began = time.monotonic()
    assert not output.wait_beyond(3, began - 1)
    assert not output.wait_beyond(3, began + 0.02)
    assert 0.02 <= time.monotonic() - began < 10
