"""Who holds a claim, and whether it still lives."""

from __future__ import annotations

import functools
import os
import socket
from dataclasses import dataclass, field

__all__ = ("Owner",)


@dataclass(frozen=True)
class Owner:
    """A process that claims trials for a session.

    :param session: the id of its session.
    :param host: the name of its machine, for people.
    :param pid: its process id there.
    :param started: when the process started, in clock ticks since the machine's boot; 0.0 where the system does not
        say. It tells the owner from a later process that was given the same pid.
    :param machine: which machine, since which boot, and which of its pid namespaces: two containers may have one
        name, and the pids of one mean nothing in the other. "" where the system does not say.
    :param records: the file that its records go to; "" when it keeps none.
    """

    session: str
    host: str
    pid: int
    started: float
    machine: str = ""
    records: str = field(default="", compare=False)

    @classmethod
    def current(cls, session: str, *, records: str = "") -> Owner:
        """Return this process as an owner for ``session``."""
        pid = os.getpid()
        return cls(session, socket.gethostname(), pid, _started(pid) or 0.0, _machine(), records)

    def is_dead(self) -> bool | None:
        """Whether the process is gone. ``None``: it can't be known from here, as the owner is on another machine."""
        if self.host != socket.gethostname() or self.machine != _machine():
            return None
        started = _started(self.pid)
        if self.started and started is not None:
            return started != self.started
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # somebody else's, so there is one
            pass
        # There is a process. Where it was known when the owner started, /proc hides it from us now (hidepid), and it
        # may be another one.
        return None if self.started else False


@functools.lru_cache(maxsize=1)
def _machine() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> float | None:
    """Return the start of a process in clock ticks since boot: 0.0 of one that ended, ``None`` if /proc is silent."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None
    # The second field is the command's name in parentheses; it may hold spaces and parentheses itself.
    fields = stat[stat.rfind(b")") + 2 :].split()
    # A zombie keeps its line until its parent reads its exit code; it will do no more work.
    return 0.0 if fields[0] in (b"Z", b"X") else float(fields[19])
