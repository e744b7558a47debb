"""One small command over a connector, from start to end: for what this package itself has to ask a host."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ConnectorError, StartFailed
from ..hosts import Host
from .contract import Channel, Command, Connector, End, Stream

__all__ = ("Finished", "run_command")

# Seconds for a host to begin it. An account for file transfer alone takes any command for a client and says nothing.
START_TIMEOUT = 20
# Seconds for a host to end what was given up.
_END_TIMEOUT = 5
_PIECE = 64 << 10


class Finished(NamedTuple):
    """How a command ended: its exit code (``-9``: by signal 9) and all of its output."""

    exit_code: int
    stdout: bytes
    stderr: bytes


async def run_command(
    connector: Connector,
    host: Host | None,
    command: str | Sequence[str],
    *,
    stdin: bytes = b"",
    timeout: float | None = None,  # noqa: ASYNC109  it ends the command too
) -> Finished:
    """Run ``command`` on ``host`` and wait for its end. Cancelled, it is killed, as far as the host can be reached.

    :param command: a line for ``/bin/sh -c``, or a program and its arguments.
    :param stdin: its whole standard input.
    :param timeout: seconds until it is killed; ``None``: it may take as long as it does.
    :raises ConnectorError: when it did not start, nobody knows how it ended, or ``timeout`` ran out.
    """
    if stdin and "stdin" in connector.cannot:
        raise connector.refusal("stdin", host)
    what = Command(line=command) if isinstance(command, str) else Command(argv=tuple(command))
    where = host.name if host else "localhost"
    collector = _Collector()
    try:
        async with asyncio.timeout(START_TIMEOUT):
            channel = await connector.start(host, what, collector)
    except TimeoutError:
        raise StartFailed(where, f"{what}: not begun within {START_TIMEOUT} s") from None
    try:
        async with asyncio.timeout(timeout):
            for at in range(0, len(stdin), _PIECE):
                channel.write(stdin[at : at + _PIECE])
                await channel.drain()
            channel.close_stdin()
            await collector.over.wait()
    except TimeoutError:
        raise ConnectorError(where, f"{what}: no end within {timeout:g} s") from None
    finally:
        if collector.end is None:
            await _end(channel)
    assert collector.end is not None
    if collector.end.error is not None:
        raise collector.end.error
    code = collector.end.exit_code
    return Finished(
        -(collector.end.signal or 0) if code is None else code,
        bytes(collector.output["stdout"]),
        bytes(collector.output["stderr"]),
    )


async def _end(channel: Channel) -> None:
    try:
        with contextlib.suppress(ConnectorError, TimeoutError):
            async with asyncio.timeout(_END_TIMEOUT):
                await channel.signal(signal.SIGKILL)
    finally:
        channel.close()


class _Collector:
    """Keeps the output and the end."""

    def __init__(self) -> None:
        self.output: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self.end: End | None = None
        self.over = asyncio.Event()

    def started(self, pid: int | None) -> None:
        """Nobody asks."""

    def received(self, stream: Stream, data: bytes) -> None:
        self.output[stream] += data

    def ended(self, end: End) -> None:
        self.end = end
        self.over.set()
