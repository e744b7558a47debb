"""Port forwarding: what connects to a port of this machine talks to a port that a host can reach.

The paper's port forwarder ran an ssh program for each port; here each connection is a channel of the connection that
the host's processes share, on the one I/O thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import socket
import struct
import threading
import weakref
from typing import Any, Self

from ..connectors import Connector
from ..errors import ConnectorError, InvalidInput, ProcessError, StartFailed, WaitTimeout
from ..hosts import Host
from ..units import parse_duration
from .activity import Activity, State
from .io_thread import io_thread
from .relaying import relay
from .scopes import Scope

__all__ = ("PortForwarder",)

_log = logging.getLogger("pytest_execo.processes")

# Connections that the kernel holds until they are accepted: many clients may come at once.
_BACKLOG = 128
# Seconds before the next attempt when a connection could not be accepted: no descriptors are left, most likely.
_ACCEPT_AGAIN = 0.1
# Closing with these sends a reset and not an end: what was cut off must not look complete.
_RESET = struct.pack("ii", 1, 0)


class PortForwarder(Activity):
    """Carries each connection to a port of this machine to a port behind a host.

    ::

        with PortForwarder(frontend, "db.site", 5432) as tunnel:
            psycopg.connect(host=tunnel.address[0], port=tunnel.port)

    The port is open when :meth:`start` returns; connections wait until the host was reached. Each direction is closed
    when its source closes it (with the ``openssh`` connector both are, when the far end closes its own: the program has
    no other way). A connection that can't be carried, or not to its end (nobody listens there, the host is lost), is
    reset, logged, and counted in :attr:`failures`; the forwarder goes on, and opens a new connection to the host for
    the next one.

    It runs until it is killed, which ends the connections that it carries. A host that can't be reached at the start,
    a local port that can't be opened, and a connector that can't forward (``NotSupported``) end it, as :attr:`error`.

    :param host: the host in between; ``None``: this machine; a string is an address for ssh.
    :param remote_host: name or address, as the host knows it: ``"localhost"`` is the host itself.
    :param remote_port: the port to reach there.
    :param local_port: the port here; ``None``: one that is free. See :attr:`port`.
    :param bind_address: the address here; ``"0.0.0.0"`` lets other machines in.
    :param connector: how the host is reached, when not as the host says.
    :param options: those of :class:`Activity`: ``timeout``, counted from the start, ends it.
    :raises InvalidInput: for what is no port or no host.
    """

    def __init__(
        self,
        host: Host | str | None,
        remote_host: str,
        remote_port: int,
        *,
        local_port: int | None = None,
        bind_address: str = "127.0.0.1",
        connector: str | None = None,
        **options: Any,
    ) -> None:
        if not isinstance(remote_host, str) or not remote_host:
            raise InvalidInput(f"remote_host: {remote_host!r} is neither a name nor an address")
        self.remote_host = remote_host
        self.remote_port: int = _checked("remote_port", remote_port)
        self.local_port: int = 0 if local_port is None else _checked("local_port", local_port)
        self.bind_address = bind_address
        options.setdefault("name", f"forward to {remote_host} port {remote_port}")
        super().__init__(host, **options)
        self.connector: str = connector or ("local" if self.host is None else self.host.connector)
        #: Connections that came, and those of them that could not be carried, or not to their end.
        self.connections: int = 0
        self.failures: int = 0
        self._listener: socket.socket | None = None
        self._port = 0
        self._not_bound: StartFailed | None = None
        # Set when the port is open, or won't be; and when the host was reached, or won't be.
        self._bound = threading.Event()
        self._reached: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._sockets: set[socket.socket] = set()

    # verbs

    def ready(self, timeout: float | str | None = None) -> Self:
        """Wait until the host was reached; ``with`` does so too. Connections may be made before.

        :param timeout: seconds, or ``"1m30s"``.
        :raises ProcessFailed: when it could not be started, with the reason.
        :raises WaitTimeout: when ``timeout`` ran out.
        :raises ProcessError: when it was not started.
        """
        self._refuse_unstarted("ready()")
        if io_thread().is_here() and not self._reached.done():
            raise ProcessError(f"{self}: ready() in a callback on the I/O thread, which it would wait for")
        seconds = None if timeout is None else parse_duration(timeout)
        try:
            self._reached.result(seconds)
        except concurrent.futures.TimeoutError:
            raise WaitTimeout(f"{self}: host not reached after {seconds:g} s", [self]) from None
        return self.check()

    def __enter__(self) -> Self:
        self.start()
        try:
            return self.ready()
        except BaseException:
            self.kill(wait=False)
            raise

    def kill(self, *, wait: bool = True) -> Self:
        """Close the port, and reset the connections that are carried."""
        if self.running:
            self._refuse_fork()
            self.killed = True
            io_thread().call(self._cancel)
            if wait and not self._waits_for_us():
                self.wait()
        return self

    # where it is

    @property
    def port(self) -> int:
        """The port here, from :meth:`start` on; it stays known after the end.

        :raises StartFailed: when it could not be opened.
        :raises ProcessError: before the start.
        """
        if self.running and not self._bound.is_set():
            self._bound.wait()  # another thread is in the middle of start()
        if self._not_bound is not None:
            raise self._not_bound
        if not self._port:
            raise ProcessError(f"{self}: it has no port before start()")
        return self._port

    @property
    def address(self) -> tuple[str, int]:
        """``bind_address`` and :attr:`port`, as :func:`socket.create_connection` takes them."""
        return self.bind_address, self.port

    # the start

    def _enlist(self, scope: Scope) -> bool:
        if not super()._enlist(scope):
            return False
        # By this thread: whoever has started it knows the port.
        try:
            family = socket.AF_INET6 if ":" in self.bind_address else socket.AF_INET
            address = (self.bind_address, self.local_port)
            self._listener = socket.create_server(address, family=family, backlog=_BACKLOG)
            self._listener.setblocking(False)
            self._port = self._listener.getsockname()[1]
            _open.add(self)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            self._not_bound = StartFailed("localhost", f"{self.bind_address} port {self.local_port}: {reason}")
        self._bound.set()
        if self._finished:  # killed meanwhile
            self._close_listener()
        return True

    # on the I/O thread

    async def _main(self) -> None:
        if self._not_bound is not None:
            raise self._not_bound
        assert self._listener is not None
        connector = io_thread().connector(self.connector)
        if "tcp" in connector.cannot:
            raise connector.refusal("tcp", self.host)
        # The first one who connects is not to find out that it can't be reached.
        await connector.reach(self.host)
        self.state = State.RUNNING
        self._reached.set_result(None)
        carried: set[asyncio.Task[None]] = set()
        try:
            while True:
                client = await self._accept(self._listener)
                task = asyncio.ensure_future(self._carry(connector, client))
                carried.add(task)
                task.add_done_callback(carried.discard)
        finally:
            self._close_listener()
            for task in carried:
                task.cancel()
            await asyncio.gather(*carried, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> socket.socket:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return (await loop.sock_accept(listener))[0]
            except OSError as error:
                _log.warning("%s: a connection was not accepted: %s", self, error.strerror)
                await asyncio.sleep(_ACCEPT_AGAIN)

    async def _carry(self, connector: Connector, client: socket.socket) -> None:
        """Carry one connection to its end."""
        self.connections += 1
        self._sockets.add(client)
        complete = False
        try:
            reader, writer = await connector.open_tcp(self.host, self.remote_host, self.remote_port)
            try:
                complete = await relay(client, reader, writer)
            finally:
                writer.close()
        except Exception as error:  # a transport has errors of its own
            self.failures += 1
            why = error.reason if isinstance(error, ConnectorError) else str(error) or type(error).__name__
            if self.log:
                _log.warning("%s: a connection was not carried to its end: %s", self, why)
        finally:
            self._sockets.discard(client)
            if not complete:
                with contextlib.suppress(OSError):
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()

    # the end

    def _cancel(self) -> None:
        if self._main_task is not None and not self._main_task.done():
            self._main_task.cancel()
        else:
            self._finish(None)

    async def _end_by_force(self) -> None:
        if self.state is State.STARTING:
            self._finish(StartFailed(str(self.host or "localhost"), f"not started within {self.timeout:g} s"))
        self._cancel()

    def _settle(self) -> None:
        self._close_listener()
        super()._settle()
        # Last, for whoever waits for it asks then how it ended.
        if not self._reached.done():
            self._reached.set_result(None)

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()

    def _forget(self) -> None:
        """Close the sockets in a forked child, which would keep the port and the connections open."""
        self._close_listener()
        for client in self._sockets:
            client.close()


# Those whose sockets a forked child has copies of.
_open: weakref.WeakSet[PortForwarder] = weakref.WeakSet()


def _after_fork() -> None:
    for forwarder in list(_open):
        forwarder._forget()


os.register_at_fork(after_in_child=_after_fork)


def _checked(what: str, port: int) -> int:
    if not isinstance(port, int) or not 0 < port < 65536:
        raise InvalidInput(f"{what}: {port!r} is not a port, a number from 1 to 65535")
    return port
