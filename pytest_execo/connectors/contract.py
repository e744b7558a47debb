"""The contract of a connector: start a command on a host, give its streams and its end; open a file channel; close.

All methods run on one event loop, that of the I/O thread. A connector reports through a :class:`Receiver`, whose
methods are called on that loop too, must not block and never raise. The order of calls is fixed::

    started(pid) → received(stream, data)* → ended(end)        or        ended(end) alone, when it never started
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from ..errors import ConnectorError, NotSupported
from ..hosts import Host

__all__ = (
    "Channel",
    "Command",
    "Connector",
    "End",
    "Entry",
    "FileChannel",
    "Receiver",
    "Stream",
    "TcpReader",
    "TcpWriter",
)

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True)
class Command:
    """What to run.

    :param argv: program and arguments, started without a shell. Exactly one of ``argv`` and ``line`` is set.
    :param line: a command line for ``/bin/sh -c``.
    :param env: variables added to the environment that the host gives.
    :param cwd: working directory; ``None``: the host's default (this machine: ours; remote: the login directory).
    :param pty: give it a pseudo-terminal (standard error then comes on stdout, lines end in CR LF).
    :param no_input: its standard input is empty; ``close_stdin`` is called all the same.
    :param detached: let it outlive the connection and the controller. Its standard input is empty and its output goes
        to ``/dev/null``, because nobody is there for them later; its end is told while the connection lasts.
    """

    argv: tuple[str, ...] | None = None
    line: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    pty: bool = False
    no_input: bool = False
    detached: bool = False

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
    async def drain(self) -> None:
        """Wait until little of what was written is still held here (about 1 MiB), or the command has ended."""

    @abstractmethod
    def close_stdin(self) -> None:
        """End the command's standard input, after what was written. A second call does nothing."""

    @abstractmethod
    def pause_reading(self) -> None:
        """Take no more output, so that the command has to wait when the buffers on the way are full (a few MiB).

        Some output may still be received. ``ended`` is not called while paused and output is left. A second call does
        nothing.
        """

    @abstractmethod
    def resume_reading(self) -> None:
        """Take output again. Without a pause it does nothing."""

    @abstractmethod
    async def signal(self, number: int, *, tree: bool = False) -> None:
        """Send a signal to the command's whole process group.

        :param tree: to every process that descends from the command, those in other groups and sessions included.
        :raises ConnectorError: when the host can't be reached. A group that is gone already is no error.
        """

    @abstractmethod
    async def alive(self) -> bool:
        """Ask the host whether any process of the command's group is there.

        :raises ConnectorError: when the host can't be reached.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop listening to the command: ``ended`` is called soon, whatever the command does."""


@dataclass(frozen=True)
class Entry:
    """What :meth:`FileChannel.stat` says of a path: ``size`` in bytes, permission bits, Unix dates in seconds."""

    kind: Literal["file", "directory", "link", "other"]
    size: int = 0
    mode: int = 0o644
    mtime: float = 0.0
    atime: float = 0.0


