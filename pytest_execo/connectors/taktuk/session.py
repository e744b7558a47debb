"""One command on a host: a channel over the lines of the host's relay."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import ConnectorError, StartFailed
from ..contract import Channel, Command, End, Receiver, Stream
from .lines import PIECE, data_line

if TYPE_CHECKING:
    from .node import Node

__all__ = ("CREDIT", "Session")

#: Bytes of output that a relay sends before it is told that they were taken: what may be on the way, and in memory.
CREDIT = 4 << 20
# Output is acknowledged in steps of this many bytes.
_STEP = 1 << 20
# Bytes of standard input on the way to a command that has not taken them.
_WINDOW = 1 << 19
# Bytes that wait here before a writer is held up.
_WRITE_AHEAD = 1 << 20


class Session(Channel):
    """One command. Made before its host is reached; :meth:`begun` waits until it runs."""

    def __init__(self, node: Node, number: int, command: Command, receiver: Receiver) -> None:
        self._node = node
        self.number: int = number
        self.command: Command = command
        self._receiver = receiver
        #: What marks its descendants.
        self.mark: str = secrets.token_hex(8)
        #: Nobody waits for it any more; it is to end as soon as it can be told to.
        self.given_up: bool = False
        #: Its end was told, or will never be.
        self.over: bool = False
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody may be left to hear why it did not begin.
        self._begun.add_done_callback(lambda begun: begun.cancelled() or begun.exception())
        self._pid: int | None = None
        self._others_left = False
        self._unsent = bytearray()
        self._sent = 0
        self._taken_there = 0
        self._eof_wanted = self._eof_sent = command.detached
        self._room: asyncio.Event = asyncio.Event()
        self._room.set()
        self._received = 0
        self._granted = 0
        self._paused = False
        #: Called when the command has taken input, and at its end.
        self.on_room: Callable[[], None] | None = None

    async def begun(self) -> None:
        """Wait until the host said that the command runs.

        :raises ConnectorError: when it does not.
        """
        await self._begun

    @property
    def is_running(self) -> bool:
        """Whether it has begun and its end was not told."""
        return self._pid is not None and not self.over

    # what the relay says

    def started(self, pid: int) -> None:
        """Take the pid, which is that of the process group too."""
        self._pid = pid
        if self.given_up:
            self._node.tell(f"k 0 9 {pid} {self.mark}")
            self._node.tell(f"x {self.number}")
            self._end_quietly()
            return
        self._receiver.started(pid)
        if not self._begun.done():
            self._begun.set_result(None)
        self._send()

    def not_started(self, what: str, why: str) -> None:
        """Take the reason: the directory, the terminal, or too many processes."""
        said = {
            "directory": f"no directory {self.command.cwd}, or no permission to enter it",
            "terminal": f"the host gives no terminal: {why}",
        }
        self.fail(StartFailed(self._node.host.name, said.get(what, why)))

    def received(self, stream: Stream, data: bytes) -> None:
        """Take a piece of output, and let more of it come."""
        if self.over:
            return
        self._receiver.received(stream, data)
        self._received += len(data)
        self._grant()

    def _grant(self) -> None:
        if not self._paused and not self.over and self._received - self._granted >= _STEP:
            self._granted = self._received
            self._node.tell(f"g {self.number} {self._granted + CREDIT}")

    def taken(self, count: int) -> None:
        """Take note that the command has read so much of its standard input."""
        self._taken_there = count
        self._send()
        if self.on_room is not None:
            self.on_room()

    def ended(self, status: int, *, others_left: bool) -> None:
        """Take the end: what ``waitpid`` says, and whether others of the process group are still there."""
        self._others_left = others_left
        number = status & 0x7F
        self._finish(End(signal=number) if number else End(exit_code=status >> 8))

    def fail(self, error: ConnectorError) -> None:
        """Give up: it did not start, or nobody knows how it ends."""
        if not self._begun.done():
            self._end_quietly()
            self._begun.set_exception(error)
        else:
            self._finish(End(error=error))

    def _finish(self, end: End) -> None:
        if not self.over:
            self._end_quietly()
            if not self.given_up:
                self._receiver.ended(end)

    def _end_quietly(self) -> None:
        self.over = True
        self._unsent.clear()
        self._room.set()
        self._node.settled()
        if self.on_room is not None:
            self.on_room()

    def give_up(self) -> None:
        """Have it ended when it starts: its caller was cancelled."""
        self.given_up = True
        if self._pid is not None:
            self.started(self._pid)
        else:
            self._node.settled()

    # the channel

    def write(self, data: bytes) -> None:
        if not self.over and not self._eof_wanted:
            self._unsent += data
            self._send()

    def close_stdin(self) -> None:
        self._eof_wanted = True
        self._send()

    def _send(self) -> None:
        if self._pid is None or self.over:
            return
        while self._unsent and self._sent - self._taken_there < _WINDOW:
            piece = bytes(self._unsent[:PIECE])
            del self._unsent[:PIECE]
            self._sent += len(piece)
            self._node.tell(data_line(self.number, piece))
        if self._eof_wanted and not self._eof_sent and not self._unsent:
            self._eof_sent = True
            self._node.tell(f"e {self.number}")
        if len(self._unsent) > _WRITE_AHEAD:
            self._room.clear()
        else:
            self._room.set()

    # input that others get too (see .multicast)

    @property
    def node(self) -> Node:
        """The host."""
        return self._node

    def has_room(self, window: int) -> bool:
        """Whether fewer bytes of input than ``window`` are on the way to it, and none wait to be sent."""
        return not self._unsent and self._sent - self._taken_there < window

    def join(self, key: str) -> None:
        """Have what is sent to ``key`` taken for input."""
        self._node.tell(f"j {self.number} {key}")

    def sent_with_others(self, size: int) -> None:
        """Count input that was sent to all."""
        self._sent += size

    async def drain(self) -> None:
        await self._room.wait()

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._grant()

    async def signal(self, number: int, *, tree: bool = False) -> None:
        if self._pid is not None and (not self.over or self._others_left or tree):
            await self._node.ask("k", str(int(number)), str(self._pid), self.mark if tree else "-")

    async def alive(self) -> bool:
        if self._pid is None or (self.over and not self._others_left):
            return False
        return await self._node.ask("a", str(self._pid))

    def close(self) -> None:
        if self.over:
            return
        self._node.tell(f"x {self.number}")
        error = ConnectorError(self._node.host.name, "abandoned")
        asyncio.get_running_loop().call_soon(self._finish, End(error=error))
        with contextlib.suppress(asyncio.InvalidStateError):
            self._begun.set_exception(error)
