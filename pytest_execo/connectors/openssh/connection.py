"""One connection: a master and its clients."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

from ...errors import StartFailed
from ...hosts import Host
from ..child import Spawn
from ..supervision import Connection, RawChannel, RawReceiver
from . import options
from .channel import Channel
from .client import Client
from .master import Master
from .nest import Nest
from .streams import ClientStream

__all__ = ("OpensshConnection",)

# Seconds for programs that were killed to be gone.
_CLOSE_TIMEOUT = 2


class OpensshConnection(Connection):
    """A connection to ``host``, made by :meth:`open`. It ends with its master.

    :param ended: called when it has ended.
    """

    def __init__(self, host: Host, nest: Nest, ended: Callable[[OpensshConnection], None]) -> None:
        self.host: Host = host
        #: The process that holds it.
        self.master: Master = Master(host, nest)
        self.master.when_over(lambda reason: ended(self))
        self._clients: set[Client] = set()
        self._first: asyncio.Event | None = None

    async def open(self) -> None:
        """Make it.

        :raises ConnectionFailed: with the reason. Nothing is left of it then, or soon.
        """
        await self.master.open()

    async def run(self, line: bytes, receiver: RawReceiver, *, pty: bool = False) -> RawChannel:
        first = self._first
        if first is None:
            # The guard comes first, and what it is to guard after it: clients can overtake each other.
            first = self._first = asyncio.Event()
            try:
                return await self._run(line, receiver, pty=pty)
            finally:
                first.set()
        await first.wait()
        return await self._run(line, receiver, pty=pty)

    async def _run(self, line: bytes, receiver: RawReceiver, *, pty: bool) -> RawChannel:
        channel = Channel(self.master, receiver)
        words = options.client_words(self.host, self.master.socket, "-tt" if pty else "-T")
        await self._start(channel, [*words, os.fsdecode(options.marked(line, pty=pty))])
        try:
            await channel.opened()
        except BaseException:
            channel.close()
            raise
        return channel

    async def stream(self, *mode: str, last: str = "", verbose: bool = False) -> ClientStream:
        """Start a client that carries bytes and runs no line.

        :param mode: what it asks for, in options.
        :param last: what follows the host on its command line.
        :param verbose: have it say when it got what it asked for.
        :raises ConnectorError: when it can't be started.
        """
        stream = ClientStream()
        words = options.client_words(self.host, self.master.socket, *mode, verbose=verbose)
        await self._start(stream, [*words, last] if last else words)
        return stream

    async def _start(self, client: Client, words: list[str]) -> None:
        if self.closed:
            raise await self.master.lost()
        try:
            client.spawn(Spawn(tuple(words), dict(os.environ)), lambda: self._clients.discard(client))
        except OSError as error:
            raise StartFailed(self.host.name, f"{words[0]}: {error.strerror}") from error
        self._clients.add(client)

    @property
    def closed(self) -> bool:
        return self.master.closed_or_closing

    async def close(self) -> None:
        clients = list(self._clients)
        self.master.end()
        for client in clients:
            client.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone(clients), _CLOSE_TIMEOUT)

    async def _gone(self, clients: list[Client]) -> None:
        await self.master.over.wait()
        for client in clients:
            await client.over.wait()
