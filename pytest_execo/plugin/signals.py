"""SIGTERM ends a run as Ctrl-C does: fixtures are torn down, nodes given back, records closed.

Python's default is to die on the spot, and pytest leaves it so (pytest-dev/pytest#5243); batch systems and CI send it.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

__all__ = ("Sigterm",)


class Sigterm:
    """The handler, in force from :meth:`install` to :meth:`restore`."""

    def __init__(self) -> None:
        self._before: Any = None
        self._installed = False

    def install(self) -> None:
        """Take SIGTERM over, unless something else already has, or this is not the main thread."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            self._before = signal.signal(signal.SIGTERM, _leave)
            self._installed = True

    def restore(self) -> None:
        """Give SIGTERM back."""
        if self._installed:
            signal.signal(signal.SIGTERM, self._before)
            self._installed = False


def _leave(number: int, frame: object) -> None:
    # A second SIGTERM while nodes are given back must not cut that short: what hurries has SIGKILL.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pytest.exit("SIGTERM", returncode=128 + number)
