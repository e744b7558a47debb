"""The one thread that does all the I/O: an asyncio loop in a daemon thread.

Starts at the first process, ends with the interpreter. A forked child has none and starts its own when it needs one:
the parent's connections are the parent's.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from ..connectors import Connector, load
from ..hosts import Host

__all__ = ("IOThread", "io_thread")

T = TypeVar("T")

# Seconds that leaving the interpreter may wait for connections to close.
_STOP_TIMEOUT = 10


class IOThread:
    """An event loop in a thread of its own, and the connectors that live on it."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        self._executor = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="pytest-execo files")
        self.loop.set_default_executor(self._executor)
        self._connectors: dict[str, Connector] = {}
        # The loop keeps weak references to its tasks only.
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._main, name="pytest-execo I/O", daemon=True)
        self._thread.start()

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()

    @property
    def alive(self) -> bool:
        """Whether it runs in this very process."""
        return self._thread.is_alive() and not self.loop.is_closed()

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Have ``function`` called on the loop, soon. Once the thread has ended nothing happens."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(function, *args)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the loop and return its future, which any thread may wait for."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine beside others. To be called on the loop."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def connector(self, name: str) -> Connector:
        """Return the connector ``name``, made on first use. To be called on the loop."""
        connector = self._connectors.get(name)
        if connector is None:
            connector = self._connectors[name] = load(name)()
        return connector

    def disconnect(self, hosts: Sequence[Host]) -> None:
        """Have every connector close what it keeps open to ``hosts``, and wait for it."""

        async def close() -> None:
            await asyncio.gather(*(c.disconnect(host) for c in self._connectors.values() for host in hosts))

        self.submit(close()).result(_STOP_TIMEOUT)

    def stop(self) -> None:
        """Close the connectors, end the loop and the thread. A second call does nothing."""
        if not self.alive:
            return

        async def close() -> None:
            for connector in self._connectors.values():
                await connector.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            # Not loop.shutdown_default_executor(): it starts a thread, which Python 3.12 refuses at exit.
            self._executor.shutdown(wait=False, cancel_futures=True)

        with contextlib.suppress(concurrent.futures.TimeoutError):
            self.submit(close()).result(_STOP_TIMEOUT)
        self.call(self.loop.stop)
        self._thread.join(_STOP_TIMEOUT)


_current: IOThread | None = None
_starting = threading.Lock()


def io_thread() -> IOThread:
    """Return the I/O thread of this process, started at the first call."""
    global _current
    with _starting:
        if _current is None or not _current.alive:
            _current = IOThread()
        return _current


def _stop() -> None:
    from .scopes import root_scope

    if _current is not None:
        root_scope.close()
        _current.stop()


def _forget() -> None:
    # In a forked child: the thread was not copied, and closing the parent's loop would close its descriptors twice.
    global _current, _starting
    from .scopes import forget_all

    _current = None
    _starting = threading.Lock()
    forget_all()


atexit.register(_stop)
os.register_at_fork(after_in_child=_forget)
