"""The wire of a node, with an echo server in the place of SSH and real sockets."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pytest_execo.testbeds.embedded.network import Gate, Wire

HEALTHY = Wire()
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Echo:
    """What the SSH server looks like from the gate."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def eof_received(self) -> None:
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


class _Bench:
    """A gate that listens on loopback, and the server's ends of its connections."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.gate = Gate(self.listening)
        self.servers: list[_Echo] = []

    def _server(self, *_: Any) -> _Echo:
        self.servers.append(_Echo())
        return self.servers[-1]

    async def connect(self) -> Streams:
        return await asyncio.open_connection(*self.listening.getsockname())

    async def echo(self, streams: Streams, data: bytes = b"ping") -> float:
        """Return how long a round trip takes."""
        start = time.monotonic()
        streams[1].write(data)
        assert await asyncio.wait_for(streams[0].readexactly(len(data)), 20) == data
        return time.monotonic() - start


def _on_bench(test: Callable[[_Bench, Streams], Awaitable[None]]) -> None:
    async def main() -> None:
        bench = _Bench()
        await bench.gate.create_server(bench._server, "", 0)
        streams = await bench.connect()
        try:
            await bench.echo(streams)
            await test(bench, streams)
        finally:
            bench.gate.set(HEALTHY)
            streams[1].close()
            bench.gate.close()
            for server in bench.servers:
                server.transport.abort()
            await asyncio.gather(*(asyncio.wait_for(server.lost.wait(), 20) for server in bench.servers))

    asyncio.run(main())


def test_latency_is_paid_each_way() -> None:
    async def test(bench: _Bench, streams: Streams) -> None:
        bench.gate.set(Wire(latency=0.05))
        assert await bench.echo(streams) >= 0.1

    _on_bench(test)


def test_rate_is_kept_and_bytes_stay_in_order() -> None:
    async def test(bench: _Bench, streams: Streams) -> None:
        data = bytes(range(256)) * 400
        bench.gate.set(Wire(rate=len(data) / 0.2))
        assert await bench.echo(streams, data) >= 0.19

    _on_bench(test)


@pytest.mark.slow
def test_a_sender_is_not_read_far_ahead_of_a_thin_wire() -> None:
    async def test(bench: _Bench, streams: Streams) -> None:
        bench.gate.set(Wire(rate=10_000))
        streams[1].transport.set_write_buffer_limits(high=0)
        streams[1].write(bytes(32 * 1024 * 1024))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(streams[1].drain(), 0.3)
        waiting = sum(connection._inward._bytes for connection in bench.gate.connections)
        assert waiting <= 1024 * 1024
        streams[1].transport.abort()

    _on_bench(test)


@pytest.mark.slow
def test_connections_share_the_rate_and_none_is_forgotten() -> None:
    async def test(bench: _Bench, streams: Streams) -> None:
        other = await bench.connect()
        data = bytes(50_000)
        bench.gate.set(Wire(rate=250_000))
        start = time.monotonic()
        await asyncio.gather(bench.echo(streams, data), bench.echo(other, data))
        assert time.monotonic() - start >= 0.35
        other[1].close()

    _on_bench(test)


@pytest.mark.skipif(sys.platform != "linux", reason="socket filters are Linux's")
def test_a_cut_holds_everything_and_loses_nothing() -> None:
    async def test(bench: _Bench, streams: Streams) -> None:
        bench.gate.set(Wire(cut=True))
        streams[1].write(b"held")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(streams[0].readexactly(1), 0.1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bench.connect(), 0.1)
        bench.gate.set(HEALTHY)
        assert await asyncio.wait_for(streams[0].readexactly(4), 20) == b"held"

    _on_bench(test)


def test_the_server_cannot_close_a_cut_connection() -> None:
    async def test(bench: _Bench, streams: Streams) -> None:
        bench.gate.set(Wire(cut=True))
        bench.servers[0].transport.write(b"goodbye")
        bench.servers[0].transport.close()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(streams[0].read(1), 0.1)
        bench.gate.set(HEALTHY)
        assert await asyncio.wait_for(streams[0].read(), 20) == b"goodbye"

    _on_bench(test)


def test_healing_delivers_at_once_what_was_under_way() -> None:
    async def test(bench: _Bench, streams: Streams) -> None:
        bench.gate.set(Wire(latency=1000))
        streams[1].write(b"late")
        await streams[1].drain()
        while not any(connection._inward._waiting for connection in bench.gate.connections):  # noqa: ASYNC110
            await asyncio.sleep(0)
        bench.gate.set(HEALTHY)
        assert await asyncio.wait_for(streams[0].readexactly(4), 20) == b"late"

    _on_bench(test)


def test_the_end_of_a_connection_comes_after_its_data() -> None:
    async def test(bench: _Bench, streams: Streams) -> None:
        bench.gate.set(Wire(latency=0.03))
        streams[1].write(b"last words")
        streams[1].write_eof()
        assert await asyncio.wait_for(streams[0].read(), 20) == b"last words"

    _on_bench(test)
