"""One command over a transport: from the line, through the pid, to the end."""

from __future__ import annotations

import asyncio
import contextlib
import re

from ...errors import ConnectionLost, ConnectorError, StartFailed
from ..contract import Channel, Command, End, Receiver, Stream
from .lines import END, HELLO, Launch, has_no_input
from .pool import Link, Pool
from .transport import RawChannel, RawReceiver

__all__ = ("Session",)

# After the end of a command its output is read on as long as it comes; when none came for this long, seconds, and a
# question to the host was answered, the end is the end: a daemon that it left behind may hold its output for ever.
_LINGER = 0.5
# What a shell says whose command was ended by SIGTERM or SIGKILL.
_ENDED_BY_GUARD = (128 + 15, 128 + 9)


class Session(Channel, RawReceiver):
    """One command on a connection that is shared with others."""

    def __init__(self, pool: Pool, link: Link, command: Command, receiver: Receiver, *, reports: bool) -> None:
        self._pool = pool
        self._link = link
        self._command = command
        self._receiver = receiver
        self._raw: RawChannel | None = None
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody may be left to hear why it did not begin.
        self._begun.add_done_callback(lambda begun: begun.cancelled() or begun.exception())
        self._head: bytearray | None = bytearray()  # output up to the pid
        self._early_errors = bytearray()
        self._report = _Report(link.guard.token) if reports else None
        self._pid: int | None = None
        self._session: int | None = None
        self._end: End | None = None
        self._over = False
        self._owns_room = False
        self._paused = False
        self._pieces = 0
        self._timer: asyncio.TimerHandle | None = None
        self._lingering: asyncio.Task[None] | None = None

    async def begin(self, launch: Launch) -> None:
        """Send the line, and wait until the host said that the command runs; the room on the link is ours then.

        :raises ConnectorError: when it does not.
        """
        guard = self._link.guard
        if not self._command.detached and guard.open():
            await asyncio.sleep(0)  # let its line be sent before ours
        guard.begin()
        try:
            self._raw = await self._link.connection.run(launch.line, self, pty=self._command.pty)
            if launch.script:
                self._raw.write(launch.script)
            await self._begun
        except BaseException:
            guard.began(None)
            self.close()
            raise
        self._owns_room = True
        if self._over:
            self._pool.give_back(self._link)
        guard.began(None if self._command.detached or self._over else self._pid)

    # what the transport tells

    def data(self, stream: Stream, data: bytes) -> None:
        self._pieces += 1
        if stream == "stdout" and self._head is not None:
            self._head += data
            self._look_for_pid()
            return
        if self._report is not None and (stream == "stderr" or self._command.pty):
            data = self._without(self._report, data)
        if not data:
            return
        if self._head is not None:
            self._early_errors += data
        else:
            self._receiver.received(stream, data)

    def _look_for_pid(self) -> None:
        assert self._head is not None
        at = self._head.find(HELLO)
        newline = self._head.find(b"\n", at) if at >= 0 else -1
        if newline < 0:
            return
        head, self._head = bytes(self._head), None
        said = head[at + len(HELLO) : newline].split()
        if len(said) != 2:
            self._fail(StartFailed(self._pool.host.name, no_directory(self._command)))
            return
        self._session = int(said[1])
        self._started(int(said[0]))
        # What a login script prints before is passed on as output.
        if rest := head[:at] + head[newline + 1 :]:
            if self._report is not None and self._command.pty:
                rest = self._without(self._report, rest)
            if rest:
                self._receiver.received("stdout", rest)
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

    def exited(self, exit_code: int | None, signal: int | None) -> None:
        self._end = End(exit_code=exit_code, signal=signal)
        self._linger_soon()

    def closed(self, reason: str | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._over:
            return
        lost = ConnectionLost(self._pool.host.name, reason or "the channel closed without an exit status")
        if not self._begun.done():
            self._closed_early(lost)
        elif self._begun.exception() is None:
            self._flush_report()
            end = self._reported() or self._end or End(error=lost)
            if (cause := self._link.guard.cause) and (end.signal or end.exit_code in _ENDED_BY_GUARD):
                end = End(error=cause)
            self._receiver.ended(end)
        self._over_now()

    def _closed_early(self, lost: ConnectionLost) -> None:
        if self._end is None or self._end.signal is not None:
            self._begun.set_exception(lost)
            return
        # The login shell ended before our line ran, a forced command or `nologin` for instance: what it said counts.
        self._started(None)
        if self._head:
            self._receiver.received("stdout", bytes(self._head))
        if self._early_errors:
            self._receiver.received("stderr", bytes(self._early_errors))
        self._flush_report()
        self._receiver.ended(self._end)

    def _without(self, report: _Report, data: bytes) -> bytes:
        data = report.take(data)
        if report.status is not None:
            self._linger_soon()
        return data

    def _flush_report(self) -> None:
        if self._report is not None and (rest := self._report.rest()):
            self._receiver.received("stdout" if self._command.pty else "stderr", rest)

    def _reported(self) -> End | None:
        if self._report is None or self._report.status is None:
            return None
        status = self._report.status
        return End(signal=status & 0x7F) if status & 0x7F else End(exit_code=status >> 8)

    def _over_now(self) -> None:
        if not self._over:
            self._over = True
            if self._pid is not None:
                self._link.guard.ended(self._pid)
            if self._owns_room:
                self._pool.give_back(self._link)

    # a daemon that holds the output

    def _linger_soon(self) -> None:
        """Wait for the rest of the output: the command has ended, by what the transport tells or the report says."""
        if self._timer is None and not self._over:
            self._timer = asyncio.get_running_loop().call_later(_LINGER, self._linger)

    def _linger(self) -> None:
        if not self._over:
            self._lingering = asyncio.ensure_future(self._wait_for_silence())

    async def _wait_for_silence(self) -> None:
        while not self._over:
            seen = self._pieces
            # A round trip: what the host had sent before its answer has come, however slow the network is.
            with contextlib.suppress(ConnectorError):
                await self._link.guard.alive(self._pid or 0)
            if not self._paused and seen == self._pieces:
                break
            await asyncio.sleep(_LINGER)
        self.close()

    # the channel

    def write(self, data: bytes) -> None:
        if self._raw is not None:
            self._raw.write(data)

    async def drain(self) -> None:
        if self._raw is not None:
            await self._raw.drain()

    def close_stdin(self) -> None:
        if self._raw is None or has_no_input(self._command):
            return
        if self._command.pty:
            self._raw.write(b"\x04")  # end of file, as typed: a server does not tell a terminal's reader otherwise
        else:
            self._raw.write_eof()

    def pause_reading(self) -> None:
        self._paused = True
        if self._raw is not None:
            self._raw.pause()

    def resume_reading(self) -> None:
        self._paused = False
        if self._raw is not None:
            self._raw.resume()

    async def signal(self, number: int, *, tree: bool = False) -> None:
        if self._pid is not None:
            # A regular expression, and no shell reads it.
            mark = rf"{self._link.guard.token}\.{self._session}\." if tree else None
            await self._link.guard.signal(self._pid, number, tree=mark)

    async def alive(self) -> bool:
        return self._pid is not None and await self._link.guard.alive(self._pid)

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()


class _Report:
    """Finds the report of ``report.sh`` at the end of a stream, and passes on what is not it."""

    def __init__(self, token: str) -> None:
        self._pattern = re.compile(re.escape(END + token.encode()) + rb":([0-9]+)\r?\n")
        self._mark = END
        self._held = b""
        #: The wait status, once it came.
        self.status: int | None = None

    def take(self, data: bytes) -> bytes:
        """Return what may be passed on now: what could be the beginning of the report waits for the rest of it."""
        data = self._held + data
        self._held = b""
        if match := self._pattern.search(data):
            self.status = int(match[1])
            data = data[: match.start()] + data[match.end() :]
        at = data.rfind(self._mark[:1])
        if at >= 0 and self.status is None and len(data) - at < 64 and b"\n" not in data[at:]:
            tail = data[at:]
            if tail.startswith(self._mark) or self._mark.startswith(tail):
                self._held = tail
                return data[:at]
        return data

    def rest(self) -> bytes:
        """Return what still waits: it was not the report."""
        rest, self._held = self._held, b""
        return rest


def no_directory(command: Command) -> str:
    """Say that the working directory can't be entered."""
    return f"no directory {command.cwd}, or no permission to enter it"
