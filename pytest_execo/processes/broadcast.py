"""What copies of the same files to many hosts share: each file is read once, and sent once into TakTuk's tree."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..connectors.local_files import LocalFiles
from ..connectors.taktuk.conversation import Conversation
from ..connectors.taktuk.multicast import Multicast, by_tree
from ..connectors.taktuk.session import Session
from ..errors import ConnectorError
from .copying import Progress
from .io_thread import io_thread

__all__ = ("Broadcast", "Member")

# Seconds that those who are ready wait for the next: somebody may still be connecting, or be down.
_PATIENCE = 2.0


@dataclass(eq=False)
class Member:
    """One host that waits for the files.

    :param conversation: has been told where to write them.
    :param sources: the files, in that order.
    """

    conversation: Conversation
    sources: tuple[str, ...]
    progress: Progress
    #: Of each file that was sent to its end: its size and its SHA-256.
    sent: list[tuple[int, str]] = field(default_factory=list)


class Broadcast:
    """Brings the hosts together that are ready at the same time, and sends them the files. Lives on the I/O thread.

    :param hosts: how many there are; each joins, or is said to be :meth:`over`.
    """

    def __init__(self, hosts: int) -> None:
        self._awaited = hosts
        self._ready: list[Member] = []
        self._timer: asyncio.TimerHandle | None = None

    def join(self, member: Member) -> None:
        """Have a host sent the files, soon. It answers for each by itself; its end is the end of its part in this."""
        self._ready.append(member)
        self._count()

    def over(self) -> None:
        """Say that a host will not join."""
        self._count()

    def _count(self) -> None:
        self._awaited -= 1
        if self._timer is not None:
            self._timer.cancel()
        if self._ready:
            seconds = _PATIENCE if self._awaited > 0 else 0
            self._timer = io_thread().loop.call_later(seconds, self._launch)

    def _launch(self) -> None:
        ready, self._ready = self._ready, []
        alike: dict[tuple[str, ...], list[Member]] = {}
        for member in ready:
            alike.setdefault(member.sources, []).append(member)
        for sources, members in alike.items():
            by_channel = {member.conversation.channel: member for member in members}
            for sessions in by_tree(by_channel):
                chosen = {session: by_channel[session] for session in sessions}
                io_thread().task(_Sending(sources, chosen).run())


class _Sending:
    """The sending of files to hosts of one tree.

    :param skip: bytes that they have already got of all that is sent.
    """

    def __init__(self, sources: Sequence[str], members: dict[Session, Member], skip: int = 0) -> None:
        self._sources = sources
        self._members = members
        self._skip = skip
        self._multicast = Multicast(members, self._late)
        self._at = 0

    async def run(self) -> None:
        """Send all, as long as there is anybody left."""
        try:
            for number, source in enumerate(self._sources):
                digest, size = hashlib.sha256(), 0
                async for piece in LocalFiles().read(source):
                    await asyncio.to_thread(digest.update, piece)
                    size += len(piece)
                    await self._send(b"%d\n" % len(piece))
                    await self._send(piece)
                    self._count(len(piece))
                    if not self._multicast.sessions:
                        return
                for member in self._here():
                    member.sent[number:] = [(size, digest.hexdigest())]
                await self._send(b"0\n")
        except ConnectorError as error:
            for member in self._here():
                member.conversation.fail(error)

    async def _send(self, data: bytes) -> None:
        begin, self._at = self._at, self._at + len(data)
        if self._at > self._skip:
            await self._multicast.send(data[max(self._skip - begin, 0) :])

    def _count(self, size: int) -> None:
        if self._at > self._skip:
            for member in self._here():
                member.progress.add(size)

    def _here(self) -> list[Member]:
        return [self._members[session] for session in self._multicast.sessions]

    def _late(self, session: Session, sent: int) -> None:
        # From the beginning, for the check sum; what it has got is not sent again.
        alone = _Sending(self._sources, {session: self._members[session]}, self._skip + sent)
        io_thread().task(alone.run())
