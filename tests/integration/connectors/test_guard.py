"""The guard's script by itself, under every shell that hosts may have as ``sh``."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_execo.connectors.supervision.guard import guard_arguments

from ..conftest import require

pytestmark = pytest.mark.integration

Eventually = Callable[..., None]


class Guard:
    """One guard under a shell, and what it is told and says."""

    def __init__(self, shell: list[str], token: str, silence: int, **user: Any) -> None:
        self.process = subprocess.Popen(
            [*shell, "-c", *guard_arguments(token, silence)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            **user,
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def ask(self, line: str) -> str:
        self.tell(line)
        assert self.process.stdout is not None
        while (said := self.process.stdout.readline().decode().strip()) == "posix":
            pass  # what it says of the login shell comes first
        return said

    def leave(self) -> None:
        """As a dead controller does."""
        assert self.process.stdin is not None
        self.process.stdin.close()


@pytest.fixture(params=["dash", "busybox", "bash"])
def shell(request: pytest.FixtureRequest) -> list[str]:
    """The command line of a shell."""
    require(request.param, request.param)
    return [request.param, "sh"] if request.param == "busybox" else [request.param]


@pytest.fixture
def token() -> str:
    """A guard ends all that has its token, so each test has one of its own."""
    return secrets.token_hex(6)


@pytest.fixture
def guard(shell: list[str], token: str) -> Iterator[Callable[..., Guard]]:
    """Start guards; they end with the test."""
    guards: list[Guard] = []

    def start(silence: int = 0, **user: Any) -> Guard:
        guards.append(Guard(shell, token, silence, **user))
        return guards[-1]

    yield start
    for one in guards:
        one.process.kill()
        _close(one.process)


@pytest.fixture
def started(token: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start processes in sessions of their own, marked as a connector marks them."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(line: str, **user: Any) -> subprocess.Popen[bytes]:
        # The mark has the session's number, which is that of the shell that says it.
        wrapped = f"export EXECO_PROCESS={token}.$$.; echo up; {line}"
        processes.append(
            subprocess.Popen(["/bin/sh", "-c", wrapped], stdout=subprocess.PIPE, start_new_session=True, **user)
        )
        assert processes[-1].stdout is not None
        assert processes[-1].stdout.readline() == b"up\n"
        return processes[-1]

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    """Reap it. Not communicate(): a daemon that it left may hold its output."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    process.wait(10)


def alive(mark: str) -> bool:
    return bool(subprocess.run(["pgrep", "-f", f"[s]leep {mark}"], capture_output=True, check=False).stdout)


@pytest.fixture
def mark() -> str:
    """A duration that no other process sleeps for."""
    return str(random.randrange(10**8, 10**9))


def test_signals_and_questions(guard: Callable[..., Guard], started: Callable[..., subprocess.Popen[bytes]]) -> None:
    one = guard()
    p = started("exec sleep 1000")
    one.tell(f"+ {p.pid}")
    assert one.ask(f"a 1 {p.pid}") == "1 0"
    assert one.ask(f"k 2 USR1 {p.pid}") == "2 0"
    assert p.wait(10) == -signal.SIGUSR1
    number, status = one.ask(f"a 3 {p.pid}").split()
    assert (number, status != "0") == ("3", True)


def test_the_end_of_its_input_ends_what_runs(
    guard: Callable[..., Guard], started: Callable[..., subprocess.Popen[bytes]], mark: str, eventually: Eventually
) -> None:
    one = guard()
    plain = started("exec sleep 1000")
    stubborn = started("trap '' TERM; while :; do sleep 0.1; done")
    stopped = started("kill -s STOP $$; sleep 1000")
    other_group = started(f"set -m; sleep {mark} & echo; wait")
    daemon = started(f"setsid sleep {mark}1 >/dev/null & wait")
    for p in (plain, stubborn, stopped, other_group, daemon):
        one.tell(f"+ {p.pid}")
    eventually(lambda: alive(mark) and alive(f"{mark}1"))
    one.leave()
    assert plain.wait(15) == -signal.SIGTERM
    assert stubborn.wait(15) == -signal.SIGKILL
    assert stopped.wait(15) == -signal.SIGTERM
    eventually(lambda: not alive(f"{mark}$"))
    assert alive(f"{mark}1")  # with a session of its own it is a daemon, on purpose
    assert one.process.wait(15) == 0
    subprocess.run(["pkill", "-f", f"[s]leep {mark}1"], check=False)


