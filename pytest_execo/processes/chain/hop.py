"""One host of a chain: its agent, from the start to the last trace of it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import math
import secrets
import signal
from collections.abc import Sequence
from typing import Protocol

from ...connectors import Channel, Command, End, Stream
from ...connectors.contract import TcpReader, TcpWriter
from ...errors import ConnectionLost, ConnectorError, NotSupported, TransferFailed
from ...hosts import Host
from ..io_thread import io_thread
from .link import Link
from .source import Source

__all__ = ("PATIENCE", "SHELL", "Hop", "Listener", "agent_file")

#: The shell of a host. (Tests try others.)
SHELL = "/bin/sh"

# What a tool's links are made with.
_HELPERS = {"python3": "agent.py", "perl": "agent.pl", "nc": "nc.sh"}
# Seconds from the start of the agent to its first word: a loaded host may take long to start Python.
_READY = 30.0
# Seconds without a word from us after which an agent ends itself.
PATIENCE = 60.0
# Seconds that an agent has to end by itself, to be ended by SIGKILL, and to be tidied up after.
_GRACE = 5.0
_KILL = 2.0
# How much of the agent's standard error is kept, bytes.
_EXCERPT = 500


def agent_file(name: str) -> bytes:
    """Return one of the programs that are sent to hosts."""
    return importlib.resources.files(__package__).joinpath("agents", name).read_bytes()


class Listener(Protocol):
    """Who is told what an agent said."""

    def said(self, hop: Hop, what: str, link: int, rest: str) -> None:
        """Take ``listening``, ``linked``, ``lost``, ``broken``: something about the link with that number."""

    def whole(self, hop: Hop, program: str, checksum: str) -> None:
        """Take note that the hop has all bytes, of which its ``program`` makes that check sum."""

    def placed(self, hop: Hop) -> None:
        """Take note that its file is in place."""


class Hop:
    """The agent of one host: a receiver of its connector, and who writes to it.

    Started by :meth:`start`, ended by :meth:`stop`; in between it can fail at any moment, by what the agent or the
    connector says, or by :meth:`fail`.
    """

    def __init__(
        self,
        host: Host,
        position: int,
        target: str,
        listener: Listener,
        *,
        connector: str,
        tools: Sequence[str],
        hop_timeout: float,
    ) -> None:
        self.host = host
        #: Its place among the hosts, as the user gave them.
        self.position = position
        self.name: str = host.name
        #: Bytes that are on the host's disk.
        self.have: int = 0
        #: What the agent does its links with.
        self.tool: str | None = None
        #: All bytes are there; the check sum was right; the file has its name.
        self.whole: bool = False
        self.verified: bool = False
        self.placed: bool = False
        #: No chain can use it, though nothing may be wrong with it: nobody reaches it by TCP, it has none of the tools.
        self.unable: bool = False
        #: The link that leads here.
        self.link: Link | None = None
        #: When the agent was last heard of (the loop's clock).
        self.heard: float = 0.0
        #: Where others reach it: at the name that the user gave, else at the address at which ssh has reached it.
        self.addresses: list[str] = [host.address]
        #: Done when nobody needs the agent any more, or with the error that was its end.
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody may be waiting any more.
        self.over.add_done_callback(lambda over: over.cancelled() or over.exception())
        self._connector = io_thread().connector(connector)
        self._target = target
        self._tools = tools
        self._hop_timeout = hop_timeout
        self._listener = listener
        self._ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._end: End | None = None
        self._channel: Channel | None = None
        self._part: str | None = None
        self._silent = False
        self._line = b""
        self._errors = b""

    def __str__(self) -> str:
        return self.name

    # its life

    async def start(self, source: Source, secret: str) -> None:
        """Start the agent and wait until it can be told what to do.

        :raises ExecoError: when it can't.
        """
        if "stdin" in self._connector.cannot:
            self.unable = True
            raise self._connector.refusal("stdin", self.host)
        agent = agent_file("agent.sh")
        # From here on the shell reads from the channel: nothing is stored on the host.
        loader = f'eval "$(dd bs=1 count={len(agent)} 2>/dev/null)"'
        period = self._hop_timeout / 5
        arguments = [
            secrets.token_hex(8),
            self._target,
            source.name,
            source.kind,
            str(source.size),
            f"{source.mode:o}",
            source.stamp,
            f"{period:.3f}",
            str(math.ceil(PATIENCE / period)),
            f"{self._hop_timeout:.3f}",
            *self._tools,
        ]
        command = Command(argv=(SHELL, "-c", loader, "execo-chain", *arguments))
        self._channel = await self._connector.start(self.host, command, self)
        self._channel.write(agent)
        try:
            async with asyncio.timeout(_READY):
                await self._either(self._ready)
        except TimeoutError:
            raise TransferFailed(self.name, f"the agent was not ready within {_READY:g} s") from None
        assert self.tool is not None
        helper = agent_file(_HELPERS[self.tool])
        self._channel.write(b"%d\n%b%b\n" % (len(helper), helper, secret.encode()))

    async def _either(self, event: asyncio.Event) -> None:
        """Wait for ``event``, or raise what was the end of it all."""
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((waiting, self.over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self.over.done():
            self.over.result()

    def listen(self, link: Link) -> None:
        """Have it wait for who comes by ``link``; an earlier link to it is ended."""
        self.link = link
        self.tell("listen", link.number, link.listener_nonce, link.address)

    def next(self, link: Link) -> None:
        """Have it send by ``link``; an earlier link from it is ended."""
        self.tell("next", link.number, link.caller_nonce, link.address, link.port)

    async def open_tcp(self, address: str, port: int) -> tuple[TcpReader, TcpWriter]:
        """Connect to a port of this host by way of its connector.

        :param address: one of its own. Where it listens on all of them, this one may be known to others alone (NAT).
        :raises ConnectorError: when the connector, or the host, does not do that.
        """
        try:
            return await self._connector.open_tcp(self.host, address, port)
        except NotSupported:
            raise
        except ConnectorError:
            return await self._connector.open_tcp(self.host, "127.0.0.1", port)

    def tell(self, *words: object) -> None:
        """Write a line to the agent."""
        if self._channel is not None:
            self._channel.write((" ".join(map(str, words)) + "\n").encode())

    def fail(self, error: ConnectorError) -> None:
        """Give it up. Only the first reason counts."""
        if not self.over.done():
            self.over.set_exception(error)

    def release(self) -> None:
        """Take note that it is needed no more."""
        if not self.over.done():
            self.over.set_result(None)

    async def stop(self) -> None:
        """End the agent and what it leaves: by its own hand, else by SIGKILL. Returns within some seconds."""
        if self._channel is None:
            return
        try:
            self._channel.close_stdin()
            if await self._ends_within(_KILL if self._silent else _GRACE) and self._tidy:
                return
            # Also where the shell alone was killed: its tools may wait for ever, for data that nobody will write.
            with contextlib.suppress(ConnectorError, TimeoutError):
                await asyncio.wait_for(self._channel.signal(signal.SIGKILL), _KILL)
            await self._ends_within(_KILL)
        finally:
            self._channel.close()
            if self._part is not None and not self._tidy:
                await self._remove(self._part)

    @property
    def _tidy(self) -> bool:
        """Whether the agent had the time to remove what it had made, or nobody can."""
        return self._end is not None and (self._end.exit_code is not None or self._end.error is not None)

    async def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()

    async def _remove(self, part: str) -> None:
        gone = _Silent()
        command = Command(argv=("rm", "-rf", "--", part, f"{part}.d"))
        with contextlib.suppress(ConnectorError, TimeoutError):
            async with asyncio.timeout(_KILL):
                channel = await self._connector.start(self.host, command, gone)
                try:
                    await gone.over.wait()
                finally:
                    channel.close()

    # what the connector tells

    def started(self, pid: int | None) -> None:
        """Take note that the agent's shell runs."""

    def received(self, stream: Stream, data: bytes) -> None:
        """Take what the agent says: lines that begin with ``@``; a login script may have said others."""
        if stream == "stderr":
            self._errors = (self._errors + data)[-_EXCERPT:]
            return
        self.heard = asyncio.get_running_loop().time()
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            if line.startswith(b"@"):
                self._said(line[1:].decode("utf-8", "replace"))

    def _said(self, line: str) -> None:
        what, _, rest = line.partition(" ")
        first, _, more = rest.partition(" ")
        if what == "have" and first.isdigit():
            # A sign of life may be older than what else was said.
            self.have = max(self.have, int(first))
        elif what == "ready":
            self.tool = first
            address, _, self._part = more.partition(" ")
            self.addresses += [address] if address not in ("-", self.host.address) else []
            self._ready.set()
        elif what == "whole":
            self._listener.whole(self, first, more)
        elif what == "done":
            self._listener.placed(self)
        elif what == "unable":
            self.unable = True
            self.fail(TransferFailed(self.name, _clean(rest)))
        elif what == "error":
            self.fail(TransferFailed(self.name, _clean(rest)))
        elif first.isdigit():
            self._listener.said(self, what, int(first), _clean(more))

    def ended(self, end: End) -> None:
        """Take the end of the agent, or of the connection to it."""
        self._end = end
        self._ended.set()
        if end.error is not None:
            self.fail(end.error)
            return
        how = f"exit code {end.exit_code}" if end.signal is None else f"signal {signal.Signals(end.signal).name}"
        said = _clean(self._errors.decode("utf-8", "replace"))
        self.fail(TransferFailed(self.name, f"the agent ended with {how} at {self.have} bytes {said}".strip()))

    def silent(self, seconds: float) -> None:
        """Give it up because nothing was heard of it."""
        self._silent = True
        self.fail(ConnectionLost(self.name, f"no word from the agent for {seconds:g} s, at {self.have} bytes"))


class _Silent:
    """The receiver of a command of which nothing but the end is wanted."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    def started(self, pid: int | None) -> None:
        """It runs."""

    def received(self, stream: Stream, data: bytes) -> None:
        """Nobody wants to know."""

    def ended(self, end: End) -> None:
        """Take the end."""
        self.over.set()


def _clean(text: str) -> str:
    """Return one line that can be printed: hosts and strangers may have said anything."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
