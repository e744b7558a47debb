"""A socket to a host: straight, through other hosts, or through a program."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from ..child import Child, Spawn
from ..contract import Stream
from ..pumps import Reader, Writer
from ..supervision import RawChannel, RawReceiver
from .login import Login

__all__ = ("Relay", "connect_tcp", "spawn_proxy")


async def connect_tcp(address: str, port: int) -> socket.socket:
    """Connect to the first address that answers.

    :raises OSError: when none does.
    """
    loop = asyncio.get_running_loop()
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # a name: somebody has to be asked
        found = await loop.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    failed: OSError | None = None
    for family, kind, protocol, _name, where in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, where)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failed = failed or error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    assert failed is not None
    raise failed


def spawn_proxy(login: Login, over: Callable[[Relay], None]) -> tuple[socket.socket, Relay]:
    """Start the ``ProxyCommand`` and return a socket that leads to its input and output.

    :raises OSError: when it can't be started.
    """
    assert login.command is not None
    ours, theirs = socket.socketpair()
    relay = Relay(theirs, over)
    child = Child(relay)
    try:
        child.spawn(Spawn(argv=("/bin/sh", "-c", f"exec {login.command}"), environment=os.environ))
    except OSError:
        ours.close()
        theirs.close()
        raise
    relay.attach(child)
    return ours, relay


class Relay(RawReceiver):
    """Carries bytes between a socket and a channel, until one of them ends; then it ends both.

    Paramiko talks through other hosts and programs as it does through a network: over a socket. This is its other end.

    :param over: called at the end.
    """

    def __init__(self, sock: socket.socket, over: Callable[[Relay], None]) -> None:
        self._socket = sock
        self._over = over
        self._channel: RawChannel | None = None
        self._reader: Reader | None = None
        self._writer: Writer | None = None
        self._draining: asyncio.Task[None] | None = None

    def attach(self, channel: RawChannel) -> None:
        """Start, with the channel that tells this what it receives."""
        self._channel = channel
        self._writer = Writer(self._socket.fileno(), channel.pause, channel.resume)
        self._reader = Reader(self._socket.fileno(), self._send, self.close)

    def _send(self, data: bytes) -> None:
        assert self._channel is not None
        assert self._reader is not None
        self._channel.write(data)
        self._reader.pause()
        self._draining = asyncio.ensure_future(self._drain(self._channel, self._reader))

    async def _drain(self, channel: RawChannel, reader: Reader) -> None:
        await channel.drain()
        reader.resume()

    def data(self, stream: Stream, data: bytes) -> None:
        if stream == "stdout" and self._writer is not None:
            self._writer.write(data)

    def exited(self, exit_code: int | None, signal: int | None) -> None:
        """The end of the channel follows."""

    def closed(self, reason: str | None) -> None:
        if self._writer is not None:
            self._writer.finish(self.close)

    def close(self) -> None:
        """End both. A second call does nothing."""
        if self._reader is None or self._writer is None or self._channel is None:
            return
        self._reader.stop()
        self._writer.stop()
        self._reader = self._writer = None
        if self._draining is not None:
            self._draining.cancel()
        self._socket.close()
        self._channel.close()
        self._over(self)
