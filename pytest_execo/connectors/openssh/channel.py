"""One line on a connection, from its start to its end."""

from __future__ import annotations

import asyncio
import re

from ...errors import ConnectionLost, ConnectorError, StartFailed
from ..contract import Stream
from ..supervision import RawChannel, RawReceiver, Refused
from .client import TROUBLE, Client
from .master import Master
from .options import OPEN

__all__ = ("NO_SESSION", "Channel")

#: What a client says when the server gives the master no further session.
NO_SESSION: re.Pattern[str] = re.compile(r"session request failed: (.*)")
# A login shell that says more than this, bytes, without running our line runs something else.
_LONGEST_HEAD = 1 << 20


class Channel(Client, RawChannel):
    """The client of one line. It passes on what it carries from the moment in which the line runs."""

    def __init__(self, master: Master, receiver: RawReceiver) -> None:
        super().__init__()
        self._master = master
        self._receiver = receiver
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opened.add_done_callback(lambda opened: opened.cancelled() or opened.exception())
        self._is_open = False
        self._head = bytearray()
        self._errors = bytearray()
        self._asking: asyncio.Task[None] | None = None

    async def opened(self) -> None:
        """Wait until the line runs.

        :raises Refused: when the server gives no further session.
        :raises ConnectorError: when the connection is lost, or the host gives no terminal.
        """
        await self._opened

    # what the child tells

    def data(self, stream: Stream, data: bytes) -> None:
        if self._is_open:
            self._receiver.data(stream, data)
        elif self._opened.done():
            pass  # it was refused, or nobody waits for it any more
        elif stream == "stderr":
            self._errors += data
        else:
            self._head += data
            self._look_for_mark()

    def _look_for_mark(self) -> None:
        at = self._head.find(OPEN)
        newline = self._head.find(b"\n", at) if at >= 0 else -1
        if newline >= 0:
            if self._head[at + len(OPEN) : newline].strip() == b"-":
                self._refuse(StartFailed(self._master.host.name, "the host gives no terminal"))
                return
            del self._head[at : newline + 1]
        elif len(self._head) < _LONGEST_HEAD:
            return
        self._open()

    def _open(self) -> None:
        """Pass on what came, and from now on all that comes."""
        self._is_open = True
        self._opened.set_result(None)
        if self._head:
            self._receiver.data("stdout", bytes(self._head))
        if self._errors:
            self._receiver.data("stderr", bytes(self._errors))

    def _refuse(self, error: ConnectorError) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)

    def settled(self) -> None:
        exit_code, signal = self.exit
        said = self._errors.decode("utf-8", "replace")
        if not self._is_open and self._opened.done():
            return
        if exit_code is not None and exit_code != TROUBLE:
            self._ended(exit_code)
        elif not self._is_open and (refused := NO_SESSION.search(said)):
            self._refuse(Refused(self._master.host.name, refused[1].strip()))
        else:
            self._asking = asyncio.ensure_future(self._ask_master(exit_code, signal))

    async def _ask_master(self, exit_code: int | None, signal: int | None) -> None:
        """Tell what a client's end without the command's exit code means: that hangs on the master."""
        if not await self._master.answers():
            self._master.when_over(self._lost)
        elif self._is_killed:
            self._lost(None)
        elif exit_code is None:
            self._lost(f"its ssh program was killed by signal {signal}" if signal else None)
        elif self._is_open:
            self._lost(None)  # of a command under supervision the host has told the end
        else:
            self._ended(exit_code)

    def _ended(self, exit_code: int) -> None:
        if not self._is_open:
            # The login shell ended before our line ran, a forced command or `nologin` for instance.
            self._open()
        self._receiver.exited(exit_code, None)
        self._receiver.closed(None)

    def _lost(self, reason: str | None) -> None:
        self._refuse(ConnectionLost(self._master.host.name, reason or "closed"))
        if self._is_open:
            self._receiver.closed(reason)

    # the channel

    def write(self, data: bytes) -> None:
        self._child.write(data)

    async def drain(self) -> None:
        await self._child.drain()

    def write_eof(self) -> None:
        self._child.write_eof()

    def pause(self) -> None:
        self._child.pause()

    def resume(self) -> None:
        self._child.resume()

    def close(self) -> None:
        self.kill()
