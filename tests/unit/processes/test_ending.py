"""How a process is ended: asked, given time, forced, and verified. And what is said when a host does not answer."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_execo import ConnectionLost, Host, Process, StartFailed
from pytest_execo.connectors import Channel, Command, Connector, End, Receiver
from pytest_execo.errors import ConnectorError
from pytest_execo.processes import ending
from pytest_execo.processes.io_thread import io_thread

Eventually = Callable[[Callable[[], object]], None]
STUBBORN = "trap '' TERM INT HUP QUIT; echo up; while :; do sleep 1000; done"


def up(cmd: str, **options: object) -> Process:
    """Start what says that it is up."""
    p = Process(cmd, **options).start()  # type: ignore[arg-type]
    assert p.expect("up\n", timeout=20)
    return p


def gone(pid: int) -> bool:
    """Whether a process is gone, or only waits for its parent to hear of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# a process that can be reached


@pytest.mark.parametrize("number", sorted(ending.ENDING))
def test_signals_that_ask(number: int) -> None:
    p = up("echo up; exec sleep 1000").kill(number)
    assert (p.ended, p.ok, p.killed, p.outcome()) == (True, True, True, "killed")
    assert (p.signal, p.forced_kill) == (number, False)


def test_one_that_ends_in_its_own_way() -> None:
    p = up("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.01; done").kill()
    assert (p.exit_code, p.signal, p.forced_kill, p.stdout, p.ok) == (7, None, False, "up\nbye\n", True)


def test_one_that_does_not_listen_is_forced() -> None:
    p = up(STUBBORN)
    before = time.monotonic()
    p.kill(grace=0.1)
    assert (p.signal, p.forced_kill, p.ok) == (signal.SIGKILL, True, True)
    assert 0.1 <= time.monotonic() - before < 5


def test_time_to_end_is_given_and_not_used_up() -> None:
    p = up("trap 'sleep 0.05; exit 0' TERM; echo up; while :; do sleep 0.01; done")
    before = time.monotonic()
    p.kill(grace="1m")
    assert (p.exit_code, p.forced_kill) == (0, False)
    assert time.monotonic() - before < 10


def test_a_kill_that_is_not_waited_for_and_one_that_comes_after_it() -> None:
    p = up(STUBBORN).kill(grace=60, wait=False)
    assert p.running
    p.kill(signal.SIGKILL)
    assert (p.ended, p.signal, p.ok) == (True, signal.SIGKILL, True)


def test_others_of_the_group_are_not_left(eventually: Eventually) -> None:
    p = up("(trap '' TERM; echo $$ >&2; exec sleep 1000) & echo $! >&2; sleep 0.05; echo up; wait")
    child = int(p.stderr.split()[-1])
    p.kill()
    assert p.ended
    eventually(lambda: gone(child))


def test_one_that_left_its_output_to_another(eventually: Eventually) -> None:
    p = up("setsid sh -c 'echo $$ >&2; echo up; exec sleep 1000' & wait")
    daemon = int(p.stderr)
    try:
        p.kill()
        assert (p.ended, p.ok) == (True, True)
        assert not gone(daemon)  # it was only the group
    finally:
        Process(f"kill -9 {daemon}").run(check=False)
    eventually(lambda: gone(daemon))


def test_the_whole_tree(eventually: Eventually) -> None:
    p = up("setsid sh -c 'echo $$ >&2; exec sleep 1000' & sleep 0.05; echo up; wait")
    daemon = int(p.stderr)
    p.kill(tree=True)
    eventually(lambda: gone(daemon))


def test_what_has_ended_is_left_alone() -> None:
    p = Process("exit 3", log=False).run(check=False).kill()
    assert (p.killed, p.outcome()) == (False, "exit 3")
    assert not Process("true").kill().killed  # nor what was never started


# one that can't


