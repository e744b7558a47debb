"""A file channel over TakTuk: a few processes on the host that serve its files (``files.pl``), each one question."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

from ...hosts import Host
from ..contract import Connector, Entry, FileChannel
from ..entries import entry
from .conversation import Conversation, name_word

__all__ = ("TaktukFiles",)

# What others may do with a new file is what the host's umask leaves of this.
_NEW_FILE = "0666"


class TaktukFiles(FileChannel):
    """The files of a host. As many conversations as there are questions at a time, and they are kept for the next."""

    def __init__(self, connector: Connector, host: Host) -> None:
        self._connector = connector
        self._host = host
        self._idle: list[Conversation] = []
        self._busy: set[Conversation] = set()

    @contextlib.asynccontextmanager
    async def conversation(self) -> AsyncIterator[Conversation]:
        """Have a conversation for the time of a block. What leaves it by an error leaves an answer half-heard."""
        conversation = self._idle.pop() if self._idle else await self._new()
        self._busy.add(conversation)
        try:
            yield conversation
        except BaseException:
            conversation.close()
            raise
        else:
            self._idle.append(conversation)
        finally:
            self._busy.discard(conversation)

    async def _new(self) -> Conversation:
        conversation = Conversation(self._host)
        await conversation.start(self._connector)
        return conversation

    async def open(self) -> None:
        """Reach the host.

        :raises ConnectorError: when it can't be reached.
        """
        async with self.conversation():
            pass

    async def _ask(self, path: str, *words: str) -> list[list[str]]:
        async with self.conversation() as conversation:
            conversation.ask(*words)
            return await conversation.answer(path)

    async def stat(self, path: str, *, follow: bool = True) -> Entry | None:
        found = await self._ask(path, "s" if follow else "S", name_word(path))
        return _entry(found[0]) if found else None

    async def list(self, path: str) -> list[str]:
        return list(await self.entries(path))

    async def entries(self, path: str) -> dict[str, Entry]:
        found = await self._ask(path, "l", name_word(path))
        return {os.fsdecode(bytes.fromhex(words[1])): _entry(words) for words in found}

    async def read(self, path: str, offset: int = 0) -> AsyncIterator[bytes]:
        async with self.conversation() as conversation:
            conversation.ask("r", name_word(path), str(offset))
            pieces = cast("AsyncGenerator[bytes, None]", conversation.data(path))
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    yield piece

    async def write(self, path: str, pieces: AsyncIterator[bytes], offset: int = 0) -> None:
        async with self.conversation() as conversation:
            conversation.ask("w", str(offset), _NEW_FILE, name_word(path))
            async for piece in pieces:
                if conversation.is_answered:
                    break  # that can only be why it failed
                if piece:
                    conversation.channel.write(b"%d\n" % len(piece))
                    conversation.channel.write(piece)
                    await conversation.channel.drain()
            conversation.channel.write(b"0\n")
            await conversation.answer(path)

    async def make_directory(self, path: str) -> None:
        await self._ask(path, "d", name_word(path))

    async def read_link(self, path: str) -> str:
        found = await self._ask(path, "t", name_word(path))
        return os.fsdecode(bytes.fromhex(found[0][1]))

    async def make_link(self, target: str, path: str) -> None:
        await self._ask(path, "k", os.fsencode(target).hex(), name_word(path))

    async def set_attributes(self, path: str, *, mode: int, mtime: float, atime: float) -> None:
        await self._ask(path, "a", name_word(path), f"{mode:04o}", str(int(mtime)), str(int(atime)))

    async def close(self) -> None:
        for conversation in (*self._idle, *self._busy):
            conversation.close()
        self._idle.clear()


def _entry(words: list[str]) -> Entry:
    mode, size, mtime, atime = map(int, words[-4:])
    return entry(mode, size, mtime, atime)
