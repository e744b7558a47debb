"""The way of bytes to the standard input of a process: bounded, in order, from any thread."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import threading
from typing import IO

from ..connectors import Channel
from ..errors import InvalidInput

__all__ = ("Inbox",)

_log = logging.getLogger("pytest_execo.processes")

# Bytes that may wait here before a writer has to wait too.
_LIMIT = 4 * 1024 * 1024
# Bytes read at a time from a file that is given as input.
_PIECE = 256 * 1024


class Inbox:
    """What was written to a process and not taken by it yet. :meth:`close` when it has ended lets everybody go."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pieces: collections.deque[bytes | None] = collections.deque()  # None: the end of the input
        self._waiting = 0
        self._closed = False
        self._channel: Channel | None = None
        self._sending: asyncio.Task[None] | None = None
        self._reading: asyncio.Future[bytes] | None = None

    # by any thread

    def put(self, data: bytes) -> None:
        """Add to it, without waiting."""
        with self._changed:
            self._pieces.append(data)
            self._waiting += len(data)

    def wait_for_room(self) -> None:
        """Wait until there is room for more, or the process has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting < _LIMIT)

    @property
    def unsent(self) -> int:
        """Bytes that nobody took."""
        return self._waiting

    # on the I/O thread

    def attach(self, channel: Channel) -> None:
        """Send what waits, and all that comes, to ``channel``."""
        self._channel = channel
        if self._sending is None and len(self._pieces) == 1 and self._pieces[0] is None:
            self._pieces.clear()  # the common case, without a task
            channel.close_stdin()
            return
        self.send()

    def end(self) -> None:
        """End the input after what was written."""
        if self._channel is not None and not self._pieces and self._sending is None:
            self._channel.close_stdin()  # the common case, without a task
            return
        with self._changed:
            self._pieces.append(None)
        self.send()

    def send(self) -> None:
        """Go on sending."""
        if self._channel is not None and self._sending is None and self._pieces and not self._closed:
            self._sending = asyncio.ensure_future(self._send(self._channel))
            self._sending.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending = None
        if not task.cancelled() and (error := task.exception()) is not None:
            # A fault of ours; it would only come again.
            _log.error("internal error while sending input", exc_info=error)
            self.close()
        self.send()

    async def _send(self, channel: Channel) -> None:
        while self._pieces and not self._closed:
            piece = self._pieces[0]
            if piece is None:
                channel.close_stdin()
            else:
                channel.write(piece)
                await channel.drain()
            with self._changed:
                if self._pieces:  # close() may have been meanwhile
                    self._pieces.popleft()
                    self._waiting -= len(piece or b"")
                self._changed.notify_all()

    async def send_file(self, file: IO[bytes]) -> None:
        """Send a file to its end, as fast as it is taken, then end the input.

        :raises InvalidInput: when it can't be read, or is not for bytes; what was read before is sent.
        """
        while not self._closed and (data := await self._read(file)):
            self.put(data)
            self.send()
            while self._sending is not None:
                await asyncio.wait([self._sending])
        self.end()

    async def _read(self, file: IO[bytes]) -> bytes:
        """Return the next piece. At the end of the process, which nobody else can tell a reader, it is empty."""
        loop = asyncio.get_running_loop()
        reading: asyncio.Future[bytes] = loop.create_future()
        self._reading = reading

        def tell(data: object, error: BaseException | None) -> None:
            if reading.done():
                return
            if error is not None:
                reading.set_exception(InvalidInput(f"stdin: can't read {file!r}: {error}"))
            elif isinstance(data, bytes | bytearray | memoryview):
                reading.set_result(bytes(data))
            else:
                reading.set_exception(InvalidInput(f"stdin: {file!r} gives no bytes; open it with 'rb'"))

        def read() -> None:
            data, failure = None, None
            try:
                data = file.read(_PIECE)
            except BaseException as error:  # it is the user's: anything
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(tell, data, failure)

        # A daemon, unlike those of an executor: a pipe may never say anything, and the interpreter is to end.
        threading.Thread(target=read, name="pytest-execo input", daemon=True).start()
        try:
            return await reading
        finally:
            self._reading = None

    def close(self) -> None:
        """The process has ended: nobody takes any more."""
        with self._changed:
            self._closed = True
            self._pieces.clear()
            self._changed.notify_all()
        if self._sending is not None:
            self._sending.cancel()
        if self._reading is not None and not self._reading.done():
            self._reading.set_result(b"")
