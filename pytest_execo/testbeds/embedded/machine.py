"""A node from the outside, in the manager: its sockets, its disk, its power switch, its faults."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import time
from collections.abc import Mapping
from typing import Any

from . import namespaces
from .node import Blueprint, boot

__all__ = ("FaultRefused", "Machine")

_HEALTHY: Mapping[str, Any] = {"cut": False, "latency": 0.0, "rate": 0.0}
#: Seconds that an init without a PID namespace has to end its processes before we do it.
_GRACE = 5.0
_DISK_FLAGS = namespaces.MS_NOSUID | namespaces.MS_NODEV


class FaultRefused(Exception):
    """This machine cannot do that; the text says what it takes."""


class Machine:
    """One node: off, listening (not booted yet), or booted.

    A node boots at its first connection: until then its listening socket is here, and costs nothing but itself.
    """

    def __init__(self, blueprint: Blueprint, disk_size: int, reserved: socket.socket) -> None:
        self.blueprint = blueprint
        self.name: str = blueprint.address.name
        self.listening: socket.socket | None = None
        self.control: socket.socket | None = None
        self.init: int | None = None
        #: A complete answer of the node's server says that it is up.
        self.up: bool = False
        self.wire: dict[str, Any] = dict(_HEALTHY)
        # Bound and never listening: keeps the port ours while the node is off.
        self._reserved = reserved
        self._disk = blueprint.paths.disk(blueprint.address)
        self._disk_size = disk_size
        self._lifeline: int | None = None
        self._received = b""

    def make_disk(self) -> None:
        """Make the disk: a file system of its own where that is allowed, else a directory."""
        os.mkdir(self._disk, 0o755)
        if "mount" in self.blueprint.isolation:
            namespaces.mount("tmpfs", self._disk, "tmpfs", _DISK_FLAGS, f"size={self._disk_size},mode=755")

    def listen(self) -> None:
        """Switch on: accept connections, to be served by whoever boots."""
        address = self.blueprint.address
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.ip, address.port))
        listening.listen(1024)
        listening.setblocking(False)
        self.listening = listening

    def boot(self) -> None:
        """Start the node's processes; it is up when its server says so on ``control``."""
        assert self.listening is not None
        ours, theirs = socket.socketpair()
        listening, self.listening = self.listening, None
        try:
            self.init, self._lifeline = boot(self.blueprint, listening, theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            listening.close()
        ours.setblocking(False)
        self.control = ours
        self._received = b""

    def send_wire(self, number: int) -> None:
        """Tell the node's server what is wrong with its wire; it answers with ``number``."""
        assert self.control is not None
        self.control.setblocking(True)
        self.control.sendall(json.dumps({"id": number, "wire": self.wire}).encode() + b"\n")
        self.control.setblocking(False)

    def receive(self) -> list[dict[str, Any]] | None:
        """Return what the node's server said; ``None``: it has ended."""
        assert self.control is not None
        try:
            data = self.control.recv(65536)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            return None
        *lines, self._received = (self._received + data).split(b"\n")
        messages = [json.loads(line) for line in lines]
        self.up = self.up or bool(messages)
        return messages

    def fill(self, free: int) -> None:
        """Leave ``free`` bytes on the disk, by making the disk smaller: at once, and without using memory."""
        if "mount" not in self.blueprint.isolation:
            raise FaultRefused("fill_disk needs a mount namespace, which this machine does not give")
        # Somebody may be writing: the kernel refuses a size below what is used, and then there is more used.
        for _ in range(1000):
            state = os.statvfs(self._disk)
            used = (state.f_blocks - state.f_bfree) * state.f_frsize
            # No more than there was: "leave 10 GiB" of a 1 GiB disk is no fault. And 0 would mean no limit.
            size = max(min(used + free, self._disk_size), state.f_frsize)
            try:
                self._resize(size)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
            else:
                return
        raise FaultRefused("fill_disk: the disk grows faster than it can be shrunk")

    def unfill(self) -> None:
        """Give the disk its own size back."""
        if "mount" in self.blueprint.isolation:
            self._resize(self._disk_size)

    def _resize(self, size: int) -> None:
        options = f"size={size}"
        namespaces.mount("tmpfs", self._disk, "tmpfs", namespaces.MS_REMOUNT | _DISK_FLAGS, options)

    def kill(self) -> None:
        """Have every process of the node ended, without waiting for it."""
        if self.init is not None:
            with contextlib.suppress(ProcessLookupError):
                # Without a PID namespace it is init that ends the others, so it has to live for that.
                os.kill(self.init, signal.SIGKILL if "pid" in self.blueprint.isolation else signal.SIGTERM)

    def off(self) -> None:
        """End every process of the node and stop listening. Returns when they have ended."""
        self.kill()
        if self.init is not None:
            init = self.init
            if "pid" not in self.blueprint.isolation and not _wait(init, _GRACE):
                namespaces.kill_all(lambda: namespaces.descendants(init))
                os.kill(init, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(init, 0)
        self.ended()

    def ended(self) -> None:
        """Forget what ended."""
        self.init = None
        self.up = False
        for sock in (self.listening, self.control):
            if sock is not None:
                sock.close()
        self.listening = self.control = None
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    @property
    def on(self) -> bool:
        """Whether the node is switched on, booted or not."""
        return self.listening is not None or self.init is not None

    def heal_wire(self, *names: str) -> bool:
        """Take the named faults off the wire; tell whether that changed it."""
        before = dict(self.wire)
        self.wire.update({name: _HEALTHY[name] for name in names})
        return self.wire != before


def _wait(pid: int, timeout: float) -> bool:
    """Wait for a child to end without reaping it; tell whether it did."""
    end = time.monotonic() + timeout
    while namespaces.is_running(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True
