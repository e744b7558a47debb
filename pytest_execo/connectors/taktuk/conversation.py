"""One conversation with ``files.pl``, which knows the files of a host: questions, answers, and bytes both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from ...errors import ConnectionLost, ConnectorError, TransferFailed
from ...hosts import Host
from ..contract import Channel, Command, Connector, End, Stream
from ..entries import printable, remote_path
from .lines import program

__all__ = ("Conversation", "name_word")

# Bytes of answers that are held here before the host has to wait; also the longest line.
_AHEAD = 1 << 20
# Bytes of what it says when perl does not like it, from the beginning.
_SAID = 1000


def name_word(path: str) -> str:
    """Return a path as a word of a question."""
    return remote_path(path).hex()


class Conversation:
    """A process on the host that answers one question after the other. Broken off, it is not used again."""

    def __init__(self, host: Host) -> None:
        self.host: Host = host
        #: Set once it was started.
        self.channel: Channel
        #: Something of an answer has come to what was asked last.
        self.is_answered: bool = False
        self._answers = asyncio.StreamReader(limit=_AHEAD)
        self._errors = b""

    async def start(self, connector: Connector) -> None:
        """Start it.

        :raises ConnectorError: when the host can't be reached, or does not start it.
        """
        self.channel = await connector.start(self.host, Command(argv=("perl", "-e", program("files"))), self)
        # The reader makes the host wait when too much is unread, by the two verbs that a channel has too.
        self._answers.set_transport(cast("asyncio.Transport", self.channel))

    def close(self) -> None:
        """End it."""
        self.channel.close_stdin()
        self.channel.close()

    def fail(self, error: ConnectorError) -> None:
        """Have who waits for an answer get an error instead."""
        self._answers.set_exception(error)

    # the receiver of its process

    def started(self, pid: int | None) -> None:
        """Nobody asks."""

    def received(self, stream: Stream, data: bytes) -> None:
        if stream == "stdout":
            self.is_answered = True
            self._answers.feed_data(data)
        else:
            self._errors = (self._errors + data)[:_SAID]

    def ended(self, end: End) -> None:
        said = self._errors.decode(errors="replace").strip()
        how = f"signal {end.signal}" if end.exit_code is None else f"exit code {end.exit_code}"
        words = f"what serves its files ended with {how}{f': {said}' if said else ''}"
        self._answers.set_exception(end.error or ConnectionLost(self.host.name, words))

    # questions

    def ask(self, *words: str) -> None:
        """Ask something."""
        self.is_answered = False
        self.channel.write(" ".join(words).encode() + b"\n")

    async def answer(self, path: str) -> list[list[str]]:
        """Return the words of the lines that come before the end of an answer.

        :raises TransferFailed: when what was asked failed; ``path`` is what it was about.
        """
        lines: list[list[str]] = []
        while words := await self._line(path):
            lines.append(words)
        return lines

    async def data(self, path: str) -> AsyncIterator[bytes]:
        """Yield the bytes of an answer."""
        while words := await self._line(path):
            yield await self._answers.readexactly(int(words[1]))

    async def _line(self, path: str) -> list[str]:
        """Return the words of the next line; none at the end of an answer."""
        words = (await self._answers.readline()).decode().split()
        if words[0] == "!":
            why = bytes.fromhex(words[1]).decode(errors="replace")
            raise TransferFailed(self.host.name, f"{printable(path)}: {why}")
        return [] if words[0] == "=" else words
