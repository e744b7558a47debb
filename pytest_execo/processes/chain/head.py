"""The first hop of a chain: this machine, which has the whole file from the beginning.

Where it can't connect to a host directly (behind a gateway, a firewall), it goes through the connector that reaches the
host anyway, which then carries the file once, encrypted.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from ...connectors.contract import TcpReader, TcpWriter
from ...errors import ConnectorError
from ..io_thread import io_thread
from .link import Link
from .source import Source

__all__ = ("Head", "Tunnel", "proof")

# Characters that a line of a handshake has at most.
_LONGEST = 200
# How much of the deadline the direct way may take: where packets are dropped, nothing says that there is none.
_DIRECT = 0.4

#: Opens a TCP connection by another way than the direct one; :exc:`ConnectorError` or :exc:`OSError` when it can't.
Tunnel = Callable[[str, int], Awaitable[tuple[TcpReader, TcpWriter]]]


def proof(secret: str, role: str, link: int, caller: str, listener: str) -> str:
    """Return what only who knows the secret can say, of these two nonces and in this role (``connect``, ``listen``)."""
    text = f"{role} execo-chain 1 {link} {caller} {listener}"
    return hmac.new(bytes.fromhex(secret), text.encode(), hashlib.sha256).hexdigest()


class Head:
    """Sends the file to one host at a time, in a task on the I/O thread. Ended by :meth:`close`.

    :param rate: bytes per second at most; ``None``: as many as go.
    :param deadline: seconds for connecting and the handshake.
    :param broken: told why a link could not go on.
    """

    def __init__(
        self,
        source: Source,
        secret: str,
        *,
        rate: float | None,
        deadline: float,
        broken: Callable[[Link, str], None],
    ) -> None:
        self._source = source
        self._secret = secret
        self._rate = rate
        self._deadline = deadline
        self._broken = broken
        self._task: asyncio.Task[None] | None = None

    def next(self, link: Link, tunnel: Tunnel) -> None:
        """Send to the host at the other end of ``link``, and to no other from now on.

        :param tunnel: how to get there when there is no direct way.
        """
        self.close()
        self._task = io_thread().task(self._send(link, tunnel))

    def close(self) -> None:
        """Stop sending."""
        if self._task is not None:
            self._task.cancel()

    async def _send(self, link: Link, tunnel: Tunnel) -> None:
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(self._deadline):
                    reader, writer = await stack.enter_async_context(_connection(link, tunnel, self._deadline))
                    offset = await self._shake_hands(link, reader, writer)
                await self._send_from(offset, writer)
                writer.write_eof()
                # The other side closes when it has everything; before that, closing could take back what is under way.
                await reader.read(1)
        except (ConnectorError, OSError, ValueError) as error:
            self._broken(link, _reason(error))

    async def _shake_hands(self, link: Link, reader: TcpReader, writer: TcpWriter) -> int:
        mine = link.caller_nonce
        writer.write(f"execo-chain 1 {link.number} {mine}\n".encode())
        theirs, shown = (await _read_line(reader)).split()
        if not hmac.compare_digest(shown, proof(self._secret, "listen", link.number, mine, theirs)):
            raise ValueError("it does not know the secret")
        writer.write(f"{proof(self._secret, 'connect', link.number, mine, theirs)}\n".encode())
        offset = int(await _read_line(reader))
        if not 0 <= offset <= self._source.size:
            raise ValueError(f"it has {offset} bytes of {self._source.size}")
        return offset

    async def _send_from(self, offset: int, writer: TcpWriter) -> None:
        loop = asyncio.get_running_loop()
        # Pieces of a tenth of a second, so that a rate is even.
        size = 1 << 20 if self._rate is None else max(1, min(1 << 20, int(self._rate / 10)))
        due = time.monotonic()
        while offset < self._source.size:
            data = await loop.run_in_executor(None, self._source.read, offset, size)
            writer.write(data)
            await writer.drain()
            offset += len(data)
            if self._rate is not None:
                due = max(due, time.monotonic() - 1) + len(data) / self._rate
                await asyncio.sleep(due - time.monotonic())


@contextlib.asynccontextmanager
async def _connection(link: Link, tunnel: Tunnel, deadline: float) -> AsyncIterator[tuple[TcpReader, TcpWriter]]:
    """Connect, directly or else by ``tunnel``; close at the end without waiting for who does not read any more."""
    try:
        async with asyncio.timeout(deadline * _DIRECT):
            reader, writer = await asyncio.open_connection(link.address, link.port)
    except OSError as direct:  # a time-out is one
        try:
            through = await tunnel(link.address, link.port)
        except (ConnectorError, OSError) as error:
            raise ConnectionError(f"{_reason(direct)}; through the connector: {_reason(error)}") from error
        try:
            yield through
        finally:
            through[1].close()
        return
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _read_line(reader: TcpReader) -> str:
    # The other side waits for us after each line, so that there is nothing behind it.
    line = b""
    while not line.endswith(b"\n"):
        data = await reader.read(_LONGEST)
        line += data
        if not data or len(line) > _LONGEST:
            raise ConnectionError("the other side ended the handshake")
    return line.decode("ascii", "replace")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, ConnectorError):
        return error.reason
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
