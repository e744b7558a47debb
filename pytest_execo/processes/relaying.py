"""Bytes between a socket and a stream of a connector, both ways at once."""

from __future__ import annotations

import asyncio
import socket

from ..connectors.contract import TcpReader, TcpWriter

__all__ = ("relay",)

# Bytes handed on at a time. No more of a direction is held here than this and what the two transports buffer.
_PIECE = 64 * 1024


async def relay(client: socket.socket, reader: TcpReader, writer: TcpWriter) -> bool:
    """Hand on both directions to their ends; return ``False`` when one of the ends broke the connection."""
    loop = asyncio.get_running_loop()

    async def out() -> bool:
        while True:
            try:
                data = await loop.sock_recv(client, _PIECE)
                if not data:
                    writer.write_eof()
                    return True
                writer.write(data)
                await writer.drain()
            except OSError:  # one of the two takes or gives no more
                return False

    async def back() -> bool:
        while True:
            data = await reader.read(_PIECE)
            try:
                if not data:
                    client.shutdown(socket.SHUT_WR)
                    return True
                await loop.sock_sendall(client, data)
            except OSError:
                return False

    directions = [asyncio.ensure_future(direction()) for direction in (out, back)]
    try:
        for direction in asyncio.as_completed(directions):
            if not await direction:
                return False
        return True
    finally:
        for task in directions:
            task.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
