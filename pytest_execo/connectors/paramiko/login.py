"""How a host is logged in to: where it is, who we are there, and which host keys are believed.

What the host does not say is left to the user's ssh configuration, which paramiko reads (it knows no ``Include``), and
to the agent. Files are read and the agent is asked, so that this blocks.
"""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncssh
import paramiko  # type: ignore[import-untyped, unused-ignore]

from ...errors import ConnectionFailed
from ...hosts import Host
from ..host_keys import ACCEPT_NEW, CHANGED, host_keys
from ..ssh.options import reason as ssh_reason

__all__ = ("Login", "login", "reason")

_CONFIGURATION = "~/.ssh/config"
_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
_GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
_KEY_FILES = tuple(f"~/.ssh/id_{kind}" for kind in ("ed25519", "ecdsa", "rsa"))
# An RSA key signs in two ways; the third, which is called as the key is, is not secure.
_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


@dataclass
class Login:
    """All that is needed to connect to a host.

    :param accepted: the host keys that are believed, ``"ssh-ed25519 AAAA…"``; ``None``: any, at the first contact.
    :param jumps: ``[user@]host[:port]`` of each host on the way, the first one first.
    :param command: a program whose input and output are the connection.
    """

    host: Host
    address: str
    port: int
    user: str
    keys: Sequence[Any] = ()
    accepted: tuple[str, ...] | None = None
    jumps: tuple[str, ...] = ()
    command: str | None = None
    _agent: Any = field(default=None, repr=False)

    def restrict(self, transport: Any) -> None:
        """Have the server show a key of a type that we know, of those it has.

        :raises ConnectionFailed: when paramiko knows none of the types.
        """
        if self.accepted is None:
            return
        options = transport.get_security_options()
        wanted = [name for key in self.accepted for name in _signatures(key.split()[0])]
        known = [name for name in options.key_types if name in wanted]
        if self.accepted and not known:
            raise ConnectionFailed(
                self.host.name,
                f"host key of a type that paramiko does not know: {self.accepted[0].split()[0]}; "
                f"it knows {', '.join(options.key_types)}",
            )
        if known:  # else no key is believed, and the one that is shown is named
            options.key_types = known

    def check(self, key: Any) -> None:
        """Compare the key that the host has shown, and remember it.

        :raises ConnectionFailed: when it is not to be believed.
        """
        shown = f"{key.get_name()} {key.get_base64()}"
        if self.accepted is not None and shown not in self.accepted:
            raise ConnectionFailed(self.host.name, self.untrusted())
        host_keys.check(self.host, shown)

    def untrusted(self) -> str:
        """Say that the host's key is not believed."""
        if _pinned(self.host) is not None:
            return CHANGED
        return (
            f"host key not verified (Host key is not trusted for host {self.address}); "
            "add it to ~/.ssh/known_hosts, or give host_key="
        )

    def refused(self, why: str | None = None) -> str:
        """Say that the server does not let us in."""
        if not self.keys:
            why = "no key to offer: give keyfile=, or start the ssh agent"
        return f"authentication refused ({why or f'Permission denied for user {self.user} on host {self.address}'})"

    def close(self) -> None:
        """Let go of the agent: its keys sign no more."""
        if self._agent is not None:
            self._agent.close()
            self._agent = None


def login(host: Host) -> Login:
    """Return how to log in to ``host``; to be closed.

    :raises ConnectionFailed: when a file that is named can't be used.
    """
    try:
        # With a key of both sides all is said: nothing of ~/.ssh is read.
        said = {} if host.keyfile is not None and host.host_key is not None else _configuration(host.address)
        address = said.get("hostname", host.address)
        port = host.port if host.port is not None else int(said.get("port", 22))
        keys, agent = _keys(host, said)
        return Login(
            host=host,
            address=address,
            port=port,
            user=host.user or said.get("user") or getpass.getuser(),
            keys=keys,
            accepted=_accepted(host, said, address, port),
            jumps=_jumps(host, said),
            command=said.get("proxycommand"),
            _agent=agent,
        )
    except (OSError, ValueError, ImportError, paramiko.SSHException) as error:
        raise ConnectionFailed(host.name, reason(error)) from error


