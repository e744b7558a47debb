"""The supervisor and the guard: processes on any transport that can run a line by a login shell.

A transport (asyncssh, the user's ssh program, paramiko) runs lines and carries bytes. All the rest, which makes a
command on it a process, is here and the same for each: the pid, the directory and the environment (:mod:`.lines`), the
conversation from the pid to the end (:mod:`.session`), signals, questions and the end of everything when the
connection or the controller dies (:mod:`.guard`), and the sharing of connections (:mod:`.pool`). On the host only POSIX
sh is needed, for root and for ordinary users alike.
"""

from __future__ import annotations

from .connector import SupervisedConnector
from .guard import lifeline
from .pool import Pool
from .transport import Connection, RawChannel, RawReceiver, Refused

__all__ = ("Connection", "Pool", "RawChannel", "RawReceiver", "Refused", "SupervisedConnector", "lifeline")
