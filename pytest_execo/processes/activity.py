"""What a process and a file copy have in common: a life with dates, an end, and a verdict.

All changes of state are made on the I/O thread; any thread may read, wait, kill. Handles can be awaited under asyncio.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import enum
import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any, Self

from ..errors import ConnectionLost, ExecoError, ProcessError, ProcessFailed, WaitTimeout
from ..hosts import Host
from ..units import format_duration, parse_duration
from .io_thread import io_thread
from .scopes import current_scope

__all__ = ("Activity", "State")

_log = logging.getLogger("pytest_execo.processes")


class State(enum.Enum):
    """The life of a process: each state is entered once, in this order."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


class Activity(ABC):
    """Something that runs, here or on a host, and ends.

    Life cycle: :meth:`start` begins it; it ends by itself, by its ``timeout``, by :meth:`kill`, or with the scope
    that was current when it started (under pytest: the test or the fixture that started it).

    :param host: where it runs; ``None``: this machine.
    :param timeout: seconds (or ``"1h30m"``) after which it is killed, counted from :meth:`start`.
    :param ignore_timeout: being ended by ``timeout`` is ok.
    :param ignore_error: not being started, or being lost, is ok.
    """

    def __init__(
        self,
        host: Host | str | None,
        *,
        timeout: float | str | None = None,
        ignore_timeout: bool = False,
        ignore_error: bool = False,
        name: str = "",
    ) -> None:
        self.host: Host | None = Host(host) if isinstance(host, str) else host
        self.timeout: float | None = None if timeout is None else parse_duration(timeout)
        self.ignore_timeout = ignore_timeout
        self.ignore_error = ignore_error
        #: What it is called in messages.
        self.name = name
        self.state: State = State.NEW
        #: Unix dates: when it was asked to start, when its end was known.
        self.start_date: float | None = None
        self.end_date: float | None = None
        #: Why it did not start, or why nobody knows how it ended.
        self.error: ExecoError | None = None
        #: Its ``timeout`` ran out.
        self.timed_out: bool = False
        #: :meth:`kill` was called while it ran.
        self.killed: bool = False
        self._pid = os.getpid()
        self._done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended_on_loop: asyncio.Event | None = None
        self._main_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # verbs

    def start(self) -> Self:
        """Begin, and return at once. A second call does nothing."""
        if self.state is State.NEW:
            self.state = State.STARTING
            self.start_date = time.time()
            current_scope().add(self)
            io_thread().call(self._begin)
        return self

    def wait(self, timeout: float | str | None = None) -> Self:
        """Wait for the end. How it ended is not judged: see :attr:`ok`.

        :param timeout: seconds; when they are over it goes on.
        :raises WaitTimeout: when ``timeout`` ran out.
        :raises ProcessError: when it was never started, for then there is no end to wait for.
        """
        if self.state is State.NEW:
            raise ProcessError(f"{self}: wait() before start()")
        self._refuse_fork()
        seconds = None if timeout is None else parse_duration(timeout)
        try:
            self._done.result(seconds)
        except concurrent.futures.TimeoutError:
            raise WaitTimeout(f"{self}: still {self.state.value} after {timeout} s", [self]) from None
        return self

    def run(self, *, check: bool = True) -> Self:
        """Start and wait for the end; Ctrl-C while waiting kills it.

        :param check: ``False``: a failure is left for :attr:`ok` to tell.
        :raises ProcessFailed: when it was not ok.
        """
        self.start()
        try:
            self.wait()
        except BaseException:
            self.kill(wait=False)
            raise
        return self.check() if check else self

    def check(self) -> Self:
        """Return itself when all is ok.

        :raises ProcessFailed: otherwise.
        """
        if not self.ok:
            raise ProcessFailed([self])
        return self

    @abstractmethod
    def kill(self, *, wait: bool = True) -> Self:
        """End it. See the subclasses."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def __await__(self) -> Generator[Any, None, Self]:
        """Wait for the end without blocking the event loop of an ``async def`` test."""
        if self.state is State.NEW:
            raise ProcessError(f"{self}: await before start()")
        # Cancelling the waiting task must not cancel the future that everybody waits for.
        yield from asyncio.shield(asyncio.wrap_future(self._done)).__await__()
        return self

    def _refuse_fork(self) -> None:
        """A forked child has no part in what its parent runs: it would wait for ever."""
        if self._pid != os.getpid() and not self.ended:
            raise ProcessError(f"{self}: it belongs to process {self._pid}, of which this one was forked")

    # verdict

    @property
    def running(self) -> bool:
        """Started and not ended."""
        return self.state in (State.STARTING, State.RUNNING)

    @property
    def ended(self) -> bool:
        """Whether the end is known."""
        return self.state is State.ENDED

    @property
    def ok(self) -> bool:
        """Nothing went wrong so far that was not to be ignored. What was killed on purpose is ok."""
        if self.timed_out and not self.ignore_timeout:
            return False
        return self.error is None or self.ignore_error or self.killed or self.timed_out

    @property
    def duration(self) -> float | None:
        """Seconds from start to end, or to now; ``None`` before the start."""
        if self.start_date is None:
            return None
        return (self.end_date or time.time()) - self.start_date

    def outcome(self) -> str:
        """Return how it stands in two or three words: what equal processes of a group are counted under."""
        if not self.ended:
            return self.state.value
        if self.timed_out:
            return "timed out"
        if self.error is not None:
            return f"error: {self.error}"
        return "ok"

    def describe(self) -> str:
        """Return all that is known of it, as text of several lines."""
        took = f" after {format_duration(self.duration)}" if self.ended and self.duration is not None else ""
        return f"{self}: {self.outcome()}{took}"

    def __str__(self) -> str:
        return f"{self.name!r}{'' if self.host is None else f' on {self.host}'}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}: {self.outcome()}>"

    # on the I/O thread

    def _begin(self) -> None:
        if self.state is not State.STARTING:
            return
        thread = io_thread()
        self._ended_on_loop = asyncio.Event()
        if self.timeout is not None:
            self._timer = thread.loop.call_later(self.timeout, self._time_out)
        self._main_task = thread.task(self._guarded_main())

    async def _guarded_main(self) -> None:
        try:
            await self._main()
        except asyncio.CancelledError:
            given_up = (
                None if self.killed or self.timed_out else ConnectionLost(str(self.host), "given up at the start")
            )
            self._finish(given_up)
            raise
        except ExecoError as error:
            self._finish(error)
        except Exception as error:
            # A fault of ours must not leave somebody waiting for ever.
            _log.exception("%s: internal error", self)
            wrapped = ProcessError(f"internal error: {error!r}")
            wrapped.__cause__ = error
            self._finish(wrapped)

    @abstractmethod
    async def _main(self) -> None:
        """Do it. Called once, on the I/O thread; an :exc:`ExecoError` is the end of it."""

    def _time_out(self) -> None:
        if not self.ended:
            self.timed_out = True
            io_thread().task(self._end_by_force())

    @abstractmethod
    async def _end_by_force(self) -> None:
        """End it on the I/O thread, within a few seconds."""

    def _finish(self, error: ExecoError | None) -> None:
        """The end, once."""
        if self.ended:
            return
        self.error = error
        self.end_date = time.time()
        self.state = State.ENDED
        if self._timer is not None:
            self._timer.cancel()
        if self._ended_on_loop is not None:
            self._ended_on_loop.set()
        # The paper's rule: quiet, and after a failure complete.
        if not self.ok:
            _log.warning("%s", self.describe())
        elif _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s", self)
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self._done.set_result(None)
