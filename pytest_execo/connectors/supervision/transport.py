"""What a transport has to offer: a connection that runs lines, and the channel of one line."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from ...errors import ConnectorError
from ..contract import Stream

__all__ = ("Connection", "RawChannel", "RawReceiver", "Refused")


class Refused(ConnectorError):
    """The server gave no further session on this connection (OpenSSH's ``MaxSessions``)."""

    _what = "no further session"


class RawReceiver(Protocol):
    """Who is told what comes over a channel. Methods are called on the loop and never raise."""

    def data(self, stream: Stream, data: bytes) -> None:
        """Take a piece of output."""

    def exited(self, exit_code: int | None, signal: int | None) -> None:
        """Take the end of the line's process; output may still come. Not called when nobody knows."""

    def closed(self, reason: str | None) -> None:
        """Take the end of the channel: the last call, made once; ``reason`` when it was lost."""


class RawChannel(ABC):
    """One line that runs. The methods are those of :class:`~..contract.Channel`."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send to standard input."""

    @abstractmethod
    async def drain(self) -> None:
        """Wait until little is waiting to be sent, or the channel is closed."""

    @abstractmethod
    def write_eof(self) -> None:
        """End standard input."""

    @abstractmethod
    def pause(self) -> None:
        """Take no more output."""

    @abstractmethod
    def resume(self) -> None:
        """Take output again."""

    @abstractmethod
    def close(self) -> None:
        """Close at once: ``closed`` is called soon."""


class Connection(ABC):
    """An open connection to a host."""

    @abstractmethod
    async def run(self, line: bytes, receiver: RawReceiver, *, pty: bool = False) -> RawChannel:
        """Have the login shell run ``line``.

        :raises Refused: when the server gives no further session on this connection.
        :raises ConnectorError: when the connection is lost.
        """

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether it can't be used any more."""

    @abstractmethod
    async def close(self) -> None:
        """Close it at once; its channels are closed with a reason. A second call does nothing."""
