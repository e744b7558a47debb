"""What can be told of a stream, each kind by itself; how they are called is in test_handlers.py."""

from __future__ import annotations

import errno
import io
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo import InvalidInput, Process
from pytest_execo.processes import targets as module
from pytest_execo.processes.targets import OnBytes, OnLines, Sink, callables, sinks

PROCESS: Any = "p"


def sink(target: Any) -> Sink:
    (only,) = sinks(PROCESS, "stdout", target)
    return only


def told(target: Any, *pieces: bytes) -> None:
    """Give it a whole stream."""
    told = sink(target)
    told.open()
    for piece in pieces:
        told.feed(piece)
    told.end()
    told.close()


def cut(data: st.DataObject, came: bytes) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(came)), max_size=6)))
    return [came[start:end] for start, end in zip([0, *cuts], [*cuts, len(came)], strict=True)]


bytes_of_lines = st.lists(
    st.sampled_from([b"a", b"\r", b"\n", b"\xc3", b"\xa4", b"\xf0\x9d\x84", b"\x9e", b"\xff"])
).map(b"".join)


# laws


@pytest.mark.slow
@settings(deadline=None)
@given(bytes_of_lines, st.data())
def test_lines_are_those_of_the_stream(came: bytes, data: st.DataObject) -> None:
    lines: list[str] = []
    told(lambda process, stream, line: lines.append(line), *cut(data, came))
    *whole, rest = came.decode("utf-8", "replace").split("\n")
    assert lines == [line.removesuffix("\r") for line in whole] + ([rest] if rest else [])


@pytest.mark.slow
@settings(deadline=None)
@given(bytes_of_lines, st.data())
def test_pieces_and_files_have_all_the_bytes(came: bytes, data: st.DataObject) -> None:
    pieces: list[bytes] = []
    binary, text = io.BytesIO(), io.StringIO(newline="")
    for target in (OnBytes(lambda process, stream, piece: pieces.append(piece)), binary, text):
        told(target, *cut(data, came))
    assert b"".join(pieces) == binary.getvalue() == came
    assert text.getvalue() == came.decode("utf-8", "replace")


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.integers(1, 40), max_size=10), st.data())
def test_a_line_without_end_is_given_in_parts_that_make_it_up(lengths: list[int], data: st.DataObject) -> None:
    came = b"\n".join(b"x" * length for length in lengths)
    parts: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LONGEST_LINE", 8)
        told(lambda process, stream, line: parts.append(line), *cut(data, came))
    assert "".join(parts) == "x" * sum(lengths)
    assert len(parts) >= len(lengths)


# callables


def test_a_callable_gets_process_stream_and_line() -> None:
    got: list[object] = []
    told(lambda *arguments: got.append(arguments), b"1\n2")
    told(OnLines(lambda *arguments: got.append(arguments)), b"3\r\n")
    told(OnBytes(lambda *arguments: got.append(arguments)), b"4\n")
    assert got == [("p", "stdout", "1"), ("p", "stdout", "2"), ("p", "stdout", "3"), ("p", "stdout", b"4\n")]


def test_an_object_that_can_be_called() -> None:
    class Counter:
        lines = 0

        def __call__(self, process: object, stream: str, line: str) -> None:
            self.lines += 1

    told(counter := Counter(), b"1\n\n3\n")
    assert counter.lines == 3


def test_inline_is_what_was_asked_for() -> None:
    assert [sink(kind(print, inline=inline)).inline for kind in (OnLines, OnBytes) for inline in (True, False)] == [
        True,
        False,
        True,
        False,
    ]
    assert not sink(print).inline


def test_what_a_callable_raises_comes_out() -> None:
    def bad(*_: object) -> None:
        raise LookupError("bad")

    with pytest.raises(LookupError, match="bad"):
        told(bad, b"x\n")


# paths


def test_a_path_is_made_and_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    told(path, b"1\n", b"\xff")
    told(str(path), b"", b"2")
    assert path.read_bytes() == b"1\n\xff2"
    assert path.stat().st_mode & 0o111 == 0


