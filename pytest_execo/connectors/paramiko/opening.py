"""Opening connections: the way to the host, the handshake, and what is left when one of them fails."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import paramiko  # type: ignore[import-untyped, unused-ignore]

from ...errors import ConnectionFailed, ConnectorError
from ...hosts import Host
from ..ssh import options
from .client import open_client
from .connection import ParamikoConnection
from .handshake import authenticate, failure, negotiate
from .login import Login, login
from .reach import Relay, connect_tcp, spawn_proxy
from .threads import in_thread
from .transport import quiet

__all__ = ("Opener",)

# Handshakes in flight; see ssh/connector.py.
_HANDSHAKES = 64
# Seconds for handshakes that are given up to end.
_CLOSE_TIMEOUT = 3


class Opener:
    """Opens connections, and holds what they go through: other hosts, and programs.

    :param executor: for what blocks.
    """

    def __init__(self, executor: concurrent.futures.Executor) -> None:
        self._executor = executor
        self._handshakes = asyncio.Semaphore(_HANDSHAKES)
        self._relays: set[Relay] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._opening: set[asyncio.Task[Any]] = set()
        quiet()

    async def connect(
        self, host: Host, *, via: tuple[str, ...] = (), passed: tuple[str, ...] = ()
    ) -> ParamikoConnection:
        """Connect and log in.

        :param via: hosts on the way, instead of those that the configuration says.
        :param passed: hosts that are reached through this one.
        :raises ConnectionFailed: with the reason.
        """
        async with self._login(host, via) as how:
            sock = await self._through(how, passed)
            try:
                async with self._handshakes, asyncio.timeout(options.CONNECT_TIMEOUT):
                    return await self._log_in(how, sock or await connect_tcp(how.address, how.port))
            except BaseException as error:
                if sock is not None:
                    sock.close()  # which ends what it leads through
                if isinstance(error, paramiko.SSHException | OSError | EOFError | ValueError):
                    raise failure(how, error) from error
                raise

    async def _log_in(self, how: Login, sock: socket.socket) -> ParamikoConnection:
        connection = ParamikoConnection(how.host, sock, self._executor)
        try:
            await negotiate(connection.transport, how)
            await authenticate(connection.transport, how)
        except BaseException:
            await connection.close()
            raise
        connection.keep_alive()
        return connection

    async def client(self, host: Host) -> paramiko.SSHClient:
        """Return a client of paramiko's, that the caller closes.

        :raises ConnectionFailed: with the reason.
        """
        async with self._login(host) as how:
            sock = await self._through(how)
            if sock is None:
                try:
                    async with asyncio.timeout(options.CONNECT_TIMEOUT):
                        sock = await connect_tcp(how.address, how.port)
                except OSError as error:
                    raise failure(how, error) from error
            sock.setblocking(True)
            way: socket.socket = sock
            try:
                return await in_thread(self._executor, lambda: open_client(how, way))
            except BaseException as error:
                way.close()  # which ends a handshake that was given up
                if isinstance(error, ConnectionAbortedError):
                    raise failure(how, error) from error
                raise

    @contextlib.asynccontextmanager
    async def _login(self, host: Host, via: tuple[str, ...] = ()) -> AsyncIterator[Login]:
        """Say how to log in, for as long as that takes."""
        task = asyncio.current_task()
        assert task is not None
        outermost = task not in self._opening
        self._opening.add(task)
        try:
            try:
                how = await in_thread(self._executor, lambda: login(host))
            except ConnectionAbortedError as error:
                raise ConnectionFailed(host.name, str(error)) from error
            how.jumps = via or how.jumps
            try:
                yield how
            finally:
                how.close()
        finally:
            if outermost:
                self._opening.discard(task)

    # the way

    async def _through(self, how: Login, passed: tuple[str, ...] = ()) -> socket.socket | None:
        """Return a socket to the host that leads through others, or ``None``: it is reached straight."""
        if how.jumps:
            return await self._through_host(how, (how.host.address, *passed))
        if how.command is not None:
            try:
                ours, relay = spawn_proxy(how, self._relays.discard)
            except OSError as error:
                raise failure(how, error) from error
            self._relays.add(relay)
            return ours
        return None

    async def _through_host(self, how: Login, passed: tuple[str, ...]) -> socket.socket:
        *before, last = how.jumps
        jump = _host(last)
        if jump.address in passed:
            circle = " through ".join([*reversed(passed), jump.address])
            raise ConnectionFailed(how.host.name, f"ProxyJump goes in a circle: {circle}")
        try:
            connection = await self.connect(jump, via=tuple(before), passed=passed)
        except ConnectorError as error:
            raise ConnectionFailed(how.host.name, f"through {error.host}: {error.reason}") from error
        ours, theirs = socket.socketpair()

        def over(relay: Relay) -> None:
            self._relays.discard(relay)
            closing = asyncio.ensure_future(connection.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

        relay = Relay(theirs, over)
        try:
            channel = await connection.open_tcp(how.address, how.port, relay, lambda: relay.closed(None))
        except BaseException as error:
            ours.close()
            theirs.close()
            await connection.close()
            if isinstance(error, ConnectorError):
                raise ConnectionFailed(how.host.name, f"through {error.host}: {error.reason}") from error
            raise
        relay.attach(channel)
        self._relays.add(relay)
        return ours

    async def close(self) -> None:
        """Give up what is being opened, and end what connections go through."""
        for task in self._opening:
            if not task.cancelling():
                task.cancel()
        if self._opening:
            await asyncio.wait(self._opening, timeout=_CLOSE_TIMEOUT)
        for relay in tuple(self._relays):
            relay.close()
        await asyncio.gather(*self._closing)


def _host(jump: str) -> Host:
    """Return the host of ``[user@]host[:port]``."""
    user, at, place = jump.removeprefix("ssh://").rpartition("@")
    address, colon, port = place.rpartition(":")
    if not colon or (":" in address and not address.endswith("]")):
        address, port = place, ""
    return Host(address.strip("[]"), user=user if at else None, port=int(port) if port else None)
