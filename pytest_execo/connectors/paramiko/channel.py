"""One channel of a connection, read and written by the loop alone.

Paramiko's way to wait for several channels is ``fileno()``: a pipe for each, which stays readable for ever after the
end of the output, and says nothing of a window that opens. But the transport's thread also sets an event for all that
happens; these wake the loop, which then looks what there is. No descriptor, no thread, and nothing to poll.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import paramiko  # type: ignore[import-untyped, unused-ignore]
from paramiko.common import cMSG_CHANNEL_REQUEST  # type: ignore[import-untyped, unused-ignore]

from ...errors import ConnectionLost, StartFailed
from ..supervision import RawChannel, RawReceiver
from .transport import Signal, Window

if TYPE_CHECKING:
    from .connection import ParamikoConnection

__all__ = ("ParamikoChannel",)

# Bytes that wait here for a slow reader on the other side before a writer is held up.
_WRITE_AHEAD = 1 << 20
# Bytes of one packet: what paramiko makes of its 32 KiB.
_PACKET = (32 << 10) - 64
# Packets, and pieces of output, in one turn of the loop: others have their turn then.
_PACKETS = 32
_PIECES = 8
# More than a window: a read takes all there is. Less would have paramiko move the rest in memory.
_ALL = 1 << 30


class ParamikoChannel(RawChannel):
    """A channel of paramiko's that is open.

    :param channel: nobody else reads or writes it.
    :param at_end: called when the other side will send no more, although the channel is open.
    """

    def __init__(
        self,
        connection: ParamikoConnection,
        channel: Any,
        receiver: RawReceiver,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self._connection = connection
        self._raw = channel
        self._receiver = receiver
        self._at_end = at_end
        self._loop = asyncio.get_running_loop()
        self._woken = False
        self._listening = False
        self._answered: asyncio.Future[None] | None = None
        self._paused = False
        self._told_exit = False
        self._over = False
        self._waiting: collections.deque[bytes] = collections.deque()
        self._at = 0
        self._size = 0
        self._room: asyncio.Event | None = None
        self._eof = False
        self._finishing = False
        channel.settimeout(0.0)
        channel.status_event = Signal(self._wake)
        channel.out_buffer_cv = Window(channel.lock, self._wake)
        channel.in_buffer.set_event(Signal(self._wake))
        channel.in_stderr_buffer.set_event(Signal(self._wake))

    def execute(self, line: bytes) -> asyncio.Future[None]:
        """Have the login shell run ``line``: the request is sent at once, the future is the server's answer."""
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(self._raw.remote_chanid)
        message.add_string("exec")
        message.add_boolean(True)
        message.add_string(line)
        self._answered = self._loop.create_future()
        self._raw.event_ready = False
        self._raw.event = Signal(self._wake)
        self._connection.transport.send(message)
        self._wake()  # it may have been closed before we listened
        return self._answered

    def listen(self) -> None:
        """Tell the receiver what comes, from the loop's next turn on."""
        self._listening = True
        self._wake()

    def _wake(self) -> None:
        """Have the loop look. Called on any thread, with locks of paramiko's held."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        self._woken = False  # first: what happens from now on wakes again
        if self._answered is not None and not self._answered.done():
            self._look_for_answer()
        if self._listening and not self._over:
            # All that is set now was set after the output before it.
            closed = self._raw.closed
            ended = self._raw.eof_received
            exit_status = self._raw.exit_status
            if self._deliver():
                self._tell(closed, ended, exit_status)
        if not self._over:
            self._send()

    def _look_for_answer(self) -> None:
        assert self._answered is not None
        host = self._connection.host.name
        if self._raw.event_ready:
            self._answered.set_result(None)
        elif self._raw.closed:
            lost = self._connection.transport.wire.lost
            self._answered.set_exception(
                ConnectionLost(host, lost) if lost else StartFailed(host, "the server runs no commands")
            )

    def _deliver(self) -> bool:
        """Hand on the output; return whether nothing of it is left."""
        for _ in range(_PIECES):
            if self._over:
                return False
            if self._raw.recv_ready():
                if self._paused:
                    return False
                self._receiver.data("stdout", self._raw.recv(_ALL))
            elif self._raw.recv_stderr_ready():
                if self._paused:
                    return False
                self._receiver.data("stderr", self._raw.recv_stderr(_ALL))
            else:
                return True
        self._wake()
        return False

    def _tell(self, closed: bool, ended: bool, exit_status: int) -> None:
        if ended and self._at_end is not None:
            at_end, self._at_end = self._at_end, None
            at_end()
        if exit_status != -1 and not self._told_exit:
            self._told_exit = True
            self._receiver.exited(exit_status, None)
        if closed:
            self._finish(None if self._told_exit else self._connection.transport.wire.lost)

    def _finish(self, reason: str | None) -> None:
        if not self._over:
            self._over = True
            self._drop()
            if self._listening:
                self._receiver.closed(reason)

    # the channel

    def write(self, data: bytes) -> None:
        if data and not self._over and not self._eof:
            self._waiting.append(data)
            self._size += len(data)
            if len(self._waiting) == 1:
                self._send()

    def _send(self) -> None:
        """Send what may be sent now. The loop looks again when there is more room, here or at the other end."""
        for _ in range(_PACKETS):
            if not self._waiting:
                break
            if self._connection.transport.wire.congested:
                self._connection.wait_for_room(self._wake)
                break
            piece = self._waiting[0]
            try:
                sent = self._raw.send(piece[self._at : self._at + _PACKET])
            except TimeoutError:  # its window is closed
                break
            except (OSError, EOFError, paramiko.SSHException):  # it is closed, and the end will be told
                self._drop()
                break
            self._at += sent
            self._size -= sent
            if self._at == len(piece):
                self._waiting.popleft()
                self._at = 0
        else:
            self._wake()
        if self._room is not None and self._size <= _WRITE_AHEAD:
            self._room.set()
            self._room = None
        if not self._waiting:
            if self._finishing:
                self.close()
            elif self._eof and not self._raw.eof_sent and not self._raw.closed:
                self._raw.shutdown_write()

    def _drop(self) -> None:
        self._waiting.clear()
        self._at = self._size = 0
        if self._room is not None:
            self._room.set()
            self._room = None

    async def drain(self) -> None:
        while self._size > _WRITE_AHEAD:
            if self._room is None:
                self._room = asyncio.Event()
            await self._room.wait()

    def write_eof(self) -> None:
        if not self._eof and not self._over:
            self._eof = True
            self._send()

    def pause(self) -> None:
        # What comes now is kept by paramiko, which opens the window no further: 2 MiB at most.
        self._paused = True

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self._wake()

    def finish(self) -> None:
        """Close when what was written is sent."""
        self._finishing = True
        if not self._over:
            self._send()

    def close(self) -> None:
        self._raw.close()
        if not self._over:
            self._loop.call_soon(self._finish, None)
