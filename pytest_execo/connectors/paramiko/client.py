"""A client of paramiko's own, for code that lives on paramiko: the rules are those of the connector."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import paramiko  # type: ignore[import-untyped, unused-ignore]
from paramiko.auth_strategy import (  # type: ignore[import-untyped, unused-ignore]
    AuthStrategy,
    InMemoryPrivateKey,
)

from ..ssh import options
from .handshake import failure
from .login import Login
from .transport import LOG, UntimedPacketizer

__all__ = ("open_client",)

# Seconds without anything sent until a sign of life is.
_KEEPALIVE_INTERVAL = 10


def open_client(login: Login, sock: socket.socket) -> paramiko.SSHClient:
    """Log in over ``sock`` and return the client, which closes it. Blocks.

    :raises ConnectionFailed: with the reason; the socket is closed then.
    """
    transports: list[Any] = []

    def transport(sock: socket.socket, **arguments: Any) -> Any:
        made = paramiko.Transport(sock, packetizer_class=UntimedPacketizer, **arguments)
        transports.append(made)
        login.restrict(made)
        return made

    client = paramiko.SSHClient()
    client.set_log_channel(LOG)
    client.set_missing_host_key_policy(_Policy(login))
    try:
        client.connect(
            login.address,
            login.port,
            sock=sock,
            timeout=options.CONNECT_TIMEOUT,
            # The time-out of the whole comes first, and says what it is.
            banner_timeout=2 * options.CONNECT_TIMEOUT,
            auth_timeout=options.CONNECT_TIMEOUT,
            transport_factory=transport,
            auth_strategy=_Keys(login),
        )
    except BaseException as error:
        # What has not even begun a handshake when the time is over, has not answered.
        silent = any(made.is_active() and not made.initial_kex_done for made in transports)
        client.close()
        sock.close()
        for made in transports:
            if made.ident is not None:
                made.join(1)
        if not isinstance(error, Exception):
            raise
        raise failure(login, TimeoutError() if silent else error) from error
    client.get_transport().set_keepalive(_KEEPALIVE_INTERVAL)
    return client


class _Policy(paramiko.MissingHostKeyPolicy):  # type: ignore[misc, unused-ignore]
    """Decides on every host key: the client is told no known ones."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: Any) -> None:
        self._login.check(key)


class _Keys(AuthStrategy):  # type: ignore[misc, unused-ignore]
    """Offers the keys of a login, in order."""

    def __init__(self, login: Login) -> None:
        super().__init__(ssh_config=None)
        self._login = login

    def get_sources(self) -> Iterator[Any]:
        for key in self._login.keys:
            yield InMemoryPrivateKey(self._login.user, key)
