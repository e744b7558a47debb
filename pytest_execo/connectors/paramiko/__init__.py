"""The connector for code and sites that live on paramiko; the extra ``paramiko`` installs what it stands on.

Paramiko has a thread for each connection, which decrypts what comes; nothing that is made here adds one for a command.
What it would have a caller wait for is told to the event loop (:mod:`.transport`), what it would block in sending is
sent by the loop (:mod:`.wire`); only the opening of channels, and file transfer, block: in a few threads that all
hosts share. Paramiko drops the signal that ended a command, so that the host has to report it (``report.sh``).

Lives here: the connector; how a host is reached and logged in to (:mod:`.login`, :mod:`.reach`, :mod:`.handshake`); one
connection (:mod:`.connection`) and one line that runs over it (:mod:`.channel`); its files; the client that
``Host.paramiko()`` hands out (:mod:`.client`). Importing this package doesn't import paramiko: it may be missing.
"""

from __future__ import annotations

from .connector import ParamikoConnector

__all__ = ("ParamikoConnector",)