def test_nothing_is_open_before_and_after(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    target = sink(tmp_path / "log")
    assert not (tmp_path / "log").exists()
    target.feed(b"too early")  # of a process that never started
    target.end()
    target.close()
    target.close()
    assert os.listdir("/proc/self/fd") == before
    assert not (tmp_path / "log").exists()


def test_processes_that_share_a_file_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "log"
    piece = 4096

    def feed(letter: bytes) -> None:
        told(path, *[letter * piece] * 20)

    threads = [threading.Thread(target=feed, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    written = path.read_bytes()
    pieces = {written[at : at + piece] for at in range(0, len(written), piece)}
    assert (len(written), pieces) == (60 * piece, {b"a" * piece, b"b" * piece, b"c" * piece})


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, number in (
        (tmp_path / "no" / "log", errno.ENOENT),
        (tmp_path, errno.EISDIR),
        (tmp_path / "pipe", errno.ENXIO),
    ):
        with pytest.raises(OSError, match="Errno") as caught:  # and does not wait for a reader
            sink(path).open()
        assert caught.value.errno == number


def test_a_named_pipe_that_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with open(os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as reader:
        told(tmp_path / "pipe", b"x")
        assert reader.read() == b"x"


# file objects


class Partial(io.RawIOBase):
    """A raw file that takes little at a time."""

    def __init__(self) -> None:
        self.got = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.got += bytes(data[:3])
        return len(data[:3])


def test_a_raw_file_gets_everything() -> None:
    told(raw := Partial(), b"0123456789")
    assert raw.got == b"0123456789"


class Duck:
    """No class of io's; for text or for bytes, as it says."""

    def __init__(self, empty: Any) -> None:
        self.got = empty
        self.flushed = 0

    def write(self, data: Any) -> None:
        self.got += data

    def flush(self) -> None:
        self.flushed += 1


@pytest.mark.parametrize(("empty", "expected"), [("", "1\n€"), (b"", b"1\n\xe2\x82\xac")])
def test_what_a_file_takes_is_found_out(empty: Any, expected: Any) -> None:
    told(duck := Duck(empty), b"1\n\xe2", b"\x82", b"\xac")
    assert (duck.got, duck.flushed) == (expected, 1)


def test_a_file_is_not_closed(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        told(file, b"x")
        told(file, b"y\xc3")
        assert not file.closed
        assert (tmp_path / "log").read_text() == "xy\N{REPLACEMENT CHARACTER}"


# queues


@pytest.mark.parametrize("make", [queue.Queue, queue.SimpleQueue, queue.LifoQueue])
def test_a_queue_gets_lines_and_the_end(make: Callable[[], Any]) -> None:
    items = make()
    told(items, b"1\n2")
    got = [items.get_nowait() for _ in range(items.qsize())]
    assert sorted(got, key=str) == sorted([("p", "stdout", "1"), ("p", "stdout", "2"), ("p", "stdout", None)], key=str)


def test_a_queue_of_pieces() -> None:
    items: queue.SimpleQueue[Any] = queue.SimpleQueue()
    told(OnBytes(items), b"1\n", b"2")
    assert [items.get_nowait()[2] for _ in range(3)] == [b"1\n", b"2", None]


# several, and none


def test_one_several_and_none() -> None:
    assert sinks(PROCESS, "stdout", None) == sinks(PROCESS, "stdout", ()) == []
    three = sinks(PROCESS, "stderr", [print, "log", OnBytes(print)])
    assert [one.target for one in three] == [print, "log", print]
    assert len(sinks(PROCESS, "stdout", (print, print))) == 2


async def coroutine(*_: object) -> None: ...


class Awaited:
    async def __call__(self, *_: object) -> None: ...

    async def put(self, _: object) -> None: ...


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (3, "3 is not a target; give a callable, a path, a file object, a queue, OnLines or OnBytes"),
        (b"log", "b'log' is not a target"),
        (Path, "<class '.*Path'> is not a target"),
        ([["nested"]], r"\['nested'\] is not a target"),
        ({"a", "b"}, "is not a target"),
        ("", "'' is not the path of a file to append to"),
        ("a\0", "is not the path"),
        (coroutine, "is a coroutine function"),
        (OnBytes(Awaited().__call__), "is a coroutine function"),
        (OnLines(Awaited()), "is a queue for one event loop alone; give a queue.Queue"),
        (OnLines(3), r"3 is not callable; give a function handler\(process, stream, line\)"),
        (OnBytes("x"), r"'x' is not callable; give a function handler\(process, stream, data\)"),
    ],
)
def test_what_is_no_target(target: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=f"^stdout: .*{words}"):
        sinks(PROCESS, "stdout", target)


def test_callables() -> None:
    assert callables("on_end", None, "process") == ()
    assert callables("on_end", print, "process") == (print,)
    assert callables("on_end", iter([print, repr]), "process") == (print, repr)
    for bad in (3, "print", ["print"], [None]):
        with pytest.raises(InvalidInput, match=r"on_end: .* is not callable; give a function handler\(process\)"):
            callables("on_end", bad, "process")
    with pytest.raises(InvalidInput, match="coroutine"):
        callables("on_end", [print, Awaited()], "process")


# of a process


def test_all_kinds_at_once(tmp_path: Path) -> None:
    lines: list[tuple[str, str]] = []
    pieces: list[bytes] = []
    items: queue.SimpleQueue[Any] = queue.SimpleQueue()
    text = io.StringIO()
    p = Process(
        "printf 'ä\\nb'; echo e >&2",
        stdout_handlers=(
            lambda process, stream, line: lines.append((stream, line)),
            tmp_path / "out",
            text,
            items,
            OnBytes(lambda process, stream, piece: pieces.append(piece), inline=True),
        ),
        stderr_handlers=lambda process, stream, line: lines.append((stream, line)),
    ).run()
    assert sorted(lines) == [("stderr", "e"), ("stdout", "b"), ("stdout", "ä")]
    assert (tmp_path / "out").read_text() == text.getvalue() == b"".join(pieces).decode() == p.stdout == "ä\nb"
    assert [items.get_nowait() for _ in range(3)] == [(p, "stdout", "ä"), (p, "stdout", "b"), (p, "stdout", None)]


def test_one_that_fails_makes_the_process_fail_and_lets_it_end(tmp_path: Path) -> None:
    p = Process("echo 1; echo 2", stdout_handlers=("/dev/full", tmp_path / "log"), log=False).run(check=False)
    assert isinstance(p.handler_error, OSError)
    assert (p.exit_code, p.ok, p.outcome()) == (0, False, "handler failed")
    assert (tmp_path / "log").read_text() == p.stdout == "1\n2\n"
    p = Process("echo 1", stdout_handlers=tmp_path, log=False).run(check=False)
    assert isinstance(p.error, InvalidInput)
    assert "Is a directory" in str(p.error)
    assert p.pid is None
