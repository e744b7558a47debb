"""The wire of a node: accepts its SSH connections and can cut them, delay them and pace them.

A :class:`Gate` stands between the TCP connections and the SSH server. It is asyncssh's "tunnel" (the object that
``asyncssh.listen(tunnel=…)`` asks for connections), so that nothing is copied: without a fault each buffer is handed
on in the same call. Only the traffic of the node's SSH server passes here, including everything forwarded through it;
sockets that a command on the node opens by itself do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import asyncssh

__all__ = ("Gate",)

_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
_BPF_RETURN_CONSTANT = 0x06

#: Paced data goes in slices of this many seconds: smooth for the receiver, and few timers.
_SLICE = 0.02
#: How far ahead of the wire a sender may be (seconds) before the gate stops reading from it.
_AHEAD = 0.1
#: How many bytes may be under way on a slow wire that has no rate.
_UNDER_WAY = 16 * 1024 * 1024


@dataclass(frozen=True)
class Wire:
    """What is wrong with the wire: ``cut``; ``latency`` in seconds, one way; ``rate`` in bytes/s, each way (0: any)."""

    cut: bool = False
    latency: float = 0.0
    rate: float = 0.0


class _Direction:
    """One direction of a node's wire, shared by its connections: until when (monotonic) it is busy."""

    def __init__(self) -> None:
        self.busy_until: float = 0.0


class _Lane:
    """One direction of one connection: actions (deliver these bytes, close) in order, held as the wire says."""

    def __init__(
        self, gate: Gate, direction: _Direction, pause: Callable[[], None], resume: Callable[[], None]
    ) -> None:
        self._gate = gate
        self._direction = direction
        self._pause, self._resume = pause, resume
        self._waiting: deque[tuple[float, int, Callable[[], None]]] = deque()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False

    def send(self, data: bytes, deliver: Callable[[bytes], None]) -> None:
        """Pass ``data`` on: now, or when the wire lets it through."""
        wire = self._gate.wire
        if self._ordinary(wire):
            deliver(data)
            return
        step = max(512, int(wire.rate * _SLICE)) if wire.rate else len(data)
        for start in range(0, len(data), step):
            part = data[start : start + step]
            self._queue(len(part), lambda part=part: deliver(part))  # type: ignore[misc]

    def then(self, action: Callable[[], None]) -> None:
        """Do ``action`` after everything sent before."""
        if self._ordinary(self._gate.wire):
            action()
        else:
            self._queue(0, action)

    def _ordinary(self, wire: Wire) -> bool:
        return not self._waiting and not wire.cut and not wire.latency and not wire.rate

    def _queue(self, size: int, action: Callable[[], None]) -> None:
        wire = self._gate.wire
        leaves = time.monotonic()
        if wire.rate:
            leaves = max(leaves, self._direction.busy_until) + size / wire.rate
            self._direction.busy_until = leaves
        self._waiting.append((leaves + wire.latency, size, action))
        self._bytes += size
        self._schedule()

    def changed(self) -> None:
        """Take up a change of the wire."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wire = self._gate.wire
        if not (wire.cut or wire.latency or wire.rate):
            # A healed wire owes nothing: what waited goes now.
            self._waiting = deque((0.0, size, action) for _, size, action in self._waiting)
        self._schedule()

    def _schedule(self) -> None:
        cut, now = self._gate.wire.cut, time.monotonic()
        room_at = self._direction.busy_until - _AHEAD
        hold = cut or room_at > now or self._bytes > _UNDER_WAY
        if hold != self._paused:
            self._paused = hold
            (self._pause if hold else self._resume)()
        moments = [self._waiting[0][0]] if self._waiting else []
        if room_at > now:
            # Other connections may be what keeps the wire busy: nothing of ours would wake us.
            moments.append(room_at)
        if moments and self._timer is None and not cut:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, min(moments) - now), self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now and not self._gate.wire.cut:
            _, size, action = self._waiting.popleft()
            self._bytes -= size
            action()
        self._schedule()


class _Session(Protocol):
    """What the SSH server's side of a connection looks like from below."""

    def connection_made(self, transport: Any, /) -> None: ...
    def data_received(self, data: bytes, /) -> None: ...
    def eof_received(self) -> Any: ...
    def connection_lost(self, exc: Exception | None, /) -> None: ...


