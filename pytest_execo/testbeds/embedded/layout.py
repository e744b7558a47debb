"""What a lease looks like on disk, and who logs in: names, directories, and the text of the files.

::

    <lease directory>/            0700, removed with the lease
      key, ssh_config, known_hosts    for ``ssh -F``
      manager.log, pids
      nodes/node-1/               the disk of node-1, a file system of its own where mounts are allowed
        home/ tmp/ var-tmp/ shm/ etc/
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ("Account", "Address", "Paths", "account", "known_hosts", "ssh_config")

_FALLBACK_SHELL = "/bin/sh"


@dataclass(frozen=True)
class Address:
    """Where a node answers. ``name`` is ``node-1.local``; ``short`` is ``node-1``."""

    name: str
    ip: str
    port: int
    host_key: str

    @property
    def short(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Paths:
    """The files of a lease."""

    directory: str

    @property
    def key(self) -> str:
        return os.path.join(self.directory, "key")

    @property
    def ssh_config(self) -> str:
        return os.path.join(self.directory, "ssh_config")

    @property
    def known_hosts(self) -> str:
        return os.path.join(self.directory, "known_hosts")

    @property
    def log(self) -> str:
        return os.path.join(self.directory, "manager.log")

    @property
    def pids(self) -> str:
        return os.path.join(self.directory, "pids")

    @property
    def nodes(self) -> str:
        return os.path.join(self.directory, "nodes")

    def disk(self, address: Address) -> str:
        return os.path.join(self.nodes, address.short)

    def home(self, address: Address) -> str:
        return os.path.join(self.disk(address), "home")


@dataclass(frozen=True)
class Account:
    """The one user of a node: the user who runs the controller, with a home on the node."""

    user: str
    home: str
    shell: str
    environment: Mapping[str, str]


def user_name() -> str:
    """Return the name of the current user; one is made up where the machine has none, as in many containers."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user{os.getuid()}"


def account(home: str, hostname: str, user: str | None = None) -> Account:
    """Return the account of the current user with ``home``, and the environment that its commands start with.

    :param user: what the user is called on the node; default: as on this machine. Only the name is another: the
        number, and so the rights, are those of the current user.
    """
    user = user or user_name()
    try:
        shell = pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:
        shell = ""
    # Service accounts have a shell that refuses to be one.
    if os.path.basename(shell) in ("", "nologin", "false") or not os.access(shell, os.X_OK):
        shell = _FALLBACK_SHELL
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TZ")}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("LC_")}
    environment.setdefault("PATH", os.defpath)
    environment |= {"HOME": home, "USER": user, "LOGNAME": user, "SHELL": shell, "HOSTNAME": hostname}
    return Account(user, home, shell, environment)


def ssh_config(addresses: Iterable[Address], user: str, key: str, known: str) -> str:
    """Return a configuration for the ssh program: nodes by name, with this key and these host keys only."""
    addresses = list(addresses)
    # Patterns, not 200 names: nodes are numbered.
    patterns = dict.fromkeys(node.short.rstrip("0123456789") + "*" for node in addresses)
    blocks = [f"Host {node.name} {node.short}\n  HostName {node.ip}\n  Port {node.port}\n" for node in addresses]
    blocks.append(
        f"Host {' '.join(patterns)}\n"
        f"  User {user}\n"
        f"  IdentityFile {_quote(key)}\n"
        "  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {_quote(known)}\n"
        "  GlobalKnownHostsFile /dev/null\n"
        "  StrictHostKeyChecking yes\n"
        # New host keys that the server offers would be written into the file.
        "  UpdateHostKeys no\n"
        "  BatchMode yes\n"
    )
    return "".join(blocks)


def _quote(path: str) -> str:
    return '"' + path.replace("%", "%%") + '"'


def known_hosts(addresses: Iterable[Address]) -> str:
    """Return the host keys of the nodes as the ssh program keeps them."""
    return "".join(f"[{address.ip}]:{address.port} {address.host_key}\n" for address in addresses)


def hosts(addresses: Iterable[Address], original: str) -> str:
    """Return an ``/etc/hosts`` that has the nodes too."""
    lines = "".join(f"{address.ip} {address.name} {address.short}\n" for address in addresses)
    return original.rstrip("\n") + "\n" + lines


def passwd(owner: Account, original: str) -> str:
    """Return an ``/etc/passwd`` in which the user lives on the node: the ssh program asks it, not ``$HOME``."""
    entry = f"{owner.user}:x:{os.getuid()}:{os.getgid()}:{owner.user}:{owner.home}:{owner.shell}"
    others = [line for line in original.splitlines() if line and line.split(":")[0] != owner.user]
    return "\n".join([entry, *others]) + "\n"


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Write a file that never had more than ``mode``."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
