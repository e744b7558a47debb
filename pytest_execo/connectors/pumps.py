"""Bytes between a file descriptor and a callback, on the event loop, with back-pressure both ways.

asyncio's own pipe transports need a coroutine to set up and one descriptor each; a terminal is one descriptor for both
directions, and a process must be wired up before its next byte arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable

__all__ = ("HIGH_WATER", "LOW_WATER", "WINDOW", "Reader", "Writer")

_CHUNK = 64 * 1024
# A stream that fills a pipe gets a bigger one and is read in bigger pieces: 64 KiB at a time is mostly switching. Not
# before: Linux grants an ordinary user 64 MiB of pipes.
_BIG_CHUNK = 256 * 1024
_BIG_PIPE = 1024 * 1024

#: How many bytes a client may send ahead on one channel.
WINDOW = 2 * 1024 * 1024
#: asyncssh opens the window fully again with the first bytes that it delivers after a pause, whatever else it still
#: holds (``SSHChannel._deliver_data`` in 2.24). What it holds is bounded only if one resume takes all of it: there
#: has to be room for a whole window between these two.
LOW_WATER = 64 * 1024
HIGH_WATER = LOW_WATER + WINDOW


class Reader:
    """Hands on what can be read from ``fd``, until its end; then calls ``ended`` once. Does not close ``fd``."""

    def __init__(self, fd: int, received: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._received, self._ended = received, ended
        self._loop = asyncio.get_running_loop()
        self._chunk = _CHUNK
        self.open: bool = True
        self._paused = True
        self.resume()

    @property
    def paused(self) -> bool:
        """Whether nothing is read at the moment."""
        return self._paused

    def drain(self) -> None:
        """Read what is there now, to the end if it is there, unless paused."""
        while self.open and not self._paused and self._read():
            pass

    def _ready(self) -> None:
        self._read()

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, self._chunk)
        except BlockingIOError:
            return False
        except OSError:  # EIO: the last program has left the terminal
            data = b""
        if data:
            if len(data) == _CHUNK == self._chunk:
                self._chunk = _BIG_CHUNK
                with contextlib.suppress(OSError):  # a terminal, or no more pipes for this user
                    fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, _BIG_PIPE)
            self._received(data)
            return True
        self.stop()
        self._ended()
        return False

    def pause(self) -> None:
        """Leave what comes in the pipe, so that the program that writes there has to wait."""
        if not self._paused:
            self._paused = True
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Go on reading."""
        if self._paused and self.open:
            self._paused = False
            self._loop.add_reader(self._fd, self._ready)

    def stop(self) -> None:
        """Read no more."""
        self.pause()
        self.open = False


class Writer:
    """Writes to ``fd`` as fast as its reader takes it; calls ``pause`` and ``resume`` when too much waits.

    What comes after the reader has gone is dropped, as a broken pipe does.
    """

    def __init__(self, fd: int, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._pause, self._resume = pause, resume
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._paused = False
        self._broken = False
        self._at_end: Callable[[], None] | None = None

    @property
    def broken(self) -> bool:
        """Whether the reader has gone, so that what comes is dropped."""
        return self._broken

    def write(self, data: bytes) -> None:
        """Write now what fits, the rest later."""
        if self._broken or self._at_end is not None:
            return
        if self._buffer:
            self._buffer += data
        else:
            sent = self._attempt(data)
            if self._broken or sent == len(data):
                return
            self._buffer += data[sent:]
            self._loop.add_writer(self._fd, self._ready)
        if not self._paused and len(self._buffer) > HIGH_WATER:
            self._paused = True
            self._pause()

    def finish(self, then: Callable[[], None]) -> None:
        """Call ``then`` when everything is written; nothing more will come."""
        if self._at_end is None:
            self._at_end = then
            if not self._buffer:
                then()

    def stop(self) -> None:
        """Drop what waits."""
        if self._buffer:
            self._loop.remove_writer(self._fd)
            self._buffer.clear()
        self._broken = True

    def _attempt(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self._broken = True
            return 0

    def _ready(self) -> None:
        with memoryview(self._buffer) as view:
            sent = self._attempt(view[:_CHUNK])
        if self._broken:
            self._buffer.clear()
        else:
            del self._buffer[:sent]
        if self._paused and len(self._buffer) <= LOW_WATER:
            self._paused = False
            self._resume()
        if not self._buffer:
            self._loop.remove_writer(self._fd)
            if self._at_end is not None:
                self._at_end()
