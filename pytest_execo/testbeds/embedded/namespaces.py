"""Linux namespaces, mounts and parent-death signals, through the C library.

The standard library has ``os.unshare`` from 3.12 on and no ``mount`` at all. Everything here is a thin call that
raises :exc:`OSError`; :func:`probe` finds out what this machine allows without changing the calling process.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import sys
import time
from collections.abc import Callable

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_MNT_DETACH = 2
# Seconds that what was killed has to be gone; only what waits for a device takes longer.
_DEATH = 5.0

#: What each kind of isolation is called in a node's description, and its flag.
FLAGS = {"mount": CLONE_NEWNS, "pid": CLONE_NEWPID, "uts": CLONE_NEWUTS, "ipc": CLONE_NEWIPC}


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *args: object) -> None:
    if getattr(_libc(), name)(*args) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags``."""
    _call("unshare", flags)


def mount(source: str, target: str, kind: str | None, flags: int = 0, options: str | None = None) -> None:
    """Mount, bind or remount."""
    _call(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        None if options is None else options.encode(),
    )


def bind(source: str, target: str) -> None:
    """Show the file or directory ``source`` at ``target`` too."""
    mount(source, target, None, MS_BIND | MS_REC)


def overlay(own: str, work: str, target: str) -> None:
    """Show the files of ``own`` in ``target``, over those that are there; what is written there goes to ``own``.

    :param work: an empty directory on the file system of ``own``.
    """
    options = f"lowerdir={target},upperdir={own},workdir={work}"
    try:
        mount("overlay", target, "overlay", options=options)
    except OSError:
        # In a user namespace the kernel keeps its notes where the user may write them.
        mount("overlay", target, "overlay", options=options + ",userxattr")


def unmount(target: str) -> None:
    """Take a mount out of the tree; it ends when its last user does."""
    _call("umount2", os.fsencode(target), _MNT_DETACH)


def die_with_parent(signum: int = signal.SIGKILL) -> None:
    """Have the kernel send ``signum`` to the calling process when its parent ends, however that ends."""
    _call("prctl", _PR_SET_PDEATHSIG, int(signum), 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, instead of the machine's PID 1."""
    _call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def enter_private_mounts() -> None:
    """Give the calling process mounts that nobody else sees and that end with it.

    Root asks for a mount namespace. Everybody else needs a user namespace around it, in which the user keeps its own
    number: files look the same inside and outside.
    """
    try:
        unshare(CLONE_NEWNS)
    except PermissionError:
        uid, gid = os.getuid(), os.getgid()
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        # Without "deny" the kernel refuses the group map of an unprivileged process.
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def mount_proc() -> None:
    """Mount the ``/proc`` of the PID namespace that the calling process lives in."""
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def probe(directory: str) -> frozenset[str]:
    """Return the kinds of isolation that work here, of :data:`FLAGS`; tried out in a child, on ``directory``.

    Containers differ in what they forbid (user namespaces, mounts, a second ``/proc``), and no file tells all of it.
    """
    if not sys.platform.startswith("linux"):
        return frozenset()

    def tmpfs() -> None:
        enter_private_mounts()
        mount("tmpfs", directory, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k")
        mount("tmpfs", directory, "tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV, "size=128k")
        bind(directory, "/tmp")

    def pids() -> None:
        # A PID namespace without its own /proc would show the numbers of another one: worse than none.
        tmpfs()
        unshare(CLONE_NEWPID | CLONE_NEWNS)
        if not _in_child(mount_proc):
            raise OSError("no /proc")

    def alone(flag: int) -> None:
        enter_private_mounts()
        unshare(flag)

    if not _in_child(tmpfs):
        return frozenset()
    works = {"mount"}
    if _in_child(pids):
        works.add("pid")
    for name in ("uts", "ipc"):
        if _in_child(functools.partial(alone, FLAGS[name])):
            works.add(name)
    return frozenset(works)


def _in_child(action: Callable[[], object]) -> bool:
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            action()
            status = 0
        os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def descendants(pid: int) -> list[int]:
    """Return the processes below ``pid``, nearest first, by what ``/proc`` says now."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(parent_of(int(name)), []).append(int(name))
    found = list(children.get(pid, ()))
    for child in found:  # grows while it is walked
        found.extend(children.get(child, ()))
    return found


def parent_of(pid: int) -> int:
    """Return the parent of a process."""
    return int(_stat(pid)[1])


def is_running(pid: int) -> bool:
    """Tell whether a process exists and has not ended (a zombie has)."""
    try:
        return _stat(pid)[0] not in ("Z", "X")
    except OSError:
        return False


def started(pid: int) -> str:
    """Return when a process started, in ticks since boot: with the number, what tells it from a later one."""
    return _stat(pid)[19]


def _stat(pid: int) -> list[str]:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        # The name, second, may hold anything, blanks and parentheses included.
        return file.read().rpartition(")")[2].split()


def kill_all(pids: Callable[[], list[int]]) -> None:
    """SIGKILL what ``pids()`` returns, again and again until it returns nothing that runs.

    A process that forks faster than it is listed is stopped first: a stopped one forks no more.
    """
    killed: dict[int, str] = {}
    while alive := [pid for pid in pids() if is_running(pid)]:
        for pid in alive:
            with contextlib.suppress(OSError):
                killed[pid] = started(pid)
        for signum in (signal.SIGSTOP, signal.SIGKILL):
            for pid in alive:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signum)
    # Whoever lost its parent is listed no more, and may not be dead yet.
    deadline = time.monotonic() + _DEATH
    while any(_still_runs(*each) for each in killed.items()) and time.monotonic() < deadline:
        time.sleep(0.001)


def _still_runs(pid: int, since: str) -> bool:
    with contextlib.suppress(OSError):
        return is_running(pid) and started(pid) == since
    return False
