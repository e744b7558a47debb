"""Processes and files of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets

from ..errors import ConnectionFailed, ConnectionLost, StartFailed
from ..hosts import Host
from .child import Child, Spawn
from .contract import Channel, Command, Connector, End, FileChannel, Receiver, TcpReader, TcpWriter
from .supervision.guard import Guard, guard_arguments, lifeline
from .supervision.transport import RawChannel, RawReceiver

__all__ = ("LocalConnector",)

_HERE = "localhost"
# A word of a command line can have 128 KiB on Linux (MAX_ARG_STRLEN).
_LONGEST = 100_000


class LocalConnector(Connector):
    """Starts processes on this machine, each in a session and process group of its own.

    They have a guard too, a shell that lives on a pipe of ours: when we are gone, SIGKILL included, it ends them.
    """

    name = "local"

    def __init__(self) -> None:
        token = secrets.token_hex(6)
        # It hears of our end at once; a silence here would only mean that somebody has stopped us.
        self._guard = Guard(token, _HERE, self._open_guard, silence=0)
        self._guard_child: Child | None = None
        self._number = 0
        self._beating: asyncio.TimerHandle | None = None

    async def start(self, host: Host | None, command: Command, receiver: Receiver) -> Channel:
        if not command.detached and not self._guard.running:
            self._guard.open()
            await self._guard.opened()
        self._number += 1
        mark = "" if command.detached else f"{self._guard.token}.p{self._number}."
        process = LocalProcess(self, command, receiver, mark)
        try:
            process.spawn(_how(command, mark))
        except OSError as error:
            return self._not_started(error, command, receiver)
        return process

    def started(self, pid: int) -> None:
        """Have a process group guarded."""
        self._guard.add(pid)
        if self._beating is None:
            self._beating = asyncio.get_running_loop().call_later(lifeline().interval, self._beat)

    def ended(self, pid: int) -> None:
        """Have it guarded no more."""
        self._guard.ended(pid)

    async def signal_tree(self, pid: int, number: int, mark: str) -> None:
        """Signal all that descends from a process."""
        await self._guard.signal(pid, number, tree=mark.replace(".", r"\."))

    def _beat(self) -> None:
        """Tell the guard what has ended since."""
        more = self._guard.sign_of_life()
        loop = asyncio.get_running_loop()
        self._beating = loop.call_later(lifeline().interval, self._beat) if more else None

    async def _open_guard(self, line: bytes, receiver: RawReceiver) -> RawChannel:
        del line  # no login shell stands between us and it
        arguments = ("/bin/sh", "-c", *guard_arguments(self._guard.token, silence=0))
        self._guard_child = Child(receiver)
        self._guard_child.spawn(Spawn(arguments, dict(os.environ)))
        return self._guard_child

    def _not_started(self, error: OSError, command: Command, receiver: Receiver) -> Channel:
        """Report what ``exec`` refused as a shell does, so that it looks the same on every connector."""
        program = (command.argv or ("",))[0]
        if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC, errno.EISDIR, errno.E2BIG):
            missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
            receiver.started(None)
            receiver.received("stderr", f"{program}: {error.strerror}\n".encode(errors="surrogateescape"))
            receiver.ended(End(exit_code=127 if missing else 126))
            return _Gone()
        raise StartFailed(_HERE, f"{program}: {error.strerror}") from error

    async def files(self, host: Host | None) -> FileChannel:
        from .local_files import LocalFiles

        return LocalFiles()

    async def open_tcp(self, host: Host | None, address: str, port: int) -> tuple[TcpReader, TcpWriter]:
        try:
            return await asyncio.open_connection(address, port)
        except OSError as error:
            # asyncio puts its own words into strerror ("Connect call failed …").
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise ConnectionFailed(_HERE, f"{address} port {port}: {reason}") from error

    async def disconnect(self, host: Host) -> None:
        """Nothing is kept open to a host."""

    async def close(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
        self._guard.close()

    def forget(self) -> None:
        # The guard has to hear of the parent's end, which this child would keep from it.
        if self._guard_child is not None:
            self._guard_child.drop()


class LocalProcess(Channel, RawReceiver):
    """One process of this machine."""

    def __init__(self, connector: LocalConnector, command: Command, receiver: Receiver, mark: str) -> None:
        self._connector = connector
        self._command = command
        self._receiver = receiver
        self._mark = mark
        self._child = Child(self)
        self._end: End | None = None

    def spawn(self, how: Spawn) -> None:
        """Start it.

        :raises OSError: of ``exec``.
        """
        self._child.spawn(how)
        if self._mark:
            self._connector.started(self._child.pid)
        self._receiver.started(self._child.pid)

    # what the child tells

    def data(self, stream: str, data: bytes) -> None:
        self._receiver.received("stdout" if stream == "stdout" else "stderr", data)

    def exited(self, exit_code: int | None, signal: int | None) -> None:
        self._connector.ended(self._child.pid)
        self._end = End(exit_code=exit_code, signal=signal)

    def closed(self, reason: str | None) -> None:
        self._receiver.ended(self._end or End(error=ConnectionLost(_HERE, reason or "abandoned")))

    # the channel

    def write(self, data: bytes) -> None:
        self._child.write(data)

    async def drain(self) -> None:
        await self._child.drain()

    def close_stdin(self) -> None:
        self._child.write_eof()

    def pause_reading(self) -> None:
        self._child.pause()

    def resume_reading(self) -> None:
        self._child.resume()

    async def signal(self, number: int, *, tree: bool = False) -> None:
        if tree and self._mark:
            await self._connector.signal_tree(self._child.pid, number, self._mark)
            return
        # The group lives on while any member does, so its number can't have been given to others before all of it
        # is gone; a leader that was not reaped yet keeps it too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)

    async def alive(self) -> bool:
        try:
            os.killpg(self._child.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # somebody else's by now, so it exists
            return True
        return True

    def close(self) -> None:
        self._child.close()


def _how(command: Command, mark: str) -> Spawn:
    """Return what is spawned for a command.

    :raises StartFailed: when its directory can't be entered.
    """
    environment = {**os.environ, **command.env}
    if mark:
        environment["EXECO_PROCESS"] = mark
    script = b""
    if command.line is None:
        argv = command.argv or ()
    elif len(command.line) <= _LONGEST:
        argv = ("/bin/sh", "-c", command.line)
    else:
        # The dot keeps the newlines at the end, which a substitution would drop.
        argv = ("/bin/sh", "-c", 'script=$(cat <&3; echo .); exec 3<&-; script=${script%.}; eval "$script"')
        script = command.line.encode(errors="surrogateescape")
    if command.cwd is not None:
        if not (os.path.isdir(command.cwd) and os.access(command.cwd, os.X_OK)):
            raise StartFailed(_HERE, f"no directory {command.cwd}, or no permission to enter it")
        # posix_spawn knows no working directory. `CDPATH` would make cd print.
        argv = ("/bin/sh", "-c", 'CDPATH= cd -- "$0" && exec "$@"', command.cwd, *argv)
    return Spawn(argv, environment, pty=command.pty, detached=command.detached, script=script)


class _Gone(Channel):
    """The channel of a command that ended before it had one."""

    def write(self, data: bytes) -> None:
        """Nobody reads it."""

    async def drain(self) -> None:
        """Nothing is held."""

    def close_stdin(self) -> None:
        """Nobody reads it."""

    def pause_reading(self) -> None:
        """All was received."""

    def resume_reading(self) -> None:
        """All was received."""

    async def signal(self, number: int, *, tree: bool = False) -> None:
        """Nobody is there."""

    async def alive(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""
