"""Clients that carry bytes and run no line: TCP streams, and SFTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, cast

import asyncssh
from asyncssh.logging import logger as asyncssh_logger
from asyncssh.sftp import start_sftp_client

from ..contract import Stream
from .client import Client

__all__ = ("ClientStream", "sftp_client")

# Bytes that are held here for a slow reader before the client has to wait.
_READ_AHEAD = 1 << 20
# Seconds for the other side to end after we have; what was written is on its way meanwhile.
_CLOSE_TIMEOUT = 2
# What a verbose client says when it has got what it asked for.
_GRANTED = b"master session id"


class ClientStream(Client):
    """The pipes of a client, as a reader and a writer after asyncio's streams."""

    def __init__(self) -> None:
        super().__init__()
        self._reader = asyncio.StreamReader(limit=_READ_AHEAD)
        self._reader.set_transport(cast("asyncio.Transport", self))  # as far as a reader uses it: flow control
        self._errors = bytearray()
        self._granted = asyncio.Event()
        self._closing: asyncio.TimerHandle | None = None

    # what the child tells

    def data(self, stream: Stream, data: bytes) -> None:
        if stream == "stderr":
            self._errors += data
            if _GRANTED in self._errors:
                self._granted.set()
            del self._errors[:-_READ_AHEAD]
        elif self._closing is None:
            self._reader.feed_data(data)

    def settled(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._granted.set()
        self._reader.feed_eof()

    async def granted(self) -> bool:
        """Wait until a verbose client has got what it asked for; return whether it has."""
        await self._granted.wait()
        return _GRANTED in self._errors

    @property
    def said(self) -> list[str]:
        """What the program wrote on its standard error, line by line."""
        return self._errors.decode("utf-8", "replace").splitlines()

    # the reader, and what it uses

    async def read(self, n: int = -1) -> bytes:
        """Return at most ``n`` bytes, ``b""`` at the end."""
        return await self._reader.read(n)

    async def readexactly(self, n: int) -> bytes:
        """Return ``n`` bytes.

        :raises EOFError: when the stream ends before.
        """
        return await self._reader.readexactly(n)

    def pause_reading(self) -> None:
        """Take no more."""
        self._child.pause()

    def resume_reading(self) -> None:
        """Take more."""
        self._child.resume()

    # the writer

    def write(self, data: bytes) -> None:
        """Send, without waiting."""
        self._child.write(data)

    async def drain(self) -> None:
        """Wait until there is room."""
        await self._child.drain()

    def write_eof(self) -> None:
        """End this direction."""
        self._child.write_eof()

    def close(self) -> None:
        """End both directions: what was written is sent, what comes is dropped."""
        if self._closing is None and not self.over.is_set():
            self._closing = asyncio.get_running_loop().call_later(_CLOSE_TIMEOUT, self.kill)
            self._child.write_eof()
            self._child.resume()

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._closing is not None or self.over.is_set()

    async def wait_closed(self) -> None:
        """Wait until the client has ended. Whoever gives up waiting ends it."""
        try:
            await self.over.wait()
        except asyncio.CancelledError:
            self.kill()
            raise


class _Session:
    """What asyncssh's SFTP client takes for the connection, the reader, the writer and the writer's channel."""

    def __init__(self, stream: ClientStream) -> None:
        self._stream = stream
        self._task: asyncio.Task[None] | None = None
        self.channel = stream
        self.logger = asyncssh_logger
        self.readexactly = stream.readexactly
        self.write = stream.write
        self.write_eof = stream.write_eof
        self.close = stream.close

    def get_extra_info(self, name: str, default: str) -> str:
        """Say what the other side is.

        The arguments for a symbolic link are in another order for OpenSSH than in the draft; every server takes that
        order from the ssh program.
        """
        return "OpenSSH" if name == "server_version" else default

    def create_task(self, coroutine: Coroutine[Any, Any, None], log: object = None) -> None:
        """Run what reads the answers."""
        del log
        self._task = asyncio.ensure_future(coroutine)


async def sftp_client(stream: ClientStream) -> asyncssh.SFTPClient:
    """Start asyncssh's SFTP client over a client that has asked for the subsystem.

    :raises asyncssh.Error: when the other side is no SFTP server, or has ended.
    """
    if (log := logging.getLogger("asyncssh")).level == logging.NOTSET:
        log.setLevel(logging.WARNING)  # at INFO it writes the name of every file
    session: Any = _Session(stream)
    return await start_sftp_client(
        session, asyncio.get_running_loop(), "strict", session, session, "utf-8", "strict", 3
    )
