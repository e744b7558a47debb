"""One host in a tree: its relay, and the commands that run under it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from ...errors import ConnectionLost, ConnectorError, StartFailed
from ...hosts import Host
from ..contract import Command, Receiver
from .lines import Said, payload, start_line
from .options import CONNECT_TIMEOUT, reason
from .session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("Node", "Trunk")

# Commands under one relay: each has three descriptors, and 1024 is what a login has.
_SESSIONS = 100
# Lines that are kept of what the ssh program and the relay say: the last ones tell why.
_KEPT = 20


class Trunk(Protocol):
    """The tree, as a node knows it."""

    def tell(self, ranks: Sequence[int], line: str) -> None:
        """Send a line to the relays of the hosts that TakTuk gave these numbers."""

    def settled(self) -> None:
        """Take note that a node may have nothing to do any more."""


class Node:
    """One host. Made with the first command for it; lives as long as the tree that reaches it.

    A host that a tree could not reach in time is given to another tree, with what it is to do.

    :param elsewhere: returns a new node for the host, for questions that come when this one is over.
    """

    def __init__(self, host: Host, term: str, elsewhere: Callable[[Host], Node]) -> None:
        self.host: Host = host
        self.sessions: dict[int, Session] = {}
        #: The host was reached.
        self.is_up: bool = False
        #: Nothing can be sent any more.
        self.is_over: bool = False
        self._term = term
        self._elsewhere = elsewhere
        self._trunk: Trunk | None = None
        self._rank: int | None = None
        self._unsent: list[str] = []
        self._questions: dict[int, tuple[str, asyncio.Future[bool]]] = {}
        self._numbers = 0
        self._said: list[str] = []
        self._pieces: dict[str, bytearray] = {}

    def add(self, command: Command, receiver: Receiver) -> Session:
        """Return a new session, which starts when the host is reached."""
        self._numbers += 1
        session = self.sessions[self._numbers] = Session(self, self._numbers, command, receiver)
        if self._rank is not None:
            self.tell(start_line(session.number, command, session.mark, self._term))
            self.settled()
        return session

    @property
    def is_busy(self) -> bool:
        """Whether the tree has to live for it."""
        return bool(self._questions) or any(
            # What is detached would live on when the tree ends, so it has to be waited for and ended.
            not session.over and (not session.given_up or session.command.detached)
            for session in self.sessions.values()
        )

    @property
    def has_room(self) -> bool:
        """Whether another command can start here, with what is there already."""
        running = sum(not session.over for session in self.sessions.values())
        reached = self._trunk is None or self._rank is not None
        return not self.is_over and reached and running < _SESSIONS

    @property
    def place(self) -> tuple[Trunk, int] | None:
        """The tree, and the number of the host in it, once it can be told something."""
        return None if self.is_over or self._trunk is None or self._rank is None else (self._trunk, self._rank)

    @property
    def was_cancelled(self) -> bool:
        """Whether TakTuk was told not to wait for it any more."""
        return "canceled" in self._said[-1:]

    @property
    def has_unsent(self) -> bool:
        """Whether something waits until the tree is complete."""
        return bool(self._unsent)

    # to the relay

    def join(self, trunk: Trunk) -> None:
        """Take part in a tree, anew when another one could not reach the host."""
        self._trunk, self._rank = trunk, None
        self._unsent.clear()
        self._pieces.clear()
        self._said.clear()

    def first_lines(self) -> Iterator[str]:
        """Return what the relay is to hear as soon as it is there."""
        for session in self.sessions.values():
            if not session.over and not session.given_up:
                yield start_line(session.number, session.command, session.mark, self._term)
        for line, _ in self._questions.values():
            yield line

    def tell(self, line: str) -> None:
        """Send a line, as soon as the tree is complete."""
        if self.is_over or self._trunk is None:
            return
        if self._rank is None:
            self._unsent.append(line)
        else:
            self._trunk.tell([self._rank], line)

    def numbered(self, rank: int) -> None:
        """Take the number by which TakTuk finds the host, and send what waits."""
        assert self._trunk is not None
        self._rank = rank
        unsent, self._unsent = self._unsent, []
        for line in unsent:
            self._trunk.tell([rank], line)

    async def ask(self, kind: str, *words: str) -> bool:
        """Ask the relay (``k``: signal, ``a``: is it alive) and return its answer.

        :raises ConnectorError: when there is none.
        """
        if self.is_over:
            return await self._elsewhere(self.host).ask(kind, *words)
        self._numbers += 1
        number = self._numbers
        line = " ".join([kind, str(number), *words])
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._questions[number] = (line, answer)
        self.tell(line)
        try:
            return await asyncio.wait_for(answer, CONNECT_TIMEOUT)
        except TimeoutError:
            raise ConnectionLost(self.host.name, f"no answer within {CONNECT_TIMEOUT} s") from None
        finally:
            self._questions.pop(number, None)
            self.settled()

    def settled(self) -> None:
        """Have the tree look whether there is anything left to do."""
        if self._trunk is not None:
            self._trunk.settled()

    # from the relay, and from TakTuk about it

    def heard(self, said: Said) -> None:
        """Take a line of the relay, or a piece of one."""
        line = said.rest
        if not said.whole or said.kind in self._pieces:
            pieces = self._pieces.setdefault(said.kind, bytearray())
            pieces += line
            if not said.whole:
                return
            line = bytes(self._pieces.pop(said.kind))
        if said.kind == "o":
            self._understand(line)
        else:
            self.noted(line.decode("utf-8", "replace"))

    def _understand(self, line: bytes) -> None:
        kind, _, rest = line.partition(b" ")
        number, _, rest = rest.partition(b" ")
        if kind == b"a":
            _, answer = self._questions.get(int(number), ("", None))
            if answer is not None and not answer.done():
                answer.set_result(rest == b"1")
            return
        session = self.sessions.get(int(number))
        if session is None:
            return
        if kind in (b"o", b"r"):
            session.received("stdout" if kind == b"o" else "stderr", payload(rest))
        elif kind == b"w":
            session.taken(int(rest))
        elif kind == b"s":
            session.started(int(rest))
        elif kind == b"n":
            what, _, why = rest.partition(b" ")
            session.not_started(what.decode(), payload(why).decode("utf-8", "replace"))
        elif kind == b"e":
            status, _, left = rest.partition(b" ")
            session.ended(int(status), others_left=left == b"1")

    def noted(self, words: str) -> None:
        """Remember what the ssh program, or perl there, says."""
        self._said = [*self._said[1 - _KEPT :], words.strip()]

    def why(self) -> str:
        """Return why it could not be reached, or was lost."""
        return reason(self._said, self.host)

    def relay_ended(self, status: int) -> None:
        """Take the end of the relay, which is not to end while there is something to do."""
        how = f"signal {status & 0x7F}" if status & 0x7F else f"exit code {status >> 8}"
        started = any(session.is_running for session in self.sessions.values())
        words = f"its relay ended with {how}{f': {self._said[-1]}' if self._said else ''}"
        self.fail(ConnectionLost(self.host.name, words) if started else StartFailed(self.host.name, words))

    def leave(self, error: ConnectorError) -> None:
        """Have the relay end what it runs, and itself."""
        self.tell("q")
        self.fail(error)

    def fail(self, error: ConnectorError) -> None:
        """Give the host up: it could not be reached, or was lost."""
        self.is_over = True
        for session in list(self.sessions.values()):
            if not session.over:
                session.fail(error)
        for _, answer in list(self._questions.values()):
            with contextlib.suppress(asyncio.InvalidStateError):
                answer.set_exception(error)
        self.settled()
