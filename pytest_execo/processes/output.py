"""What is kept of a stream of a process: all of it up to a bound, then its head and its tail.

Positions count the bytes that came, from 0; they stay valid whatever is dropped. The byte at a position has a fixed
place: the head as it came, the tail in a ring behind it. The places are in memory as long as that is little, then in
an anonymous file.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator

from ..errors import InvalidInput

__all__ = ("MEMORY", "Output")

#: Bytes of a stream that are held in memory. Most streams are shorter; a thousand that are not still fit in a machine.
MEMORY = 1024 * 1024

# Bytes read at a time while the I/O thread may be waiting for the lock: a fraction of a millisecond.
_CHUNK = 1024 * 1024
# Bytes that only continue a character in UTF-8.
_CONTINUATION = bytes(range(0x80, 0xC0))


class Output:
    """What is kept of one stream.

    Fed on the I/O thread, read by any thread. It never fails: when no temporary file can be had or written, it goes
    on with a head and a tail of :data:`MEMORY` bytes together, and counts the rest as lost. The file has no name, so
    that nothing is left behind even by SIGKILL; it is given back by :meth:`discard`, or with the object.

    :param keep: how many bytes are kept at most. Of a longer stream these are its first and its last ``keep / 2``.
    :raises InvalidInput: for a negative ``keep``.
    """

    def __init__(self, keep: int) -> None:
        if keep < 0:
            raise InvalidInput(f"keep: {keep} is not a number of bytes to keep; 0 keeps nothing")
        self.keep: int = keep
        self._head = keep // 2  # bytes at the beginning that stay
        self._ring = keep - self._head  # bytes behind them, where the newest take the place of the oldest
        self._size = 0
        self._closed = False
        self._memory = bytearray()
        self._fd: int | None = None
        self._free: weakref.finalize[[], Output] | None = None
        self._lock = threading.Lock()
        self._waking: tuple[threading.Event, ...] = ()

    # on the I/O thread

    def feed(self, data: bytes) -> None:
        """Take a piece. To be called on the I/O thread."""
        with self._lock:
            position = self._size
            self._size += len(data)
            try:
                self._store(position, data)
            except OSError:
                self._retreat(position, data)
            waking = self._waking
        for event in waking:
            event.set()

    def close(self) -> None:
        """Take note that no more will come. What is kept stays."""
        with self._lock:
            self._closed = True
            waking = self._waking
        for event in waking:
            event.set()

    # by any thread

    def discard(self) -> None:
        """Give memory and file back; all that came counts as lost, and nothing is kept any more."""
        with self._lock:
            self._empty(0)

    @property
    def size(self) -> int:
        """How many bytes came."""
        return self._size

    @property
    def closed(self) -> bool:
        """Whether no more will come."""
        return self._closed

    @property
    def lost(self) -> int:
        """How many bytes are not kept: those between the head and the tail."""
        with self._lock:
            head_end, tail_start = self._bounds()
            return tail_start - head_end

    def read(self) -> bytes:
        """Return all that is kept: the head, and the tail when it is no longer one with the head."""
        head, _, tail = self._halves()
        return head + tail

    def text(self) -> str:
        """Return all that is kept as UTF-8 text, what is not UTF-8 replaced, with a line that says how much is lost."""
        head, lost, tail = self._halves()
        if not lost:
            return (head + tail).decode("utf-8", "replace")
        return f"{head.decode('utf-8', 'replace')}\n[… {lost} bytes lost …]\n{tail.decode('utf-8', 'replace')}"

    def excerpt(self, limit: int) -> str:
        """Return the first and the last ``limit`` bytes as text, with a line that says how much is between them.

        Only these are read. No character is cut in two.
        """
        with self._lock:
            head_end, tail_start = self._bounds()
            size = self._size
            head = self._get(0, min(limit, head_end))
            complete = 0 if head_end == tail_start else tail_start
            tail = self._get(max(len(head), complete, size - limit), size)
        if len(head) + len(tail) == size:
            return (head + tail).decode("utf-8", "replace")
        first, used = codecs.utf_8_decode(head, "replace", False)
        tail = tail[:3].lstrip(_CONTINUATION) + tail[3:]
        return f"{first}\n[… {size - used - len(tail)} bytes …]\n{tail.decode('utf-8', 'replace')}"

    def since(self, position: int, limit: int) -> tuple[int, bytes]:
        """Return the bytes from ``position`` to the end, and the position of the first.

        When they are more than ``limit``, or not all there any more: the last of what came, ``limit`` at most.
        """
        with self._lock:
            head_end, tail_start = self._bounds()
            complete = 0 if head_end == tail_start else tail_start
            start = min(max(position, self._size - limit, complete), self._size)
            return start, self._get(start, self._size)

    def after(self, position: int, limit: int) -> tuple[int, bytes]:
        """Return at most ``limit`` bytes from ``position`` on, or from the next byte that is kept, and its position.

        They are without a gap: the head is never followed by a tail that is not the next byte.
        """
        with self._lock:
            head_end, tail_start = self._bounds()
            if head_end <= position < tail_start:
                position = tail_start
            stop = head_end if position < head_end < tail_start else self._size
            return position, self._get(position, min(position + limit, stop))

    def wait_beyond(self, position: int, deadline: float | None) -> bool:
        """Wait until there are bytes after ``position``, and return whether there are.

        It ends with ``False`` at the end of the stream, and at ``deadline`` (on the clock of :func:`time.monotonic`;
        ``None``: never).
        """
        event = threading.Event()
        with self.waking(event):
            while self._size <= position and not self._closed:
                seconds = None if deadline is None else min(deadline - time.monotonic(), threading.TIMEOUT_MAX)
                if seconds is not None and seconds <= 0:
                    break
                event.wait(seconds)
                event.clear()
        return self._size > position

    @contextlib.contextmanager
    def waking(self, event: threading.Event) -> Iterator[None]:
        """Have ``event`` set whenever something comes, and at the end of the stream, for the time of a ``with`` block.

        One event can serve for many outputs, so that a thread can wait for any of them.
        """
        with self._lock:
            self._waking += (event,)
        try:
            yield
        finally:
            with self._lock:
                self._waking = tuple(other for other in self._waking if other is not event)

    # with the lock held

    def _bounds(self) -> tuple[int, int]:
        """Positions of the end of the head and of the start of the tail: equal as long as nothing is lost."""
        head_end = min(self._size, self._head)
        return head_end, max(head_end, self._size - self._ring)

    def _place(self, position: int) -> tuple[int, int]:
        """Return where the byte at ``position`` is, and for how many bytes the places go on from there."""
        if position < self._head:
            return position, self._head - position
        into = (position - self._head) % self._ring
        return self._head + into, self._ring - into

    def _store(self, position: int, data: bytes) -> None:
        end = position + len(data)
        if self._fd is None and end > MEMORY and self._head + self._ring > MEMORY:
            self._spill()
        view = memoryview(data)
        while position < end:
            if position >= self._head and position < end - self._ring:
                # It would be overwritten by the rest of this very piece.
                view, position = view[end - self._ring - position :], end - self._ring
                continue
            offset, room = self._place(position)
            self._write(offset, view[:room])
            view, position = view[room:], position + room

    def _get(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``, which are all kept."""
        pieces = []
        while start < end:
            offset, room = self._place(start)
            count = min(room, end - start)
            pieces.append(self._read(offset, count))
            start += count
        return b"".join(pieces)

    def _halves(self) -> tuple[bytes, int, bytes]:
        """Return the head, the number of bytes lost, and the tail, as of one moment. To be called without the lock.

        It is taken for one chunk at a time, because the I/O thread needs it too. The tail is read backwards: what is
        dropped meanwhile is at its beginning.
        """
        end = self._size
        head, tail = [], []
        position = 0
        while True:
            with self._lock:
                head_end, _ = self._bounds()
                chunk = self._get(position, min(head_end, position + _CHUNK, end))
            if not chunk:
                break
            head.append(chunk)
            position += len(chunk)
        start = end
        while True:
            with self._lock:
                _, tail_start = self._bounds()
                chunk = self._get(max(tail_start, position, start - _CHUNK), start)
            if not chunk:
                break
            tail.append(chunk)
            start -= len(chunk)
        return b"".join(head), start - position, b"".join(reversed(tail))

    def _write(self, offset: int, data: memoryview) -> None:
        if self._fd is None:
            if offset > len(self._memory):
                self._memory += bytes(offset - len(self._memory))
            self._memory[offset : offset + len(data)] = data
            return
        while data:
            count = os.pwrite(self._fd, data, offset)
            data, offset = data[count:], offset + count

    def _read(self, offset: int, count: int) -> bytes:
        if self._fd is None:
            return bytes(memoryview(self._memory)[offset : offset + count])
        data = os.pread(self._fd, count, offset)
        while len(data) < count:
            more = os.pread(self._fd, count - len(data), offset + len(data))
            if not more:
                raise OSError(f"{count - len(data)} bytes of a temporary file are missing")
            data += more
        return data

    def _spill(self) -> None:
        """Go from memory to a file, with every byte in the same place."""
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  it lives as long as we do
        self._free = weakref.finalize(self, file.close)
        memory, self._memory = self._memory, bytearray()
        try:
            self._fd = file.fileno()
            self._write(0, memoryview(memory))
        except OSError:
            self._memory = memory
            self._close_file()
            raise

    def _retreat(self, position: int, data: bytes) -> None:
        """Go back to memory, because there is no file or no room in it: ``data`` could not be stored.

        A part of it may be in the file, in place of bytes so old that they have no room in memory either.
        """
        half = MEMORY // 2
        start = max(min(position, half), position + len(data) - (MEMORY - half))
        try:
            head, tail = self._get(0, min(position, half)), self._get(start, position)
        except OSError:
            self._empty(0)
            return
        self._empty(MEMORY)
        self._store(0, head)
        self._store(start, tail)
        self._store(position, data)

    def _empty(self, keep: int) -> None:
        self._close_file()
        self._memory = bytearray()
        self._head = keep // 2
        self._ring = keep - self._head

    def _close_file(self) -> None:
        self._fd = None
        if self._free is not None:
            self._free()
