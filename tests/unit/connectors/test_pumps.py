"""Bytes between descriptors and callbacks: in order, complete, and never more than the bound."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.connectors.pumps import HIGH_WATER, LOW_WATER, WINDOW, Reader, Writer


def _with_pipe(test: Callable[[int, int], Awaitable[None]]) -> None:
    async def main() -> None:
        read, write = os.pipe()
        try:
            await asyncio.wait_for(test(read, write), 20)
        finally:
            for fd in (read, write):
                with contextlib.suppress(OSError):
                    os.close(fd)

    asyncio.run(main())


async def _drain(read: int, size: int) -> bytes:
    """Read ``size`` bytes as they come."""
    os.set_blocking(read, False)
    received = b""
    while len(received) < size:
        try:
            received += os.read(read, 65536)
        except BlockingIOError:
            await asyncio.sleep(0)
    return received


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 200_000), max_size=8))
def test_everything_arrives_in_order(sizes: list[int]) -> None:
    async def test(read: int, write: int) -> None:
        parts = [bytes([number]) * size for number, size in enumerate(sizes)]
        done = asyncio.Event()
        writer = Writer(write, lambda: None, lambda: None)
        for part in parts:
            writer.write(part)
        writer.finish(done.set)
        assert await _drain(read, sum(sizes)) == b"".join(parts)
        await done.wait()

    _with_pipe(test)


def test_a_writer_asks_for_a_pause_and_takes_it_back() -> None:
    async def test(read: int, write: int) -> None:
        calls: list[str] = []
        resumed = asyncio.Event()
        writer = Writer(write, lambda: calls.append("pause"), resumed.set)
        size = HIGH_WATER + 128 * 1024
        writer.write(bytes(size))
        assert calls == ["pause"]
        await _drain(read, size)
        await resumed.wait()
        assert calls == ["pause"]

    _with_pipe(test)


def test_there_is_room_for_a_window_between_resume_and_pause() -> None:
    # What a channel holds while it is paused has to fit, or asyncssh takes more each time.
    assert LOW_WATER + WINDOW <= HIGH_WATER


def test_a_broken_pipe_is_not_an_error() -> None:
    async def test(read: int, write: int) -> None:
        done: list[bool] = []
        writer = Writer(write, lambda: None, lambda: None)
        os.close(read)
        writer.write(b"nobody reads this")
        writer.write(bytes(HIGH_WATER * 2))
        writer.finish(lambda: done.append(True))
        assert done == [True]

    _with_pipe(test)


def test_a_paused_reader_leaves_everything_in_the_pipe() -> None:
    async def test(read: int, write: int) -> None:
        received: list[bytes] = []
        ended = asyncio.Event()
        reader = Reader(read, received.append, ended.set)
        reader.pause()
        os.write(write, b"abc")
        for _ in range(5):
            await asyncio.sleep(0)
        assert received == []
        reader.resume()
        os.close(write)
        await ended.wait()
        assert b"".join(received) == b"abc"
        assert not reader.open

    _with_pipe(test)