def reason(error: BaseException) -> str:
    """Say in words why something failed."""
    if isinstance(error, asyncssh.Error):
        return error.reason
    if isinstance(error, EOFError):
        return "Connection lost"
    return ssh_reason(error)


def _configuration(address: str) -> dict[str, Any]:
    path = os.path.expanduser(_CONFIGURATION)
    if not os.path.isfile(path):
        return {}
    said: dict[str, Any] = paramiko.SSHConfig.from_path(path).lookup(address)
    return said


def _pinned(host: Host) -> str | None:
    return host_keys.known(host) if host.host_key in (None, ACCEPT_NEW) else None


def _accepted(host: Host, said: dict[str, Any], address: str, port: int) -> tuple[str, ...] | None:
    if (pinned := _pinned(host)) is not None:
        return (pinned,)
    if host.host_key == ACCEPT_NEW:
        return None
    if host.host_key is not None:
        key = host.host_key.split()
        if len(key) < 2:
            raise ValueError(f"host_key={host.host_key!r}: not a public key, such as 'ssh-ed25519 AAAA…'")
        return (" ".join(key[:2]),)
    # asyncssh reads these files as ssh does: patterns, hashed names, keys that were revoked.
    files = said.get("userknownhostsfile", _KNOWN_HOSTS).split()
    files += said.get("globalknownhostsfile", _GLOBAL_KNOWN_HOSTS).split()
    there = [path for path in map(os.path.expanduser, files) if os.access(path, os.R_OK)]
    known, _authorities, revoked, *_ = asyncssh.read_known_hosts(there).match(
        said.get("hostkeyalias", address), "", port if port != 22 else None
    )
    lines = [key.export_public_key().decode().split() for key in known if key not in revoked]
    return tuple(" ".join(line[:2]) for line in lines)


def _keys(host: Host, said: dict[str, Any]) -> tuple[list[Any], Any]:
    """Return the keys to offer, and the agent that some of them need."""
    if host.keyfile is not None:
        # The key says who we are: no others are offered (servers count the attempts).
        return [_key(host.keyfile)], None
    named = said.get("identityfile", [])
    keys = [key for path in named or _KEY_FILES if (key := _usable(path)) is not None]
    if said.get("identitiesonly") == "yes":
        return keys, None
    agent = paramiko.Agent()
    blobs = {key.asbytes() for key in keys}
    of_agent = [key for key in agent.get_keys() if key.asbytes() not in blobs]
    # Keys that the configuration names come first; those that merely lie there, last.
    return (keys + of_agent if named else of_agent + keys), agent


def _key(path: str) -> Any:
    try:
        return paramiko.PKey.from_path(os.path.expanduser(path))
    except (ValueError, TypeError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        encrypted = isinstance(error, TypeError | paramiko.PasswordRequiredException)
        why = "it is encrypted; give it to the ssh agent" if encrypted else "not a private key that paramiko knows"
        raise ValueError(f"{path}: {why}") from error


def _usable(path: str) -> Any:
    with contextlib.suppress(OSError, ValueError):
        return _key(path)
    return None


def _jumps(host: Host, said: dict[str, Any]) -> tuple[str, ...]:
    jumps = tuple(jump.strip() for jump in said.get("proxyjump", "none").split(","))
    # What is said of all hosts is said of the first one on the way too.
    if jumps[0].lower() == "none" or jumps[0].rpartition("@")[2].split(":")[0] == host.address:
        return ()
    return jumps


def _signatures(kind: str) -> tuple[str, ...]:
    return _SIGNATURES.get(kind, (kind,))
