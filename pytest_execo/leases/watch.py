"""The watch: looks whether leases are still ours while tests run, so that a loss is told when it happens."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ("Watch",)

# Seconds between two looks; a testbed that is asked over a network decides itself how often it asks.
_PERIOD = 1.0


class Watch:
    """A thread that looks now and then, from :meth:`start` until ``over`` is set.

    :param look: what it does; it raises nothing.
    """

    def __init__(self, look: Callable[[], None], over: threading.Event) -> None:
        self._look = look
        self._over = over
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin. A second call does nothing."""
        with self._lock:
            if self._thread is None and not self._over.is_set():
                self._thread = threading.Thread(target=self._run, name="pytest-execo leases", daemon=True)
                self._thread.start()

    def join(self) -> None:
        """Return when the last look is over, or takes too long: it only looks."""
        if self._thread is not None:
            self._thread.join(_PERIOD)

    def _run(self) -> None:
        while not self._over.wait(_PERIOD):
            self._look()
