"""Trees of processes: who descends from whom, what they cost, and their end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ("adopt_orphans", "cpu_seconds", "descendants", "end", "memory", "running")

_PR_SET_CHILD_SUBREAPER = 36
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent ends: what becomes a daemon stays in the tree."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants(pid: int, *, but: int | None = None) -> list[int]:
    """Return the children of ``pid``, their children, and so on, without ``but`` and what descends from it."""
    found: list[int] = []
    queue = [pid]
    while queue:
        for child in _children(queue.pop()):
            if child != but:
                found.append(child)
                queue.append(child)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError):  # it is gone, and so are its threads
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                children += map(int, Path(f"/proc/{pid}/task/{task}/children").read_bytes().split())
    return children


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time, user and system, of living processes and of the children that they waited for."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            # The name, in brackets, may have blanks and brackets in it.
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            own, reaped, threads = sum(map(int, fields[11:13])), sum(map(int, fields[13:15])), int(fields[17])
            # A thousand idle programs of some milliseconds each would all be rounded to ticks of 10 ms; the scheduler
            # has nanoseconds, of the first thread.
            exact = threads == 1 and int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[0]) / 1e9
            total += (exact or own / _TICK) + reaped / _TICK
    return total


def memory(pids: Iterable[int]) -> int:
    """Return the bytes that processes hold together: private ones of each, and the shared ones of the largest."""
    private, shared = 0, 0
    for pid in pids:
        with contextlib.suppress(OSError):
            resident, common = map(int, Path(f"/proc/{pid}/statm").read_bytes().split()[1:3])
            private += resident - common
            shared = max(shared, common)
    return (private + shared) * _PAGE


def running(pids: Iterable[int]) -> list[int]:
    """Return those that have not ended: what nobody waited for yet is no process any more."""
    left: list[int] = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z":
                left.append(pid)
    return left


def end(pids: Iterable[int], *, within: float = 10) -> None:
    """Kill processes, and wait for those that are our children: with :func:`adopt_orphans` all become that."""
    left = set(pids)
    deadline = time.monotonic() + within
    while left and time.monotonic() < deadline:
        for pid in tuple(left):
            try:
                os.kill(pid, signal.SIGKILL)
                if os.waitpid(pid, os.WNOHANG)[0]:
                    left.discard(pid)
            except ProcessLookupError:
                left.discard(pid)
            except ChildProcessError:  # not ours yet: its parent is about to end
                pass
        if left:
            time.sleep(0.01)