class Mute(Connector, Channel):
    """A connector, and the channel of all it starts, to a host that may not answer."""

    name = "mute"

    def __init__(self) -> None:
        self.starts: asyncio.Event | None = None  # None: at once
        self.answers: asyncio.Event | None = None
        self.is_alive = True
        self.error: Exception | None = None
        self.signals: list[int] = []
        self.closed = 0
        self._receiver: Receiver | None = None

    async def start(self, host: Host | None, command: Command, receiver: Receiver) -> Channel:
        if self.starts is not None:
            await self.starts.wait()
        self._receiver = receiver
        receiver.started(4711)
        return self

    async def signal(self, number: int, *, tree: bool = False) -> None:
        self.signals.append(number)
        if self.error is not None:
            raise self.error
        if self.answers is not None:
            await self.answers.wait()

    async def alive(self) -> bool:
        return self.is_alive

    def close(self) -> None:  # type: ignore[override]  # of a channel; that of the connector is never called here
        self.closed += 1

    def end(self, end: End) -> None:
        assert self._receiver is not None
        self._receiver.ended(end)

    async def disconnect(self, host: Host) -> None: ...

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    def close_stdin(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mute]:
    monkeypatch.setattr(ending, "VERIFY", 0.05)
    monkeypatch.setattr(ending, "_SETTLE", 0.01)
    connectors = io_thread()._connectors
    connectors["mute"] = mute = Mute()
    yield mute
    del connectors["mute"]


def running(eventually: Eventually) -> Process:
    p = Process("x", "node-1", connector="mute", log=False).start()
    eventually(lambda: p.pid)
    return p


def test_a_host_that_says_that_it_is_gone(mute: Mute, eventually: Eventually) -> None:
    mute.is_alive = False
    p = running(eventually).kill(grace=0)
    assert (p.error, p.signal, p.forced_kill, p.ok, mute.closed) == (None, signal.SIGKILL, True, True, 1)
    assert mute.signals == [signal.SIGTERM, signal.SIGKILL]


def test_a_host_that_does_not_confirm(mute: Mute, eventually: Eventually) -> None:
    p = running(eventually).kill(grace=0)
    assert isinstance(p.error, ConnectionLost)
    assert "the end was not reported" in str(p.error)
    assert (p.ended, p.ok, mute.closed) == (True, True, 1)  # it was killed on purpose


def test_a_host_that_does_not_answer(mute: Mute, eventually: Eventually) -> None:
    mute.answers = asyncio.Event()
    p = running(eventually).kill(grace=0)
    assert isinstance(p.error, ConnectionLost)
    assert str(p.error) == "node-1: connection lost: no answer to a signal"


@pytest.mark.parametrize("error", [ConnectorError("node-1", "cut"), RuntimeError("a fault")])
def test_a_host_that_is_lost_meanwhile(mute: Mute, eventually: Eventually, error: Exception) -> None:
    mute.error = error
    p = running(eventually).kill()
    assert isinstance(p.error, ConnectorError)
    assert (error is p.error) == isinstance(error, ConnectorError)
    assert str(error).rpartition(" ")[2] in str(p.error)


def test_an_end_that_comes_in_the_middle(mute: Mute, eventually: Eventually) -> None:
    p = running(eventually).kill(grace=20, wait=False)
    eventually(lambda: mute.signals)
    io_thread().call(mute.end, End(exit_code=0))
    p.wait(10)
    assert (p.exit_code, p.error, p.ok) == (0, None, True)
    eventually(lambda: mute.signals[-1] == signal.SIGKILL)  # for others of its group


def test_a_start_that_takes_too_long_is_given_up(mute: Mute, eventually: Eventually) -> None:
    mute.starts = asyncio.Event()
    p = Process("x", "node-1", connector="mute", log=False).start().kill()
    assert (p.ended, p.ok, p.outcome(), mute.signals) == (True, True, "killed", [])
    p = Process("x", "node-1", connector="mute", timeout=0.01, log=False).start().wait(10)
    assert isinstance(p.error, StartFailed)
    assert (p.timed_out, p.ok) == (True, False)


def test_a_start_under_way_is_waited_for_a_little(mute: Mute, eventually: Eventually) -> None:
    mute.is_alive = False
    mute.starts = starts = asyncio.Event()
    p = Process("x", "node-1", connector="mute", log=False).start().kill(grace=0, wait=False)
    io_thread().call(starts.set)
    p.wait(10)
    assert mute.signals == [signal.SIGTERM, signal.SIGKILL]
