"""One command on a channel of a shared connection."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal as signals

import asyncssh

from ...errors import ConnectionLost, ConnectorError, StartFailed
from ..contract import Channel, Command, End, Receiver
from .options import CONNECT_TIMEOUT
from .pool import Pool

__all__ = ("Session", "remote_line")

# Before the command, the remote shell says its own pid, which is that of the command too (exec) and of its process
# group (an ssh server makes each session a leader). What a login script prints before it is passed on as output.
HELLO = b"\x01execo:"


def remote_line(command: Command) -> str:
    """Return what is sent to the login shell: say the pid, go to the directory, set the variables, become the command.

    Only POSIX sh is needed on the host. The login shell sees one quoted word, so that it may be any shell.
    """
    steps = [f"printf '{HELLO.decode()}%s\\n' $$"]
    if command.cwd is not None:
        # `CDPATH` would make cd print; `--` takes a directory whose name begins with a dash.
        steps = [f"CDPATH= cd -- {shlex.quote(command.cwd)} || {{ printf '{HELLO.decode()}-\\n'; exit 1; }}", *steps]
    steps += [f"export {name}={shlex.quote(value)}" for name, value in command.env.items()]
    if command.line is not None:
        steps.append(f"exec /bin/sh -c {shlex.quote(command.line)}")
    else:
        steps.append(f"exec {shlex.join(command.argv or ())}")
    return f"exec /bin/sh -c {shlex.quote('; '.join(steps))}"


class Session(asyncssh.SSHClientSession[bytes], Channel):
    """One command on a channel of a shared connection."""

    def __init__(self, pool: Pool, command: Command, receiver: Receiver) -> None:
        self._pool = pool
        self._command = command
        self._receiver = receiver
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head: bytearray | None = bytearray()  # output up to the pid line
        self._early_errors = bytearray()
        self._pid: int | None = None
        self._end: End | None = None
        # Nobody may be left to hear why it did not begin.
        self._begun.add_done_callback(lambda begun: begun.cancelled() or begun.exception())
        self._holds_room = False
        self._lost = False

    def hold_room(self) -> None:
        """Keep the room on the connection until the channel is gone, which it may be already."""
        if self._lost:
            self._give_back()
        else:
            self._holds_room = True

    def _give_back(self) -> None:
        if self._channel is not None:
            self._pool.give_back(self._channel.get_connection())

    async def begun(self) -> None:
        """Wait until the host said that the command runs.

        :raises ConnectorError: when it does not.
        """
        await self._begun

    # what asyncssh calls

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype == asyncssh.EXTENDED_DATA_STDERR:
            if self._head is not None:
                self._early_errors += data
            else:
                self._receiver.received("stderr", data)
        elif self._head is not None:
            self._head += data
            self._look_for_pid()
        else:
            self._receiver.received("stdout", data)

    def _look_for_pid(self) -> None:
        assert self._head is not None
        before, hello, rest = bytes(self._head).partition(HELLO)
        said, newline, after = rest.partition(b"\n")
        if not (hello and newline):
            return
        self._head = None
        said = said.strip()
        if not said.isdigit():
            reason = f"no directory {self._command.cwd}, or no permission to enter it"
            self._fail(StartFailed(self._pool.host.name, reason))
            return
        self._started(int(said))
        if before or after:
            self._receiver.received("stdout", before + after)
        if self._early_errors:
            self._receiver.received("stderr", bytes(self._early_errors))

    def _started(self, pid: int | None) -> None:
        self._pid = pid
        self._receiver.started(pid)
        if not self._begun.done():
            self._begun.set_result(None)

    def _fail(self, error: ConnectorError) -> None:
        if not self._begun.done():
            self._begun.set_exception(error)
        self.close()

    def exit_status_received(self, status: int) -> None:
        self._end = End(exit_code=status)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        # RFC 4254 §6.10: the name without SIG; servers may send names of their own ("ERR@asyncssh.com").
        number = getattr(signals, f"SIG{signal}", None)
        self._end = End(signal=int(number)) if number else End(exit_code=255)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._holds_room:
            self._give_back()
        lost = ConnectionLost(self._pool.host.name, str(exc) if exc else "the channel closed without an exit status")
        if self._begun.done():
            if self._begun.exception() is None:
                self._receiver.ended(self._end or End(error=lost))
            return
        if self._end is None:
            self._begun.set_exception(lost)
            return
        # The login shell ended before our line ran, a forced command or `nologin` for instance: what it said counts.
        self._started(None)
        if self._head:
            self._receiver.received("stdout", bytes(self._head))
        if self._early_errors:
            self._receiver.received("stderr", bytes(self._early_errors))
        self._receiver.ended(self._end)

    # the channel

    def write(self, data: bytes) -> None:
        if self._channel is not None and not self._channel.is_closing():
            with contextlib.suppress(BrokenPipeError):
                self._channel.write(data)

    def close_stdin(self) -> None:
        if self._channel is not None and not self._channel.is_closing():
            with contextlib.suppress(BrokenPipeError):
                self._channel.write_eof()

    async def signal(self, number: int) -> None:
        if self._pid is None:
            return
        # Through a second channel: servers before OpenSSH 7.9 ignore the protocol's own signal request, all deliver
        # it to the shell alone. The plain pid is for servers that do not make a session a group leader.
        name = signals.Signals(number).name.removeprefix("SIG")
        line = f"exec /bin/sh -c 'kill -s {name} -- -{self._pid} || kill -s {name} {self._pid}' 2>/dev/null"

        async def run(connection: asyncssh.SSHClientConnection) -> None:
            await asyncio.wait_for(connection.run(line, encoding=None), CONNECT_TIMEOUT)

        try:
            await self._pool.use(run)
        except TimeoutError:
            raise ConnectionLost(self._pool.host.name, f"no answer within {CONNECT_TIMEOUT} s") from None

    async def alive(self) -> bool:
        if self._pid is None:
            return False
        line = f"exec /bin/sh -c 'kill -s 0 -- -{self._pid} || kill -s 0 {self._pid}' 2>/dev/null"

        async def run(connection: asyncssh.SSHClientConnection) -> bool:
            done = await asyncio.wait_for(connection.run(line, encoding=None), CONNECT_TIMEOUT)
            return done.exit_status == 0

        return await self._pool.use(run)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.abort()