class FileChannel(ABC):
    """The files of a host, as far as copying needs them. ``async with`` closes it.

    Paths are those of the host; relative ones start at the login directory (on this machine: the working directory).
    A leading ``~/`` is the login directory too. Every method raises :exc:`TransferFailed` with the path and the
    reason, or :exc:`ConnectionLost`.
    """

    @abstractmethod
    async def stat(self, path: str, *, follow: bool = True) -> Entry | None:
        """Describe ``path``; ``None`` when nothing is there. ``follow=False`` describes a symbolic link itself."""

    @abstractmethod
    async def list(self, path: str) -> list[str]:
        """Return the names in a directory, sorted, without ``.`` and ``..``."""

    async def entries(self, path: str) -> dict[str, Entry]:
        """Describe what is in a directory: entries by name, sorted. Symbolic links are described themselves."""
        found = {name: await self.stat(f"{path}/{name}", follow=False) for name in await self.list(path)}
        return {name: entry for name, entry in found.items() if entry is not None}  # some may be gone meanwhile

    @abstractmethod
    def read(self, path: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Read a file from ``offset`` to its end, in pieces of any size that are bounded (1 MiB or so)."""

    @abstractmethod
    async def write(self, path: str, pieces: AsyncIterator[bytes], offset: int = 0) -> None:
        """Write ``pieces`` from ``offset`` on: 0 makes the file or empties it, another keeps what is before it."""

    @abstractmethod
    async def make_directory(self, path: str) -> None:
        """Make a directory; one that is there already is no error."""

    @abstractmethod
    async def read_link(self, path: str) -> str:
        """Return the target of a symbolic link."""

    @abstractmethod
    async def make_link(self, target: str, path: str) -> None:
        """Make a symbolic link at ``path``, in place of a file or link that is there."""

    @abstractmethod
    async def set_attributes(self, path: str, *, mode: int, mtime: float, atime: float) -> None:
        """Set permission bits and dates."""

    @abstractmethod
    async def close(self) -> None:
        """Close the channel. A second call does nothing."""

    async def __aenter__(self) -> FileChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class TcpReader(Protocol):
    """The reading half of a TCP stream: the part of :class:`asyncio.StreamReader` that relaying needs."""

    async def read(self, n: int, /) -> bytes:
        """Return at most ``n`` bytes, ``b""`` at the end.

        :raises ConnectorError: when the host is lost: what was read is not all.
        """


class TcpWriter(Protocol):
    """The writing half of a TCP stream, after :class:`asyncio.StreamWriter`."""

    def write(self, data: bytes, /) -> None:
        """Send, without waiting."""

    async def drain(self) -> None:
        """Wait until there is room."""

    def write_eof(self) -> None:
        """End this direction."""

    def close(self) -> None:
        """End both directions, this one after what was written."""


class Connector(ABC):
    """A way to reach hosts. Made on first use by the I/O thread, closed with it."""

    #: What ``connector=`` and ``Host.connector`` say.
    name: ClassVar[str]
    #: What this connector cannot do, and why: keys are ``pty``, ``stdin``, ``files``, ``tcp``, ``detached``, ``tree``.
    #: Whoever asks for it is refused with :exc:`NotSupported` before anything is started.
    cannot: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    async def start(self, host: Host | None, command: Command, receiver: Receiver) -> Channel:
        """Start ``command`` on ``host`` and return as soon as it runs; ``receiver.started`` was called before.

        Cancelled, it leaves nothing running on the host.

        :param host: ``None`` for the connector that serves this machine.
        :raises ConnectorError: when it could not be started; the receiver is then told nothing.
        """

    async def reach(self, host: Host | None) -> None:  # noqa: B027  most keep none
        """Open the connection to ``host`` that what follows will use, where one is kept and there is none yet.

        :raises ConnectorError: when the host can't be reached.
        """

    async def files(self, host: Host | None) -> FileChannel:
        """Open a file channel to ``host``.

        :raises ConnectorError: when the host can't be reached.
        """
        raise self.refusal("files", host)

    async def open_tcp(self, host: Host | None, address: str, port: int) -> tuple[TcpReader, TcpWriter]:
        """Open a TCP connection from ``host`` to ``address``:``port``, as that host sees them.

        :raises ConnectorError: when the host can't be reached, or it can't reach the address.
        """
        raise self.refusal("tcp", host)

    @abstractmethod
    async def disconnect(self, host: Host) -> None:
        """Close what is kept open to ``host``; the commands that run over it end with ``ConnectionLost``."""

    @abstractmethod
    async def close(self) -> None:
        """Close everything. The connector is not used afterwards."""

    def forget(self) -> None:  # noqa: B027  most have nothing of the kind
        """Drop, in a forked child, what keeps others from hearing of the parent's end. Called without a loop."""

    def refusal(self, what: str, host: Host | None) -> NotSupported:
        """Return the error that says why this connector cannot do ``what``."""
        reason = self.cannot.get(what, "it has no such thing")
        return NotSupported(host.name if host else "localhost", f"{what} with the {self.name} connector: {reason}")
