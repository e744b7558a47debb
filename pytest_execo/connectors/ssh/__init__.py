"""The default connector for remote hosts: asyncssh, connections shared by all processes of a host.

The first command on a host costs a handshake, every further one a channel (RFC 4254 §5). A connection carries at most
``Host.max_sessions`` commands at a time, its guard included; past it a further connection is opened. Lives here: the
connector, what a connection is opened with (:mod:`.options`), one connection (:mod:`.connection`), and its files
(:mod:`.files`); pids, signals and guards are those of :mod:`..supervision`.
"""

from __future__ import annotations

from .connector import SshConnector

__all__ = ("SshConnector",)
