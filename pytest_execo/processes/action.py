"""The verbs that one process, a file copy, a group and a tree of groups have in common.

All changes of state are made on the I/O thread; any thread may read, wait, kill. Handles can be awaited under asyncio
and trio.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Self

from ..errors import ProcessError, ProcessFailed, WaitTimeout
from ..units import parse_duration
from .awaiting import until_ended
from .io_thread import io_thread
from .scopes import Scope, current_scope

if TYPE_CHECKING:
    from .activity import Activity

__all__ = ("Action",)

_log = logging.getLogger("pytest_execo.processes")


class Action(ABC):
    """Something that is started, runs, and ends: one activity, or many that are handled as one.

    Life cycle: :meth:`start` begins it; it ends by itself, by :meth:`kill`, or with the scope that was current when it
    started (under pytest: the test or the fixture that started it). It runs once.
    """

    def __init__(self, name: str) -> None:
        #: What it is called in messages.
        self.name: str = name
        # What starts it, when it is not for the user to start.
        self._owner: Action | None = None
        self._pid = os.getpid()
        self._done: concurrent.futures.Future[None] = concurrent.futures.Future()
        # Of the I/O thread: who is to be told of the end, and whether they have been.
        self._watchers: list[Callable[[Any], object]] = []
        self._told = False

    # verbs

    def start(self) -> Self:
        """Begin, and return at once. A second call does nothing.

        :raises ProcessError: when it is part of another action, which starts it when its turn comes.
        """
        if not self.started:
            parts: list[Action] = [self, *self._parts()]
            owner = next((part._owner for part in parts if part._owner is not None), None)
            if owner is not None:
                raise ProcessError(f"{self}: start() of a part of {owner}, which starts its parts itself")
            if self._enlist(current_scope()):
                io_thread().call(self._begin)
        return self

    def wait(self, timeout: float | str | None = None) -> Self:
        """Wait for the end. How it ended is not judged: see :attr:`ok`.

        :param timeout: seconds, or ``"1m30s"``; when they are over it goes on.
        :raises WaitTimeout: when ``timeout`` ran out, with what still runs.
        :raises ProcessError: when it was never started, for then there is no end to wait for.
        """
        self._refuse_unstarted("wait()")
        seconds = None if timeout is None else parse_duration(timeout)
        if self._refuse_deadlock():
            return self
        self._follow()
        try:
            self._done.result(seconds)
        except concurrent.futures.TimeoutError:
            left = [leaf for leaf in self.processes if leaf.running]
            raise WaitTimeout(f"{self}: {self._standing()} after {seconds:g} s", left) from None
        return self

    def run(self, *, check: bool = True) -> Self:
        """Start and wait for the end; Ctrl-C while waiting kills all of it.

        :param check: ``False``: a failure is left for :attr:`ok` to tell.
        :raises ProcessFailed: when it was not ok, with every failed process.
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

        :raises ProcessFailed: otherwise, with every failed process.
        """
        if failed := self.failed:
            raise ProcessFailed(failed)
        return self

    @abstractmethod
    def kill(self, *, wait: bool = True) -> Self:
        """End all of it that runs. See the subclasses.

        :param wait: wait for the end; but not in a handler or a callback of its own, which it waits for in turn.
        """

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def __await__(self) -> Generator[Any, None, Self]:
        """Wait for the end in an ``async def`` function, under asyncio or trio, without blocking its event loop.

        Being cancelled stops the waiting alone: what runs goes on.

        :raises ProcessError: when it was never started.
        """
        self._refuse_unstarted("await")
        yield from until_ended(self).__await__()
        return self

    def on_end(self, callback: Callable[[Self], object]) -> Self:
        """Have ``callback`` called once, with this, when it has ended; also when it has ended already.

        It is called on the I/O thread, where all other processes wait for it: it must be quick, and not wait for any.
        Whoever waits for the end goes on after it. An exception in it is logged.
        """
        self._refuse_fork()
        io_thread().call(self._watch, callback)
        return self

    # verdict

    @property
    @abstractmethod
    def processes(self) -> Sequence[Activity]:
        """All the processes and file copies in it, in order."""

    @property
    @abstractmethod
    def started(self) -> bool:
        """Whether it was asked to start."""

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether its end is known."""

    @property
    def running(self) -> bool:
        """Started and not ended."""
        return self.started and not self.ended

    @property
    def ok(self) -> bool:
        """Whether each is ok; what was not started, still runs, or was killed on purpose, is."""
        return all(leaf.ok for leaf in self.processes)

    @property
    def failed(self) -> Sequence[Activity]:
        """The processes and file copies that are not ok."""
        return [leaf for leaf in self.processes if not leaf.ok]

    @property
    @abstractmethod
    def start_date(self) -> float | None:
        """Unix date at which it was asked to start; ``None`` before."""

    @property
    @abstractmethod
    def end_date(self) -> float | None:
        """Unix date at which its end was known; ``None`` before."""

    @property
    def duration(self) -> float | None:
        """Seconds from the start to the end, or to now; ``None`` before the start."""
        start = self.start_date
        if start is None:
            return None
        end = self.end_date
        return (time.time() if end is None else end) - start

    def summary(self) -> str:
        """Return the outcomes counted, the most frequent first: ``198 ok, 1 exit 2, 1 unreachable``."""
        counts = collections.Counter(leaf.outcome() for leaf in self.processes)
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()) or "empty"

    def __str__(self) -> str:
        return repr(self.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}: {self.summary()}>"

    # for those who are made of others, and for the scopes

    @abstractmethod
    def _enlist(self, scope: Scope) -> bool:
        """Count as started from now on, in any thread, and belong to ``scope``. Return whether there is to begin."""

    @abstractmethod
    def _begin(self) -> None:
        """Begin what was enlisted, on the I/O thread."""

    @abstractmethod
    def _standing(self) -> str:
        """Return what is not over yet, in words."""

    @abstractmethod
    def _fresh(self) -> bool:
        """Return whether nothing of it was ever started, or killed before its start."""

    def _parts(self) -> Sequence[Action]:
        """Return what of it could be started by itself too, and can't once this is part of another action."""
        return ()

    @abstractmethod
    def _follow(self) -> None:
        """See to it that :attr:`_done` is set at the end."""

    def _refuse_unstarted(self, verb: str) -> None:
        if not self.started and not self.ended:
            raise ProcessError(f"{self}: {verb} before start()")
        self._refuse_fork()

    def _waits_for_us(self) -> bool:
        """Whether this can't end before the calling thread goes on: the I/O thread, or one in a handler of it."""
        return io_thread().is_here() or any(leaf._in_own_handler() for leaf in self.processes)

    def _refuse_deadlock(self) -> bool:
        """Refuse to wait where that would never be over; return ``True`` where there is nothing to wait for."""
        if not self._waits_for_us():
            return False
        if not self.ended:
            raise ProcessError(f"{self}: wait in a handler or a callback of its own, which it would wait for in turn")
        return True

    def _refuse_fork(self) -> None:
        """A forked child has no part in what its parent runs: it would wait for ever."""
        if self._pid != os.getpid() and self.started and not self.ended:
            raise ProcessError(f"{self}: it belongs to process {self._pid}, of which this one was forked")

    # on the I/O thread

    def _watch(self, callback: Callable[[Any], object]) -> None:
        """Tell ``callback`` of the end, now or later."""
        if self._told:
            self._tell(callback)
        else:
            self._watchers.append(callback)

    def _unwatch(self, callback: Callable[[Any], object]) -> None:
        """Take back :meth:`_watch`."""
        with contextlib.suppress(ValueError):
            self._watchers.remove(callback)

    def _tell(self, callback: Callable[[Any], object]) -> None:
        try:
            callback(self)
        except Exception:
            _log.exception("%s: error in a callback of on_end()", self)

    def _tell_end(self) -> None:
        """Tell the end to everybody, once. Those who wait come last: what they see next is settled."""
        self._told = True
        watchers, self._watchers = self._watchers, []
        for callback in watchers:
            self._tell(callback)
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self._done.set_result(None)
