"""Who is told what: everything, in order, off the I/O thread, and without harm when a handler is slow or fails.

The test's thread is the I/O thread here: what is to be called there is put into a queue that the test works off.
"""

from __future__ import annotations

import asyncio
import io
import logging
import multiprocessing
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.errors import InvalidInput
from pytest_execo.processes import handlers, targets
from pytest_execo.processes.dispatcher import Dispatcher
from pytest_execo.processes.handlers import Handlers, OnBytes, OnLines

MIB = 1024 * 1024


class Told:
    """A process's handlers, driven from the test's thread."""

    def __init__(self, dispatcher: Dispatcher, process: Any = "p", **options: Any) -> None:
        none: dict[str, Any] = {"stdout": None, "stderr": None, "on_start": None, "on_end": None}
        self.handlers = Handlers(process, dispatcher=dispatcher, **{**none, **options})
        self.calls: queue.SimpleQueue[tuple[Callable[..., object], tuple[object, ...]]] = queue.SimpleQueue()
        self.paused = False
        self.pauses = 0
        self.ended = False

    def open(self) -> Told:
        self.handlers.opened(self._pause, self._resume, lambda function, *args: self.calls.put((function, args)))
        return self

    def _pause(self) -> None:
        assert not self.paused
        self.paused = True
        self.pauses += 1

    def _resume(self) -> None:
        assert self.paused
        self.paused = False

    def feed(self, *pieces: bytes, stream: Any = "stdout") -> Told:
        for piece in pieces:
            self.handlers.received(stream, piece)
        return self

    def call_next(self) -> None:
        function, args = self.calls.get(timeout=10)
        function(*args)

    def end(self) -> Told:
        self.handlers.ended(lambda: setattr(self, "ended", True))
        while not self.ended:
            self.call_next()
        return self


@pytest.fixture
def dispatcher() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher()
    yield dispatcher
    dispatcher.close()


