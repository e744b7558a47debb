"""Paramiko's transport, so that nobody waits for it: what it tells by an event reaches the loop, and sending is done.

What is relied on here and in :mod:`.channel` beside the documented interface: that the transport's thread sets events
and notifies conditions which are public attributes (``in_buffer``, ``status_event``, ``out_buffer_cv``, …), and that
all messages of users go through ``_send_user_message``. Both are so in each release from 3.5 on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

import paramiko  # type: ignore[import-untyped, unused-ignore]
from paramiko.common import cMSG_GLOBAL_REQUEST  # type: ignore[import-untyped, unused-ignore]
from paramiko.packet import Packetizer  # type: ignore[import-untyped, unused-ignore]

from .wire import Wire

__all__ = ("LOG", "Signal", "Transport", "UntimedPacketizer", "Window", "quiet", "told")

#: The name of the logger of our transports, and of the clients that are handed out.
LOG = "paramiko.pytest_execo"


def quiet() -> None:
    """Have paramiko log warnings alone, unless somebody has configured its logger.

    Our own transports are quieter: at ERROR a transport logs the trace of each end that it did not expect, a refused
    session too; what goes wrong is told by our own errors.
    """
    logger = logging.getLogger("paramiko")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)
        own = logging.getLogger(LOG)
        if own.level == logging.NOTSET:
            own.setLevel(logging.CRITICAL)


class Signal(threading.Event):
    """An event that calls ``told``, on the thread that sets it."""

    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__()
        self._told = told

    def set(self) -> None:
        super().set()
        self._told()


class Window(threading.Condition):
    """A condition that calls ``told``, on the thread that notifies all."""

    def __init__(self, lock: threading.Lock, told: Callable[[], None]) -> None:
        super().__init__(lock)
        self._told = told

    def notify_all(self) -> None:
        super().notify_all()
        self._told()


async def told(begin: Callable[[threading.Event], object]) -> None:
    """Have ``begin`` start something that sets an event, and wait for that without a thread."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def resolve() -> None:
        if not done.done():
            done.set_result(None)

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(resolve)

    begin(Signal(tell))
    await done


class UntimedPacketizer(Packetizer):  # type: ignore[misc, unused-ignore]
    """Without the thread that paramiko starts to time each handshake: who asked for it has a deadline."""

    def start_handshake(self, timeout: float) -> None:
        """Start nothing."""


class Transport(paramiko.Transport):  # type: ignore[misc, unused-ignore]
    """A connection from paramiko's point of view, and its thread.

    :param wire: is closed when the thread has ended.
    :param ended: called on the loop then.
    """

    def __init__(self, wire: Wire, ended: Callable[[], None]) -> None:
        super().__init__(wire, packetizer_class=UntimedPacketizer)
        self.set_log_channel(LOG)
        self.wire = wire
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._to_be_ended = False
        self._held: list[Any] = []
        self.clear_to_send: Signal = Signal(self._send_held)

    def end(self, reason: str) -> None:
        """End it, for a reason that its channels are told; the thread ends soon. Never blocks."""
        self.wire.note(reason)
        self._to_be_ended = True
        if self.ident is None:  # the thread was never started
            self.wire.release()
            self._ended()
        else:
            self.close()
            self.wire.close()

    def forget(self) -> None:
        """Drop it in a forked child."""
        self.active = False
        self.wire.forget()

    def ask_for_life(self) -> None:
        """Send something that every server answers, if only by a refusal."""
        message = paramiko.Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        self.send(message)

    def send(self, message: Any) -> None:
        """Send a message, when keys are being exchanged: after that."""
        self._send_user_message(message)

    # what paramiko calls

    def run(self) -> None:
        try:
            super().run()
        finally:
            try:
                self._loop.call_soon_threadsafe(self._over)
            except RuntimeError:  # the loop is closed
                self.wire.forget()

    def _over(self) -> None:
        self.wire.release()
        self._ended()

    def stop_thread(self) -> None:
        # Paramiko ends all transports when the interpreter does, before those who use them can end what runs over
        # them; a forked child would end those of its parent.
        if self._to_be_ended:
            super().stop_thread()

    def _send_user_message(self, data: Any) -> None:
        with self.clear_to_send_lock:
            if not self.active:
                return
            if self.clear_to_send.is_set():
                self._send_message(data)
            else:
                self._held.append(data)

    def _send_held(self) -> None:
        # Called with `clear_to_send_lock` held, by who clears the way.
        held, self._held = self._held, []
        for message in held:
            self._send_message(message)

    def _parse_disconnect(self, m: Any) -> None:
        m.get_int()
        self.wire.note(m.get_text() or "disconnected by the server")
