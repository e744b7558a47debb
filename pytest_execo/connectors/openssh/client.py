"""A client of a master: one more ssh program, which hands its pipes to the master and waits for the end."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable

from ..child import Child, Spawn
from ..supervision import RawReceiver

__all__ = ("TROUBLE", "Client")

#: What the program ends with for its own reasons, and when the end of the command is not known.
TROUBLE = 255


class Client(RawReceiver):
    """What all clients have in common: a child, and how it ended."""

    def __init__(self) -> None:
        self._child = Child(self)
        #: The exit code and the signal that it ended by.
        self.exit: tuple[int | None, int | None] = (None, None)
        #: Set when its process has ended and all that it wrote was taken.
        self.over: asyncio.Event = asyncio.Event()
        self._gone: Callable[[], None] = lambda: None
        self._is_killed = False

    def spawn(self, how: Spawn, gone: Callable[[], None]) -> None:
        """Start it.

        :param gone: called at its end.
        :raises OSError: of ``exec``.
        """
        self._child.spawn(how)
        self._gone = gone

    def kill(self) -> None:
        """End it at once. A second call does nothing."""
        if not self._is_killed:
            self._is_killed = True
            self._child.close()

    def exited(self, exit_code: int | None, signal: int | None) -> None:
        self.exit = (exit_code, signal)
        if self._is_killed:
            # What holds its pipes, the master or a daemon, is not waited for.
            asyncio.get_running_loop().call_soon(self._child.close)

    def closed(self, reason: str | None) -> None:
        self.over.set()
        self._gone()
        self.settled()

    @abstractmethod
    def settled(self) -> None:
        """Draw the conclusions: it has ended, and all that it wrote was taken."""
