"""A child of this process: spawned, wired up, waited for, on the event loop and without a thread."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pty
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .pumps import Reader, Writer
from .supervision.transport import RawChannel, RawReceiver

__all__ = ("Child", "Spawn")

# After the end of a process its output is read on for this long, seconds: what it wrote itself is in the pipe already
# and is read at once, but children of its own may follow, and a daemon that it left may hold the pipe open for ever.
_LINGER = 0.5
# What Python ignores, and a child must not inherit as ignored.
_RESET = [signal.SIGPIPE, signal.SIGXFSZ]


@dataclass(frozen=True)
class Spawn:
    """What to spawn.

    :param script: what the child can read from descriptor 3.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    pty: bool = False
    detached: bool = False
    script: bytes = b""


class Child(RawChannel):
    """One child in a session of its own; tells ``receiver`` what happens to it."""

    def __init__(self, receiver: RawReceiver) -> None:
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self.pid: int = -1
        self._pidfd = -1
        self._fds: list[int] = []
        self._stdin: Writer | None = None
        self._outputs: list[Reader] = []
        self._terminal = -1
        self._room: asyncio.Event | None = None
        self._exited = False
        self._over = False
        self._timer: asyncio.TimerHandle | None = None

    def spawn(self, how: Spawn) -> None:
        """Start it. Blocks for the time of an ``exec``, about half a millisecond.

        :raises OSError: of ``exec``; nothing is left open then.
        """
        try:
            if how.pty:
                self._spawn_on_terminal(how)
            else:
                self._spawn_on_pipes(how)
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:
            self._close_all()
            raise
        self._loop.add_reader(self._pidfd, self._reap)

    def _spawn_on_pipes(self, how: Spawn) -> None:
        theirs: list[int] = []
        try:
            if how.detached:
                self._spawn(how, [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)])
                return
            for number in range(3):
                read, write = os.pipe()
                theirs.append(write if number else read)
                self._fds.append(read if number else write)
            self._spawn(how, [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(theirs)])
        finally:
            for fd in theirs:
                os.close(fd)
        stdin, stdout, stderr = self._fds
        self._stdin = Writer(stdin, self._no_room, self._taken)
        self._outputs = [
            Reader(stdout, lambda data: self._receiver.data("stdout", data), self._check_end),
            Reader(stderr, lambda data: self._receiver.data("stderr", data), self._check_end),
        ]

    def _spawn_on_terminal(self, how: Spawn) -> None:
        ours, theirs = pty.openpty()
        try:
            self._fds.append(ours)
            # As session leader without a terminal, it takes the first one that it opens as its controlling terminal.
            path = os.ttyname(theirs)
            copies = [(os.POSIX_SPAWN_DUP2, 0, number) for number in (1, 2)]
            self._spawn(how, [(os.POSIX_SPAWN_OPEN, 0, path, os.O_RDWR, 0), *copies])
        finally:
            os.close(theirs)
        self._terminal = ours
        self._stdin = Writer(ours, self._no_room, self._taken)
        self._outputs = [Reader(ours, lambda data: self._receiver.data("stdout", data), self._check_end)]

    def _spawn(self, how: Spawn, actions: Sequence[tuple[object, ...]]) -> None:
        script = -1
        try:
            if how.script:
                script = os.memfd_create("execo")
                os.write(script, how.script)
                os.lseek(script, 0, os.SEEK_SET)
                actions = [*actions, (os.POSIX_SPAWN_DUP2, script, 3)]
            try:
                self.pid = _posix_spawn(how.argv, how.environment, actions)
            except OSError as error:
                path = shutil.which(how.argv[0])
                if error.errno != errno.ENOEXEC or path is None:
                    raise
                # A script without a first line that names its interpreter: it is the shell's, as in a shell.
                self.pid = _posix_spawn(("/bin/sh", path, *how.argv[1:]), how.environment, actions)
        finally:
            if script >= 0:
                os.close(script)

    # the end

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            status = None  # somebody else in this process has waited for it
        self._exited = True
        if status is not None:
            code = os.waitstatus_to_exitcode(status)
            self._receiver.exited(None if code < 0 else code, -code if code < 0 else None)
        self._linger()

    def _linger(self) -> None:
        for output in self._outputs:
            output.drain()
        self._check_end()
        if not self._over and not any(output.paused for output in self._outputs if output.open):
            self._timer = self._loop.call_later(_LINGER, self._finish)

    def _check_end(self) -> None:
        if self._exited and not any(output.open for output in self._outputs):
            self._finish()

    def _finish(self) -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._close_all()
        self._some_room()
        self._receiver.closed(None if self._exited else "abandoned")

    def _close_all(self) -> None:
        for output in self._outputs:
            output.stop()
        if self._stdin is not None:
            self._stdin.stop()
        self._stdin = None
        self._terminal = -1
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    # the channel

    def write(self, data: bytes) -> None:
        if self._stdin is not None:
            self._stdin.write(data)

    async def drain(self) -> None:
        if self._room is None and self._stdin is not None and self._stdin.broken:
            # Nobody read any of it: dropped at the first byte, without a moment in which there was no room.
            self._room = asyncio.Event()
        if self._room is not None:
            await self._room.wait()

    def _no_room(self) -> None:
        self._room = asyncio.Event()

    def _taken(self) -> None:
        # What was dropped was not taken: who waits for it waits for the end, as over a network.
        if self._stdin is not None and not self._stdin.broken:
            self._some_room()

    def _some_room(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None

    def write_eof(self) -> None:
        if self._terminal >= 0:
            self.write(b"\x04")  # end of file, as typed
        elif self._stdin is not None:
            self._stdin.finish(self._close_stdin)

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            self._stdin.stop()
            self._stdin = None
            os.close(self._fds.pop(0))

    def pause(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for output in self._outputs:
            output.pause()

    def resume(self) -> None:
        for output in self._outputs:
            output.resume()
        if self._exited and not self._over:
            self._linger()

    def close(self) -> None:
        """End it, if it has not ended, and stop listening."""
        if not self._exited and self.pid > 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            return  # its end is near
        self._finish()

    def drop(self) -> None:
        """Close our end of its standard input, in a forked child: the parent's stays open."""
        if self._stdin is not None:
            with contextlib.suppress(OSError):
                os.close(self._fds[0])


def _posix_spawn(argv: tuple[str, ...], environment: Mapping[str, str], actions: Sequence[tuple[object, ...]]) -> int:
    # No fork of the interpreter, which has threads: glibc does it as vfork does.
    return os.posix_spawnp(
        argv[0], argv, environment, file_actions=actions, setsid=True, setsigmask=[], setsigdef=_RESET
    )
