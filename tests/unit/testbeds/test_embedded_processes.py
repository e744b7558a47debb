"""What the embedded testbed knows of processes, on processes of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import termios
import time
from collections.abc import Iterator

import asyncssh
import pytest

from pytest_execo.testbeds.embedded import namespaces, terminals
from pytest_execo.testbeds.embedded.children import Children


@pytest.fixture
def family() -> Iterator[subprocess.Popen[str]]:
    """A shell with a child and a grandchild, and a name that is hard to read."""
    script = "sh -c 'sleep 1000 & echo $!; wait' & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        yield process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _two_lines(process: subprocess.Popen[str]) -> set[int]:
    assert process.stdout is not None
    return {int(process.stdout.readline()) for _ in range(2)}


def test_descendants_are_found_nearest_first(family: subprocess.Popen[str]) -> None:
    expected = _two_lines(family)
    found = namespaces.descendants(family.pid)
    assert set(found) == expected
    assert namespaces.parent_of(found[0]) == family.pid
    assert namespaces.parent_of(found[1]) == found[0]


def test_kill_all_leaves_nobody(family: subprocess.Popen[str]) -> None:
    pids = sorted(_two_lines(family))
    namespaces.kill_all(lambda: namespaces.descendants(family.pid))
    assert not any(namespaces.is_running(pid) for pid in pids)


def test_a_zombie_does_not_run() -> None:
    process = subprocess.Popen(["true"])
    deadline = time.monotonic() + 20
    while namespaces.is_running(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert os.path.exists(f"/proc/{process.pid}")
    process.wait()


def test_start_tells_two_processes_of_one_number_apart() -> None:
    assert namespaces.started(os.getpid()).isdigit()
    assert namespaces.started(os.getpid()) != namespaces.started(1)


def test_the_probe_changes_nothing_here(tmp_path: object) -> None:
    before = [os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid", "uts", "ipc", "user")]
    assert namespaces.probe(str(tmp_path)) <= set(namespaces.FLAGS)
    assert before == [os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid", "uts", "ipc", "user")]


def test_children_tell_their_status() -> None:
    async def main() -> list[int]:
        children = Children()
        ends: list[asyncio.Future[int]] = []
        for script in ("exit 3", "kill -9 $$"):
            end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            pid = os.posix_spawn("/bin/sh", ["sh", "-c", script], os.environ)  # noqa: ASYNC221
            children.watch(pid, end.set_result)
            ends.append(end)
        return [os.waitstatus_to_exitcode(await asyncio.wait_for(end, 20)) for end in ends]

    assert asyncio.run(main()) == [3, -9]


def test_terminal_size_and_modes() -> None:
    modes = {asyncssh.PTY_ECHO: 0, asyncssh.PTY_VEOF: 255, asyncssh.PTY_VINTR: 1, 250: 7}
    ours, theirs, path = terminals.open_terminal((132, 43, 0, 0), modes)
    try:
        assert os.get_terminal_size(theirs) == (132, 43)
        assert os.ttyname(theirs) == path
        attributes = termios.tcgetattr(theirs)
        assert not attributes[3] & termios.ECHO
        assert attributes[3] & termios.ICANON
        assert attributes[6][termios.VINTR] == b"\x01"
        assert attributes[6][termios.VEOF] in (b"\x00", 0)
        terminals.set_size(ours, (2**32 - 1, 50, 0, 0))
        assert os.get_terminal_size(theirs) == (65535, 50)
    finally:
        os.close(ours)
        os.close(theirs)
