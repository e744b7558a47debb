"""The socket that a transport is given: sending never blocks, and its end has a reason.

Paramiko writes to its socket wherever a message is made: on the event loop, when output is read (a window is opened) or
a channel closed. On a full socket it would wait there. Here what does not fit waits in memory, and the loop sends it.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

__all__ = ("Wire",)

# Bytes that wait for the network before channels give no more. What they gave is bounded by their windows besides.
_HIGH_WATER = 1 << 20
_LOW_WATER = 128 << 10
# Bytes of one read. Paramiko asks for a header of 16 bytes, then for the rest of a packet.
_READ = 256 << 10


class Wire:
    """What paramiko needs of a socket (``send``, ``recv``, ``close``, ``settimeout``), over a real one.

    :param sock: is ours from now on; a blocking one, because one thread waits in ``recv``.
    :param room: called on the loop when channels may give more again.
    """

    def __init__(self, sock: socket.socket, room: Callable[[], None]) -> None:
        sock.setblocking(True)
        self._socket = sock
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: collections.deque[memoryview] = collections.deque()
        self._size = 0
        self._congested = False
        self._read = b""
        self._at = 0
        #: Why nothing comes any more, once it is so.
        self.lost: str | None = None
        #: When something came last, by :func:`time.monotonic`.
        self.heard: float = time.monotonic()
        self._closed = False

    @property
    def congested(self) -> bool:
        """Whether channels should wait for ``room``."""
        if not self._congested and self._size > _HIGH_WATER:
            self._congested = True
        return self._congested

    def note(self, reason: str) -> None:
        """Say why the connection ends; the first to say it is believed."""
        if self.lost is None:
            self.lost = reason

    # for paramiko, on any thread

    def settimeout(self, timeout: float | None) -> None:
        """Paramiko would look every 0.1 s whether it is to end; :meth:`close` tells it."""

    def recv(self, size: int) -> bytes:
        if self._at == len(self._read):
            try:
                self._read = self._socket.recv(_READ)
            except OSError as error:
                self.note(os.strerror(error.errno) if error.errno else str(error))
                raise
            self._at = 0
            if not self._read:
                self.note("Connection lost")
                return b""
            self.heard = time.monotonic()
        piece = self._read[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def send(self, data: bytes) -> int:
        """Take all of it. Once closed it is dropped: who reads is told the end."""
        with self._lock:
            if self._closed:
                return len(data)
            sent = 0 if self._waiting else self._attempt(data)
            if sent < len(data):
                if not self._waiting:
                    with contextlib.suppress(RuntimeError):  # the loop is closed
                        self._loop.call_soon_threadsafe(self._send_later)
                self._waiting.append(memoryview(data)[sent:])
                self._size += len(data) - sent
        return len(data)

    def close(self) -> None:
        """Wake the thread that waits in ``recv``. The descriptor lives until that thread has ended (:meth:`release`):
        its number may be another's at once."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _attempt(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.note(os.strerror(error.errno) if error.errno else str(error))
            return len(data)  # `recv` sees the end too

    # on the loop

    def _send_later(self) -> None:
        if not self._closed:
            self._loop.add_writer(self._socket.fileno(), self._ready)

    def _ready(self) -> None:
        with self._lock:
            while self._waiting:
                piece = self._waiting[0]
                sent = self._attempt(piece)
                self._size -= sent
                if sent < len(piece):
                    self._waiting[0] = piece[sent:]
                    break
                self._waiting.popleft()
            if not self._waiting:
                self._loop.remove_writer(self._socket.fileno())
        if self._congested and self._size <= _LOW_WATER:
            self._congested = False
            self._room()

    def release(self) -> None:
        """Close the descriptor: nobody waits for it any more."""
        self._closed = True
        if self._socket.fileno() >= 0:
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
        self._waiting.clear()

    def forget(self) -> None:
        """Close the descriptor in a forked child, and say nothing to the other side."""
        self._closed = True
        self._socket.close()
