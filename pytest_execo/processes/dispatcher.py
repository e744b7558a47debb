"""A few threads that call the users' handlers, so that the I/O thread never waits for one."""

from __future__ import annotations

import collections
import logging
import os
import threading
import time
from collections.abc import Callable

__all__ = ("Dispatcher",)

_log = logging.getLogger("pytest_execo.processes")

# Handlers mostly wait for others (a file, a lock, a host) or are short; more threads would only share one interpreter.
_THREADS = 8


class Dispatcher:
    """Threads that do what they are given, in turn. They start when needed and end with :meth:`close`.

    They are daemons: a handler that never returns does not keep the interpreter from its end. In a forked child there
    are none of them: the first call there starts its own.

    :param threads: how many at most.
    """

    def __init__(self, threads: int = _THREADS) -> None:
        self._most = threads
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._waiting: collections.deque[Callable[[], bool]] = collections.deque()
        self._idle = 0
        self._closed = False
        self._threads: list[threading.Thread] = []

    def submit(self, work: Callable[[], bool]) -> bool:
        """Have ``work`` called by one of the threads, again and again until it returns ``False``.

        Between two calls all others that wait have their turn.

        :return: whether it will be called. It will not after :meth:`close`, nor when there is no thread and none can
            be started: Python 3.12 and newer refuse one while the interpreter ends.
        """
        if self._pid != os.getpid():
            self._begin()
        with self._changed:
            if self._closed:
                return False
            self._waiting.append(work)
            if len(self._waiting) <= self._idle:
                self._changed.notify()
            elif len(self._threads) < self._most and not self._start() and not self._threads:
                self._waiting.pop()
                return False
        return True

    def close(self, timeout: float = 1.0) -> None:
        """End the threads when they have done what was submitted. A second call does nothing more.

        :param timeout: seconds to wait for that. What is not done by then goes on, and ends with the interpreter.
        """
        if self._pid != os.getpid():
            self._begin()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            threads = [thread for thread in self._threads if thread is not threading.current_thread()]
        deadline = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start(self) -> bool:
        name = f"pytest-execo handlers {len(self._threads) + 1}"
        thread = threading.Thread(target=self._serve, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._threads.append(thread)
        return True

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._closed:
                        return
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
                work = self._waiting.popleft()
            try:
                again = work()
            except Exception:
                # A fault of ours; the thread has others to serve.
                _log.exception("internal error in %r", work)
                again = False
            if again:
                with self._changed:
                    self._waiting.append(work)
            del work  # an idle thread keeps nothing alive
