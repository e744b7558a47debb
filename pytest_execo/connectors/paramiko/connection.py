"""One connection of paramiko's: lines, TCP streams and files over it, and its signs of life."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import paramiko  # type: ignore[import-untyped, unused-ignore]

from ...errors import ConnectionFailed, ConnectionLost, ConnectorError, StartFailed
from ...hosts import Host
from ..contract import TcpReader, TcpWriter
from ..supervision import Connection, RawChannel, RawReceiver, Refused
from .channel import ParamikoChannel
from .files import ParamikoFiles
from .login import reason
from .streams import open_stream
from .threads import in_thread
from .transport import Transport
from .wire import Wire

__all__ = ("ParamikoConnection",)

T = TypeVar("T")

# Seconds for the host to answer a request.
_ANSWER_TIMEOUT = 20
# A cut network is noticed after 3 times 10 s without anything from there; see ssh/options.py.
_KEEPALIVE_INTERVAL = 10
_SILENCE = 3 * _KEEPALIVE_INTERVAL
# Seconds for the transport's thread to end once it was told to.
_CLOSE_TIMEOUT = 2


class ParamikoConnection(Connection):
    """An open connection.

    :param sock: is the connection's from now on; the handshake is up to the caller.
    :param executor: where requests to open a channel wait for their answers.
    """

    def __init__(self, host: Host, sock: Any, executor: concurrent.futures.Executor) -> None:
        self.host = host
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._blocked: list[Callable[[], None]] = []
        self.transport: Transport = Transport(Wire(sock, self._tell_room), self._ended.set)
        self.transport.name = f"pytest-execo paramiko {host.name}"
        # Lines are sent in the order in which they were asked for: the guard's comes first.
        self._turn = asyncio.Event()
        self._turn.set()
        self._keepalive: asyncio.TimerHandle | None = None

    def keep_alive(self) -> None:
        """Ask for signs of life from now on."""
        if self.closed:
            return
        self._keepalive = self._loop.call_later(_KEEPALIVE_INTERVAL, self.keep_alive)
        silence = time.monotonic() - self.transport.wire.heard
        if silence >= _SILENCE:
            self._end(f"no answer for {_SILENCE} s")
        elif silence >= _KEEPALIVE_INTERVAL / 2:
            self.transport.ask_for_life()

    # what runs over it

    async def run(self, line: bytes, receiver: RawReceiver, *, pty: bool = False) -> RawChannel:
        before, sent = self._turn, asyncio.Event()
        self._turn = sent
        try:
            raw = await self._open(lambda: self._open_session(pty))
            channel = ParamikoChannel(self, raw, receiver)
            try:
                async with asyncio.timeout(_ANSWER_TIMEOUT):
                    await before.wait()
                    answer = channel.execute(line)
                    sent.set()
                    await answer
            except TimeoutError:
                channel.close()
                raise ConnectionLost(self.host.name, f"no answer within {_ANSWER_TIMEOUT} s") from None
            except BaseException:
                channel.close()
                raise
        finally:
            sent.set()
        channel.listen()
        return channel

    def _open_session(self, pty: bool) -> Any:
        channel = self.transport.open_session(timeout=_ANSWER_TIMEOUT)
        if pty:
            try:
                channel.get_pty(os.environ.get("TERM", "dumb"))
            except paramiko.SSHException as error:
                channel.close()
                if self.closed:
                    raise
                raise StartFailed(self.host.name, "the host gives no terminal") from error
        return channel

    async def open_tcp(
        self, address: str, port: int, receiver: RawReceiver, at_end: Callable[[], None]
    ) -> ParamikoChannel:
        """Open a TCP connection from the host. What comes is "stdout"; ``at_end`` is called at the end of it.

        :raises ConnectorError: when the host doesn't reach the address, or we don't reach the host.
        """
        origin = ("127.0.0.1", 0)
        try:
            raw = await self._open(
                lambda: self.transport.open_channel("direct-tcpip", (address, port), origin, timeout=_ANSWER_TIMEOUT)
            )
        except Refused as error:
            # Not a lack of room: forwarded connections are not counted as sessions.
            raise ConnectionFailed(self.host.name, f"{address} port {port}: {error.reason}") from error
        channel = ParamikoChannel(self, raw, receiver, at_end)
        channel.listen()
        return channel

    async def open_stream(self, address: str, port: int) -> tuple[TcpReader, TcpWriter]:
        """Open a TCP connection from the host, as :meth:`open_tcp` does, and return both halves of it."""
        return await open_stream(lambda receiver, at_end: self.open_tcp(address, port, receiver, at_end))

    async def open_files(self, close: Callable[[], Awaitable[None]]) -> ParamikoFiles:
        """Open a file channel; ``close`` is called when it was closed.

        :raises ConnectorError: when the host gives none.
        """
        sftp = await self._open(self._open_sftp)
        return ParamikoFiles(sftp, self.host.name, self._executor, close)

    def _open_sftp(self) -> Any:
        channel = self.transport.open_session(timeout=_ANSWER_TIMEOUT)
        try:
            channel.invoke_subsystem("sftp")
            return paramiko.SFTPClient(channel)
        except (paramiko.SSHException, EOFError) as error:
            channel.close()
            if self.closed:
                raise
            raise StartFailed(self.host.name, "the host has no file transfer (the subsystem sftp)") from error

    async def _open(self, open: Callable[[], T]) -> T:
        """Call what opens something, and waits for the host's answer, in a thread.

        :raises Refused: when the host gives no further one.
        """
        try:
            return await in_thread(self._executor, open)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> ConnectorError:
        if self.closed:
            return ConnectionLost(self.host.name, self.transport.wire.lost or reason(error))
        if "Timeout" in str(error):
            return ConnectionLost(self.host.name, f"no answer within {_ANSWER_TIMEOUT} s")
        # When several are refused at once, paramiko says to one of them why.
        said = error.text if isinstance(error, paramiko.ChannelException) else str(error)
        return Refused(self.host.name, said)

    # back-pressure

    def wait_for_room(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called once when more may be sent."""
        self._blocked.append(tell)

    def _tell_room(self) -> None:
        blocked, self._blocked = self._blocked, []
        for tell in blocked:
            tell()

    # the end

    @property
    def closed(self) -> bool:
        return self.transport.wire.lost is not None or not self.transport.is_active()

    def _end(self, reason: str) -> None:
        if self._keepalive is not None:
            self._keepalive.cancel()
        self.transport.end(reason)

    async def close(self) -> None:
        self._end("disconnected")
        await asyncio.wait([waiting := asyncio.ensure_future(self._ended.wait())], timeout=_CLOSE_TIMEOUT)
        waiting.cancel()

    def forget(self) -> None:
        """Drop it in a forked child."""
        self.transport.forget()
