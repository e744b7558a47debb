"""Says that an owner lives, for as long as it holds something."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sized

from pytest_execo.errors import CheckpointError

from ..stores.owners import Owner
from ..stores.store import CheckpointStore

__all__ = ("Heart",)

_log = logging.getLogger(__name__)

_END_SECONDS = 5.0


class Heart:
    """The heartbeat of one owner: a daemon thread that begins with its first claim and ends when it holds none.

    It knows nothing of whom it beats for but what it holds, so that an owner that was forgotten can be collected,
    and its claims be given back: :meth:`end`.

    :param held: what the owner holds; it is only asked whether it is empty.
    :param seconds: the time between two beats.
    """

    def __init__(self, store: CheckpointStore, owner: Owner, held: Sized, seconds: float) -> None:
        self._store = store
        self._owner = owner
        self._held = held
        self._seconds = seconds
        self._pid = os.getpid()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Beat, unless it does. Call it after each claim."""
        with self._lock:
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._beat, name="pytest-execo heartbeat", daemon=True)
                self._thread.start()

    def end(self) -> None:
        """Stop beating, give back all the claims and close the store. Idempotent; a forked child's does nothing.

        May be called by the garbage collector, in any thread. So the thread of the heart gives back where there is
        one: the collector may have stopped it inside of the store, which is locked then.
        """
        if self._pid != os.getpid():
            return
        with self._lock:
            ended, thread = self._ended.is_set(), self._thread
            self._ended.set()
        if thread is None:
            if not ended:
                self._give_back()
        elif thread is not threading.current_thread():
            thread.join(_END_SECONDS)

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds):
            with self._lock:
                if not self._held and not self._ended.is_set():
                    self._thread = None
                    return
            try:
                self._store.heartbeat(self._owner)
            except CheckpointError as error:
                # The claims live on until they are stale, and the next beat may succeed.
                _log.warning("no heartbeat: %s", error)
        self._give_back()

    def _give_back(self) -> None:
        try:
            self._store.release(self._owner)
        except CheckpointError as error:
            _log.warning("claims not given back, they come back by themselves: %s", error)
        finally:
            self._store.close()
