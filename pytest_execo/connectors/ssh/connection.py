"""One connection of asyncssh's, and one line that runs over it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal as signals
from typing import Any

import asyncssh

from ...errors import ConnectionLost, ConnectorError, StartFailed
from ..supervision import Connection, RawChannel, RawReceiver, Refused
from .options import reason

__all__ = ("SshConnection",)

# Bytes that wait here for a slow reader on the other side before a writer is held up.
_WRITE_AHEAD = 1 << 20


class SshConnection(Connection):
    """An open connection."""

    def __init__(self, host: str, connection: asyncssh.SSHClientConnection) -> None:
        self._host = host
        self.asyncssh: asyncssh.SSHClientConnection = connection

    async def run(self, line: bytes, receiver: RawReceiver, *, pty: bool = False) -> RawChannel:
        terminal: dict[str, Any] = {"term_type": os.environ.get("TERM", "dumb")} if pty else {}
        channel = _Channel(receiver)
        # `command` is annotated as text; it is sent as it is, and a line may hold any byte.
        command: Any = line
        try:
            await self.asyncssh.create_session(lambda: channel, command, encoding=None, **terminal)
        except (asyncssh.Error, OSError) as error:
            raise self.error(error) from error
        return channel

    def error(self, error: Exception) -> ConnectorError:
        """Return our error for one of asyncssh's."""
        if isinstance(error, asyncssh.ChannelOpenError) and not self.closed:
            if error.code == asyncssh.OPEN_REQUEST_PTY_FAILED:
                return StartFailed(self._host, "the host gives no terminal")
            return Refused(self._host, error.reason)
        return ConnectionLost(self._host, reason(error))

    @property
    def closed(self) -> bool:
        return self.asyncssh.is_closed()

    async def close(self) -> None:
        self.asyncssh.abort()
        # `abort` closes the socket at the loop's next turn; `wait_closed` is that turn, not an answer of the host.
        with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
            await asyncio.wait_for(self.asyncssh.wait_closed(), 1)


class _Channel(asyncssh.SSHClientSession[bytes], RawChannel):
    """What asyncssh calls, and what a session is told."""

    def __init__(self, receiver: RawReceiver) -> None:
        self._receiver = receiver
        self._channel: asyncssh.SSHClientChannel[bytes]
        self._room: asyncio.Event | None = None  # while asyncssh wants no more
        self._is_open = True

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        chan.set_write_buffer_limits(high=_WRITE_AHEAD)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._receiver.data("stdout" if datatype is None else "stderr", data)

    def eof_received(self) -> bool:
        return True  # a command that closes its output may still read: our half stays open

    def exit_status_received(self, status: int) -> None:
        self._receiver.exited(status, None)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        # RFC 4254 §6.10: the name without SIG; servers may send names of their own ("ERR@asyncssh.com").
        number = getattr(signals, f"SIG{signal}", None)
        if number is None and signal.isdigit():
            number = int(signal)  # a real-time signal
        self._receiver.exited(None if number else 255, int(number) if number else None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False
        self.resume_writing()
        self._receiver.closed(str(exc) if exc else None)

    def pause_writing(self) -> None:
        self._room = asyncio.Event()

    def resume_writing(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None

    # the channel

    def write(self, data: bytes) -> None:
        if self._is_open and not self._channel.is_closing():
            with contextlib.suppress(BrokenPipeError):
                self._channel.write(data)

    async def drain(self) -> None:
        if self._room is not None:
            await self._room.wait()

    def write_eof(self) -> None:
        if self._is_open and not self._channel.is_closing():
            with contextlib.suppress(BrokenPipeError):
                self._channel.write_eof()

    def pause(self) -> None:
        # asyncssh opens the window fully again with the first bytes that it delivers after a pause, whatever else it
        # still holds: what it holds is bounded only if one resume takes all of it. The marks of those who pause have
        # room for a whole window (2 MiB) between them.
        if self._is_open:
            self._channel.pause_reading()

    def resume(self) -> None:
        if self._is_open:
            self._channel.resume_reading()

    def close(self) -> None:
        self._channel.abort()
