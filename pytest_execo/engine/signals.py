"""SIGTERM ends a run as Ctrl-C does: fixtures are torn down, nodes given back, records closed.

Python's default is to die on the spot, and pytest leaves it so (pytest-dev/pytest#5243); batch systems and CI send it.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ("Sigterm", "Terminated", "unhurried")


@contextlib.contextmanager
def unhurried(say: Callable[[str], None]) -> Iterator[None]:
    """Have Ctrl-C not cut short what the block does, nodes given back for instance; a second one does.

    :param say: told in a line that the first one was heard.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []

    def hear(number: int, frame: object) -> None:
        heard.append(number)
        if len(heard) > 1:
            raise KeyboardInterrupt
        say("nodes are being given back; Ctrl-C once more leaves them, for pytest-execo release")

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Terminated(KeyboardInterrupt):
    """SIGTERM came. As Ctrl-C's own exception it passes the ``except Exception`` of tests."""


class Sigterm:
    """The handler, in force from :meth:`install` to :meth:`restore`.

    :param stop: told that nothing new is to begin.
    """

    #: Exit status of a run that SIGTERM ended, as a shell shows it.
    STATUS = 128 + signal.SIGTERM

    def __init__(self, stop: Callable[[str], None]) -> None:
        self._stop = stop
        self._before: Any = None
        self._installed = False
        #: Whether SIGTERM came.
        self.came: bool = False
        #: Set when the run is ending anyway: what gives nodes back must not be cut short. What hurries has SIGKILL.
        self.ending: bool = False

    def install(self) -> None:
        """Take SIGTERM over, unless something else already has, or this is not the main thread."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            self._before = signal.signal(signal.SIGTERM, self._leave)
            self._installed = True

    def restore(self) -> None:
        """Give SIGTERM back."""
        if self._installed:
            signal.signal(signal.SIGTERM, self._before)
            self._installed = False

    def _leave(self, number: int, frame: object) -> None:
        self.came = True
        if not self.ending:
            # A test that swallows the exception is the last one.
            self._stop("SIGTERM")
            raise Terminated("SIGTERM")
