"""A host, and a group of hosts: where processes run.

A :class:`Host` is data (how to reach it, what it is) with the verbs of the process floor at hand. Testbeds make
them; a user may too: ``Host("frontend.lyon", user="alice")``. Hosts are values: frozen, hashable, comparable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from .processes.groups import Get, Put, Remote
    from .processes.process import CommandLine, Process

__all__ = ("Host", "Hosts")


@dataclass(frozen=True)
class Host:
    """A machine that processes can be started on.

    :param address: what to connect to: an IP address or a name (an alias of ``~/.ssh/config`` too).
    :param name: what people call it, in messages, records and ``{{{host}}}``. Default: the address.
    :param user: login name. ``None``: as the ssh configuration says, else the local user.
    :param port: ``None``: as the ssh configuration says, else 22.
    :param keyfile: path of a private key. ``None``: the agent's keys and the configuration's.
    :param host_key: the server's public key, ``"ssh-ed25519 AAAA…"``. When given it is the only one accepted;
        otherwise the user's known hosts decide, as with the ssh program.
    :param connector: the name of the connector that reaches it.
    :param max_sessions: processes that share one connection before another one is opened; 10 is OpenSSH's
        ``MaxSessions``.
    :param description: what the testbed says of it, as JSON (it goes into the campaign's description).
    """

    address: str
    name: str = ""
    user: str | None = None
    port: int | None = None
    keyfile: str | None = None
    host_key: str | None = None
    connector: str = "ssh"
    max_sessions: int = 10
    description: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.address)

    def __str__(self) -> str:
        return self.name

    def run(self, cmd: CommandLine, *, check: bool = True, **options: Any) -> Process:
        """Run ``cmd`` here, wait for its end and return it. Same options as :class:`~pytest_execo.Process`.

        :raises ProcessFailed: when it was not ok, unless ``check=False``.
        """
        process: Process = _processes().Process(cmd, self, **options).run(check=check)
        return process

    def start(self, cmd: CommandLine, **options: Any) -> Process:
        """Start ``cmd`` here and return it at once. Same options as :class:`~pytest_execo.Process`."""
        process: Process = _processes().Process(cmd, self, **options).start()
        return process

    def put(self, src: str | PathLike[str], dst: str | PathLike[str] = ".") -> Put:
        """Copy a file or a directory of this machine to the host (relative to the login directory).

        :raises ProcessFailed: when it was not copied.
        """
        copy: Put = _processes().Put([self], src, dst).run()
        return copy

    def get(self, src: str | PathLike[str], dst: str | PathLike[str] = ".") -> Get:
        """Copy a file or a directory of the host to this machine.

        :raises ProcessFailed: when it was not copied.
        """
        copy: Get = _processes().Get([self], src, dst).run()
        return copy

    def disconnect(self) -> None:
        """Close the connections to this host that processes share; the next process opens a new one.

        Processes that run over them end with ``ConnectionLost``.
        """
        _processes().disconnect([self])


class Hosts(Sequence[Host]):
    """An immutable sequence of hosts with the verbs of a group: ``nodes.run(…)``, ``nodes[:2].start(…)``."""

    def __init__(self, hosts: Iterable[Host] = ()) -> None:
        self._hosts = tuple(hosts)

    def run(self, cmd: CommandLine, *, check: bool = True, **options: Any) -> Remote:
        """Run ``cmd`` on all of them at once and wait for the last. Same options as :class:`~pytest_execo.Remote`.

        :raises ProcessFailed: with every failed process, unless ``check=False``.
        """
        group: Remote = _processes().Remote(cmd, self, **options).run(check=check)
        return group

    def start(self, cmd: CommandLine, **options: Any) -> Remote:
        """Start ``cmd`` on all of them and return at once. Same options as :class:`~pytest_execo.Remote`."""
        group: Remote = _processes().Remote(cmd, self, **options).start()
        return group

    def put(self, src: str | PathLike[str], dst: str | PathLike[str] = ".") -> Put:
        """Copy a file or a directory of this machine to all of them."""
        copy: Put = _processes().Put(self, src, dst).run()
        return copy

    def get(self, src: str | PathLike[str], dst: str | PathLike[str] = ".") -> Get:
        """Copy a file or a directory of each to this machine; ``{{{host}}}`` in ``dst`` keeps them apart."""
        copy: Get = _processes().Get(self, src, dst).run()
        return copy

    def disconnect(self) -> None:
        """Close the connections to these hosts; see :meth:`Host.disconnect`."""
        _processes().disconnect(self)

    @property
    def names(self) -> list[str]:
        """The names, in order."""
        return [host.name for host in self._hosts]

    def __len__(self) -> int:
        return len(self._hosts)

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts)

    @overload
    def __getitem__(self, index: int) -> Host: ...
    @overload
    def __getitem__(self, index: slice) -> Hosts: ...
    def __getitem__(self, index: int | slice) -> Host | Hosts:
        return Hosts(self._hosts[index]) if isinstance(index, slice) else self._hosts[index]

    def __eq__(self, other: object) -> bool:
        return self._hosts == other._hosts if isinstance(other, Hosts) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._hosts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self.names[:4])}{' …' if len(self) > 4 else ''} ({len(self)})>"


def _processes() -> Any:
    # The verbs are a shorthand for the process floor, which stands above this module; it loads on first use.
    from . import processes

    return processes
