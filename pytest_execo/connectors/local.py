"""Processes and files of this machine: ``fork``/``exec`` through asyncio's subprocess transport."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pty
import shutil
import signal
import threading
from typing import cast

from ..errors import ConnectorError, StartFailed, TransferFailed
from ..hosts import Host
from .contract import Channel, Command, Connector, End, FileChannel, Receiver, Stream

__all__ = ("LocalConnector",)

_HERE = "localhost"
# After the end of a process its output is read on for this long, seconds: a daemon that it left behind may hold the
# pipe open for ever, and what the process itself wrote is in the pipe already.
_LINGER = 0.5
# Bytes that are copied between two looks at whether to go on.
_PIECE = 1 << 20


class LocalConnector(Connector):
    """Starts processes on this machine, each in a session and process group of its own."""

    name = "local"

    async def start(self, host: Host | None, command: Command, receiver: Receiver) -> Channel:
        argv = command.argv if command.line is None else ("/bin/sh", "-c", command.line)
        assert argv is not None
        loop = asyncio.get_running_loop()
        child = _Child(receiver)
        master = slave = -1
        if command.pty:
            master, slave = pty.openpty()
            # As session leader without a terminal, the shell takes the first one it opens as its controlling
            # terminal (Linux, POSIX allows it); an ioctl between fork and exec would be unsafe beside threads.
            argv = ("/bin/sh", "-c", 'exec <"$0" >"$0" 2>&1; exec "$@"', os.ttyname(slave), *argv)
        try:
            transport, _ = await loop.subprocess_exec(
                lambda: child,
                *argv,
                stdin=slave if command.pty else asyncio.subprocess.PIPE,
                stdout=slave if command.pty else asyncio.subprocess.PIPE,
                stderr=slave if command.pty else asyncio.subprocess.PIPE,
                cwd=command.cwd,
                env={**os.environ, **command.env} if command.env else None,
                start_new_session=True,
            )
        except OSError as error:
            with contextlib.suppress(OSError):
                os.close(master)
            return self._not_started(error, command, receiver)
        finally:
            with contextlib.suppress(OSError):
                os.close(slave)
        if command.pty:
            await child.attach_terminal(master)
        child.begin(transport)
        return child

    def _not_started(self, error: OSError, command: Command, receiver: Receiver) -> Channel:
        """Report what ``exec`` refused as a shell does, so that it looks the same on every connector."""
        if command.cwd is not None and error.filename == command.cwd:
            raise StartFailed(_HERE, f"no directory {command.cwd}, or no permission to enter it") from error
        program = (command.argv or ("",))[0]
        if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC, errno.EISDIR):
            missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
            receiver.started(None)
            receiver.received("stderr", f"{program}: {error.strerror}\n".encode())
            receiver.ended(End(exit_code=127 if missing else 126))
            return _Gone()
        raise StartFailed(_HERE, f"{program}: {error.strerror}") from error

    async def files(self, host: Host | None) -> FileChannel:
        return _LocalFiles()

    async def disconnect(self, host: Host) -> None:
        """Nothing is kept open."""

    async def close(self) -> None:
        """Nothing is kept open."""


class _Child(asyncio.SubprocessProtocol, Channel):
    """One child: asyncio tells it what happens, it tells the receiver."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._transport: asyncio.SubprocessTransport | None = None
        self._terminal: asyncio.ReadTransport | None = None
        self._terminal_fd = -1
        self._open_streams = {1, 2}
        self._exited = False
        self._done = False
        # Output that comes before `started` was announced (the child is quick) waits here.
        self._early: list[tuple[Stream, bytes]] | None = []
        self.pid = -1

    def begin(self, transport: asyncio.SubprocessTransport) -> None:
        self._transport = transport
        self.pid = transport.get_pid()
        self._receiver.started(self.pid)
        early, self._early = self._early or [], None
        for stream, data in early:
            self._receiver.received(stream, data)
        self._finish_if_over()

    async def attach_terminal(self, master: int) -> None:
        self._terminal_fd = master
        self._open_streams = {1}
        reader = os.fdopen(os.dup(master), "rb", 0)
        self._terminal, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: _Terminal(self), reader)

    # what asyncio calls

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        stream: Stream = "stdout" if fd == 1 else "stderr"
        if self._early is not None:
            self._early.append((stream, data))
        elif not self._done:
            self._receiver.received(stream, data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open_streams.discard(fd)
        self._finish_if_over()

    def process_exited(self) -> None:
        self._exited = True
        if self._open_streams:
            asyncio.get_running_loop().call_later(_LINGER, self._finish)
        self._finish_if_over()

    def _finish_if_over(self) -> None:
        if self._exited and not self._open_streams and self._early is None:
            self._finish()

    def _finish(self) -> None:
        if self._done or self._transport is None:
            return
        self._done = True
        status = self._transport.get_returncode()
        self._transport.close()
        if self._terminal is not None:
            self._terminal.close()
        if self._terminal_fd >= 0:
            os.close(self._terminal_fd)
            self._terminal_fd = -1
        if status is None:  # close() before the end
            self._receiver.ended(End(error=ConnectorError(_HERE, "abandoned")))
        elif status < 0:
            self._receiver.ended(End(signal=-status))
        else:
            self._receiver.ended(End(exit_code=status))

    # the channel

    def write(self, data: bytes) -> None:
        if self._done:
            return
        if self._terminal_fd >= 0:
            # A terminal takes 4 KiB at a time and this end is not blocking; what does not fit is dropped, as a
            # terminal does with typing that nobody reads.
            with contextlib.suppress(OSError):
                os.write(self._terminal_fd, data)
            return
        pipe = self._stdin()
        if pipe is not None and not pipe.is_closing():
            pipe.write(data)

    def close_stdin(self) -> None:
        if self._terminal_fd >= 0:
            self.write(b"\x04")  # end of file, as typed
        elif (pipe := self._stdin()) is not None:
            pipe.close()

    def _stdin(self) -> asyncio.WriteTransport | None:
        assert self._transport is not None
        return cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))

    async def signal(self, number: int) -> None:
        # The group lives on while any member does, so its number can't have been given to others before all of it
        # is gone; a leader that was not reaped yet keeps it too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def alive(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # somebody else's by now, so it exists
            return True
        return True

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._finish()


