"""One session of a node's SSH server: a command, a shell or SFTP on one channel.

Does what OpenSSH's server does. A command runs under the login shell, in a session and process group of its own whose
number is the shell's. The exit code or the signal is reported when the command has ended; the channel is closed when
its output is, too: a daemon that keeps the output open keeps the channel open. When the channel closes first, a session
with a terminal gets SIGHUP from the kernel, and one without goes on with closed pipes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import asyncssh
from asyncssh.packet import Boolean, String, UInt32
from asyncssh.stream import SSHServerStreamSession

from ...connectors.pumps import Reader, Writer
from . import terminals

if TYPE_CHECKING:
    from .children import Children
    from .layout import Account

__all__ = ("Session",)

#: What OpenSSH speaks.
_SFTP_VERSION = 3

#: What Python ignores, and a command must not inherit as ignored.
_RESET_SIGNALS = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD]


class Session(SSHServerStreamSession[bytes]):
    """A channel of type "session". SFTP (and scp, where the machine has none) is asyncssh's, the rest is here."""

    def __init__(self, account: Account, children: Children) -> None:
        no_scp = shutil.which("scp", path=account.environment["PATH"]) is None
        super().__init__(None, _sftp, _SFTP_VERSION, no_scp)
        self._account = account
        self._children = children
        self._channel: asyncssh.SSHServerChannel[bytes]
        self._pid: int | None = None
        self._status: int | None = None
        self._reported = False
        self._fds: list[int] = []
        self._terminal: int | None = None
        self._wants_terminal = False
        self._stdin: Writer | None = None
        self._outputs: list[Reader] = []
        self._ours = False

    # What the client asks for, in the order in which it comes.

    def connection_made(self, chan: Any) -> None:
        super().connection_made(chan)
        self._channel = chan

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Mapping[int, int]) -> bool:
        self._wants_terminal = True
        return True

    def shell_requested(self) -> bool:
        self._ours = True
        return True

    def exec_requested(self, command: str) -> bool:
        # True from the parent: scp, with nothing on this machine that could run it.
        self._ours = not super().exec_requested(command)
        return True

    def session_started(self) -> None:
        if not self._ours:
            super().session_started()
            return
        try:
            self._start()
        except OSError as error:
            self._close()
            with contextlib.suppress(OSError):
                self._channel.write_stderr(f"cannot start: {error}\n".encode())
            self._channel.exit(126)

    def _start(self) -> None:
        shell, command = self._account.shell, self._channel.get_command()
        # A leading dash is how a login shell is told that it is one.
        arguments = ["-" + os.path.basename(shell)] if command is None else [os.path.basename(shell), "-c", command]
        environment = self._environment()
        if self._wants_terminal:
            self._start_on_terminal(shell, arguments, environment)
        else:
            self._start_on_pipes(shell, arguments, environment)

    def _start_on_terminal(self, shell: str, arguments: list[str], environment: dict[bytes, bytes]) -> None:
        ours, theirs, path = terminals.open_terminal(
            self._channel.get_terminal_size(), self._channel.get_terminal_modes()
        )
        try:
            self._fds.append(ours)
            environment[b"SSH_TTY"] = path.encode()
            environment[b"TERM"] = (self._channel.get_terminal_type() or "dumb").encode()
            # The first terminal that the leader of a new session opens becomes its controlling terminal.
            actions = [(os.POSIX_SPAWN_OPEN, 0, path, os.O_RDWR, 0), *_copies((0, 1), (0, 2))]
            self._spawn(shell, arguments, environment, actions)
        finally:
            os.close(theirs)
        self._terminal = ours
        self._stdin = Writer(ours, self._channel.pause_reading, self._channel.resume_reading)
        self._outputs = [Reader(ours, self._write, self._check_end)]

    def _start_on_pipes(self, shell: str, arguments: list[str], environment: dict[bytes, bytes]) -> None:
        theirs: list[int] = []
        try:
            for number in range(3):
                read, write = os.pipe()
                theirs.append(write if number else read)
                self._fds.append(read if number else write)
            self._spawn(shell, arguments, environment, _copies(*((fd, number) for number, fd in enumerate(theirs))))
        finally:
            for fd in theirs:
                os.close(fd)
        stdin, stdout, stderr = self._fds
        self._stdin = Writer(stdin, self._channel.pause_reading, self._channel.resume_reading)
        self._outputs = [
            Reader(stdout, self._write, self._check_end),
            Reader(stderr, self._write_error, self._check_end),
        ]

    def _spawn(self, shell: str, arguments: list[str], environment: dict[bytes, bytes], actions: list[Any]) -> None:
        # No fork of the interpreter: the event loop has threads for name look-ups. The command starts in the server's
        # own working directory, the home, because posix_spawn knows no other.
        self._pid = os.posix_spawn(
            shell, arguments, environment, file_actions=actions, setsid=True, setsigmask=[], setsigdef=_RESET_SIGNALS
        )
        self._children.watch(self._pid, self._exited)

    def _environment(self) -> dict[bytes, bytes]:
        connection = self._channel.get_connection()
        environment = dict(self._account.environment)
        peer, here = connection.get_extra_info("peername"), connection.get_extra_info("sockname")
        if peer and here:
            environment["SSH_CONNECTION"] = f"{peer[0]} {peer[1]} {here[0]} {here[1]}"
            environment["SSH_CLIENT"] = f"{peer[0]} {peer[1]} {here[1]}"
        if agent := self._channel.get_agent_path():
            environment["SSH_AUTH_SOCK"] = agent
        encoded = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
        for name, value in self._channel.get_environment_bytes().items():
            if name and b"=" not in name and b"\0" not in name + value:
                encoded[name] = value
        return encoded

    # Bytes, both ways.

    def data_received(self, data: bytes, datatype: Any) -> None:
        if not self._ours:
            super().data_received(data, datatype)
        elif self._stdin is not None:
            self._stdin.write(data)

    def eof_received(self) -> bool:
        if not self._ours:
            return super().eof_received()
        # A terminal has one descriptor for both directions: there is no way to close half of it.
        if self._stdin is not None and self._terminal is None:
            self._stdin.finish(self._close_stdin)
        return True

    def _close_stdin(self) -> None:
        os.close(self._fds.pop(0))
        self._stdin = None

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the client has gone
            self._channel.write(data)

    def _write_error(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._channel.write_stderr(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        for output in self._outputs:
            output.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        for output in self._outputs:
            output.resume()

    # What happens to the process.

    def signal_received(self, signal: str) -> None:
        if not self._ours:
            super().signal_received(signal)
        elif number := _signal_number(signal):
            self._kill(number)

    def break_received(self, msec: int) -> bool:
        self._kill(signal.SIGINT)
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        if self._terminal is not None:
            terminals.set_size(self._terminal, (width, height, pixwidth, pixheight))

    def _kill(self, number: int) -> None:
        if self._pid is not None and self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, number)

    def _exited(self, status: int) -> None:
        self._status = status
        for output in self._outputs:
            output.drain()
        self._check_end()
        if self._outputs:
            self._report(status)  # before the end of its output, as OpenSSH does

    def _check_end(self) -> None:
        if self._status is None or any(output.open for output in self._outputs):
            return
        self._close()
        self._report(self._status)
        self._channel.close()

    def _report(self, status: int) -> None:
        """Tell how the command ended, once (RFC 4254 §6.10). asyncssh's own methods close the channel, too."""
        if self._reported:
            return
        self._reported = True
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            self._channel._send_request(b"exit-status", UInt32(code))
        else:
            name, core_dumped = _signal_name(-code), os.WCOREDUMP(status)
            self._channel._send_request(b"exit-signal", String(name), Boolean(core_dumped), String(""), String(""))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._ours:
            self._close()

    def _close(self) -> None:
        for output in self._outputs:
            output.stop()
        if self._stdin is not None:
            self._stdin.stop()
        self._stdin = self._terminal = None
        self._outputs = []
        for fd in self._fds:
            os.close(fd)
        self._fds = []


class _Files(asyncssh.SFTPServer):
    """SFTP over the node's files, relative to the server's working directory: the home."""

    def exit(self) -> None:
        # asyncssh closes the channel without an exit status, which makes scp report a failure.
        self.channel.exit(0)


def _sftp(channel: Any) -> asyncssh.SFTPServer:
    return _Files(channel)


def _copies(*pairs: tuple[int, int]) -> list[tuple[int, int, int]]:
    return [(os.POSIX_SPAWN_DUP2, fd, target) for fd, target in pairs]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:  # a real-time signal has no name of its own
        return str(number)


def _signal_number(name: str) -> int | None:
    try:
        return int(signal.Signals["SIG" + name.removeprefix("SIG")])
    except KeyError:
        return None
