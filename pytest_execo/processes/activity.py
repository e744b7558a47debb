"""What a process and a file copy have in common: a life with dates, an end, and a verdict."""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import threading
import time
from abc import abstractmethod
from collections.abc import Sequence

from ..errors import (
    ConnectionFailed,
    ConnectionLost,
    ConnectorError,
    ExecoError,
    ProcessError,
    StartFailed,
    TransferFailed,
)
from ..hosts import Host
from ..units import format_duration, parse_duration
from .action import Action
from .io_thread import io_thread
from .scopes import Scope

__all__ = ("Activity", "State", "outcome_of_error")

_log = logging.getLogger("pytest_execo.processes")

_OUTCOMES = (
    (ConnectionFailed, "unreachable"),
    (ConnectionLost, "connection lost"),
    (StartFailed, "could not start"),
    (TransferFailed, "not copied"),
)


def outcome_of_error(error: ExecoError) -> str:
    """Return an error in the two or three words under which equal outcomes are counted."""
    return next((words for kind, words in _OUTCOMES if isinstance(error, kind)), "error")


class State(enum.Enum):
    """The life of a process: each state is entered once, in this order."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


class Activity(Action):
    """Something that runs, here or on a host, and ends.

    Life cycle: :meth:`start` begins it; it ends by itself, by its ``timeout``, by :meth:`kill`, or with the scope
    that was current when it started (under pytest: the test or the fixture that started it).

    :param host: where it runs; ``None``: this machine.
    :param timeout: seconds (or ``"1h30m"``) after which it is killed, counted from :meth:`start`.
    :param ignore_timeout: being ended by ``timeout`` is ok.
    :param ignore_error: not being started, or being lost, is ok.
    :param log: ``False``: its failure is not logged.
    """

    #: It outlives its scope and the interpreter: neither kills it or waits for it.
    detached: bool = False
    #: Unix dates: when it was asked to start, when its end was known.
    start_date: float | None = None
    end_date: float | None = None

    def __init__(
        self,
        host: Host | str | None,
        *,
        timeout: float | str | None = None,
        ignore_timeout: bool = False,
        ignore_error: bool = False,
        log: bool = True,
        name: str = "",
    ) -> None:
        super().__init__(name)
        self.host: Host | None = Host(host) if isinstance(host, str) else host
        self.timeout: float | None = None if timeout is None else parse_duration(timeout)
        self.ignore_timeout = ignore_timeout
        self.ignore_error = ignore_error
        self.log = log
        self.state: State = State.NEW
        #: Why it did not start, or why nobody knows how it ended.
        self.error: ExecoError | None = None
        #: Its ``timeout`` ran out.
        self.timed_out: bool = False
        #: :meth:`kill` was called while it ran.
        self.killed: bool = False
        self._scope: Scope | None = None
        # It ended, even if what it said is still being handled.
        self._finished = False
        self._ended_on_loop: asyncio.Event | None = None
        self._main_task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # verdict

    @property
    def processes(self) -> Sequence[Activity]:
        """Itself: what it is a group of."""
        return [self]

    @property
    def started(self) -> bool:
        """Whether it was asked to start."""
        return self.state is not State.NEW

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

    def outcome(self) -> str:
        """Return how it stands in two or three words: what equal processes of a group are counted under."""
        if not self.ended:
            return self.state.value
        if self.timed_out:
            return "timed out"
        if self.error is not None:
            return outcome_of_error(self.error)
        return "killed" if self.killed else "ok"

    def describe(self) -> str:
        """Return all that is known of it, as text of several lines."""
        took = f" after {format_duration(self.duration)}" if self.ended and self.duration is not None else ""
        error = self.error.reason if isinstance(self.error, ConnectorError) else self.error
        return f"{self}: {self.outcome()}{took}{'' if error is None else f' ({error})'}"

    def summary(self) -> str:
        """Return its :meth:`outcome`."""
        return self.outcome()

    def __str__(self) -> str:
        return f"{self.name!r}{'' if self.host is None else f' on {self.host}'}"

    def _follow(self) -> None:
        """Its end is always told."""

    def _in_own_handler(self) -> bool:
        """Whether the calling thread is in a handler of it, which its end waits for."""
        return False

    def _standing(self) -> str:
        return f"still {self.state.value}"

    # the start

    def _fresh(self) -> bool:
        return self.state is State.NEW

    def _enlist(self, scope: Scope) -> bool:
        with _enlisting:
            if self.state is not State.NEW:
                return False
            self.state = State.STARTING
            self.start_date = time.time()
            self._pid = os.getpid()
            self._scope = scope
            scope.add(self)
        return True

    # on the I/O thread

    def _begin(self) -> None:
        if self.state is not State.STARTING or self._main_task is not None:
            return
        thread = io_thread()
        self._ended_on_loop = asyncio.Event()
        if self.timeout is not None:
            self._timer = thread.loop.call_later(self.timeout, self._time_out)
        self._main_task = thread.task(self._guarded_main())
        self._main_task.add_done_callback(self._main_over)

    def _main_over(self, main: asyncio.Task[None]) -> None:
        # Not in the task itself: one that is cancelled before its first step does nothing at all.
        if main.cancelled():
            given_up = ConnectionLost(str(self.host or "localhost"), "given up at the start")
            self._finish(None if self.killed or self.timed_out else given_up)

    async def _guarded_main(self) -> None:
        try:
            await self._main()
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
        if not self._finished:
            self.timed_out = True
            io_thread().task(self._end_by_force())

    @abstractmethod
    async def _end_by_force(self) -> None:
        """End it on the I/O thread, within a few seconds."""

    def _finish(self, error: ExecoError | None) -> None:
        """Record the end, once."""
        if self._finished:
            return
        self._finished = True
        self.error = error
        self.end_date = time.time()
        if self._timer is not None:
            self._timer.cancel()
        if self._ended_on_loop is not None:
            self._ended_on_loop.set()
        self._settle()

    def _settle(self) -> None:
        """Do what is left to do after the end, then :meth:`_announce` it. Called once."""
        self._announce()

    def _announce(self) -> None:
        """Make the end known, once."""
        if self.ended:
            return
        self.state = State.ENDED
        # The paper's rule: quiet, and after a failure complete.
        if not self.ok and self.log:
            _log.warning("%s", self.describe())
        elif _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s", self)
        if self._scope is not None:
            self._scope.remove(self)
        self._tell_end()


# Two threads may start the same activity, and it is to run once.
_enlisting = threading.Lock()


def _after_fork() -> None:
    global _enlisting
    _enlisting = threading.Lock()  # it may have been held at the fork


os.register_at_fork(after_in_child=_after_fork)