class _Terminal(asyncio.Protocol):
    """The reading side of a pseudo-terminal."""

    def __init__(self, child: _Child) -> None:
        self._child = child

    def data_received(self, data: bytes) -> None:
        self._child.pipe_data_received(1, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._child.pipe_connection_lost(1, exc)  # EIO: the last process closed the terminal


class _Gone(Channel):
    """The channel of a command that ended before it had one."""

    def write(self, data: bytes) -> None:
        """Nobody reads it."""

    def close_stdin(self) -> None:
        """Nobody reads it."""

    async def signal(self, number: int) -> None:
        """Nobody is there."""

    async def alive(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""


class _LocalFiles(FileChannel):
    """Copies between two places of this machine, in a worker thread: files block."""

    async def put(self, source: str, target: str) -> None:
        stop = threading.Event()
        try:
            await asyncio.to_thread(_copy, source, target, stop)
        except asyncio.CancelledError:
            stop.set()
            raise
        except (OSError, shutil.Error) as error:
            raise TransferFailed(_HERE, f"{source} → {target}: {error}") from error

    async def get(self, source: str, target: str) -> None:
        await self.put(source, target)

    async def close(self) -> None:
        """Nothing is open."""


def _copy(source: str, target: str, stop: threading.Event) -> None:
    def copy_file(source: str, target: str) -> None:
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
            return
        with open(source, "rb") as read, open(target, "wb") as write:
            while piece := read.read(_PIECE):
                if stop.is_set():  # a thread can't be cancelled
                    raise OSError("given up")
                write.write(piece)
        shutil.copystat(source, target)

    if os.path.isdir(target):
        target = os.path.join(target, os.path.basename(os.path.normpath(source)))
    if os.path.isdir(source):
        shutil.copytree(source, target, symlinks=True, copy_function=copy_file, dirs_exist_ok=True)
    else:
        copy_file(source, target)
