"""A channel as the two halves of a TCP stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..contract import Stream
from ..supervision import RawReceiver
from .channel import ParamikoChannel

__all__ = ("open_stream",)

# Bytes that are kept for a reader; twice as many make the other side wait.
_LIMIT = 64 << 10


async def open_stream(
    open: Callable[[RawReceiver, Callable[[], None]], Awaitable[ParamikoChannel]],
) -> tuple[asyncio.StreamReader, _Writer]:
    """Open a channel, with the receiver and the "at end" that ``open`` is given, and return both halves of it."""
    reader = asyncio.StreamReader(limit=_LIMIT)
    channel = await open(_Feeder(reader), reader.feed_eof)
    flow: Any = _Flow(channel)  # the two methods that a reader calls
    reader.set_transport(flow)
    return reader, _Writer(channel)


class _Feeder(RawReceiver):
    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def data(self, stream: Stream, data: bytes) -> None:
        self._reader.feed_data(data)

    def exited(self, exit_code: int | None, signal: int | None) -> None:
        """No process runs there."""

    def closed(self, reason: str | None) -> None:
        if reason is not None and not self._reader.at_eof():
            self._reader.set_exception(ConnectionResetError(reason))
        self._reader.feed_eof()


class _Flow:
    def __init__(self, channel: ParamikoChannel) -> None:
        self.pause_reading = channel.pause
        self.resume_reading = channel.resume


class _Writer:
    def __init__(self, channel: ParamikoChannel) -> None:
        self._channel = channel

    def write(self, data: bytes) -> None:
        self._channel.write(data)

    async def drain(self) -> None:
        await self._channel.drain()

    def write_eof(self) -> None:
        self._channel.write_eof()

    def close(self) -> None:
        self._channel.finish()