def test_for_an_ordinary_user(
    guard: Callable[..., Guard],
    started: Callable[..., subprocess.Popen[bytes]],
    token: str,
    mark: str,
    eventually: Eventually,
) -> None:
    # Who is none already is tested as he is.
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    one = guard(**user)
    announced = started(f"trap '' TERM; (setsid sleep {mark} >/dev/null &); while :; do sleep 0.1; done", **user)
    forgotten = started("exec sleep 1000", **user)
    one.tell(f"+ {announced.pid}")
    eventually(lambda: alive(mark))
    assert one.ask(rf"t 1 KILL {token}\.{announced.pid}\. {announced.pid}").startswith("1 ")
    assert announced.wait(10) == -signal.SIGKILL
    eventually(lambda: not alive(mark))
    one.leave()
    assert forgotten.wait(15) in (-signal.SIGTERM, -signal.SIGKILL)


def test_a_process_that_was_never_announced_is_ended_too(
    guard: Callable[..., Guard], started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    one = guard()
    one.tell("= ")
    p = started("exec sleep 1000")  # its pid was still on its way to the controller
    one.leave()
    # Amid its `exec` a process has no environment to be found by, until the guard looks again.
    assert p.wait(15) in (-signal.SIGTERM, -signal.SIGKILL)


def test_silence_ends_what_runs(guard: Callable[..., Guard], started: Callable[..., subprocess.Popen[bytes]]) -> None:
    one = guard(silence=2)
    p = started("exec sleep 1000")
    began = time.monotonic()
    one.tell(f"= {p.pid}")
    assert p.wait(15) == -signal.SIGTERM
    assert 0.9 < time.monotonic() - began < 8
    one.process.wait(15)


def test_signs_of_life_keep_it_alive(
    guard: Callable[..., Guard], started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    one = guard(silence=3)
    p = started("exec sleep 1000")
    for _ in range(10):
        one.tell(f"= {p.pid}")
        with pytest.raises(subprocess.TimeoutExpired):
            p.wait(0.5)
    assert one.ask(f"a 1 {p.pid}") == "1 0"


def test_with_nothing_to_guard_it_waits(guard: Callable[..., Guard]) -> None:
    one = guard(silence=1)
    one.tell(".")
    with pytest.raises(subprocess.TimeoutExpired):
        one.process.wait(2.5)
    assert one.ask("a 1 999999999").startswith("1 ")


def test_the_whole_tree(
    guard: Callable[..., Guard],
    started: Callable[..., subprocess.Popen[bytes]],
    token: str,
    mark: str,
    eventually: Eventually,
) -> None:
    one = guard()
    # A daemon whose parent has gone: only its environment tells whose it is. And one without it, by its parent.
    p = started(f"(setsid sleep {mark} &) ; env -i setsid sleep {mark}1 & wait; sleep 1000")
    one.tell(f"+ {p.pid}")
    eventually(lambda: alive(mark) and alive(f"{mark}1"))
    assert one.ask(rf"t 1 KILL {token}\.{p.pid}\. {p.pid}").startswith("1 ")
    eventually(lambda: not alive(mark) and not alive(f"{mark}1"))
    assert p.wait(10) == -signal.SIGKILL


def test_it_leaves_no_process(guard: Callable[..., Guard], eventually: Eventually) -> None:
    one = guard(silence=3)
    for number in range(20):
        one.ask(f"a {number} 999999999")
    one.leave()
    one.process.wait(15)
    group = one.process.pid
    eventually(lambda: subprocess.run(["pgrep", "-g", str(group)], capture_output=True, check=False).returncode == 1)
