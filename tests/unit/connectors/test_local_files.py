"""The files of this machine: what only they do. What all file channels do is in tests/integration."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pytest_execo.connectors.local_files import LocalFiles
from pytest_execo.errors import TransferFailed

T = TypeVar("T")

MIB = 1 << 20


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(coroutine, 20)

    return asyncio.run(bounded())


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def descriptors() -> set[str]:
    """Return what this process has open."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
    return found


def test_relative_paths_start_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(LocalFiles().write("file", pieces_of(b"here")))
    assert (tmp_path / "file").read_bytes() == b"here"
    assert run(LocalFiles().list("")) == run(LocalFiles().list(".")) == ["file"]


def test_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    run(LocalFiles().write("~/file", pieces_of(b"home")))
    assert (tmp_path / "file").read_bytes() == b"home"
    assert run(LocalFiles().list("~")) == ["file"]
    # Other people's homes are not looked up: nobody does so on a host either.
    assert run(LocalFiles().stat("~root")) is None


def test_dates_to_the_microsecond(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    run(LocalFiles().set_attributes(str(path), mode=0o600, mtime=1_000_000_000.123456, atime=5.5))
    assert path.stat().st_mtime == pytest.approx(1_000_000_000.123456, abs=1e-6)
    assert path.stat().st_atime == 5.5


def test_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    entry = run(LocalFiles().stat(pipe))
    assert entry is not None
    assert entry.kind == "other"
    with pytest.raises(TransferFailed, match="pipe"):
        run(LocalFiles().write(pipe, pieces_of(b"x")))


def test_a_nul_is_an_error_like_others() -> None:
    with pytest.raises(TransferFailed, match="null"):
        run(LocalFiles().list("a\0b"))


def test_messages_are_one_line() -> None:
    with pytest.raises(TransferFailed) as caught:
        run(LocalFiles().list("/no/such\n\udcff"))
    assert caught.value.host == "localhost"
    assert str(caught.value) == "localhost: transfer failed: '/no/such\\n\\udcff': No such file or directory"


def test_a_reader_that_is_left_early_holds_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * MIB))

    async def read_one() -> int:
        async with contextlib.aclosing(LocalFiles().read(str(path))) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                return len(piece)
        return 0

    assert 0 < run(read_one()) <= MIB
    assert str(path) not in descriptors()


def test_given_up_between_two_pieces(tmp_path: Path) -> None:
    path = tmp_path / "file"

    async def give_up() -> None:
        first = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(MIB)
                first.set()

        writing = asyncio.ensure_future(LocalFiles().write(str(path), endless()))
        await first.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        size = path.stat().st_size
        await asyncio.sleep(0)
        assert path.stat().st_size == size >= MIB

    run(give_up())
    assert str(path) not in descriptors()


def test_an_open_that_comes_too_late_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The open itself hangs, as on a network file system, until we have given up.
    path = tmp_path / "file"
    real, under_way, go_on = os.open, threading.Event(), threading.Event()

    def slow_open(*arguments: Any) -> int:
        under_way.set()
        go_on.wait(20)
        return real(*arguments)

    async def give_up() -> None:
        writing = asyncio.ensure_future(LocalFiles().write(str(path), pieces_of(b"x")))
        await asyncio.to_thread(under_way.wait, 20)
        writing.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await writing

    monkeypatch.setattr(os, "open", slow_open)
    run(give_up())
    assert path.exists()
    assert str(path) not in descriptors()
