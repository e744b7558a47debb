"""A node from the inside: how it boots, its own view of the machine, and its PID 1.

Booting forks twice. The first child moves into the node's namespaces; what it forks is the node's PID 1, a small init
that reaps what is left behind and whose end is the end of everything in the node: the kernel sees to it where there
is a PID namespace, and the init itself where there is none. Init forks the SSH server. All three are forks of the
manager, which has everything imported: a boot costs milliseconds, and the pages are shared.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import struct
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import asyncssh

from . import layout, namespaces
from .server import serve

__all__ = ("Blueprint", "boot")

#: What a node has for itself, and the directory of its disk that it is.
_OWN = {"/tmp": "tmp", "/var/tmp": "var-tmp", "/dev/shm": "shm"}


@dataclass(frozen=True)
class Blueprint:
    """All that is needed to boot one node."""

    paths: layout.Paths
    address: layout.Address
    everybody: tuple[layout.Address, ...]
    account: layout.Account
    host_key: asyncssh.SSHKey
    client_key: asyncssh.SSHKey
    #: The public keys that log in.
    logins: frozenset[bytes]
    isolation: frozenset[str]
    #: Files of its ``/etc`` that no other machine has: path below it, and text.
    files: Mapping[str, str]


def boot(blueprint: Blueprint, listening: socket.socket, control: socket.socket) -> tuple[int, int]:
    """Boot a node; return the number of its PID 1 and a descriptor whose closing tells that init that we are gone.

    The node serves ``listening`` and answers on ``control``; the caller closes its own copies.
    """
    started, tell = os.pipe()
    lifeline, hold = os.pipe()
    child = os.fork()
    if child == 0:
        _run(lambda: _enter(blueprint, listening, control, tell, lifeline))
    os.close(tell)
    os.close(lifeline)
    answer = os.read(started, 16)
    os.close(started)
    os.waitpid(child, 0)
    if not answer:
        os.close(hold)
        raise OSError("its namespaces could not be entered")
    # The init is our own child by now (its parent has been waited for), and may ask to die with us.
    os.write(hold, b"!")
    return struct.unpack("i", answer)[0], hold


def _run(action: Callable[[], object]) -> None:
    """Run ``action`` in a child and end it: nothing may return into a copy of the manager."""
    status = 1
    try:
        action()
        status = 0
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
        with contextlib.suppress(Exception):
            sys.stderr.flush()
    finally:
        os._exit(status)


def _enter(blueprint: Blueprint, listening: socket.socket, control: socket.socket, tell: int, lifeline: int) -> None:
    signal.set_wakeup_fd(-1)
    _close_all_but({listening.fileno(), control.fileno(), tell, lifeline})
    # The manager's input and output are its line to the controller: a copy here would hide that it is gone.
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    flags = 0
    for name in blueprint.isolation:
        flags |= namespaces.FLAGS[name]
    if flags:
        namespaces.unshare(flags)
    pid = os.fork()
    if pid == 0:
        os.close(tell)
        _run(lambda: _init(blueprint, listening, control, lifeline))
    os.write(tell, struct.pack("i", pid))


def _init(blueprint: Blueprint, listening: socket.socket, control: socket.socket, lifeline: int) -> None:
    """Be PID 1: set the node up, start its server, reap until the server ends."""
    own_pids = "pid" in blueprint.isolation
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if not own_pids:
        namespaces.adopt_orphans()
        signal.signal(signal.SIGTERM, lambda *_: _end_of_tree())
    else:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.read(lifeline, 1)
    namespaces.die_with_parent(signal.SIGKILL if own_pids else signal.SIGTERM)
    os.set_blocking(lifeline, False)
    with contextlib.suppress(BlockingIOError):
        if not os.read(lifeline, 1):
            return  # the manager ended before it could have been noticed
    os.setsid()
    _own_view(blueprint)
    server = os.fork()
    if server == 0:
        _run(lambda: _serve(blueprint, listening, control))
    # The server holds them; a copy here would keep a dead node's port open.
    listening.close()
    control.close()
    with contextlib.suppress(ChildProcessError):
        while os.wait()[0] != server:
            pass
    if not own_pids:
        _end_of_tree()


def _end_of_tree() -> None:
    me = os.getpid()
    namespaces.kill_all(lambda: namespaces.descendants(me))
    os._exit(0)


def _serve(blueprint: Blueprint, listening: socket.socket, control: socket.socket) -> None:
    namespaces.die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.setsid()
    os.umask(0o022)
    os.chdir(blueprint.account.home)
    asyncio.run(serve(blueprint.account, blueprint.host_key, blueprint.logins, listening, control))


def _own_view(blueprint: Blueprint) -> None:
    """Make the node's own home and files, and show them where programs look for them."""
    disk = blueprint.paths.disk(blueprint.address)
    if "uts" in blueprint.isolation:
        socket.sethostname(blueprint.address.name)
    if "pid" in blueprint.isolation:
        namespaces.mount_proc()
    _furnish(blueprint, disk)
    if "mount" not in blueprint.isolation:
        return
    hidden = [path for path in _OWN if os.path.isdir(path) and not os.path.islink(path)]
    # Opened before anything is hidden, because what is needed may lie below what will be.
    own = {path: _open(os.path.join(disk, _OWN[path])) for path in hidden}
    kept = {path: _open(path) for path in [disk, *_python(hidden)]}
    for path, fd in own.items():
        _show(fd, path)
    if not _below(disk, hidden):
        # Other nodes' disks, and the key.
        namespaces.mount("tmpfs", blueprint.paths.directory, "tmpfs", options="size=1m,mode=700")
    for path, fd in kept.items():
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.makedirs(path, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            layout.write(path, "")
        _show(fd, path)
    _show_etc(disk)


def _show_etc(disk: str) -> None:
    """Show the node's own files in ``/etc``, over the machine's."""
    own, work = os.path.join(disk, "etc"), os.path.join(disk, ".etc-work")
    os.makedirs(work, exist_ok=True)
    try:
        namespaces.overlay(own, work, "/etc")
    except OSError:
        # A kernel without overlays, or one that allows no more of them on top of each other: what the machine has as
        # well can be replaced; the rest is on the node's disk only.
        for name in os.listdir(own):
            if os.path.isfile(f"/etc/{name}"):
                namespaces.bind(os.path.join(own, name), f"/etc/{name}")


def _open(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _show(fd: int, path: str) -> None:
    namespaces.bind(f"/proc/self/fd/{fd}", path)
    os.close(fd)


def _furnish(blueprint: Blueprint, disk: str) -> None:
    """Fill a new disk; a disk that was there before stays as it is."""
    os.umask(0o022)
    new = not os.path.isdir(os.path.join(disk, "etc"))
    for name, mode in (("tmp", 0o1777), ("var-tmp", 0o1777), ("shm", 0o1777), ("etc", 0o755), ("home", 0o700)):
        path = os.path.join(disk, name)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
    if not new:
        return
    everybody = blueprint.everybody
    etc = {
        "hosts": layout.hosts(everybody, _text("/etc/hosts")),
        "passwd": layout.passwd(blueprint.account, _text("/etc/passwd")),
        "hostname": blueprint.address.name + "\n",
        **blueprint.files,
    }
    for name, text in etc.items():
        path = os.path.join(disk, "etc", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        layout.write(path, text)
    ssh = os.path.join(blueprint.account.home, ".ssh")
    os.mkdir(ssh, 0o700)
    key, known = os.path.join(ssh, "id_ed25519"), os.path.join(ssh, "known_hosts")
    layout.write(key, blueprint.client_key.export_private_key().decode(), 0o600)
    layout.write(known, layout.known_hosts(everybody), 0o600)
    config = layout.ssh_config(everybody, blueprint.account.user, key, known)
    layout.write(os.path.join(ssh, "config"), config, 0o600)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().encode("utf-8", "replace").decode()
    except OSError:
        return ""


def _python(hidden: Collection[str]) -> list[str]:
    """Return what the running interpreter still needs of the directories that will be hidden."""
    import pytest_execo

    package = os.path.dirname(os.path.dirname(os.path.abspath(pytest_execo.__file__)))
    wanted = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, package, *sys.path}
    wanted |= {os.path.realpath(path) for path in wanted if path}
    found: list[str] = []
    for path in sorted(wanted):
        if path and os.path.exists(path) and _below(path, hidden) and not _below(path, found, or_same=True):
            found.append(path)
    return found


def _below(path: str, directories: Iterable[str], or_same: bool = False) -> bool:
    return any(path.startswith(top.rstrip("/") + "/") or (or_same and path == top) for top in directories)


def _close_all_but(keep: Collection[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in keep:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(fd)
