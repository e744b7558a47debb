"""The connections to one host: opened on demand, shared by all that runs there, each with a guard."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ...errors import ConnectionLost, StartFailed
from ...hosts import Host
from .guard import Guard, lifeline
from .transport import Connection, RawChannel, RawReceiver, Refused

__all__ = ("Link", "Pool")

T = TypeVar("T")


class Link:
    """One connection, how many sessions run over it, and its guard."""

    def __init__(self, pool: Pool, connection: Connection) -> None:
        self.connection = connection
        self.sessions: int = 0
        self.guard: Guard = Guard(
            secrets.token_hex(6), pool.host.name, lambda line, receiver: pool.guard_channel(self, line, receiver),
            lifeline().silence,
        )  # fmt: skip


class Pool:
    """The connections to one host.

    :param connect: opens one; raises ``ConnectionFailed``.
    """

    def __init__(self, host: Host, connect: Callable[[Host], Awaitable[Connection]]) -> None:
        self.host = host
        self._connect = connect
        self._links: list[Link] = []
        self._opening: asyncio.Task[Link] | None = None
        # Lowered when the server refuses before our own limit: it knows its MaxSessions best.
        self._limit = max(1, host.max_sessions)

    @property
    def links(self) -> list[Link]:
        """The connections that are open."""
        self._links = [link for link in self._links if not link.connection.closed]
        return self._links

    async def use(self, act: Callable[[Link], Awaitable[T]], *, release: bool = True) -> T:
        """Do ``act`` with a connection that has room, opening one if need be.

        With ``release=False`` the room stays taken when ``act`` succeeds; :meth:`give_back` frees it.

        :raises ConnectorError: when there is no connection, or it is lost.
        """
        while True:
            link = await self._room()
            try:
                result = await act(link)
            except Refused as error:
                self.give_back(link)
                if not link.connection.closed and link.sessions > 0:
                    self._lower(link)  # look for room elsewhere
                    continue
                raise StartFailed(self.host.name, error.reason) from error
            except BaseException:
                self.give_back(link)
                raise
            if release:
                self.give_back(link)
            return result

    def give_back(self, link: Link) -> None:
        """Say that a session on ``link`` is over."""
        link.sessions -= 1

    def _lower(self, link: Link) -> None:
        self._limit = link.sessions
        if self._limit == 1 and link.guard.running:
            # A server that gives one session: the guard leaves it to the command and gets a connection of its own.
            link.guard.close()

    async def guard_channel(self, link: Link, line: bytes, receiver: RawReceiver) -> RawChannel:
        """Start a guard's line on ``link``, or on a connection of its own where there is room for one session only."""
        if self._limit == 1:
            return await self.use(lambda other: other.connection.run(line, receiver), release=False)
        link.sessions += 1
        try:
            return await link.connection.run(line, receiver)
        except BaseException:
            link.sessions -= 1
            raise

    async def _room(self) -> Link:
        """Return a connection with one more session counted on it."""
        while True:
            for link in self.links:
                # The guard comes before the first session and has its own.
                if link.sessions < self._limit:
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
        link = Link(self, await self._connect(self.host))
        self._links.append(link)
        return link

    async def close(self) -> None:
        """Close all of them: what runs over them ends with ``ConnectionLost``, here and there."""
        if self._opening is not None:
            self._opening.cancel()
        links, self._links = self._links, []
        for link in links:
            link.guard.let_go()
        await asyncio.gather(*(link.connection.close() for link in links))
