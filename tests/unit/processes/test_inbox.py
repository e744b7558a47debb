"""The way to standard input: in order, bounded, and never in anybody's way for ever."""

from __future__ import annotations

import asyncio
import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo import InvalidInput, Process
from pytest_execo.connectors import Channel
from pytest_execo.processes import inbox as module
from pytest_execo.processes.inbox import Inbox

MIB = 1024 * 1024


class Slow(Channel):
    """A command that takes a piece when it is told to; all of them at once from then on."""

    def __init__(self) -> None:
        self.got: list[bytes | None] = []  # None: the end
        self.came = asyncio.Event()
        self.go_on = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.got.append(data)
        self.came.set()

    async def drain(self) -> None:
        await self.go_on.wait()

    def close_stdin(self) -> None:
        self.got.append(None)

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    async def signal(self, number: int, *, tree: bool = False) -> None: ...

    async def alive(self) -> bool:
        return True

    def close(self) -> None: ...


async def settled() -> None:
    """Let the loop do what it can."""
    for _ in range(100):
        await asyncio.sleep(0)


# in order


Step = st.one_of(st.binary(min_size=1, max_size=5), st.sampled_from(["attach", "go on", "settle"]))


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(Step, max_size=20))
def test_all_that_was_put_is_sent_in_order_and_then_the_end(steps: list[bytes | str]) -> None:
    async def main() -> None:
        inbox, channel = Inbox(), Slow()
        for step in steps:
            if step == "attach":
                inbox.attach(channel)
            elif step == "go on":
                channel.go_on.set()
            elif isinstance(step, bytes):
                inbox.put(step)
                inbox.send()
            else:
                await settled()
        inbox.end()
        inbox.attach(channel)
        channel.go_on.set()
        await settled()
        put = [step for step in steps if isinstance(step, bytes)]
        assert channel.got == [*put, None]
        assert inbox.unsent == 0

    asyncio.run(main())


def test_one_piece_at_a_time_is_given_away() -> None:
    async def main() -> None:
        inbox, channel = Inbox(), Slow()
        inbox.attach(channel)
        for piece in (b"a", b"bc", b"def"):
            inbox.put(piece)
        inbox.end()
        await settled()
        assert (channel.got, inbox.unsent) == ([b"a"], 6)
        channel.go_on.set()
        await settled()
        assert (channel.got, inbox.unsent) == ([b"a", b"bc", b"def", None], 0)

    asyncio.run(main())


# bounded


def test_a_writer_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIMIT", 10)

    async def main() -> None:
        inbox, channel = Inbox(), Slow()
        inbox.attach(channel)
        inbox.put(b"x" * 9)
        inbox.wait_for_room()  # there is some
        inbox.put(b"x")
        inbox.send()
        waiting = asyncio.ensure_future(asyncio.to_thread(inbox.wait_for_room))
        done, _ = await asyncio.wait([waiting], timeout=0.02)
        assert not done
        channel.go_on.set()
        await asyncio.wait_for(waiting, 10)
        assert inbox.unsent < 10

    asyncio.run(main())


def test_the_end_of_the_process_lets_everybody_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIMIT", 1)

    async def main() -> None:
        inbox, channel = Inbox(), Slow()
        inbox.attach(channel)
        inbox.put(b"never taken")
        inbox.send()
        await settled()
        waiting = asyncio.ensure_future(asyncio.to_thread(inbox.wait_for_room))
        inbox.close()
        await asyncio.wait_for(waiting, 10)
        await settled()
        assert inbox.unsent == 11
        inbox.put(b"too late")
        inbox.end()
        inbox.send()
        await settled()
        assert channel.got == [b"never taken"]

    asyncio.run(main())


def test_a_channel_that_fails_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Slow):
        async def drain(self) -> None:
            raise RuntimeError("a fault")

    async def main() -> None:
        inbox, channel = Inbox(), Broken()
        inbox.attach(channel)
        inbox.put(b"a")
        inbox.put(b"b")
        inbox.send()
        await settled()
        assert channel.got == [b"a"]

    asyncio.run(main())
    assert caplog.messages == ["internal error while sending input"]


# from a file


def test_a_file_is_read_no_faster_than_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 4)
    file = io.BytesIO(b"0123456789")

    async def main() -> None:
        inbox, channel = Inbox(), Slow()
        inbox.attach(channel)
        sending = asyncio.ensure_future(inbox.send_file(file))
        await asyncio.wait_for(channel.came.wait(), 10)
        await settled()
        assert (channel.got, file.tell()) == ([b"0123"], 4)
        channel.go_on.set()
        await asyncio.wait_for(sending, 10)
        assert channel.got == [b"0123", b"4567", b"89", None]

    asyncio.run(main())


def test_a_file_that_says_nothing_does_not_hold_the_process(eventually: Callable[..., None]) -> None:
    def readers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "pytest-execo input"]

    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as file:
        p = Process("cat", stdin=file).start()
        eventually(readers)
        assert p.kill().ended
        os.close(write)
        eventually(lambda: not readers())
    assert p.ok


class Unreadable(io.RawIOBase):
    def read(self, size: int = -1, /) -> bytes:
        raise OSError(5, "Input/output error")


def closed_file() -> Any:
    file = io.BytesIO(b"x")
    file.close()
    return file


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Unreadable, r"stdin: can't read .*Input/output error"),
        (closed_file, r"stdin: can't read .*closed file"),
        (lambda: io.StringIO("text"), r"stdin: .* gives no bytes; open it with 'rb'"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_and_leaves_nothing(
    make: Callable[[], Any], words: str, eventually: Callable[..., None]
) -> None:
    p = Process("echo begun; exec cat", stdin=make(), log=False).start().wait(20)
    assert isinstance(p.error, InvalidInput)
    assert re.match(words, str(p.error))
    assert not p.ok
    eventually(lambda: not Path(f"/proc/{p.pid}").exists())


def test_what_was_not_taken_is_told() -> None:
    p = Process("exec sleep 0", stdin=b"x" * (8 * MIB), log=False).run(check=False)
    assert (p.write_failed, p.ok, p.outcome()) == (True, False, "input not taken")
    assert Process("exec sleep 0", stdin=b"x" * (8 * MIB), ignore_write_error=True).run().ok


EXIT = """
import os
from pytest_execo import Process
read, write = os.pipe()
p = Process("echo up; exec cat", stdin=os.fdopen(read, "rb")).start()
assert p.expect("up", timeout=20)
print("up")
"""


@pytest.mark.slow
def test_a_file_that_says_nothing_does_not_keep_the_interpreter() -> None:
    done = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("up\n", 0)
