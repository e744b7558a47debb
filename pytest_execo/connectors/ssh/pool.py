"""The connections to one host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncssh

from ...errors import ConnectionFailed, ConnectionLost, StartFailed
from ...hosts import Host
from .options import options, reason

__all__ = ("Pool",)

T = TypeVar("T")


class Link:
    """One connection and how many sessions run over it."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self.connection = connection
        self.sessions = 0
        # Lowered when the server refuses before our own limit: it knows its MaxSessions best.
        self.limit: int | None = None


class Pool:
    """The connections to one host, all opened on demand."""

    def __init__(self, host: Host, handshakes: asyncio.Semaphore) -> None:
        self.host = host
        self._handshakes = handshakes
        self._links: list[Link] = []
        self._opening: asyncio.Task[Link] | None = None

    async def use(self, act: Callable[[asyncssh.SSHClientConnection], Awaitable[T]], *, release: bool = True) -> T:
        """Do ``act`` with a connection that has room, opening one if need be.

        With ``release=False`` the room stays taken when ``act`` succeeds; :meth:`give_back` frees it.
        """
        while True:
            link = await self._room()
            try:
                result = await act(link.connection)
            except asyncssh.ChannelOpenError as error:
                self.give_back(link.connection)
                if link.connection in self._alive() and link.sessions > 0:
                    link.limit = link.sessions  # the server's own limit; look for room elsewhere
                    continue
                raise StartFailed(self.host.name, error.reason) from error
            except (asyncssh.Error, OSError) as error:
                self.give_back(link.connection)
                raise ConnectionLost(self.host.name, reason(error)) from error
            except BaseException:
                self.give_back(link.connection)
                raise
            if release:
                self.give_back(link.connection)
            return result

    def give_back(self, connection: object) -> None:
        """Say that a session on ``connection`` is over."""
        for link in self._links:
            if link.connection is connection:
                link.sessions -= 1

    def _alive(self) -> list[asyncssh.SSHClientConnection]:
        self._links = [link for link in self._links if not link.connection.is_closed()]
        return [link.connection for link in self._links]

    async def _room(self) -> Link:
        """Return a connection with one more session counted on it."""
        while True:
            self._alive()
            for link in self._links:
                if link.sessions < (link.limit or self.host.max_sessions):
                    link.sessions += 1
                    return link
            # Many commands may wait for a first connection; each `max_sessions` of them share one handshake.
            if self._opening is None:
                self._opening = asyncio.ensure_future(self._open())
                self._opening.add_done_callback(self._opened)
            task = self._opening
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.cancelled():  # by close(), not we
                    raise ConnectionLost(self.host.name, "disconnected") from None
                raise

    def _opened(self, task: asyncio.Task[Link]) -> None:
        # Here and not where it is waited for: nobody may wait any more, and the next one must not get an old failure.
        self._opening = None
        if not task.cancelled():
            task.exception()

    async def _open(self) -> Link:
        async with self._handshakes:
            try:
                connection = await asyncssh.connect(self.host.address, **options(self.host))
            except (asyncssh.Error, OSError, TimeoutError) as error:
                raise ConnectionFailed(self.host.name, reason(error)) from error
            except (ValueError, asyncssh.KeyImportError) as error:  # a bad key file or configuration
                raise ConnectionFailed(self.host.name, str(error)) from error
        link = Link(connection)
        self._links.append(link)
        return link

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        links, self._links = self._links, []
        for link in links:
            link.connection.abort()
        # `abort` closes the socket at the loop's next turn; `wait_closed` is that turn, not an answer of the host.
        for link in links:
            with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
                await asyncio.wait_for(link.connection.wait_closed(), 1)
