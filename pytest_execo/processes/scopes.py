"""Who ends what is still running: every activity belongs to the scope that was current when it started.

Without pytest there is the root scope alone, which ends with the interpreter. The plugin enters a scope for each test
and each fixture, so that nothing of one trial runs into the next.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .activity import Activity
    from .composition import SequentialActions

__all__ = ("Scope", "current_scope", "entered", "root_scope")

_log = logging.getLogger("pytest_execo.processes")

# Seconds for all of a scope's activities together: SIGTERM's grace, SIGKILL, and a slow network.
_CLOSE_TIMEOUT = 20


class Scope:
    """A set of activities that end together. Ended by :meth:`close`, by whoever made it.

    :param keep: remember the failed ones too (:attr:`failed`), for whoever writes their logs.
    """

    def __init__(self, name: str, *, keep: bool = False) -> None:
        self.name = name
        self._keep = keep
        self._lock = threading.Lock()
        self._running: dict[int, Activity] = {}
        self._sequences: dict[int, SequentialActions] = {}
        #: Activities that ended and were not ok, in order of their end.
        self.failed: list[Activity] = []

    def add(self, activity: Activity) -> None:
        """Own ``activity`` until it ends."""
        with self._lock:
            self._running[id(activity)] = activity

    def remove(self, activity: Activity) -> None:
        """Take note that ``activity`` has ended."""
        failed = self._keep and not activity.ok
        with self._lock:
            if self._running.pop(id(activity), None) is not None and failed:
                self.failed.append(activity)

    def add_sequence(self, sequence: SequentialActions) -> None:
        """Own what ``sequence`` has yet to start."""
        with self._lock:
            self._sequences[id(sequence)] = sequence

    def remove_sequence(self, sequence: SequentialActions) -> None:
        """Take note that ``sequence`` starts nothing any more."""
        with self._lock:
            self._sequences.pop(id(sequence), None)

    @property
    def running(self) -> list[Activity]:
        """What has not ended yet."""
        with self._lock:
            return list(self._running.values())

    def close(self) -> list[Activity]:
        """Kill what still runs and wait for it; return what could not be ended within 20 s.

        Nothing that was to follow in a sequence starts any more. What is detached goes on and is nobody's from now on:
        it is not waited for, and its end is not logged.
        """
        with self._lock:
            sequences = list(self._sequences.values())
        for sequence in sequences:
            sequence._start_no_more()
        self._disown_detached()
        for activity in self.running:
            activity.kill(wait=False)
        deadline = time.monotonic() + _CLOSE_TIMEOUT
        for activity in self.running:
            with contextlib.suppress(TimeoutError):
                activity.wait(max(0.0, deadline - time.monotonic()))
        left = self.running
        for activity in left:
            _log.warning("%s: not ended within %s s after the end of its %s", activity, _CLOSE_TIMEOUT, self.name)
        return left

    def _disown_detached(self) -> None:
        with self._lock:
            for activity in [activity for activity in self._running.values() if activity.detached]:
                del self._running[id(activity)]
                activity.log = False

    def forget(self) -> None:
        """Own nothing any more: in a forked child, whose parent's activities they are."""
        self._lock = threading.Lock()  # it may have been held at the fork
        self._running = {}
        self._sequences = {}


#: What is started outside any other scope; closed when the interpreter ends.
root_scope: Scope = Scope("root")
_stack: list[Scope] = [root_scope]


def current_scope() -> Scope:
    """Return the scope that owns what is started now, in any thread.

    Not a context variable: what a test starts from a thread of its own is the test's too.
    """
    return _stack[-1]


def forget_all() -> None:
    """Forget what all the scopes own; see :meth:`Scope.forget`."""
    for scope in _stack:
        scope.forget()


@contextlib.contextmanager
def entered(scope: Scope) -> Iterator[Scope]:
    """Make ``scope`` the current one for the time of a ``with`` block. It is not closed at the end."""
    _stack.append(scope)
    try:
        yield scope
    finally:
        _stack.remove(scope)
