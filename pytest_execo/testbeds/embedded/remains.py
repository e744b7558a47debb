"""What a lease leaves on the machine when its controller is killed or keeps it, and how that is ended.

A manager whose controller is dead ends by itself, and takes its nodes and its directory with it. Somebody has to look
after the two cases in which it does not: it was killed too, or it was told to stay.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from typing import Any

from ...errors import TestbedError
from .layout import Paths
from .namespaces import is_running, parent_of, started

__all__ = ("PREFIX", "reclaim", "remains_of", "wait_for_nodes")

#: How the directory of a lease is called.
PREFIX = "execo-"
#: Seconds for a manager to end all nodes: enough for a loaded machine, and not for ever.
END_TIMEOUT = 30.0
_MANAGER = f"{__package__}.manager"


def remains_of(directory: str, manager: int | None = None) -> dict[str, Any]:
    """Return the JSON by which :func:`reclaim` finds a lease.

    :param directory: of the lease, which need not be there yet. :param manager: its process, once there is one.
    """
    found: dict[str, Any] = {"directory": directory, "host": socket.gethostname(), **_here()}
    if manager is not None:
        found["manager"] = {"pid": manager, "started": started(manager)}
    return found


def reclaim(remains: Mapping[str, Any]) -> list[str]:
    """End the manager and its nodes, if they run, and remove the directory; return a line for each.

    :raises TestbedError: when they are not on this machine, somebody else's, or do not end.
    """
    try:
        directory, host, there = remains["directory"], remains["host"], (remains["boot"], remains["pids"])
        manager = remains.get("manager")
        known = None if manager is None else (int(manager["pid"]), str(manager["started"]))
    except (KeyError, TypeError, ValueError) as error:
        raise TestbedError(f"this tells of no lease of embedded nodes: {error!r}") from None
    here = _here()
    if host != socket.gethostname() or (there[0] == here["boot"] and there[1] != here["pids"]):
        raise TestbedError(f"the nodes are on {host}, in {directory}: give them back there")
    # When the machine was started anew, no process of that time runs, and the numbers mean others.
    pid = _manager(directory, known) if there[0] == here["boot"] else None
    lines: list[str] = []
    try:
        if pid is not None:
            _end(pid)
            lines.append(f"node manager {pid} ended with its nodes")
        wait_for_nodes(Paths(directory))
        if _is_ours(directory):
            shutil.rmtree(directory, ignore_errors=True)
            lines += [] if pid is not None else [f"directory {directory} removed"]
    except PermissionError as error:
        raise TestbedError(f"node manager {pid} and {directory} are another user's: {error.strerror}") from None
    if os.path.lexists(directory):
        raise TestbedError(f"{directory} can't be removed; by hand: rm -r {directory}")
    return lines


def wait_for_nodes(paths: Paths) -> None:
    """Wait until the nodes have ended whose manager has: they die with it, and a dying process still has its files.

    Not for longer than :data:`END_TIMEOUT`.
    """
    with contextlib.suppress(OSError, ValueError), open(paths.pids, encoding="ascii") as file:
        deadline = time.monotonic() + END_TIMEOUT
        for line in file:
            pid, start = line.split()
            while _is(int(pid), start) and time.monotonic() < deadline:
                time.sleep(0.005)


def _here() -> dict[str, str]:
    """Say since which start of which machine, and in which PID namespace, process numbers are what they are."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return {"boot": file.read().strip(), "pids": str(os.stat("/proc/self/ns/pid").st_ino)}
    except OSError:
        return {"boot": "", "pids": ""}


def _manager(directory: str, known: tuple[int, str] | None) -> int | None:
    """Return the manager, if it runs."""
    if known is not None:
        return known[0] if _is(*known) else None
    # Its controller was killed before it could say the number. Nodes are forks of the manager, and look the same.
    alike = [pid for name in os.listdir("/proc") if name.isdigit() and _serves(pid := int(name), directory)]
    for pid in alike:
        with contextlib.suppress(OSError):
            if parent_of(pid) not in alike:
                return pid
    return None


def _serves(pid: int, directory: str) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        words = [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
        return words[-2:] == [_MANAGER, directory] and is_running(pid)
    return False


def _end(pid: int) -> None:
    start = started(pid)
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
        deadline = time.monotonic() + END_TIMEOUT
        while time.monotonic() < deadline:
            if not _is(pid, start):
                return
            time.sleep(0.005)
    raise TestbedError(f"node manager {pid} does not end")


def _is(pid: int, start: str) -> bool:
    """Tell whether the process that had this number then still runs."""
    with contextlib.suppress(OSError):
        return is_running(pid) and started(pid) == start
    return False


def _is_ours(directory: str) -> bool:
    """Tell whether it is the directory of a lease, and not what somebody has put in its place."""
    if not os.path.basename(directory).startswith(PREFIX) or not os.path.isdir(directory):
        return False
    return not os.path.islink(directory) and os.stat(directory).st_uid == os.geteuid()
