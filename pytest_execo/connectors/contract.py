"""The contract of a connector: start a command on a host, give its streams and its end; open a file channel; close.

All methods run on one event loop, that of the I/O thread. A connector reports through a :class:`Receiver`, whose
methods are called on that loop too, must not block and never raise. The order of calls is fixed::

    started(pid) → received(stream, data)* → ended(end)        or        ended(end) alone, when it never started
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from ..errors import ConnectorError
from ..hosts import Host

__all__ = ("Channel", "Command", "Connector", "End", "FileChannel", "Receiver", "Stream")

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True)
class Command:
    """What to run.

    :param argv: program and arguments, started without a shell. Exactly one of ``argv`` and ``line`` is set.
    :param line: a command line for ``/bin/sh -c``.
    :param env: variables added to the environment that the host gives.
    :param cwd: working directory; ``None``: the host's default (this machine: ours; remote: the login directory).
    :param pty: give it a pseudo-terminal (standard error then comes on stdout, lines end in CR LF).
    """

    argv: tuple[str, ...] | None = None
    line: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    pty: bool = False

    def __str__(self) -> str:
        if self.line is not None:
            return self.line
        import shlex

        return shlex.join(self.argv or ())


@dataclass(frozen=True)
class End:
    """How a command ended.

    Exactly one is set: ``exit_code`` (decoded: 3 is 3), ``signal`` (its number), or ``error`` (it did not start, or
    nobody knows how it ended because the connection was lost). A program that is not there ends with exit code 127,
    one that can't be executed with 126, on every connector, as in a shell (POSIX, 2.8.2 Exit Status for Commands).
    """

    exit_code: int | None = None
    signal: int | None = None
    error: ConnectorError | None = None


class Receiver(Protocol):
    """Who is told what happens to a command. Methods are called on the loop; they must not block."""

    def started(self, pid: int | None) -> None:
        """Take note that the command runs; ``pid`` is that of its process group, on its host."""

    def received(self, stream: Stream, data: bytes) -> None:
        """Take a piece of output."""

    def ended(self, end: End) -> None:
        """Take the end: the last call, made once, after all the output."""


class Channel(ABC):
    """One command that was started. It ends by itself; :meth:`close` gives up on it."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send to the command's standard input; what a command that has ended can't read is dropped."""

    @abstractmethod
    def close_stdin(self) -> None:
        """End the command's standard input. A second call does nothing."""

    @abstractmethod
    async def signal(self, number: int) -> None:
        """Send a signal to the command's whole process group.

        :raises ConnectorError: when the host can't be reached. A group that is gone already is no error.
        """

    @abstractmethod
    async def alive(self) -> bool:
        """Ask the host whether any process of the command's group is there.

        The end of a command is told when its output has ended too, which a daemon that it left behind may hold up.

        :raises ConnectorError: when the host can't be reached.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop listening to the command: ``ended`` is called soon, whatever the command does."""


class FileChannel(ABC):
    """Copies files between this machine and a host. ``async with`` closes it."""

    @abstractmethod
    async def put(self, source: str, target: str) -> None:
        """Copy a file or a directory of this machine. A ``target`` that is a directory takes it under its own name.

        :raises TransferFailed: with the reason.
        """

    @abstractmethod
    async def get(self, source: str, target: str) -> None:
        """Copy a file or a directory of the host here; the same rules as :meth:`put`."""

    @abstractmethod
    async def close(self) -> None:
        """Close the channel. A second call does nothing."""

    async def __aenter__(self) -> FileChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class Connector(ABC):
    """A way to reach hosts. Made on first use by the I/O thread, closed with it."""

    #: What ``connector=`` and ``Host.connector`` say.
    name: ClassVar[str]

    @abstractmethod
    async def start(self, host: Host | None, command: Command, receiver: Receiver) -> Channel:
        """Start ``command`` on ``host`` and return as soon as it runs; ``receiver.started`` was called before.

        :param host: ``None`` for the connector that serves this machine.
        :raises ConnectorError: when it could not be started; the receiver is then told nothing.
        """

    @abstractmethod
    async def files(self, host: Host | None) -> FileChannel:
        """Open a file channel to ``host``.

        :raises ConnectorError: when the host can't be reached.
        """

    @abstractmethod
    async def disconnect(self, host: Host) -> None:
        """Close what is kept open to ``host``; the commands that run over it end with ``ConnectionLost``."""

    @abstractmethod
    async def close(self) -> None:
        """Close everything. The connector is not used afterwards."""
