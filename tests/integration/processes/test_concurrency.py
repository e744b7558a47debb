"""Handles in several threads, under several event loops, over a fork, and at the end of the interpreter.

What concerns a whole interpreter runs in one of its own: a script that prints what it saw.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_execo import Host, Lease, Local, Process, Remote
from pytest_execo.processes import ParallelActions, SequentialActions, wait_any
from pytest_execo.processes.io_thread import io_thread

anyio = pytest.importorskip("anyio")
pytest.importorskip("trio")

pytestmark = pytest.mark.integration

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture(params=["local", "ssh"])
def host(request: pytest.FixtureRequest) -> Host | None:
    """Where processes run."""
    if request.param == "local":
        return None
    lease: Lease = request.getfixturevalue("embedded")
    return lease.nodes[0]


def gone(pid: int) -> bool:
    """Whether a process is gone, or only waits for its parent to hear of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# threads


def in_threads(number: int, act: Callable[[int], None]) -> None:
    """Call ``act`` in threads at once, and raise what one of them raised."""
    errors: list[BaseException] = []
    together = threading.Barrier(number)

    def run(index: int) -> None:
        try:
            together.wait(20)
            act(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    for error in errors:
        raise error


def test_threads_with_processes_of_their_own(host: Host | None) -> None:
    def act(index: int) -> None:
        for step in range(5):
            p = Process("read x; echo got $x", host, timeout=60).start()
            assert p.write(f"{index}.{step}\n").wait(60).stdout == f"got {index}.{step}\n"

    in_threads(8, act)


def test_threads_with_one_process(host: Host | None) -> None:
    p = Process("cat", host, timeout=60)
    started: list[bool] = []

    def act(index: int) -> None:
        started.append(p.start() is p)
        for step in range(20):
            p.write(f"{index:03} {step:03}\n")

    in_threads(4, act)
    p.close_stdin().wait(60)
    assert started == [True] * 4
    lines = p.stdout.splitlines()
    assert sorted(lines) == sorted(f"{index:03} {step:03}" for index in range(4) for step in range(20))
    # What one thread writes comes in its order.
    for index in range(4):
        mine = [line for line in lines if line.startswith(f"{index:03}")]
        assert mine == sorted(mine)


def test_threads_that_wait_and_one_that_kills(host: Host | None) -> None:
    p = Process("echo up; exec sleep 1000", host, timeout=60).start()
    assert p.expect("up", timeout=30)

    def act(index: int) -> None:
        if index == 0:
            p.kill()
        elif index == 1:
            p.kill(signal.SIGKILL)
        else:
            p.wait(30)
        assert p.ended

    in_threads(6, act)
    assert p.ok


def test_threads_with_groups_and_trees(host: Host | None) -> None:
    hosts = [host] * 5 if host is not None else []

    def act(index: int) -> None:
        group = Remote("echo {{{host}}}", hosts) if hosts else Local(["echo localhost"] * 5)
        tree = SequentialActions([ParallelActions([group, Process("true", host)]), Process("echo last", host)])
        assert tree.run().ok
        assert len(tree.processes) == 7
        assert tree.processes[-1].stdout == "last\n"  # type: ignore[attr-defined]

    in_threads(4, act)


# event loops: under the plugins that run async tests


@pytest.mark.asyncio
async def test_under_pytest_asyncio(host: Host | None) -> None:
    slow = Process("read x; echo $x", host, timeout=60).start()
    quick = [Process(f"echo {number}", host, timeout=60).start() for number in range(5)]
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    assert [(await p).stdout for p in quick] == [f"{number}\n" for number in range(5)]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(slow, 0.05)
    assert slow.running
    assert ticks > 0  # our loop was free
    waiting = asyncio.ensure_future(_of(slow))
    other = asyncio.ensure_future(_of(slow))
    slow.write("now\n")
    assert (await asyncio.gather(waiting, other)) == ["now\n", "now\n"]
    ticking.cancel()


async def _of(process: Process) -> str:
    return (await process).stdout


@pytest.mark.asyncio
async def test_threads_and_a_loop_at_once(host: Host | None) -> None:
    def act(index: int) -> None:
        assert Process(f"echo {index}", host, timeout=60).run().stdout == f"{index}\n"

    threads = asyncio.to_thread(in_threads, 4, act)
    group = Local(["echo x"] * 10).start()
    _, ended = await asyncio.gather(threads, _group(group))
    assert ended == ["x\n"] * 10


async def _group(group: Local) -> list[str]:
    return [p.stdout for p in await group]


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop of the tests that are marked ``anyio``."""
    backend: str = request.param
    return backend


@pytest.mark.anyio
async def test_under_anyio(anyio_backend: str, host: Host | None) -> None:
    ended: list[str] = []
    slow = Process("read x; echo slow", host, timeout=60).start()

    async def follow(process: Process) -> None:
        ended.append((await process).stdout)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow, slow)
        for number in range(5):
            tasks.start_soon(follow, Process(f"echo {number}", host, timeout=60).start())
        with anyio.fail_after(60):
            while len(ended) < 5:
                await anyio.sleep(0.001)
        assert slow.running
        slow.write("\n")
    assert sorted(ended[:5]) == [f"{number}\n" for number in range(5)]
    assert ended[5:] == ["slow\n"]
    with anyio.move_on_after(0.05) as scope:
        async with Sleeper(host) as sleeper:
            await sleeper
    assert scope.cancelled_caught
    assert sleeper.ended


class Sleeper:
    """A process for an ``async with`` block."""

    def __init__(self, host: Host | None) -> None:
        self._process = Process("exec sleep 1000", host, timeout=60)

    async def __aenter__(self) -> Process:
        return self._process.start()

    async def __aexit__(self, *_: object) -> None:
        self._process.kill()


def test_and_outside_of_them() -> None:
    # The loops above have left nothing behind: neither here, nor on the I/O thread.
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    assert wait_any([Process("true").start()], timeout=20)
    assert not io_thread().is_here()


# forks, ends


def script(code: str, *, arguments: tuple[str, ...] = (), timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a script in an interpreter of its own."""
    # A fork of a process that has threads is what is tested here.
    command = [sys.executable, "-W", "error", "-W", "ignore:.*fork:DeprecationWarning", "-c", code, *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


def check(done: subprocess.CompletedProcess[str], out: str, code: int = 0) -> None:
    assert (done.stdout, done.stderr, done.returncode) == (out, "", code)


FORK = """
import os, sys
from pytest_execo import Local, Process
USED = sys.argv[1] == "used"
mine = Process("read x; echo parent $x")
if USED:
    mine.start()
    Local(["true"] * 3).run()
child = os.fork()
if child == 0:
    assert Process("echo child").run().stdout == "child\\n"
    assert [p.stdout for p in Local(["echo a", "echo b"]).run()] == ["a\\n", "b\\n"]
    left = Process("sleep 1000").start()
    assert left.expect is not None
    while left.pid is None:
        pass
    print(left.pid, flush=True)
    sys.exit(0)  # with all that happens at the end of an interpreter
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
mine.start().write("goes on\\n").wait(20)
print(mine.stdout, end="")
print(Process("echo again").run().stdout, end="")
"""


@pytest.mark.parametrize("when", ["imported", "used"])
def test_a_fork(when: str, eventually: Eventually) -> None:
    done = script(FORK, arguments=(when,))
    pid, _, out = done.stdout.partition("\n")
    assert (out, done.stderr, done.returncode) == ("parent goes on\nagain\n", "", 0)
    eventually(lambda: gone(int(pid)))  # the child's end was that of its process


FORK_AT_ONCE = """
import os, sys
from pytest_execo import Host, Process
host = Host("127.0.0.1", user="nobody", port=int(sys.argv[2])) if sys.argv[1] == "ssh" else None
mine = [Process("true", host, log=False).start() for _ in range(5)]  # the connector is imported for the first
for _ in range(5):
    child = os.fork()
    if child == 0:
        p = Process("true", host, log=False).start().wait(20)
        print(p.outcome(), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print({p.wait(20).outcome() for p in mine})
"""


@pytest.mark.parametrize(("connector", "outcome"), [("local", "ok"), ("ssh", "unreachable")])
def test_a_fork_in_the_middle_of_the_first_use(connector: str, outcome: str, closed: Host) -> None:
    done = script(FORK_AT_ONCE, arguments=(connector, str(closed.port)))
    check(done, f"{outcome}\n" * 5 + f"{{{outcome!r}}}\n")


FORK_DIES = """
import os, sys, signal
from pytest_execo import Process
mine = Process("echo up; read x; echo $x").start()
assert mine.expect("up", timeout=20)
for way in ("exit", "signal", "kill"):
    child = os.fork()
    if child == 0:
        Process("true").run()
        if way == "exit":
            os._exit(0)
        if way == "signal":
            os.kill(os.getpid(), signal.SIGKILL)
        mine_too = [p for p in (mine,) if p.running]
        for p in mine_too:
            try:
                p.kill()
            except Exception as error:
                print(type(error).__name__, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
assert mine.running
print(mine.write("alive\\n").wait(20).stdout.split())
"""


def test_however_a_child_ends_its_parents_processes_go_on() -> None:
    check(script(FORK_DIES), "ProcessError\n['up', 'alive']\n")


FORK_OUTLIVES = """
import os, sys, time
from pytest_execo import Process
p = Process("sleep 1000").start()
while p.pid is None:
    pass
print(p.pid, flush=True)
if os.fork() == 0:
    os.close(1), os.close(2)
    sys.stdin.read()  # for ever, as far as the parent goes
    os._exit(0)
os._exit(1)  # without a word
"""


def test_a_child_that_outlives_its_parent_does_not_hide_its_end(eventually: Eventually) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORK_OUTLIVES]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        eventually(lambda: gone(pid))  # the guard has heard of it


POOL = """
import multiprocessing
from pytest_execo import Process

def work(number):
    return Process(["echo", str(number)]).run().stdout

if __name__ == "__main__":
    with Process("read x; echo $x") as mine:
        with multiprocessing.get_context("fork").Pool(3) as pool:
            print(pool.map(work, range(6)))
        process = multiprocessing.get_context("fork").Process(target=work, args=(7,))
        process.start()
        process.join(20)
        mine.write("mine\\n").wait(20)
        print(process.exitcode, mine.stdout, end="")
"""


def test_multiprocessing_by_fork() -> None:
    check(script(POOL), f"{[f'{n}{chr(10)}' for n in range(6)]}\n0 mine\n")


ENDS = """
import atexit, sys, threading, time
from pytest_execo import Local, Process, ParallelActions
HOW = sys.argv[1]
if HOW == "atexit":
    @atexit.register  # before ours: called after it
    def late():
        try:
            print("late", Process("echo late", log=False).start().wait(20).outcome(), flush=True)
        except Exception as error:
            print("late", type(error).__name__, flush=True)
commands = ["echo up; exec sleep 1000"] * 20
if HOW == "end":
    commands.append("trap '' TERM; echo up; while :; do sleep 1; done")
group = Local(commands).start()
group.expect("up", timeout=20)
print(*(p.pid for p in group), flush=True)
if HOW == "exception":
    raise LookupError("of the user")
if HOW == "thread":
    threading.Thread(target=group.wait, daemon=True).start()
if HOW == "exit":
    sys.exit(3)
if HOW == "atexit":
    @atexit.register
    def early():
        print("early", Process("echo early").run().stdout, end="", flush=True)
"""


@pytest.mark.parametrize(
    ("how", "out", "code"),
    [
        ("end", "", 0),
        ("exit", "", 3),
        ("exception", "", 1),
        ("thread", "", 0),
        ("atexit", "early early\nlate ", 0),
    ],
)
def test_the_end_of_the_interpreter_ends_what_runs(how: str, out: str, code: int) -> None:
    before = time.monotonic()
    done = script(ENDS, arguments=(how,))
    took = time.monotonic() - before
    pids, _, said = done.stdout.partition("\n")
    assert (done.returncode, done.stderr if code == 0 else "") == (code, "")
    assert len(pids.split()) >= 20
    assert all(gone(int(pid)) for pid in pids.split())
    assert said.startswith(out) if out else said == ""
    assert done.stderr.splitlines()[-1:] == (["LookupError: of the user"] if how == "exception" else [])
    # The grace of the one that does not listen, and what an interpreter takes on a busy machine.
    assert took < 60
    print(f"{took:.1f} s")


SIGNALLED = """
import signal, sys, time
from pytest_execo import Process
p = Process("echo up; exec sleep 1000").start()
p.expect("up", timeout=20)
try:
    print(p.pid, flush=True)
    p.wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(4)
"""


def test_an_interrupt_reaches_who_waits() -> None:
    command = [sys.executable, "-c", SIGNALLED]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        pid = int(waiting.stdout.readline())
        os.kill(waiting.pid, signal.SIGINT)
        assert waiting.stdout.read() == "interrupted\n"
        assert waiting.wait(30) == 4
    assert gone(pid)
