"""One process: on this machine or on a host, and nothing else changes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Self

from ..connectors import Channel, Command, End, Stream
from ..errors import ConnectionLost, ConnectorError, ExecoError, InvalidInput, ProcessError, StartFailed
from ..hosts import Host
from ..units import format_duration
from .activity import Activity, State
from .io_thread import io_thread

__all__ = ("CommandLine", "Process")

#: A string is for a shell (``/bin/sh -c``); a sequence is a program and its arguments, without a shell.
CommandLine = str | Sequence[str | os.PathLike[str]]

# Seconds between a signal that asks and SIGKILL. Servers that flush on SIGTERM need some; a campaign waits for it.
GRACE = 5.0
# Seconds after SIGKILL within which a host has to confirm the end, before the process is given up as lost.
_VERIFY = 10.0
# Seconds that a kill waits for a start under way.
_START_GRACE = 0.2
# Seconds between a signal that can't have failed and asking the host whether the process is really gone.
_SETTLE = 0.5
# Signals that ask a process to end; the others (SIGUSR1, SIGSTOP…) are only delivered.
ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL}
# Characters of each stream in messages: the head says what it was, the tail what went wrong.
_EXCERPT = 2000


class Process(Activity):
    """A unix process with its dates, output and end.

    ::

        p = Process("make -j8", host=node, timeout=60).run()
        print(p.stdout, p.duration)

    Standard input is open until :meth:`close_stdin`; :meth:`run` closes it, for nobody could write.

    :param cmd: a string is run by ``/bin/sh -c``, here and on the host; a list is a program with its arguments, and
        no shell sees it. A program that is not there ends with exit code 127 in both cases.
    :param host: where; ``None``: this machine; a string is an address for ssh.
    :param connector: how the host is reached, when not as the host says.
    :param env: variables added to the environment.
    :param cwd: working directory; default: ours here, the login directory on a host.
    :param pty: give it a pseudo-terminal: ``stderr`` comes on ``stdout``, lines end in CR LF.
    :param ignore_exit_code: a non-zero exit code, or a signal, is ok.

    The other parameters are those of :class:`Activity`.
    """

    def __init__(
        self,
        cmd: CommandLine,
        host: Host | str | None = None,
        *,
        connector: str | None = None,
        timeout: float | str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        pty: bool = False,
        ignore_exit_code: bool = False,
        ignore_timeout: bool = False,
        ignore_error: bool = False,
        name: str | None = None,
    ) -> None:
        self.command: Command = _command(cmd, env or {}, None if cwd is None else os.fspath(cwd), pty)
        super().__init__(
            host,
            timeout=timeout,
            ignore_timeout=ignore_timeout,
            ignore_error=ignore_error,
            name=name or str(self.command),
        )
        self.cmd = cmd
        self.connector: str = connector or ("local" if self.host is None else self.host.connector)
        self.ignore_exit_code = ignore_exit_code
        #: The exit code, decoded (3 is 3); ``None`` before the end and after a signal.
        self.exit_code: int | None = None
        #: The number of the signal that ended it.
        self.signal: int | None = None
        #: Its pid on its host, which is its process group's too.
        self.pid: int | None = None
        #: SIGKILL was needed.
        self.forced_kill: bool = False
        self._output: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._channel: Channel | None = None
        self._unsent: list[bytes | None] = []  # None: the end of standard input

    # verbs

    def run(self, *, check: bool = True) -> Self:
        """Start with an empty standard input and wait for the end; see :meth:`Activity.run`."""
        self.start()
        self.close_stdin()
        return super().run(check=check)

    def write(self, data: str | bytes) -> Self:
        """Write to standard input and return at once; text is encoded as UTF-8.

        :raises ProcessError: when it was not started, or has ended.
        """
        if not self.running:
            raise ProcessError(f"{self}: write() to a process that {'has ended' if self.ended else 'was not started'}")
        io_thread().call(self._send, data.encode() if isinstance(data, str) else bytes(data))
        return self

    def close_stdin(self) -> Self:
        """End standard input, after what was written. A second call does nothing."""
        if self.running:
            io_thread().call(self._send, None)
        return self

    def kill(self, sig: int = signal.SIGTERM, *, grace: float = GRACE, wait: bool = True) -> Self:
        """Send a signal to the process group.

        A signal that asks to end (TERM, INT, HUP, QUIT) is followed by SIGKILL when the process is still there after
        ``grace`` seconds (:attr:`forced_kill` says so). A process that has ended is left alone.

        :param wait: wait for the end; it is certain within about ``grace`` + 10 s, for a process whose host does not
            confirm it by then is given up with ``ConnectionLost``. Of another signal (SIGUSR1, SIGSTOP…) only the
            delivery is waited for. ``False``: return at once.
        """
        if not self.running:
            return self
        self._refuse_fork()
        number = signal.Signals(sig)
        if number not in ENDING:
            delivery = io_thread().submit(self._deliver(number))
            if wait:
                delivery.result(_VERIFY + GRACE)
            return self
        self.killed = True
        ending = io_thread().submit(self._end(number, grace))
        if wait:
            self.wait()
            ending.result(_VERIFY + GRACE)
        return self

    # what it said

    @property
    def stdout(self) -> str:
        """Standard output so far, as UTF-8 text; what is not UTF-8 is replaced (see :attr:`stdout_bytes`)."""
        return self.stdout_bytes.decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        """Standard error so far, as UTF-8 text."""
        return self.stderr_bytes.decode("utf-8", "replace")

    @property
    def stdout_bytes(self) -> bytes:
        """Standard output so far."""
        return bytes(self._output["stdout"])

    @property
    def stderr_bytes(self) -> bytes:
        """Standard error so far."""
        return bytes(self._output["stderr"])

    @property
    def ok(self) -> bool:
        """Nothing went wrong so far that was not to be ignored. What was killed on purpose is ok."""
        good_end = self.exit_code in (0, None) and self.signal is None
        return super().ok and (good_end or self.ignore_exit_code or self.killed or self.timed_out)

    def outcome(self) -> str:
        """Return ``ok``, ``exit code 3``, ``signal SIGKILL``, ``timed out``, ``error: …`` or the state."""
        if not self.ended or self.timed_out or self.error is not None:
            return super().outcome()
        if self.signal is not None:
            return f"{'killed by ' if self.killed else ''}signal {_signal_name(self.signal)}"
        return "ok" if not self.exit_code else f"exit code {self.exit_code}"

    def describe(self) -> str:
        """Return all that is known of it, with the head and the tail of both streams."""
        lines = [super().describe()]
        for stream in ("stdout", "stderr"):
            text: str = getattr(self, stream)
            if text:
                lines += [f"  {stream}:", *(f"    {line}" for line in _excerpt(text).splitlines())]
        return "\n".join(lines)

    def report(self) -> str:
        """Return every attribute and the whole output: the log of a failed process."""
        keys = ("pid", "start_date", "end_date", "duration", "exit_code", "signal", "timeout", "timed_out", "killed")
        head = [f"command: {self.command}", f"host: {self.host or 'this machine'}", f"outcome: {self.outcome()}"]
        head += [f"connector: {self.connector}", *(f"{key}: {getattr(self, key)}" for key in keys)]
        took = "" if self.duration is None else f" ({format_duration(self.duration)})"
        body = [f"--- {stream}{took}\n{getattr(self, stream)}" for stream in ("stdout", "stderr")]
        return "\n".join([*head, *body])

    # on the I/O thread

    async def _main(self) -> None:
        connector = io_thread().connector(self.connector)
        self._channel = await connector.start(self.host, self.command, _Feed(self))
        unsent, self._unsent = self._unsent, []
        for data in unsent:
            self._send(data)

    def _send(self, data: bytes | None) -> None:
        if self._channel is None:
            self._unsent.append(data)
        elif data is None:
            self._channel.close_stdin()
        else:
            self._channel.write(data)

    async def _deliver(self, number: int) -> None:
        if self._channel is not None:
            await self._channel.signal(number)

    async def _end_by_force(self) -> None:
        await self._end(signal.SIGTERM, GRACE)

    async def _end(self, number: int, grace: float) -> None:
        """Signal, grace, SIGKILL, verify: after this it has ended, one way or the other."""
        if self.ended:
            return
        if self._channel is None and not await self._starts_within(_START_GRACE):
            return
        assert self._channel is not None
        try:
            await asyncio.wait_for(self._channel.signal(number), grace + _VERIFY)
            if number != signal.SIGKILL and not await self._ends_within(grace):
                self.forced_kill = True
                await asyncio.wait_for(self._channel.signal(signal.SIGKILL), _VERIFY)
            if not await self._ends_within(_SETTLE) and not await asyncio.wait_for(self._channel.alive(), _VERIFY):
                # Gone, and its output is held open by something it left behind.
                self.signal = int(signal.SIGKILL if self.forced_kill else number)
                self._finish(None)
                self._channel.close()
                return
            if not await self._ends_within(_VERIFY):
                raise ConnectionLost(str(self.host or "localhost"), "SIGKILL was sent and the end was not reported")
            # The process has ended; others of its group may have ignored the signal.
            await asyncio.wait_for(self._channel.signal(signal.SIGKILL), _VERIFY)
        except Exception as error:  # whatever it is, nobody is to wait for ever
            if not self.ended:
                lost = error if isinstance(error, ConnectorError) else None
                self._finish(
                    lost or ConnectionLost(str(self.host or "localhost"), f"no answer to a signal {error}".strip())
                )
                self._channel.close()

    async def _starts_within(self, seconds: float) -> bool:
        """Wait a little for a start under way: a command that its host has begun is better signalled than left."""
        if self._main_task is not None:
            await asyncio.wait([self._main_task], timeout=seconds)
            if self._channel is None:
                self._main_task.cancel()
        if self._channel is None:
            self._finish(None)
        return not self.ended

    async def _ends_within(self, seconds: float) -> bool:
        assert self._ended_on_loop is not None
        try:
            await asyncio.wait_for(self._ended_on_loop.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _finish(self, error: ExecoError | None) -> None:
        if not self.ended and self._channel is None and self.timed_out and error is None:
            error = StartFailed(str(self.host or "localhost"), f"not started within {self.timeout} s")
        super()._finish(error)


class _Feed:
    """The receiver of a process's connector."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def started(self, pid: int | None) -> None:
        if not self._process.ended:
            self._process.pid = pid
        if self._process.state is State.STARTING:
            self._process.state = State.RUNNING

    def received(self, stream: Stream, data: bytes) -> None:
        if not self._process.ended:
            self._process._output[stream] += data

    def ended(self, end: End) -> None:
        process = self._process
        if not process.ended:
            process.exit_code, process.signal = end.exit_code, end.signal
            process._finish(end.error)


def _command(cmd: CommandLine, env: Mapping[str, str], cwd: str | None, pty: bool) -> Command:
    """Check what the user gave: a bad command is his error at once, not the I/O thread's later."""
    for variable in env:
        if not variable.isidentifier() or not variable.isascii():
            raise InvalidInput(f"env: {variable!r} is not the name of a variable (letters, digits and _)")
    texts = [cmd] if isinstance(cmd, str) else [os.fspath(word) for word in cmd]
    if any("\0" in text for text in (*texts, *env.values(), cwd or "")):
        raise InvalidInput(f"cmd: {cmd!r} has a NUL character, which no command can have")
    if isinstance(cmd, str):
        return Command(line=cmd, env=dict(env), cwd=cwd, pty=pty)
    if not texts:
        raise InvalidInput("cmd: an empty list; give a program and its arguments")
    return Command(argv=tuple(texts), env=dict(env), cwd=cwd, pty=pty)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _excerpt(text: str) -> str:
    if len(text) <= 2 * _EXCERPT:
        return text
    return f"{text[:_EXCERPT]}\n[… {len(text) - 2 * _EXCERPT} characters …]\n{text[-_EXCERPT:]}"
