"""Who holds a claim, and whether it still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

__all__ = ("Owner",)


@dataclass(frozen=True)
class Owner:
    """A process that claims trials for a session.

    :param session: the id of its session.
    :param host: the name of its machine.
    :param pid: its process id there.
    :param started: when the process started, in clock ticks since the machine's boot; 0.0 where the system does not
        say. It tells the owner from a later process that was given the same pid.
    """

    session: str
    host: str
    pid: int
    started: float

    @classmethod
    def current(cls, session: str) -> Owner:
        """Return this process as an owner for ``session``."""
        pid = os.getpid()
        return cls(session, socket.gethostname(), pid, _started(pid) or 0.0)

    def is_dead(self) -> bool | None:
        """Whether the process is gone. ``None``: it can't be known from here, as the owner is on another host."""
        if self.host != socket.gethostname():
            return None
        if self.started:
            return _started(self.pid) != self.started
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # somebody else's, so it exists
            return False
        return False


def _started(pid: int) -> float | None:
    """Return the start of a process in clock ticks since boot; ``None`` when there is none, or no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None
    # The second field is the command's name in parentheses; it may hold spaces and parentheses itself.
    fields = stat[stat.rfind(b")") + 2 :].split()
    # A zombie keeps its line until its parent reads its exit code; it will do no more work.
    return None if fields[0] in (b"Z", b"X") else float(fields[19])
