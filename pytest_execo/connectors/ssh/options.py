"""What a connection is opened with, and why it was not, in words."""

from __future__ import annotations

import os
from typing import Any

import asyncssh

from ...hosts import Host
from ..host_keys import ACCEPT_NEW, CHANGED, host_keys

__all__ = ("CONNECT_TIMEOUT", "options", "reason")

# Seconds. A host that accepts and never answers must not hold a campaign; 20 s is what execo's users are used to.
CONNECT_TIMEOUT = 20
# A cut network is noticed after 3 times 10 s without any answer; OpenSSH's own default is never.
_KEEPALIVE_INTERVAL = 10
# First those that cost asyncssh one call for a packet, not four: half of its CPU time for a short command. The others
# follow, for servers that have neither.
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"


def options(host: Host) -> dict[str, Any]:
    """What asyncssh is told. What the host does not say is left to the user's ssh configuration and agent."""
    options: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT,
        "login_timeout": CONNECT_TIMEOUT,
        "keepalive_interval": _KEEPALIVE_INTERVAL,
        "keepalive_count_max": 3,
        "client_version": "pytest-execo",
    }
    if host.port is not None:
        options["port"] = host.port
    if host.user is not None:
        options["username"] = host.user
    if host.keyfile is not None:
        # The key says who we are: neither the agent nor other keys are offered (servers count the attempts).
        options |= {"client_keys": [host.keyfile], "agent_path": None}
    accepted = host_keys.known(host) if host.host_key in (None, ACCEPT_NEW) else host.host_key
    if accepted is not None:
        options["known_hosts"] = ([asyncssh.import_public_key(accepted)], [], [])
    elif host.host_key == ACCEPT_NEW:
        options["known_hosts"] = None
    if host.keyfile is not None and host.host_key is not None:
        options["config"] = None  # all is said: nothing of ~/.ssh is read
        options["encryption_algs"] = _CIPHERS
    return options


def reason(error: BaseException, host: Host | None = None) -> str:
    if isinstance(error, asyncssh.HostKeyNotVerifiable) and host is not None and host_keys.known(host) is not None:
        return CHANGED
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return f"host key not verified ({error.reason}); add it to ~/.ssh/known_hosts, or give host_key="
    if isinstance(error, asyncssh.PermissionDenied):
        return f"authentication refused ({error.reason})"
    if isinstance(error, asyncssh.Error):
        return error.reason
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT} s"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        # asyncio puts its own words into strerror ("Connect call failed …").
        return os.strerror(error.errno) + (f": {error.filename}" if error.filename else "")
    return str(error) or type(error).__name__
