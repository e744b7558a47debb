"""Tell others what a process does: when it starts, what it says, when it ends.

They are told on a few threads that are not the I/O thread. For one process everything comes in order and one call at a
time: its start, its output as it came, its end. A slow handler holds up its own process alone, as long as there are
threads for the others; what waits for it is bounded, for then the process itself has to wait. One that raises is
logged, and not called again.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..connectors import Stream
from ..errors import InvalidInput
from .dispatcher import Dispatcher
from .targets import (
    BytesHandler,
    LineHandler,
    OnBytes,
    OnLines,
    Sink,
    SupportsPut,
    SupportsWrite,
    Target,
    Targets,
    callables,
    sinks,
)

if TYPE_CHECKING:
    from .process import Process

__all__ = (
    "BytesHandler",
    "Dispatcher",
    "Handlers",
    "LifecycleHandler",
    "LifecycleHandlers",
    "LineHandler",
    "OnBytes",
    "OnLines",
    "SupportsPut",
    "SupportsWrite",
    "Target",
    "Targets",
)

#: Called with the process when it has started, or when it has ended.
LifecycleHandler = Callable[["Process"], object]
LifecycleHandlers = LifecycleHandler | Iterable[LifecycleHandler] | None

_log = logging.getLogger("pytest_execo.processes")

# Bytes that may wait for a process's handlers before its output is no longer read, and below which it is again. Far
# apart, so that a handler that is a little slower than its process does not stop it at every piece.
_HIGH_WATER = 4 * 1024 * 1024
_LOW_WATER = 1024 * 1024
# Pieces are joined while they wait, up to this size: a call for each of many tiny ones costs more than the copy.
_JOINED = 64 * 1024
# Bytes that an entry of the queue takes beside its data.
_ENTRY = 200
# Seconds after which the handlers of other processes have their turn.
_TURN = 0.05


class Handlers:
    """All that are to be told of one process.

    On the I/O thread :meth:`opened` is called first, then :meth:`started` and :meth:`received`, and :meth:`ended` last,
    once, also when the start failed; each returns at once. Files are open from :meth:`opened` until all was told.

    :param stdout: the targets of standard output; see :mod:`.targets`.
    :param stderr: those of standard error.
    :param on_start: called with the process when it runs.
    :param on_end: called with the process when it has ended, after all of its output was told; also when it never ran.
    :raises InvalidInput: for a target or handler that is none.
    """

    def __init__(
        self,
        process: Process,
        *,
        stdout: Targets,
        stderr: Targets,
        on_start: LifecycleHandlers,
        on_end: LifecycleHandlers,
        dispatcher: Dispatcher,
    ) -> None:
        self._process = process
        self._dispatcher = dispatcher
        self._sinks: dict[Stream, list[Sink]] = {
            "stdout": sinks(process, "stdout", stdout),
            "stderr": sinks(process, "stderr", stderr),
        }
        self._on_start = callables("on_start", on_start, "process")
        self._on_end = callables("on_end", on_end, "process")
        self._inline = {stream: [sink for sink in all_ if sink.inline] for stream, all_ in self._sinks.items()}
        self._queued = {stream: [sink for sink in all_ if not sink.inline] for stream, all_ in self._sinks.items()}
        #: Whether anybody is to be told; when not, no method needs to be called.
        self.active: bool = bool(any(self._sinks.values()) or self._on_start or self._on_end)
        #: The first exception that a handler raised.
        self.error: BaseException | None = None
        self._broken: list[object] = []
        self._inside: set[int] = set()  # threads that are in a handler now
        self._lock = threading.Lock()
        # What waits for a thread: a piece of a stream, or the start, or the end.
        self._waiting: collections.deque[tuple[Stream | str, bytes | bytearray]] = collections.deque()
        self._size = 0
        self._scheduled = False
        self._given_up = False
        self._paused = False
        self._resuming = False
        self._pause: Callable[[], None] = lambda: None
        self._resume: Callable[[], None] = lambda: None
        self._call_on_loop: Callable[..., object] | None = None
        self._then: Callable[[], None] = lambda: None

    # on the I/O thread

    def opened(self, pause: Callable[[], None], resume: Callable[[], None], call_on_loop: Callable[..., None]) -> None:
        """Open the files. To be called before the process starts, and before everything else here.

        :param pause: have no more output read. Called on the I/O thread.
        :param resume: have it read again. Called on the I/O thread.
        :param call_on_loop: has a function called on the I/O thread; may be used from any thread.
        :raises InvalidInput: when a file can't be opened, with its path and the reason. Nothing is left open, and
            :meth:`ended` can be called as after any other start that failed.
        """
        self._pause, self._resume, self._call_on_loop = pause, resume, call_on_loop
        for stream, all_ in self._sinks.items():
            for sink in all_:
                try:
                    sink.open()
                except OSError as error:
                    self._close_sinks()
                    raise InvalidInput(f"{stream}: can't append to {sink.target!r}: {error.strerror}") from error

    def started(self) -> None:
        """Have the start told."""
        if self._on_start:
            self._put("start", b"")

    def received(self, stream: Stream, data: bytes) -> None:
        """Have a piece of output told, to inline handlers at once."""
        if self._inline[stream]:
            self._tell_inline(stream, data)
        if self._queued[stream]:
            self._put(stream, data)

    def ended(self, then: Callable[[], None]) -> None:
        """Have the end told, and ``then`` called on the I/O thread when everything was told, the end included."""
        if self._call_on_loop is None:  # the start failed before it came to us
            self._call_on_loop = asyncio.get_running_loop().call_soon_threadsafe
        self._then = then
        for stream, all_ in self._inline.items():
            if all_:
                self._tell_inline(stream, None)
        if any(self._queued.values()) or self._on_start or self._on_end:
            self._put("end", b"")
        else:
            self._told()

    # by any thread

    def running_here(self) -> bool:
        """Whether the calling thread is at this moment in a handler of this process."""
        return threading.get_ident() in self._inside

    # the queue

    def _put(self, kind: Stream | str, data: bytes) -> None:
        with self._lock:
            if not self._given_up:
                last = self._waiting[-1] if self._waiting else ("", b"")
                if last[0] == kind and isinstance(last[1], bytearray) and len(last[1]) + len(data) <= _JOINED:
                    last[1].extend(data)
                    self._size += len(data)
                else:
                    self._size += len(data) + _ENTRY
                    self._waiting.append((kind, bytearray(data) if len(data) < _JOINED // 2 else data))
            pause = self._size > _HIGH_WATER and not self._paused
            self._paused |= pause
            schedule, self._scheduled = not self._scheduled, True
        if pause:
            self._pause()
        if schedule and not self._dispatcher.submit(self._work):
            self._give_up()
        if kind == "end" and self._given_up:
            self._told()

    def _give_up(self) -> None:
        """Nobody can be told any more; the process goes on."""
        _log.warning("%s: its handlers are not called any more: there is no thread to call them", self._process)
        with self._lock:
            self._given_up = True
            self._waiting.clear()
            self._size = 0
        self._resume_if_low()

    def _resume_if_low(self) -> None:
        """Have output read again; on the I/O thread, where it can't cross a pause."""
        with self._lock:
            self._resuming = False
            resume = self._paused and self._size < _LOW_WATER
            self._paused &= not resume
        if resume:
            self._resume()

    # on a thread of the dispatcher

    def _work(self) -> bool:
        """Tell what waits, for one turn. Return whether more waits."""
        here = threading.get_ident()
        until = time.monotonic() + _TURN
        self._inside.add(here)
        try:
            while True:
                with self._lock:
                    if not self._waiting:
                        self._scheduled = False
                        return False
                    kind, data = self._waiting.popleft()
                self._deliver(kind, bytes(data))
                with self._lock:
                    self._size -= len(data) + _ENTRY
                    resume = self._paused and self._size < _LOW_WATER and not self._resuming
                if resume and self._call_on_loop is not None:
                    self._call_on_loop(self._resume_if_low)
                if time.monotonic() >= until:
                    return True
        finally:
            self._inside.discard(here)

    def _deliver(self, kind: Stream | str, data: bytes) -> None:
        if kind == "start":
            for handler in self._on_start:
                self._tell(handler, handler, self._process)
        elif kind == "end":
            for all_ in self._queued.values():
                for sink in all_:
                    self._tell(sink.target, sink.end)
            # Before the end is told: who hears of it may read the files.
            self._close_sinks()
            for handler in self._on_end:
                self._tell(handler, handler, self._process)
            self._told()
        else:
            for sink in self._queued["stdout" if kind == "stdout" else "stderr"]:
                self._tell(sink.target, sink.feed, data)

    # telling

    def _tell(self, target: object, call: Callable[..., object], *arguments: object) -> None:
        if self._broken and target in self._broken:
            return
        try:
            call(*arguments)
        # All of them: a test's own pytest.fail() is none of Exception, and SystemExit would end our thread.
        except BaseException as error:
            self._broken.append(target)
            if self.error is None:
                self.error = error
            _log.error("%s: handler %r failed; it is not called again", self._process, target, exc_info=True)

    def _tell_inline(self, stream: Stream, data: bytes | None) -> None:
        here = threading.get_ident()
        self._inside.add(here)
        try:
            for sink in self._inline[stream]:
                if data is None:
                    self._tell(sink.target, sink.end)
                else:
                    self._tell(sink.target, sink.feed, data)
        finally:
            self._inside.discard(here)

    def _told(self) -> None:
        self._close_sinks()
        assert self._call_on_loop is not None
        self._call_on_loop(self._then)

    def _close_sinks(self) -> None:
        for all_ in self._sinks.values():
            for sink in all_:
                sink.close()
