"""The socket that paramiko is given: all bytes in order, nobody blocked, one reason for the end."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
from collections.abc import Awaitable, Callable

from pytest_execo.connectors.paramiko.wire import Wire


def _with_wire(test: Callable[[Wire, socket.socket, asyncio.Event], Awaitable[None]]) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        room = asyncio.Event()
        wire = Wire(ours, room.set)
        try:
            await asyncio.wait_for(test(wire, theirs, room), 20)
        finally:
            wire.release()
            theirs.close()

    asyncio.run(main())


def test_what_does_not_fit_is_sent_in_order_later() -> None:
    async def test(wire: Wire, theirs: socket.socket, room: asyncio.Event) -> None:
        pieces = [os.urandom(size) for size in (1, 100_000, 0, 3_000_000, 7)]
        for piece in pieces:
            assert wire.send(piece) == len(piece)  # although nobody reads
        assert wire.congested
        expected, got = b"".join(pieces), b""
        while len(got) < len(expected):
            got += await asyncio.get_running_loop().sock_recv(theirs, 1 << 20)
        assert hashlib.sha256(got).digest() == hashlib.sha256(expected).digest()
        await room.wait()
        assert not wire.congested

    _with_wire(test)


def test_any_thread_may_send() -> None:
    async def test(wire: Wire, theirs: socket.socket, room: asyncio.Event) -> None:
        threads = [threading.Thread(target=wire.send, args=(bytes([number]) * 200_000,)) for number in range(4)]
        for thread in threads:
            thread.start()
        got = b""
        while len(got) < 800_000:
            got += await asyncio.get_running_loop().sock_recv(theirs, 1 << 20)
        for thread in threads:
            thread.join()
        # Each piece is whole.
        assert sorted(got[at] for at in range(0, 800_000, 200_000)) == [0, 1, 2, 3]
        assert all(len(set(got[at : at + 200_000])) == 1 for at in range(0, 800_000, 200_000))

    _with_wire(test)


def test_small_reads_lose_nothing() -> None:
    async def test(wire: Wire, theirs: socket.socket, room: asyncio.Event) -> None:
        before = wire.heard
        theirs.send(b"0123456789")
        assert [wire.recv(3), wire.recv(3), wire.recv(100)] == [b"012", b"345", b"6789"]
        assert wire.heard >= before

    _with_wire(test)


def test_closing_wakes_who_reads() -> None:
    async def test(wire: Wire, theirs: socket.socket, room: asyncio.Event) -> None:
        reading = asyncio.ensure_future(asyncio.to_thread(wire.recv, 16))
        await asyncio.sleep(0)
        wire.note("disconnected")
        wire.close()
        assert await reading == b""
        assert wire.lost == "disconnected"  # the first reason is the cause
        assert wire.send(b"dropped") == 7

    _with_wire(test)


def test_the_end_of_the_other_side_is_a_reason() -> None:
    async def test(wire: Wire, theirs: socket.socket, room: asyncio.Event) -> None:
        theirs.close()
        assert wire.recv(16) == b""
        assert wire.lost == "Connection lost"
        wire.send(b"x")
        assert wire.lost == "Connection lost"

    _with_wire(test)
