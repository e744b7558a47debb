"""What the connectors over a transport have in common: pools, starts that can be given up, and signs of life."""

from __future__ import annotations

import asyncio
import signal
from abc import abstractmethod
from typing import ClassVar

from ...errors import ConnectionFailed, ConnectorError, StartFailed
from ...hosts import Host
from ..contract import Channel, Command, Connector, Receiver
from .guard import ANSWER_TIMEOUT, lifeline
from .lines import launch
from .pool import Link, Pool
from .session import Session
from .transport import Connection

__all__ = ("SupervisedConnector",)


class SupervisedConnector(Connector):
    """Starts commands on remote hosts under supervision; a subclass says how a connection is opened."""

    #: The transport doesn't tell a signal from an exit code, so that the host has to.
    reports: ClassVar[bool] = False

    def __init__(self) -> None:
        self._pools: dict[Host, Pool] = {}
        self._orphans: set[asyncio.Task[None]] = set()
        self._lifeline = lifeline()
        self._beating: asyncio.TimerHandle | None = None

    @abstractmethod
    async def connect(self, host: Host) -> Connection:
        """Open a connection.

        :raises ConnectionFailed: with the reason.
        """

    def pool(self, host: Host | None) -> Pool:
        """Return the connections to a host."""
        if host is None:
            raise ConnectionFailed(
                "localhost", f"the {self.name} connector needs a host; use connector='local' or give host="
            )
        pool = self._pools.get(host)
        if pool is None:
            pool = self._pools[host] = Pool(host, self.connect)
        return pool

    async def start(self, host: Host | None, command: Command, receiver: Receiver) -> Channel:
        # Shielded: when the caller gives up half-way, the host may have begun the command all the same, and somebody
        # has to end it there.
        starting = asyncio.ensure_future(self._start(self.pool(host), command, receiver))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            orphan = asyncio.ensure_future(_end_orphan(starting))
            self._orphans.add(orphan)
            orphan.add_done_callback(self._orphans.discard)
            raise

    async def _start(self, pool: Pool, command: Command, receiver: Receiver) -> Session:
        async def begin(link: Link) -> Session:
            how = launch(command, link.guard.token, report=self.reports, posix=link.guard.shell_is_posix)
            if how.script and command.pty:
                raise StartFailed(
                    pool.host.name,
                    "a command line of more than 100 kB, or not in UTF-8, can't be sent through a terminal",
                )
            if self._beating is None:
                # Not before there is a connection: making one may take longer than the time between two signs of life.
                self._beating = asyncio.get_running_loop().call_later(self._lifeline.interval, self._beat)
            session = Session(pool, link, command, receiver, reports=self.reports)
            await session.begin(how)
            return session

        return await pool.use(begin, release=False)

    async def reach(self, host: Host | None) -> None:
        async def nothing(link: Link) -> None:
            """It is there."""

        await self.pool(host).use(nothing)

    def _beat(self) -> None:
        """Send signs of life to all guards that have something to guard, as long as there are any."""
        needed = False
        for pool in self._pools.values():
            for link in pool.links:
                needed |= link.guard.sign_of_life()
        loop = asyncio.get_running_loop()
        self._beating = loop.call_later(self._lifeline.interval, self._beat) if needed else None

    async def disconnect(self, host: Host) -> None:
        if pool := self._pools.pop(host, None):
            await pool.close()

    async def close(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
        for orphan in self._orphans:
            orphan.cancel()
        pools = list(self._pools.values())
        self._pools.clear()
        await asyncio.gather(*(pool.close() for pool in pools))


async def _end_orphan(starting: asyncio.Task[Session]) -> None:
    """End a command that nobody waits for any more, as soon as the host says that it runs."""
    try:
        session = await asyncio.wait_for(starting, ANSWER_TIMEOUT)
        await session.signal(signal.SIGKILL)
        session.close()
    except (ConnectorError, TimeoutError):
        pass  # it did not start, or the host can't be reached
