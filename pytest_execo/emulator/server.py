"""The emulator as a server: the API on a port of loopback, and a thread in which time goes on."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import math
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from ..errors import InvalidRequest, TestbedError
from .clock import EmulatedClock, RunningClock
from .faults import Faults
from .machines import Machines
from .platform import Platform, PlatformSettings
from .rest import Application

__all__ = ("EmulatorServer",)

_log = logging.getLogger(__name__)
# All real seconds. A connection that says nothing; a request from its first byte to its last; the end.
_SILENCE = 30.0
_LONGEST_REQUEST = 180.0
_ENDING = 30.0
# Requests at a time. One more waits for its turn, and is sent away when none comes.
_MOST_REQUESTS = 64
_TURN = 10.0
# The ticker looks up at least so often, and at most.
_SLOWEST_TICK, _FASTEST_TICK = 1.0, 0.02


class EmulatorServer:
    """A running emulator. Made by :meth:`start`, ended by :meth:`close` or ``with``; nothing of it is left then."""

    def __init__(self, platform: Platform, application: Application, host: str, port: int) -> None:
        self.platform: Platform = platform
        self.application: Application = application
        # Werkzeug itself would print, and exit, when the port is taken.
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.create_server((host, port), family=family, backlog=_MOST_REQUESTS) as listening:
                port = listening.getsockname()[1]
                self._server = _Server(host, port, application, listening.fileno())
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise TestbedError(f"the emulator can't listen on {host} port {port}: {reason}") from None
        address = f"[{host}]" if ":" in host else host
        #: What a client is given: ``http://127.0.0.1:PORT/stable``.
        self.uri: str = f"http://{address}:{port}/stable"
        self._wake = threading.Event()
        self._closing = threading.Lock()
        self._closed = False
        #: Set when the emulator has ended, whoever asked for it.
        self.ended: threading.Event = threading.Event()
        platform.changed = self._wake.set
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,), name="execo-emulator-api", daemon=True),
            threading.Thread(target=self._tick, name="execo-emulator-time", daemon=True),
        ]

    @classmethod
    def start(
        cls,
        reference: Mapping[str, Any],
        *,
        machines: Machines,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 1.0,
        seed: int = 0,
        users: Mapping[str, str] | None = None,
        faults: Faults | None = None,
        clock: EmulatedClock | None = None,
        settings: PlatformSettings | None = None,
        key: str | None = None,
        public: bool = False,
    ) -> EmulatorServer:
        """Start an emulator.

        :param reference: the reference data as one deep=1 document.
        :param port: 0: a free one.
        :param speed: emulated seconds in a real one. Not used with a ``clock``.
        :param seed: the same one makes the same things happen.
        :param users: login → password.
        :param key: what :attr:`key` shall be; made up unless given.
        :param public: listen on an address that others reach: nothing here is made for that, passwords go in the clear.
        :raises InvalidRequest: an address that is not loopback, a speed that is none.
        :raises TestbedError: when the port is taken.
        """
        if not (public or _is_loopback(host)):
            raise InvalidRequest(f"the emulator listens on loopback only, and {host} is not; write 127.0.0.1")
        if clock is None:
            try:
                clock = RunningClock(speed)
            except ValueError as error:
                raise InvalidRequest(f"the emulator's clock: {error}") from None
        accounts = dict(users or {})
        platform = Platform(
            reference,
            clock,
            machines,
            seed=seed,
            users=tuple(accounts),
            faults=faults,
            settings=settings,
            threaded=True,
        )
        try:
            application = Application(platform, accounts, key=key)
            server = cls(platform, application, host, port)
        except BaseException:
            platform.close()
            raise
        application.on_shutdown = server.close_later
        for thread in server._threads:
            thread.start()
        return server

    @property
    def key(self) -> str:
        """The emulator's own key, for what Grid'5000 can't be asked."""
        return self.application.key

    def close(self) -> None:
        """End the API, the time and all machines, and wait for that. A second call waits for the first."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self.application.ending.set()
            self._wake.set()
            self._server.shutdown()
            self._server.hang_up()
            self._server.server_close()
            deadline = time.monotonic() + _ENDING
            for thread in [*self._threads, *self._server.workers()]:
                if thread is not threading.current_thread():
                    thread.join(max(0.0, deadline - time.monotonic()))
            self.platform.close()
            self.ended.set()

    def close_later(self) -> None:
        """End from a thread of its own: a request that asks for the end can't wait for it."""
        threading.Thread(target=self._close_after_answer, name="execo-emulator-end", daemon=True).start()

    def _close_after_answer(self) -> None:
        # The asker is to hear that it was heard.
        self.application.ending.wait(0.2)
        self.close()

    def __enter__(self) -> EmulatorServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _tick(self) -> None:
        """Let time go on: jobs end and nodes go although nobody asks."""
        while not self.application.ending.is_set():
            self._wake.clear()
            try:
                self.platform.advance()
                due = self.platform.next_date()
            except Exception:  # the API is to go on, and says in each answer what is wrong
                _log.exception("the emulator's platform failed")
                due = None
            clock = self.platform.clock
            pause = math.inf if due is None else clock.real_seconds(max(0.0, due - clock.now()))
            self._server.end_long_requests()
            self._wake.wait(min(_SLOWEST_TICK, max(_FASTEST_TICK, pause)))


class _Handler(WSGIRequestHandler):
    """One connection, one request: none is left open to be waited for at the end."""

    protocol_version = "HTTP/1.0"
    timeout = _SILENCE

    def log(self, type: str, message: str, *args: Any) -> None:
        """Write no line for each request: the log is the tests'."""
        _log.debug(f"%s {message}", self.address_string(), *args)


class _Server(ThreadedWSGIServer):
    """A bounded number of threads, each with one request, which are known and can be ended."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, application: Application, listening: int) -> None:
        self._turns = threading.BoundedSemaphore(_MOST_REQUESTS)
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, tuple[socket.socket, float]] = {}
        super().__init__(host, port, application, _Handler, fd=listening)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the request a thread, when its turn has come."""
        if not self._turns.acquire(timeout=_TURN):
            self.shutdown_request(request)
            return
        thread = threading.Thread(
            target=self._work, args=(request, client_address), name="execo-emulator-request", daemon=True
        )
        with self._lock:
            self._open[thread] = (request, time.monotonic())
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left
            with self._lock:
                del self._open[thread]
            self._turns.release()
            self.shutdown_request(request)

    def _work(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(threading.current_thread(), None)
            self._turns.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away."""
        _log.debug("a connection from %s broke", client_address, exc_info=True)

    def workers(self) -> list[threading.Thread]:
        """Return the threads that work on a request."""
        with self._lock:
            return list(self._open)

    def end_long_requests(self) -> None:
        """Close the connections of requests that take too long to come or to be read."""
        self.hang_up(older_than=_LONGEST_REQUEST)

    def hang_up(self, older_than: float = 0.0) -> None:
        """Close connections."""
        now = time.monotonic()
        with self._lock:
            connections = [connection for connection, began in self._open.values() if now - began >= older_than]
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
