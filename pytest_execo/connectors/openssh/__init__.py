"""The connector for those whose way to a host only their own ssh program knows: OpenSSH and its ControlMaster.

What the user's configuration says (``~/.ssh/config``, agent, ``ProxyJump``, GSSAPI, hardware keys, known hosts) is done
by the very program that it was written for. One master process holds each connection; every command is one more
``ssh``, which hands its pipes to the master over a socket and costs a fork instead of a handshake. Lives here: what the
program is called with (:mod:`.options`), where sockets are and who ends masters when this process is gone
(:mod:`.nest`), one connection (:mod:`.connection`), its master (:mod:`.master`) and its clients (:mod:`.client`): lines
(:mod:`.channel`), files and TCP streams (:mod:`.streams`); and the connector.

``EXECO_OPENSSH`` says what program is run, with options for it: ``ssh -F FILE``, or ``oarsh`` on a cluster managed by
OAR; the default is ``ssh``.
"""

from __future__ import annotations

from .connector import OpensshConnector

__all__ = ("OpensshConnector",)