class Blocking:
    """A handler that waits in its first call until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.got: list[Any] = []

    def __call__(self, process: object, stream: str, item: Any) -> None:
        self.got.append(item)
        self.entered.set()
        assert self.go_on.wait(10)


# lines


def lines_of(data: bytes) -> list[str]:
    *lines, last = data.decode("utf-8", "replace").split("\n")
    return [line.removesuffix("\r") for line in lines] + ([last] if last else [])


@pytest.mark.slow
@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"\xc3", b"\xa4", b"\xe2\x82", b"\xac"]), max_size=30),
    st.data(),
)
def test_lines_do_not_depend_on_the_pieces(parts: list[bytes], data: st.DataObject) -> None:
    came = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(came)), max_size=5)))
    got: list[str] = []
    told = Told(Dispatcher(), stdout=OnLines(lambda process, stream, line: got.append(line), inline=True)).open()
    told.feed(*[came[start:end] for start, end in zip([0, *cuts], [*cuts, len(came)], strict=True)]).end()
    assert got == lines_of(came)


def test_a_line_that_does_not_end_comes_in_parts(dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "_LONGEST_LINE", 10)
    got: list[str] = []
    told = Told(dispatcher, stdout=OnLines(lambda process, stream, line: got.append(line), inline=True)).open()
    told.feed(b"12345", b"67890", b"1", b"2345\nab", b"cd").end()
    assert got == ["12345678901", "2345", "abcd"]


def test_order_and_arguments(dispatcher: Dispatcher) -> None:
    got: list[Any] = []
    told = Told(
        dispatcher,
        stdout=lambda *args: got.append(args),
        stderr=[OnBytes(lambda *args: got.append(args)), lambda *args: got.append(args)],
        on_start=[lambda p: got.append(("start", p)), lambda p: got.append(("start again", p))],
        on_end=lambda p: got.append(("end", p)),
    ).open()
    told.handlers.started()
    told.feed(b"1\n2").feed(b"3\n4", stream="stderr").feed(b"5\n").end()
    assert got == [
        ("start", "p"),
        ("start again", "p"),
        ("p", "stdout", "1"),
        ("p", "stderr", b"3\n4"),
        ("p", "stderr", "3"),
        ("p", "stdout", "25"),
        ("p", "stderr", "4"),
        ("end", "p"),
    ]


def test_nobody_to_tell(dispatcher: Dispatcher) -> None:
    before = threading.active_count()
    told = Told(dispatcher, stdout=(), on_end=[])
    assert not told.handlers.active
    assert told.open().feed(b"x").end().ended
    assert threading.active_count() == before


def test_one_call_at_a_time_for_a_process(dispatcher: Dispatcher) -> None:
    inside: set[int] = set()
    got: dict[int, list[str]] = {number: [] for number in range(20)}
    overlaps: list[int] = []

    def handler(number: int, stream: str, line: str) -> None:
        if number in inside:
            overlaps.append(number)
        inside.add(number)
        got[number].append(line)
        inside.discard(number)

    all_ = [Told(dispatcher, number, stdout=handler, stderr=handler).open() for number in got]
    for step in range(100):
        for told in all_:
            told.feed(b"%d\n" % step, stream="stderr" if step % 3 else "stdout")
    for told in all_:
        told.end()
    assert not overlaps
    assert all(lines == [str(step) for step in range(100)] for lines in got.values())


# where handlers run


def test_handlers_run_on_other_threads_unless_inline(dispatcher: Dispatcher) -> None:
    threads: dict[str, threading.Thread] = {}

    def note(name: str) -> Callable[..., None]:
        return lambda *_: threads.setdefault(name, threading.current_thread())

    inline = OnBytes(note("inline"), inline=True)
    told = Told(dispatcher, stdout=[note("lines"), inline], on_start=note("start"), on_end=note("end")).open()
    told.feed(b"x\n")
    assert threads["inline"] is threading.current_thread()
    told.handlers.started()
    told.end()
    assert {name for name, thread in threads.items() if thread is threading.current_thread()} == {"inline"}
    assert set(threads) == {"inline", "lines", "start", "end"}


def test_a_handler_knows_that_it_is_one(dispatcher: Dispatcher) -> None:
    here: list[bool] = []
    inline = OnLines(lambda *_: here.append(told.handlers.running_here()), inline=True)
    other = Told(dispatcher)
    told = Told(
        dispatcher,
        stdout=[inline, lambda *_: here.append(told.handlers.running_here())],
        on_end=lambda _: here.append(told.handlers.running_here() and not other.handlers.running_here()),
    ).open()
    told.feed(b"x\n").end()
    assert here == [True] * 3
    assert not told.handlers.running_here()


def test_a_slow_handler_holds_up_its_own_process_alone(dispatcher: Dispatcher) -> None:
    slow = Blocking()
    held = Told(dispatcher, stdout=slow).open().feed(b"x\n")
    assert slow.entered.wait(10)
    got: list[str] = []
    assert Told(dispatcher, stdout=lambda p, s, line: got.append(line)).open().feed(b"1\n", b"2\n").end().ended
    assert got == ["1", "2"]
    assert not held.ended
    slow.go_on.set()
    held.end()


def test_what_waits_for_a_slow_handler_is_bounded(dispatcher: Dispatcher) -> None:
    slow = Blocking()
    told = Told(dispatcher, stdout=OnBytes(slow)).open()
    piece = bytes(range(256)) * 256
    fed = 0
    while not told.paused:
        told.feed(piece)
        fed += len(piece)
        assert fed < 5 * MIB
    assert fed > 4 * MIB - len(piece)
    told.feed(b"on its way")  # what was read before the pause
    slow.go_on.set()
    while told.paused:
        told.call_next()
    told.feed(piece).end()
    assert b"".join(slow.got) == piece * (fed // len(piece)) + b"on its way" + piece
    assert told.pauses == 1


def test_a_pause_is_not_crossed_by_the_end_of_the_one_before(dispatcher: Dispatcher) -> None:
    slow = Blocking()
    told = Told(dispatcher, stdout=OnBytes(slow), on_end=lambda _: None).open()
    while not told.paused:
        told.feed(bytes(MIB))
    slow.go_on.set()
    function, args = told.calls.get(timeout=10)  # "go on", which comes late
    slow.go_on.clear()
    slow.entered.clear()
    told.feed(bytes(MIB))
    assert slow.entered.wait(10)
    told.feed(bytes(2 * MIB))
    function(*args)
    assert told.paused
    slow.go_on.set()
    while told.paused:
        told.call_next()
    assert told.end().pauses == 1


def test_tiny_pieces_are_told_together_when_they_have_to_wait(dispatcher: Dispatcher) -> None:
    slow = Blocking()
    told = Told(dispatcher, stdout=OnBytes(slow)).open().feed(b"first")
    assert slow.entered.wait(10)
    told.feed(*[b"x"] * 1000)
    slow.go_on.set()
    told.end()
    assert slow.got == [b"first", b"x" * 1000]


# files and queues


def test_paths_are_appended_to(dispatcher: Dispatcher, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    first, second = (Told(dispatcher, stdout=path, stderr=str(path)).open() for _ in range(2))
    first.feed(b"one\n")
    first.end()
    second.feed(b"two \xff", stream="stderr")
    second.end()
    assert path.read_bytes() == b"before\none\ntwo \xff"


def test_a_relative_path_is_that_of_the_moment_it_is_given(
    dispatcher: Dispatcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = Told(dispatcher, stdout="log")
    monkeypatch.chdir("/")
    told.open().feed(b"x").end()
    assert (tmp_path / "log").read_bytes() == b"x"


def test_a_file_that_cannot_be_opened_is_an_error_at_the_start(dispatcher: Dispatcher, tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    os.mkfifo(tmp_path / "pipe")
    for bad in ("no/such/log", "", "pipe"):  # the second is the directory itself
        ended: list[str] = []
        told = Told(dispatcher, stdout=[tmp_path / "good", tmp_path / bad], on_end=ended.append)
        with pytest.raises(InvalidInput, match=rf"^stdout: can't append to '{tmp_path / bad}': \w+"):
            told.open()
        told.end()
        assert ended == ["p"]
    assert os.listdir("/proc/self/fd") == before


def test_files_are_complete_when_the_end_is_told(dispatcher: Dispatcher, tmp_path: Path) -> None:
    seen: list[str] = []
    with (tmp_path / "object").open("w") as file:
        told = Told(
            dispatcher,
            stdout=[tmp_path / "path", file],
            on_end=lambda _: seen.extend(path.read_text() for path in (tmp_path / "path", tmp_path / "object")),
        ).open()
        told.feed(b"all").end()
    assert seen == ["all", "all"]


def test_file_objects_for_text_and_for_bytes(dispatcher: Dispatcher, tmp_path: Path) -> None:
    class Writer:
        def __init__(self) -> None:
            self.written = ""

        def write(self, text: str) -> None:
            self.written += text + ""  # nothing but text

    text, binary, writer = io.StringIO(), io.BytesIO(), Writer()
    with (
        (tmp_path / "a").open("w", encoding="utf-8") as a,
        (tmp_path / "b").open("wb", buffering=0) as b,
        tempfile.NamedTemporaryFile() as wrapped,  # no class of io's
    ):
        told = Told(dispatcher, stdout=[text, binary, writer, a, b, wrapped]).open()
        told.feed(b"1\r\n\xc3", b"\xa4\xff").end()
        assert not a.closed
        assert not told.handlers.error
        assert text.getvalue() == writer.written == "1\r\nä\N{REPLACEMENT CHARACTER}"
        assert (tmp_path / "a").read_bytes().decode() == "1\r\nä\N{REPLACEMENT CHARACTER}"
        assert binary.getvalue() == (tmp_path / "b").read_bytes() == b"1\r\n\xc3\xa4\xff"
        assert Path(wrapped.name).read_bytes() == b"1\r\n\xc3\xa4\xff"


@pytest.mark.parametrize("make", [queue.Queue, queue.SimpleQueue])
def test_queues_get_lines_or_pieces_and_the_end(dispatcher: Dispatcher, make: Callable[[], Any]) -> None:
    lines, pieces = make(), make()
    Told(dispatcher, stdout=[lines, OnBytes(pieces)], stderr=lines).open().feed(b"1\n2").end()
    assert [lines.get() for _ in range(lines.qsize())] == [
        ("p", "stdout", "1"),
        ("p", "stdout", "2"),
        ("p", "stdout", None),
        ("p", "stderr", None),
    ]
    assert [pieces.get() for _ in range(pieces.qsize())] == [("p", "stdout", b"1\n2"), ("p", "stdout", None)]


class Unpicklable:
    def __reduce__(self) -> str:
        raise TypeError("a process can't leave this one")

    def __str__(self) -> str:
        return "'make' on node-1"


def test_a_queue_of_multiprocessing_gets_the_name_of_the_process(dispatcher: Dispatcher) -> None:
    results = multiprocessing.get_context("spawn").Queue()
    Told(dispatcher, Unpicklable(), stdout=results).open().feed(b"1\n").end()
    assert [results.get(timeout=10) for _ in range(2)] == [
        ("'make' on node-1", "stdout", "1"),
        ("'make' on node-1", "stdout", None),
    ]
    results.close()
    results.join_thread()


# what is no handler


async def coroutine(*_: object) -> None: ...


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stdout": 3}, r"stdout: 3 is not a target; give a callable, a path"),
        ({"stderr": [print, object()]}, r"stderr: <object .*> is not a target"),
        ({"stdout": b"log"}, r"stdout: b'log' is not a target"),
        ({"stdout": ""}, r"stdout: '' is not the path"),
        ({"stdout": "a\0b"}, r"is not the path"),
        (
            {"stdout": OnLines("log")},
            r"stdout: 'log' is not callable; give a function handler\(process, stream, line\)",
        ),  # type: ignore[arg-type]
        ({"stdout": OnBytes(None)}, r"handler\(process, stream, data\)"),  # type: ignore[arg-type]
        ({"stdout": coroutine}, r"coroutine function"),
        ({"stdout": asyncio.Queue()}, r"one event loop alone; give a queue\.Queue"),
        ({"stdout": queue.Queue}, r"<class 'queue\.Queue'> is not a target"),
        ({"on_end": coroutine}, r"on_end: .*coroutine function"),
        ({"on_start": "echo"}, r"on_start: 'echo' is not callable; give a function handler\(process\)"),
        ({"on_start": 3}, r"on_start: 3 is not callable"),
    ],
)
def test_what_is_no_target_is_refused_at_once(dispatcher: Dispatcher, options: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        Told(dispatcher, **options)
    assert "\n" not in str(caught.value)


# failures


def test_a_handler_that_fails_is_logged_once_and_not_called_again(
    dispatcher: Dispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    got: list[str] = []

    def bad(process: object, stream: str, line: str) -> None:
        calls.append(line)
        pytest.fail("not good")  # no subclass of Exception

    told = Told(
        dispatcher,
        stdout=[bad, lambda p, s, line: got.append(line)],
        stderr=bad,
        on_end=[lambda _: 1 / 0, lambda p: got.append("end")],
    ).open()
    told.feed(b"1\n2\n").feed(b"3\n", stream="stderr").feed(b"4\n").end()
    assert calls == ["1"]
    assert got == ["1", "2", "4", "end"]
    assert str(told.handlers.error) == "not good"
    first, second = caplog.records
    assert (first.name, first.levelno) == ("pytest_execo.processes", logging.ERROR)
    assert "bad" in first.getMessage()
    assert first.exc_info is not None
    assert first.exc_info[1] is told.handlers.error
    assert "ZeroDivisionError" in str(second.exc_info)


def test_an_inline_handler_that_fails(dispatcher: Dispatcher) -> None:
    got: list[bytes] = []

    def bad(process: object, stream: str, data: bytes) -> None:
        got.append(data)
        raise SystemExit

    told = Told(dispatcher, stdout=OnBytes(bad, inline=True)).open().feed(b"1", b"2").end()
    assert got == [b"1"]
    assert isinstance(told.handlers.error, SystemExit)


def test_a_full_disk_does_not_leak_the_file(dispatcher: Dispatcher) -> None:
    before = os.listdir("/proc/self/fd")
    told = Told(dispatcher, stdout="/dev/full").open().feed(b"x").end()
    assert isinstance(told.handlers.error, OSError)
    assert os.listdir("/proc/self/fd") == before


def test_an_end_without_an_opening_is_told(dispatcher: Dispatcher) -> None:
    # The start failed early: an unknown connector, a kill before it.
    ended: list[str] = []

    async def main() -> None:
        then = asyncio.Event()
        Told(dispatcher, on_end=ended.append).handlers.ended(then.set)
        await asyncio.wait_for(then.wait(), 10)

    asyncio.run(main())
    assert ended == ["p"]


def test_without_a_thread_the_process_ends_all_the_same(
    dispatcher: Dispatcher, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = os.listdir("/proc/self/fd")
    dispatcher.close()
    got: list[object] = []
    told = Told(dispatcher, stdout=[tmp_path / "log", lambda *_: got.append(1)], on_end=got.append).open()
    told.handlers.started()
    told.feed(b"x\n", *[bytes(MIB)] * 5).end()
    assert (got, told.paused) == ([], False)
    assert len(caplog.records) == 1
    assert os.listdir("/proc/self/fd") == before


# threads


def test_threads_start_when_needed_and_end_with_the_dispatcher(eventually: Callable[..., None]) -> None:
    before = set(threading.enumerate())

    def mine() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in before]

    dispatcher = Dispatcher(threads=2)
    assert mine() == []
    slow = [Blocking() for _ in range(3)]
    all_ = [Told(dispatcher, stdout=handler).open().feed(b"x\n") for handler in slow]
    assert slow[0].entered.wait(10)
    assert slow[1].entered.wait(10)
    assert len(mine()) == 2
    assert not slow[2].entered.is_set()
    slow[0].go_on.set()
    assert slow[2].entered.wait(10)
    for handler in slow:
        handler.go_on.set()
    for told in all_:
        told.end()
    dispatcher.close()
    assert mine() == []


def test_all_processes_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "_TURN", 0)
    dispatcher = Dispatcher(threads=1)
    greedy = Blocking()
    first = Told(dispatcher, stdout=OnBytes(greedy)).open().feed(*[bytes(64 * 1024)] * 10)
    assert greedy.entered.wait(10)
    when: list[int] = []
    second = Told(dispatcher, stdout=lambda *_: when.append(len(greedy.got))).open().feed(b"x\n")
    greedy.go_on.set()
    second.end()
    first.end()
    assert when == [1]
    assert len(greedy.got) == 10
    dispatcher.close()


EXIT = """
import os, sys, threading
from pytest_execo.processes.handlers import Dispatcher, Handlers

def told(dispatcher, handler):
    handlers = Handlers("p", stdout=handler, stderr=None, on_start=None, on_end=None, dispatcher=dispatcher)
    handlers.opened(None, None, lambda function: function())
    return handlers

dispatcher = Dispatcher()
done = threading.Event()
handlers = told(dispatcher, lambda process, stream, line: None)
handlers.received("stdout", b"in the parent\\n")
handlers.ended(done.set)
assert done.wait(10)
if os.fork() == 0:
    done.clear()
    handlers = told(dispatcher, lambda process, stream, line: print(line, flush=True))
    handlers.received("stdout", b"in the child\\n")
    handlers.ended(done.set)
    os._exit(0 if done.wait(10) else 3)
print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
entered = threading.Event()
told(dispatcher, lambda *_: (entered.set(), threading.Event().wait())).received("stdout", b"for ever\\n")
assert entered.wait(10)
"""


@pytest.mark.slow
def test_a_handler_that_never_returns_does_not_keep_the_interpreter_and_a_fork_starts_anew() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", EXIT], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("in the child\n0\n", "", 0)
