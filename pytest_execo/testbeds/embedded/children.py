"""The ends of child processes, on the event loop: one SIGCHLD handler, no thread."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

__all__ = ("Children",)


class Children:
    """Tells who asked for it when a child has ended. There must be no other waiting for children in the process."""

    def __init__(self) -> None:
        self._watched: dict[int, Callable[[int], None]] = {}
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def watch(self, pid: int, ended: Callable[[int], None]) -> None:
        """Call ``ended`` with the wait status of ``pid``. To be called in the same step that started it."""
        self._watched[pid] = ended

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if ended := self._watched.pop(pid, None):
                ended(status)
