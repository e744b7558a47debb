"""The same input for many commands of one tree: it leaves this machine once, and the tree carries it to each.

A command that takes nothing for a while would hold up the others. It is let go of, and whoever asked for the multicast
goes on with it alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable

from ..contract import Channel
from .lines import PIECE, shared_line
from .node import Trunk
from .session import Session

__all__ = ("Multicast", "by_tree")

# Bytes on the way to each command that has not taken them; what is on the way to all of them is in TakTuk's memory.
_WINDOW = 2 << 20
_ALL_WINDOWS = 64 << 20
# Seconds that all wait for some.
_PATIENCE = 3.0


class Multicast:
    """Input for several commands.

    :param sessions: all of one tree.
    :param late: called with one that is let go of, and how many bytes of this multicast it was sent.
    """

    def __init__(self, sessions: Iterable[Session], late: Callable[[Session, int], None]) -> None:
        self._sessions = list(sessions)
        self._late = late
        self._key = secrets.token_hex(8)
        self._sent = 0
        self._window = min(_WINDOW, _ALL_WINDOWS // max(len(self._sessions), 1))
        self._changed = asyncio.Event()
        for session in self._sessions:
            session.join(self._key)
            session.on_room = self._changed.set

    @property
    def sessions(self) -> list[Session]:
        """Those that still take part."""
        self._sessions = [session for session in self._sessions if not session.over]
        return self._sessions

    async def send(self, data: bytes) -> None:
        """Send to all, and return when there is room for more. What is over is left out."""
        for at in range(0, len(data), PIECE):
            await self._have_room()
            piece = data[at : at + PIECE]
            places = [place for session in self.sessions if (place := session.node.place) is not None]
            if not places:
                return
            for session in self._sessions:
                session.sent_with_others(len(piece))
            places[0][0].tell([rank for _, rank in places], shared_line(self._key, piece))
            self._sent += len(piece)

    async def _have_room(self) -> None:
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        while slow := [session for session in self.sessions if not session.has_room(self._window)]:
            if len(slow) == len(self._sessions):
                deadline = None  # nobody is held up
            elif deadline is None:
                deadline = loop.time() + _PATIENCE
            elif loop.time() >= deadline:
                self._let_go(slow)
                return
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), None if deadline is None else deadline - loop.time())

    def _let_go(self, slow: list[Session]) -> None:
        for session in slow:
            self._sessions.remove(session)
            session.on_room = None
            self._late(session, self._sent)


def by_tree(channels: Iterable[Channel]) -> list[list[Session]]:
    """Return the commands that still run, those of each tree together."""
    found: dict[Trunk, list[Session]] = {}
    for channel in channels:
        if isinstance(channel, Session) and not channel.over and channel.node.place is not None:
            found.setdefault(channel.node.place[0], []).append(channel)
    return list(found.values())
