"""Where the sockets of masters are, and who ends the masters when this process is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

from ..child import Child, Spawn
from ..contract import Stream
from ..supervision.guard import Guard, guard_arguments
from ..supervision.transport import RawChannel, RawReceiver

__all__ = ("Nest",)

# The path of a socket has 108 bytes (sockaddr_un), of which ssh takes 17 for a temporary name at first.
_LONGEST = 60
# Paths that mean the same everywhere: ssh expands others, and takes blanks for the end.
_PLAIN = re.compile(r"[\w/.,:+@-]+", re.ASCII)
# Seconds that the guard may take to end: its grace for masters, and slow machines.
_CLOSE_TIMEOUT = 5
# Runs a guard, and removes the directory after it, unless it was killed: then we may still be here, and the masters.
_SWEEP = 'd=$1; shift; trap "" HUP INT QUIT PIPE TERM; "$@"; [ $? -gt 128 ] || rm -rf -- "$d"'


class Nest:
    """A directory for sockets, mode 0700, and the guard of the masters, a shell on a pipe of ours.

    A master would survive this process, and with it what runs over its connection: the guard hears of our end, SIGKILL
    included, ends them and removes the directory.
    """

    def __init__(self) -> None:
        self._guard = Guard(secrets.token_hex(6), "localhost", self._open_guard, silence=0)
        self._child: Child | None = None
        self._closed: asyncio.Event = asyncio.Event()
        self._closed.set()
        self._path: Path | None = None
        self._number = 0

    async def open(self) -> None:
        """Make the directory and start the guard. Where that is done already it does nothing.

        :raises OSError: when either can't be done.
        """
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="execo-ssh-", dir=_parent()))
        self._guard.open()
        await self._guard.opened()

    def place(self) -> Path:
        """Return a path for a new socket; what is beside it with a suffix belongs to it."""
        assert self._path is not None
        self._number += 1
        return self._path / str(self._number)

    def add(self, pid: int) -> None:
        """Have a master guarded."""
        self._guard.add(pid)

    def remove(self, pid: int) -> None:
        """Have it guarded no more: it has ended, and its number may be given to others."""
        self._guard.ended(pid)
        self._guard.sign_of_life()

    async def _open_guard(self, line: bytes, receiver: RawReceiver) -> RawChannel:
        del line  # no login shell stands between us and it
        arguments = ("/bin/sh", "-c", *guard_arguments(self._guard.token, silence=0))
        child = Child(_Watched(receiver, self._closed))
        child.spawn(Spawn(("/bin/sh", "-c", _SWEEP, "sh", str(self._path), *arguments), dict(os.environ)))
        self._closed.clear()
        self._child = child
        return child

    async def close(self) -> None:
        """End the guard and remove the directory, which nobody uses any more."""
        self._guard.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), _CLOSE_TIMEOUT)
        if self._child is not None:
            self._child.close()
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)

    def drop(self) -> None:
        """Let go of the guard in a forked child: it has to hear of the parent's end."""
        if self._child is not None:
            self._child.drop()


class _Watched(RawReceiver):
    """What the guard's child tells, and to whom."""

    def __init__(self, receiver: RawReceiver, over: asyncio.Event) -> None:
        self._receiver = receiver
        self._over = over

    def data(self, stream: Stream, data: bytes) -> None:
        self._receiver.data(stream, data)

    def exited(self, exit_code: int | None, signal: int | None) -> None:
        self._receiver.exited(exit_code, signal)

    def closed(self, reason: str | None) -> None:
        self._over.set()
        self._receiver.closed(reason)


def _parent() -> str:
    """Return a directory whose name is short enough for sockets."""
    places = (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/var/tmp")
    for place in places:
        if len(place) <= _LONGEST and _PLAIN.fullmatch(place) and os.access(place, os.W_OK | os.X_OK):
            return place
    raise FileNotFoundError(f"no directory for sockets, with a plain name of at most {_LONGEST} bytes")
