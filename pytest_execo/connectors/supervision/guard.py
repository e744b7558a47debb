"""The guard of one connection, seen from here: what runs there, signals, questions, and signs of life.

The other half is ``guard.sh``, which also says what the lines mean. One guard runs on each connection, started before
the first command, in the same breath: there is no moment in which a command runs unguarded.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal as signals
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ...errors import ConnectionLost, ConnectorError
from ..contract import Stream
from .lines import script
from .transport import RawChannel, RawReceiver

__all__ = ("ANSWER_TIMEOUT", "GRACE", "Guard", "Lifeline", "guard_arguments", "guard_line", "lifeline")

# Seconds between SIGTERM and SIGKILL when a guard ends what was left behind.
GRACE = 2
#: Seconds within which a host has to answer; what execo's users are used to for a connection.
ANSWER_TIMEOUT = 20.0
# How often a guard that died while its connection lives is started again (somebody kills shells on the host).
_RESTARTS = 3


@dataclass(frozen=True)
class Lifeline:
    """Signs of life: one every ``interval`` seconds; after ``silence`` seconds without any, a guard acts."""

    interval: float
    silence: int


def lifeline() -> Lifeline:
    """Return the signs of life for this run.

    Four seconds of silence, and two of grace, end what runs on a host whose network was cut within ten, also where the
    host is loaded. A controller that may be stopped for longer (a suspended laptop, a debugger that stops all threads)
    needs more: ``EXECO_LIFELINE=60``, in seconds. 0 is never.
    """
    text = os.environ.get("EXECO_LIFELINE", "4")
    silence = int(text) if text.isdecimal() else 4
    return Lifeline(interval=max(silence / 3, 1.0), silence=silence)


def guard_arguments(token: str, silence: int) -> tuple[str, ...]:
    """Return the arguments that follow ``sh -c`` to start a guard."""
    return script("guard"), "guard", token, str(silence), str(GRACE)


def guard_line(token: str, silence: int) -> bytes:
    """Return the line that starts a guard from a login shell."""
    return f"exec /bin/sh -c {shlex.join(guard_arguments(token, silence))}".encode()


class Guard(RawReceiver):
    """One guard, and the groups it is to know.

    :param open_channel: starts the guard's line on the connection and returns its channel.
    :param host: name for messages.
    """

    def __init__(
        self, token: str, host: str, open_channel: Callable[[bytes, RawReceiver], Awaitable[RawChannel]], silence: int
    ) -> None:
        self.token = token
        self._host = host
        self._open_channel = open_channel
        self._silence = silence
        self._channel: RawChannel | None = None
        self._opening: asyncio.Task[None] | None = None
        self._restarts = 0
        #: Process groups that run now.
        self.groups: set[int] = set()
        #: Starts of which the pid is not known yet.
        self.starting: int = 0
        self._quiet = True  # as the script begins
        #: It heard no sign of life for too long, and is ending what runs: the network was cut, or we stood still.
        self.acted: bool = False
        self._is_let_go = False
        #: The login shell is one of those that take a line as POSIX says; known once the guard has said so.
        self.shell_is_posix: bool = False
        self._questions: dict[int, asyncio.Future[int]] = {}
        self._number = 0
        self._said = bytearray()

    # life

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._channel is not None

    def open(self) -> bool:
        """Have it started, unless it runs; return whether it is being started.

        Does not wait: commands that follow on the connection come after it there.
        """
        if self._channel is None and self._opening is None and self._restarts <= _RESTARTS:
            self._restarts += 1
            self._opening = asyncio.ensure_future(self._open())
            self._opening.add_done_callback(self._opened)
            return True
        return False

    async def opened(self) -> None:
        """Wait until it is started.

        :raises ConnectorError: when it could not be.
        """
        if self._opening is not None:
            await asyncio.shield(self._opening)

    async def _open(self) -> None:
        self._channel = await self._open_channel(guard_line(self.token, self._silence), self)
        self._quiet = True
        if self.busy:
            self.sign_of_life()

    @property
    def cause(self) -> ConnectionLost | None:
        """Why the guard ends what runs, when it does: the error of all that it ended."""
        if self._is_let_go:
            return ConnectionLost(self._host, "disconnected")
        if not self.acted:
            return None
        why = f"no sign of life came through for {self._silence} s, so the host's guard ended it (EXECO_LIFELINE=60 "
        return ConnectionLost(self._host, f"{why}would wait a minute)")

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # told to those who ask it something

    def let_go(self) -> None:
        """End it for good, with all that it guards: the connection is about to be closed."""
        self._is_let_go = True
        self.close()

    def close(self) -> None:
        """End it: what it still knows of is ended there."""
        if self._opening is not None:
            self._opening.cancel()
        if self._channel is not None:
            if not self.busy:
                self._channel.write(b"x\n")  # or it would look for what is left, in all processes of the host
            self._channel.write_eof()

    # what it is told

    @property
    def busy(self) -> bool:
        """Whether there is anything to guard."""
        return bool(self.groups) or self.starting > 0

    def begin(self) -> None:
        """Say that a command is about to start: to be called before its line is sent."""
        self.starting += 1
        if self._quiet:
            self.sign_of_life()

    def began(self, pid: int | None) -> None:
        """Say that it started (or, without a pid, that it did not)."""
        self.starting -= 1
        if pid is not None:
            self.groups.add(pid)

    def add(self, pid: int) -> None:
        """Say at once that a group runs."""
        self.groups.add(pid)
        self._quiet = False
        if self._channel is not None:
            self._channel.write(b"+ %d\n" % pid)

    def ended(self, pid: int) -> None:
        """Say that a command is over."""
        self.groups.discard(pid)

    def sign_of_life(self) -> bool:
        """Send one, with what runs now; return whether more will be needed."""
        if self._channel is None:
            if self.busy:
                self.open()
            return self.busy
        if not self.busy:
            if not self._quiet:
                self._quiet = True
                self._channel.write(b".\n")
            return False
        self._quiet = False
        self._channel.write(b"= " + " ".join(map(str, self.groups)).encode() + b"\n")
        return True

    # what it is asked

    async def signal(self, pid: int, number: int, *, tree: str | None = None) -> None:
        """Signal a process group; with ``tree``, the command's mark, all that descends from it."""
        name = signals.Signals(number).name.removeprefix("SIG")
        await self._ask(f"t {{}} {name} {tree} {pid}" if tree else f"k {{}} {name} {pid}")

    async def alive(self, pid: int) -> bool:
        """Ask whether any process of the group is there."""
        return await self._ask(f"a {{}} {pid}") == 0

    async def _ask(self, question: str) -> int:
        if self._channel is None:
            self.open()
            await self.opened()
        if self._channel is None:
            raise ConnectionLost(self._host, "its guard can't be started any more")
        self._number += 1
        number = self._number
        answer = self._questions[number] = asyncio.get_running_loop().create_future()
        try:
            self._channel.write(question.format(number).encode() + b"\n")
            return await asyncio.wait_for(answer, ANSWER_TIMEOUT)
        except TimeoutError:
            raise ConnectionLost(self._host, f"no answer within {ANSWER_TIMEOUT:.0f} s") from None
        finally:
            self._questions.pop(number, None)

    # what comes back

    def data(self, stream: Stream, data: bytes) -> None:
        if stream != "stdout":
            return
        self._said += data
        *lines, rest = bytes(self._said).split(b"\n")
        self._said = bytearray(rest[-4096:])
        for line in lines:
            self.acted |= line == b"silence"
            self.shell_is_posix |= line == b"posix"
            number, _, status = line.partition(b" ")
            with contextlib.suppress(ValueError):  # what a login script prints
                answer = self._questions.get(int(number))
                if answer is not None and not answer.done():
                    answer.set_result(int(status))

    def exited(self, exit_code: int | None, signal: int | None) -> None:
        """Its channel closes now."""

    def closed(self, reason: str | None) -> None:
        self._channel = None
        lost: ConnectorError = ConnectionLost(self._host, reason or "its guard ended")
        for answer in self._questions.values():
            if not answer.done():
                answer.set_exception(lost)
