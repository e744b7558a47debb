"""One process: on this machine or on a host, and nothing else changes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import IO, TYPE_CHECKING, Any, Self

from ..connectors import Channel, Command, Connector, End, Stream
from ..errors import ExecoError, ExpectFailed, InvalidInput, ProcessError, StartFailed
from ..hosts import Host
from ..units import format_duration, iso_date, parse_duration, parse_size
from .activity import Activity, State
from .command import CommandLine, make_command
from .ending import ENDING, GRACE, VERIFY, end
from .inbox import Inbox
from .io_thread import io_thread
from .output import Output

if TYPE_CHECKING:
    from .expect import Expectation, Match, Patterns
    from .handlers import Handlers, Targets

__all__ = ("CommandLine", "Process")

# Seconds that a kill waits for a start under way.
_START_GRACE = 0.2
# Characters of each stream in messages: the head says what it was, the tail what went wrong.
_EXCERPT = 2000

#: What is given to a process as its standard input: the data itself, or a file (a path, or opened for reading bytes).
Input = str | bytes | os.PathLike[str] | IO[bytes]


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
    :param stdin: its standard input, which ends after it: text, bytes, a path or an open binary file.
    :param detached: let it outlive the test, the connection and this program. Nobody follows it then, so that its
        standard input is empty and its output goes nowhere: let the command write to a file. Its end is known as long
        as the connection lasts; :meth:`kill` works as ever.
    :param stdout_handlers: who is told of its standard output, beside what is kept: a callable ``handler(process,
        stream, line)``, a path (appended to), a file object, a queue, ``OnBytes(…)``, or several in a tuple. See
        :mod:`.handlers`.
    :param stderr_handlers: the same for standard error.
    :param start_handlers: callables, each called with the process once it runs (or could not be started).
    :param end_handlers: callables, each called with the process when it has ended, after all of its output.
    :param keep: how much of each stream is kept, in bytes (or ``"1GiB"``): all of it up to that, then the head and the
        tail. One MiB of it is in memory, the rest in an anonymous temporary file.
    :param ignore_exit_code: a non-zero exit code, or a signal, is ok.
    :param ignore_expect_fail: an :meth:`expect` in vain is ok, and returns ``None``.
    :param ignore_write_error: input that it did not take before it ended is ok.

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
        stdin: Input | None = None,
        detached: bool = False,
        stdout_handlers: Targets = (),
        stderr_handlers: Targets = (),
        start_handlers: Callable[[Any], object] | Iterable[Callable[[Any], object]] = (),
        end_handlers: Callable[[Any], object] | Iterable[Callable[[Any], object]] = (),
        keep: int | str = "256MiB",
        ignore_exit_code: bool = False,
        ignore_timeout: bool = False,
        ignore_error: bool = False,
        ignore_expect_fail: bool = False,
        ignore_write_error: bool = False,
        log: bool = True,
        name: str | None = None,
    ) -> None:
        self.command: Command = make_command(cmd, env or {}, cwd, pty=pty, detached=detached)
        super().__init__(
            host,
            timeout=timeout,
            ignore_timeout=ignore_timeout,
            ignore_error=ignore_error,
            log=log,
            name=name or str(self.command),
        )
        self.cmd = cmd
        self.connector: str = connector or ("local" if self.host is None else self.host.connector)
        self.detached = detached
        self.stdin = stdin
        if detached and stdin is not None:
            raise InvalidInput("stdin: a detached process has none; let the command read a file")
        self.ignore_exit_code = ignore_exit_code
        self.ignore_expect_fail = ignore_expect_fail
        self.ignore_write_error = ignore_write_error
        #: The exit code, decoded (3 is 3); ``None`` before the end and after a signal.
        self.exit_code: int | None = None
        #: The number of the signal that ended it.
        self.signal: int | None = None
        #: Its pid on its host, which is its process group's too.
        self.pid: int | None = None
        #: SIGKILL was needed.
        self.forced_kill: bool = False
        #: An :meth:`expect` was in vain.
        self.expect_failed: bool = False
        #: It ended before it took all of its input.
        self.write_failed: bool = False
        kept = parse_size(keep)
        self._output: dict[Stream, Output] = {"stdout": Output(kept), "stderr": Output(kept)}
        # Most processes have none, and pay nothing for them.
        self._handlers: Handlers | None = None
        if any(targets != () for targets in (stdout_handlers, stderr_handlers, start_handlers, end_handlers)):
            from .handlers import Handlers

            self._handlers = Handlers(
                self,
                stdout=stdout_handlers,
                stderr=stderr_handlers,
                on_start=start_handlers,
                on_end=end_handlers,
                dispatcher=io_thread().dispatcher,
            )
        self._expectations: dict[Stream, Expectation] = {}
        self._inbox = Inbox()
        self._input_error: InvalidInput | None = None
        self._channel: Channel | None = None

    # verbs

    def run(self, *, check: bool = True) -> Self:
        """Start with no more input than ``stdin=`` and wait for the end; see :meth:`Action.run`."""
        if self.state is State.NEW:
            self._give_no_input()
        self.start()
        self.close_stdin()
        return super().run(check=check)

    def wait(self, timeout: float | str | None = None) -> Self:
        """Wait for the end, and for its handlers to be done; see :meth:`Action.wait`.

        :raises ProcessError: in one of its own handlers, where that would never be.
        """
        if not self.ended and self._in_own_handler():
            raise ProcessError(f"{self}: wait() in one of its own handlers, for which it would wait")
        return super().wait(timeout)

    def write(self, data: str | bytes) -> Self:
        """Write to standard input; text is encoded as UTF-8.

        Returns at once, unless more than 4 MiB wait for a slow process: then it waits for room, or for its end.

        :raises ProcessError: when it was not started, or has ended.
        """
        if not self.running or self._finished:
            state = "has ended" if self.started else "was not started"
            raise ProcessError(f"{self}: write() to a process that {state}")
        if self.stdin is not None:
            raise ProcessError(f"{self}: write() to a process that was given its input by stdin=")
        self._refuse_fork()
        self._inbox.put(data.encode() if isinstance(data, str) else bytes(data))
        thread = io_thread()
        thread.call(self._inbox.send)
        if not thread.is_here():
            self._inbox.wait_for_room()
        return self

    def close_stdin(self) -> Self:
        """End standard input, after what was written. A second call does nothing."""
        if self.running and self.stdin is None:
            io_thread().call(self._inbox.end)
        return self

    def _give_no_input(self) -> None:
        """Have it begin with an empty standard input, unless it is given one: a host needs not be told of its end."""
        if self.stdin is None and not self.detached:
            self.stdin = b""

    def _end_input(self) -> None:
        """End standard input; to be called on the I/O thread."""
        if self.running and self.stdin is None:
            self._inbox.end()

    def kill(
        self, sig: int = signal.SIGTERM, *, grace: float | str = GRACE, tree: bool = False, wait: bool = True
    ) -> Self:
        """Send a signal to the process group.

        A signal that asks to end (TERM, INT, HUP, QUIT) is followed by SIGKILL when the process is still there after
        ``grace`` seconds (:attr:`forced_kill` says so). A process that has ended is left alone.

        :param tree: reach every process that descends from it, those that made a group or a session of their own
            included (daemons): they are found by their parents and by a variable in their environment.
        :param wait: wait for the end; it is certain within about ``grace`` + 10 s, for a process whose host does not
            confirm it by then is given up with ``ConnectionLost``. Of another signal (SIGUSR1, SIGSTOP…) only the
            delivery is waited for. ``False``: return at once.
        """
        if not self.running:
            return self
        self._refuse_fork()
        wait = wait and not self._in_own_handler()
        number, seconds = signal.Signals(sig), parse_duration(grace)
        if number not in ENDING:
            delivery = io_thread().submit(self._deliver(number, tree))
            if wait:
                delivery.result(VERIFY + GRACE)
            return self
        self.killed = True
        ending = io_thread().submit(self._end(number, seconds, tree))
        if wait:
            self.wait()
            ending.result(VERIFY + GRACE)
        return self

    def expect(
        self,
        patterns: Patterns,
        *,
        timeout: float | str | None = None,
        stream: Stream = "stdout",
        backtrack: bool = True,
        check: bool = True,
    ) -> Match | None:
        """Wait until one of ``patterns`` comes on a stream, and go on behind it the next time.

        :param patterns: a regular expression or a list of them: text (in which ``^`` and ``$`` are those of lines), or
            compiled, for bytes too. The first match in the stream counts.
        :param timeout: seconds; 0 looks at what has come. ``None``: until the stream ends.
        :param backtrack: ``False``: look only at what comes from now on.
        :param check: ``False``: return ``None`` when it did not come.
        :raises ExpectFailed: when it did not come in time, or the stream ended.
        """
        self._refuse_unstarted("expect()")
        cursor = self.expectation(stream)
        seconds = None if timeout is None else parse_duration(timeout)
        try:
            return cursor.expect(patterns, timeout=seconds, backtrack=backtrack)
        except ExpectFailed:
            self.expect_failed = True
            if check and not self.ignore_expect_fail:
                raise
            return None

    def expectation(self, stream: Stream = "stdout") -> Expectation:
        """Return where :meth:`expect` is in a stream."""
        if stream not in self._output:
            raise InvalidInput(f"stream: {stream!r}; there are 'stdout' and 'stderr'")
        from .expect import Expectation

        return self._expectations.setdefault(stream, Expectation(self, self._output[stream], stream))

    # what it said

    @property
    def stdout(self) -> str:
        """Standard output so far, as UTF-8 text; what is not UTF-8 is replaced (see :attr:`stdout_bytes`)."""
        return self._output["stdout"].text()

    @property
    def stderr(self) -> str:
        """Standard error so far, as UTF-8 text."""
        return self._output["stderr"].text()

    @property
    def stdout_bytes(self) -> bytes:
        """Standard output so far, as far as it is kept (``keep=``)."""
        return self._output["stdout"].read()

    @property
    def stderr_bytes(self) -> bytes:
        """Standard error so far, as far as it is kept."""
        return self._output["stderr"].read()

    @property
    def stdout_size(self) -> int:
        """Bytes of standard output so far, those included that were not kept."""
        return self._output["stdout"].size

    @property
    def stderr_size(self) -> int:
        """Bytes of standard error so far."""
        return self._output["stderr"].size

    @property
    def handler_error(self) -> BaseException | None:
        """The first exception of a handler; the handler was not called again."""
        return None if self._handlers is None else self._handlers.error

    @property
    def ok(self) -> bool:
        """Nothing went wrong so far that was not to be ignored. What was killed on purpose is ok."""
        if (self.expect_failed and not self.ignore_expect_fail) or self.handler_error is not None:
            return False
        if not super().ok:
            return False
        ended_by_us = self.killed or self.timed_out
        if self.write_failed and not self.ignore_write_error and not ended_by_us:
            return False
        good_end = self.exit_code in (0, None) and self.signal is None
        # What could not be started, or was lost, has no exit code to judge.
        return good_end or self.ignore_exit_code or ended_by_us

    def outcome(self) -> str:
        """Return ``ok``, ``exit 3``, ``signal SIGKILL``, ``timed out``, ``unreachable``… or the state."""
        if not self.ended or self.timed_out or self.error is not None or self.killed:
            return super().outcome()
        if self.signal is not None:
            return f"signal {_signal_name(self.signal)}"
        if self.exit_code:
            return f"exit {self.exit_code}"
        if self.write_failed and not self.ignore_write_error:
            return "input not taken"
        if self.expect_failed and not self.ignore_expect_fail:
            return "not as expected"
        return "ok" if self.handler_error is None else "handler failed"

    def describe(self) -> str:
        """Return all that is known of it, with the head and the tail of both streams."""
        lines = [super().describe(), f"  {self._attributes()}"]
        if self.handler_error is not None:
            lines.append(f"  handler: {self.handler_error!r}")
        for stream, output in self._output.items():
            if output.size:
                lines += [f"  {stream}:", *(f"    {line}" for line in output.excerpt(_EXCERPT).splitlines())]
        return "\n".join(lines)

    def _attributes(self) -> str:
        """Return what is not the default of a process, on one line."""
        known = {"pid": self.pid, "exit code": self.exit_code, "signal": self.signal}
        dates = {"started": self.start_date, "ended": self.end_date}
        flags = {
            "timed out": self.timed_out,
            "killed": self.killed,
            "forced kill": self.forced_kill,
            "expect failed": self.expect_failed,
            "input not taken": self.write_failed,
            "detached": self.detached,
        }
        words = [
            f"connector {self.connector}",
            *(f"{key} {value}" for key, value in known.items() if value is not None),
        ]
        words += [f"{key} {iso_date(date)}" for key, date in dates.items() if date is not None]
        if self.timeout is not None:
            words.append(f"timeout {format_duration(self.timeout)}")
        words += [name for name, is_set in flags.items() if is_set]
        if self.command.cwd is not None:
            words.append(f"cwd {self.command.cwd}")
        return ", ".join(words)

    def report(self) -> str:
        """Return every attribute and the whole output: the log of a failed process."""
        keys: tuple[str, ...] = (
            "pid",
            "start_date",
            "end_date",
            "duration",
            "exit_code",
            "signal",
            "timeout",
            "timed_out",
            "killed",
        )
        keys += ("forced_kill", "expect_failed", "write_failed")
        head = [f"command: {self.command}", f"host: {self.host or 'this machine'}", f"outcome: {self.outcome()}"]
        head += [f"connector: {self.connector}", *(f"{key}: {getattr(self, key)}" for key in keys)]
        took = "" if self.duration is None else f" ({format_duration(self.duration)})"
        body = [f"--- {stream}{took}\n{output.text()}" for stream, output in self._output.items()]
        return "\n".join([*head, *body])

    # on the I/O thread

    async def _main(self) -> None:
        connector = io_thread().connector(self.connector)
        self._refuse_what_it_cannot(connector)
        with contextlib.ExitStack() as opened:
            source = self._open_stdin(opened)
            await self._start_on(connector)
            if source is not None:
                await self._send_file(source)

    async def _send_file(self, source: IO[bytes]) -> None:
        try:
            await self._inbox.send_file(source)
        except InvalidInput as error:
            # What it makes of half its input must not look like a result.
            self._input_error = error
            await self._end(signal.SIGKILL, 0, False)

    async def _start_on(self, connector: Connector) -> None:
        thread = io_thread()
        if self._handlers is not None:
            self._handlers.opened(self._pause, self._resume, thread.call)
        command = self.command if self.stdin != b"" else dataclasses.replace(self.command, no_input=True)
        channel = await connector.start(self.host, command, _Feed(self))
        self._channel = channel
        self._inbox.attach(channel)
        if isinstance(self.stdin, str | bytes):
            self._inbox.put(self.stdin.encode() if isinstance(self.stdin, str) else self.stdin)
            self._inbox.end()

    def _refuse_what_it_cannot(self, connector: Connector) -> None:
        wanted = {"pty": self.command.pty, "detached": self.detached, "stdin": self.stdin not in (None, b"")}
        for what, is_wanted in wanted.items():
            if is_wanted and what in connector.cannot:
                raise connector.refusal(what, self.host)

    def _open_stdin(self, opened: contextlib.ExitStack) -> IO[bytes] | None:
        if not isinstance(self.stdin, os.PathLike):
            return None if isinstance(self.stdin, str | bytes) else self.stdin
        try:
            # Without a buffer, whose lock a read that never ends would keep from close().
            return opened.enter_context(open(self.stdin, "rb", buffering=0))
        except OSError as error:
            raise StartFailed(str(self.host or "localhost"), f"stdin: {error}") from error

    def _in_own_handler(self) -> bool:
        return self._handlers is not None and self._handlers.running_here()

    def _pause(self) -> None:
        if self._channel is not None:
            self._channel.pause_reading()

    def _resume(self) -> None:
        if self._channel is not None:
            self._channel.resume_reading()

    async def _deliver(self, number: int, tree: bool) -> None:
        if self._channel is not None:
            await self._channel.signal(number, tree=tree)

    async def _end_by_force(self) -> None:
        await self._end(signal.SIGTERM, GRACE, False)

    async def _end(self, number: int, grace: float, tree: bool) -> None:
        if self._finished or (self._channel is None and not await self._starts_within(_START_GRACE)):
            return
        assert self._channel is not None
        # What is paused for a slow handler could not tell its end.
        self._channel.resume_reading()
        await end(self, self._channel, number, grace, tree=tree)

    async def _starts_within(self, seconds: float) -> bool:
        """Wait a little for a start under way: a command that its host has begun is better signalled than left."""
        if self._main_task is not None:
            await asyncio.wait([self._main_task], timeout=seconds)
            if self._channel is None:
                self._main_task.cancel()
        if self._channel is None:
            self._finish(None)
        return not self._finished

    async def _ends_within(self, seconds: float) -> bool:
        assert self._ended_on_loop is not None
        try:
            await asyncio.wait_for(self._ended_on_loop.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _finish(self, error: ExecoError | None) -> None:
        if not self._finished and self._channel is None and self.timed_out and error is None:
            error = StartFailed(str(self.host or "localhost"), f"not started within {self.timeout} s")
        super()._finish(error or self._input_error)

    def _settle(self) -> None:
        self.write_failed = self._inbox.unsent > 0 and self.error is None
        self._inbox.close()
        for output in self._output.values():
            output.close()
        if self._handlers is not None:
            self._handlers.ended(self._announce)
        else:
            self._announce()


class _Feed:
    """The receiver of a process's connector."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def started(self, pid: int | None) -> None:
        process = self._process
        if process._finished:
            return
        process.pid = pid
        process.state = State.RUNNING
        if process._handlers is not None:
            process._handlers.started()

    def received(self, stream: Stream, data: bytes) -> None:
        process = self._process
        if process._finished:
            return
        process._output[stream].feed(data)
        if process._handlers is not None:
            process._handlers.received(stream, data)

    def ended(self, end: End) -> None:
        process = self._process
        if not process._finished:
            process.exit_code, process.signal = end.exit_code, end.signal
            process._finish(end.error)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
