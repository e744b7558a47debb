"""The process that holds a connection: ``ssh -M``, from its start to its end."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import os
import shutil
import signal as signals
import socket
from collections.abc import Callable
from pathlib import Path

from ...errors import ConnectionFailed, ConnectionLost
from ...hosts import Host
from .. import ssh_program
from ..child import Child, Spawn
from ..contract import Stream
from ..host_keys import host_keys
from ..supervision import RawReceiver
from . import options
from .nest import Nest

__all__ = ("Master",)

# Lines of what it says that are kept: the reason for its end is among the last.
_KEPT = 40
# Seconds for a master that is there to greet.
_GREETING_TIMEOUT = 5


class Master(RawReceiver):
    """The master of one connection.

    :param nest: where its socket is; its guard ends the master when this process is gone.
    """

    def __init__(self, host: Host, nest: Nest) -> None:
        self.host: Host = host
        self._nest = nest
        #: Its socket.
        self.socket: Path = nest.place()
        self._keys = Path(f"{self.socket}.keys")
        self._child = Child(self)
        self._ready = asyncio.Event()
        #: Set when it has ended.
        self.over: asyncio.Event = asyncio.Event()
        self._exit: tuple[int | None, int | None] = (None, None)
        self._said: collections.deque[str] = collections.deque(maxlen=_KEPT)
        self._rest = b""
        self._shown = ssh_program.ShownKey()
        self._failed_open = ""
        self._is_ending = False
        self._waiting: list[Callable[[str], None]] = []

    async def open(self) -> None:
        """Start it, and wait until its socket answers.

        :raises ConnectionFailed: with what it said when it did not get that far. It is ended then.
        """
        try:
            options.check_keyfile(self.host)
            ssh_program.write_key(self.host, self._keys)
            self._spawn()
            await self._opened()
            ssh_program.record_key(self.host, self._keys)
            if self._shown.key is not None:
                host_keys.check(self.host, self._shown.key)
        except BaseException:
            self.end()
            raise

    def _spawn(self) -> None:
        verbose = self.host.host_key is None and host_keys.known(self.host) is None
        words = options.master_words(self.host, self.socket, self._keys, verbose=verbose)
        try:
            self._child.spawn(Spawn(tuple(words), dict(os.environ)))
        except OSError as error:
            text = f"{words[0]}: {error.strerror}"
            if error.errno == errno.ENOENT and shutil.which(words[0]) is None:
                package = " (apt-get install openssh-client)" if words[0] == "ssh" else ""
                text = f"{words[0]} is not installed on this machine{package}"
            raise ConnectionFailed(self.host.name, text) from error
        self._nest.add(self._child.pid)

    async def _opened(self) -> None:
        events = [asyncio.ensure_future(event.wait()) for event in (self._ready, self.over)]
        try:
            await asyncio.wait(events, timeout=options.LOGIN_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()
        if self.over.is_set():
            raise ConnectionFailed(self.host.name, self._reason())
        if not self._ready.is_set():
            raise ConnectionFailed(self.host.name, f"no answer within {options.LOGIN_TIMEOUT} s")

    # what the child tells

    def data(self, stream: Stream, data: bytes) -> None:
        if stream == "stderr":
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._heard(line.decode("utf-8", "replace").rstrip())

    def _heard(self, line: str) -> None:
        if line == options.READY:
            self._ready.set()
        elif line.startswith("debug1:"):
            if not self._ready.is_set():
                self._shown.heard(line)
        else:
            self._said.append(line)
            if line.startswith("channel ") and ": open failed: " in line:
                self._failed_open = line.partition(": open failed: ")[2]

    def exited(self, exit_code: int | None, signal: int | None) -> None:
        self._exit = (exit_code, signal)
        if self._is_ending:
            # Programs on the way to a jump host that hold its output are not waited for.
            asyncio.get_running_loop().call_soon(self._child.close)

    def closed(self, reason: str | None) -> None:
        self._heard(self._rest.decode("utf-8", "replace"))
        self._nest.remove(self._child.pid)
        self._over()

    def _over(self) -> None:
        for path in (self.socket, self._keys):
            with contextlib.suppress(OSError):
                path.unlink()
        self.over.set()
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then(self._reason())

    def _reason(self) -> str:
        if self._is_ending:
            return "disconnected"
        if self._exit[1] is not None:
            return f"its ssh program was killed by {signals.Signals(self._exit[1]).name}"
        return ssh_program.reason(self._said, self.host)

    # what clients ask

    @property
    def closed_or_closing(self) -> bool:
        """Whether it takes no more clients."""
        return self._is_ending or self.over.is_set()

    async def answers(self) -> bool:
        """Whether it is there: it greets whoever comes, at once. One that does not is ended.

        That its socket takes a connection proves nothing: while a program that was killed goes away, its clients can
        have lost it already and its socket still takes some. One that is busy for long counts as there.
        """
        if self.closed_or_closing:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
            try:
                probe.connect(str(self.socket))
                greeting = asyncio.get_running_loop().sock_recv(probe, 1)
                if await asyncio.wait_for(greeting, _GREETING_TIMEOUT):
                    return True
            except (BlockingIOError, TimeoutError):  # many clients wait there
                return True
            except OSError:
                pass
        self._child.close()
        return False

    def when_over(self, then: Callable[[str], None]) -> None:
        """Call ``then`` with the reason when it has ended, at once if it has already."""
        if self.over.is_set():
            then(self._reason())
        else:
            self._waiting.append(then)

    async def lost(self) -> ConnectionLost:
        """Return the error that says why the connection has ended, or is about to."""
        await self.over.wait()
        return ConnectionLost(self.host.name, self._reason())

    async def failed_open(self) -> str:
        """Return why the server could not open the last TCP connection that it was asked for."""
        for _ in range(2):
            await asyncio.sleep(0)  # the master has said it before it answered its client
        return self._failed_open

    def end(self) -> None:
        """End it at once: ``over`` is set soon. A second call does nothing."""
        if self._is_ending or self.over.is_set():
            return
        self._is_ending = True
        if self._child.pid < 0:
            self._over()
        else:
            self._child.close()