class _Connection(asyncio.Protocol):
    """One TCP connection: a protocol towards the network, a transport towards the SSH server."""

    def __init__(self, gate: Gate, server_side: _Session) -> None:
        self._gate = gate
        self._server_side = server_side
        self._transport: asyncio.Transport
        self._inward: _Lane
        self._outward: _Lane

    # Towards the network.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._inward = _Lane(self._gate, self._gate.inward, self._pause, self._resume)
        # What the server sends is bounded by the windows of its channels; it takes no "pause".
        self._outward = _Lane(self._gate, self._gate.outward, _nothing, _nothing)
        self._gate.connections.add(self)
        self._server_side.connection_made(self)

    def data_received(self, data: bytes) -> None:
        self._inward.send(data, self._server_side.data_received)

    def eof_received(self) -> bool:
        self._inward.then(self._server_side.eof_received)
        return True  # the server closes, after what it still has to say

    def connection_lost(self, exc: Exception | None) -> None:
        self._inward.then(lambda: self._lost(exc))

    def _lost(self, exc: Exception | None) -> None:
        # Not before the server knows: until then a change of the wire has to reach the lanes.
        self._gate.connections.discard(self)
        self._server_side.connection_lost(exc)

    def _pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # Towards the SSH server.

    def write(self, data: bytes) -> None:
        self._outward.send(bytes(data), self._transport.write)

    def close(self) -> None:
        self._outward.then(self._transport.close)

    def abort(self) -> None:
        # Through the lane as well: on a cut wire the other side must not learn that this one gave up.
        self._outward.then(self._transport.abort)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    # Towards the gate.

    def changed(self, cut_changed: bool) -> None:
        if cut_changed:
            _filter(self._transport.get_extra_info("socket"), self._gate.wire.cut)
        self._inward.changed()
        self._outward.changed()


def _nothing() -> None:
    pass


class Gate(asyncssh.SSHListener):
    """Accepts the connections of one node on a listening socket, through a :class:`Wire`."""

    def __init__(self, listening: socket.socket) -> None:
        super().__init__()
        self.wire: Wire = Wire()
        self.inward: _Direction = _Direction()
        self.outward: _Direction = _Direction()
        self.connections: set[_Connection] = set()
        self._listening = listening
        self._server: asyncio.Server | None = None

    async def create_server(self, session_factory: Callable[[str, int], Any], _host: str, _port: int) -> Gate:
        """Start accepting; asyncssh calls this, and gets itself as the listener that it would have made."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self, session_factory("", 0)), sock=self._listening, backlog=1024
        )
        return self

    def close(self) -> None:
        """Accept no more."""
        if self._server is not None:
            self._server.close()

    async def wait_closed(self) -> None:
        """Nothing to wait for: a closed server is closed."""

    def set(self, wire: Wire) -> None:
        """Put ``wire`` in force, for the connections there are and for new ones."""
        cut_changed = wire.cut != self.wire.cut
        self.wire = wire
        self.inward.busy_until = self.outward.busy_until = 0.0
        if cut_changed:
            # The kernel drops what arrives, so that not even a connect() is answered, as with a pulled cable. The
            # lanes alone would leave new clients with an established connection that says nothing.
            _filter(self._listening, wire.cut)
        for connection in list(self.connections):
            connection.changed(cut_changed)


def _filter(sock: Any, drop: bool) -> None:
    """Have the kernel drop (or no longer drop) every packet that arrives at ``sock``."""
    with contextlib.suppress(OSError):  # closed meanwhile, or no filters here: the lanes hold it anyway
        if not drop:
            sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            return
        # struct sock_filter {u16 code; u8 jt, jf; u32 k} and struct sock_fprog {u16 len; sock_filter *filter}.
        instruction = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN_CONSTANT, 0, 0, 0))
        program = struct.pack("HP", 1, ctypes.addressof(instruction))
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
