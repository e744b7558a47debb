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
from ..errors import ProcessError
from ..hosts import Host
from .dispatcher import Dispatcher

__all__ = ("IOThread", "io_thread")

T = TypeVar("T")

# Seconds that leaving the interpreter may wait for connections to close.
_STOP_TIMEOUT = 10
# Of these, those for what is under way: a kill makes sure that all of a group is gone when its process has ended.
_SETTLE_TIMEOUT = 2
# Seconds that a fork waits for the thread to stand still; it does so at once, unless a user's handler holds it up.
_FREEZE_TIMEOUT = 5


class IOThread:
    """An event loop in a thread of its own, and the connectors that live on it."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        self._executor = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="pytest-execo files")
        self.loop.set_default_executor(self._executor)
        #: Where the handlers of users run: they may be slow, and this thread must not be.
        self.dispatcher: Dispatcher = Dispatcher()
        self._connectors: dict[str, Connector] = {}
        # The loop keeps weak references to its tasks only.
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._main, name="pytest-execo I/O", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self.loop.close()
            raise

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

    def is_here(self) -> bool:
        """Whether this is the thread that calls."""
        return threading.current_thread() is self._thread

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Have ``function`` called on the loop, soon. Once the thread has ended nothing happens."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(function, *args)

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the loop and return its future, which any thread may wait for."""
        return asyncio.run_coroutine_threadsafe(self._kept(coroutine), self.loop)

    async def _kept(self, coroutine: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await coroutine
        finally:
            self._tasks.discard(task)

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

    def freeze(self) -> Callable[[], object]:
        """Have the thread stand still between two steps, until what is returned is called.

        So it neither holds a lock nor imports a module at the moment of a fork: in the child that would last for ever.
        """
        still, go_on = threading.Event(), threading.Event()

        def stand_still() -> None:
            still.set()
            go_on.wait()

        if self.alive and not self.is_here():
            self.call(stand_still)
            still.wait(_FREEZE_TIMEOUT)
        return go_on.set

    def forget(self) -> None:
        """Drop, in a forked child, what keeps others from hearing of the parent's end."""
        for connector in self._connectors.values():
            connector.forget()

    def stop(self) -> None:
        """Close the connectors, end the loop and the thread. A second call does nothing."""
        if not self.alive:
            return

        async def close() -> None:
            await self._settle(_SETTLE_TIMEOUT)
            for connector in self._connectors.values():
                await connector.close()
            for task in self._others():
                task.cancel()
            await self._settle(None)
            # Not loop.shutdown_default_executor(): it starts a thread, which Python 3.12 refuses at exit.
            self._executor.shutdown(wait=False, cancel_futures=True)

        with contextlib.suppress(concurrent.futures.TimeoutError):
            self.submit(close()).result(_STOP_TIMEOUT)
        self.dispatcher.close()
        self.call(self.loop.stop)
        self._thread.join(_STOP_TIMEOUT)

    def _others(self) -> set[asyncio.Task[Any]]:
        return {task for task in self._tasks if task is not asyncio.current_task()}

    async def _settle(self, timeout: float | None) -> None:  # noqa: ASYNC109  nothing is cancelled
        if others := self._others():
            await asyncio.wait(others, timeout=timeout)


_current: IOThread | None = None
_starting = threading.Lock()


def io_thread() -> IOThread:
    """Return the I/O thread of this process, started at the first call.

    :raises ProcessError: when none can be started, because the interpreter is about to end.
    """
    global _current
    with _starting:
        if _current is None or not _current.alive:
            try:
                _current = IOThread()
            except RuntimeError as error:  # Python 3.12 and newer
                raise ProcessError(f"no process can be started or followed any more: {error}") from error
        return _current


def _stop() -> None:
    from .scopes import root_scope

    if _current is not None:
        root_scope.close()
        _current.stop()


_at_fork = threading.local()


def _freeze() -> None:
    if _current is not None:
        _at_fork.go_on = _current.freeze()


def _thaw() -> None:
    go_on = getattr(_at_fork, "go_on", None)
    if go_on is not None:
        go_on()
        _at_fork.go_on = None


def _forget() -> None:
    # In a forked child: the thread was not copied, and closing the parent's loop would close its descriptors twice.
    global _current, _starting
    from .scopes import forget_all

    parent, _current = _current, None
    _starting = threading.Lock()
    forget_all()
    if parent is not None:
        parent.forget()


atexit.register(_stop)
os.register_at_fork(before=_freeze, after_in_parent=_thaw, after_in_child=_forget)
