"""From a socket to a transport that is logged in: keys of the session, the host's key, ours."""

from __future__ import annotations

import socket
from typing import Any

import paramiko  # type: ignore[import-untyped, unused-ignore]

from ...errors import ConnectionFailed
from .login import Login, reason
from .transport import Transport, told

__all__ = ("authenticate", "failure", "negotiate")


async def negotiate(transport: Transport, login: Login) -> None:
    """Agree on keys and verify the host's.

    :raises ConnectionFailed: with the reason.
    """
    login.restrict(transport)
    await told(transport.start_client)
    if not transport.is_active():
        raise failure(login, transport.get_exception(), transport.wire.lost)
    login.check(transport.get_remote_server_key())


async def authenticate(transport: Transport, login: Login) -> None:
    """Offer our keys, one after the other.

    :raises ConnectionFailed: when none is taken.
    """
    for key in login.keys:
        await told(lambda event, key=key: transport.auth_publickey(login.user, key, event))  # type: ignore[misc]
        if transport.is_authenticated():
            return
        error = transport.get_exception()
        if not transport.is_active():
            # Some servers hang up at the last attempt, and say so.
            raise ConnectionFailed(login.host.name, login.refused(transport.wire.lost or reason(error)))
        if isinstance(error, paramiko.ssh_exception.PartialAuthentication):
            wanted = ", ".join(error.allowed_types)
            raise ConnectionFailed(login.host.name, login.refused(f"the server wants more than a key: {wanted}"))
    raise ConnectionFailed(login.host.name, login.refused())


def failure(login: Login, error: Any, lost: str | None = None) -> ConnectionFailed:
    """Return our error for what paramiko raised."""
    host = login.host.name
    if isinstance(error, ConnectionFailed):
        return error
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer) and "host key" in str(error) and login.accepted:
        return ConnectionFailed(host, login.untrusted())
    if isinstance(error, paramiko.AuthenticationException):
        return ConnectionFailed(host, login.refused())
    if isinstance(error, socket.gaierror):
        return ConnectionFailed(host, f"{login.address}: {reason(error)}")
    return ConnectionFailed(host, lost or (reason(error) if error is not None else "Connection lost"))
