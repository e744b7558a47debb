"""A host, and a group of hosts: where processes run.

A :class:`Host` is data (how to reach it, what it is) with the verbs of the process floor at hand. Testbeds make
them; a user may too: ``Host("frontend.lyon", user="alice")``. Hosts are values: frozen, hashable, comparable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import paramiko as paramiko_library  # type: ignore[import-untyped, unused-ignore]

    from .connectors.paramiko import ParamikoConnector
    from .processes.chain import ChainPut
    from .processes.choosing import Method
    from .processes.forwarding import PortForwarder
    from .processes.groups import Get, Put, Remote
    from .processes.process import CommandLine, Process
    from .processes.taktuk import TaktukPut
    from .processes.transfer import Path, Paths

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

    def put(self, src: Paths, dst: Path = ".", **options: Any) -> Put:
        """Copy files and directories of this machine to the host (relative to the login directory), by SFTP.

        :param src: a path or pattern, or several. All rules and options: :class:`~pytest_execo.processes.Transfer`.
        :raises ProcessFailed: when not all was copied.
        """
        copy: Put = _processes().Put([self], src, dst, **options).run()
        return copy

    def get(self, src: Paths, dst: Path = ".", **options: Any) -> Get:
        """Copy files and directories of the host to this machine, by SFTP. Parameters as for :meth:`put`.

        :raises ProcessFailed: when not all was copied.
        """
        copy: Get = _processes().Get([self], src, dst, **options).run()
        return copy

    def forward(self, port: int, remote_host: str = "localhost", **options: Any) -> PortForwarder:
        """Have a port of this machine lead to ``port`` of ``remote_host``, as this host knows it; default: itself.

        Same options as :class:`~pytest_execo.PortForwarder`, which is returned when the host was reached; it ends with
        :meth:`~PortForwarder.kill`, a ``with`` block, or the test.

        :raises ProcessFailed: when that can't be.
        """
        forwarder: PortForwarder = _processes().PortForwarder(self, remote_host, port, **options).start().ready()
        return forwarder

    def disconnect(self) -> None:
        """Close the connections to this host that processes share; the next process opens a new one.

        Processes that run over them end with ``ConnectionLost``.
        """
        _processes().disconnect([self])

    def paramiko(self) -> paramiko_library.SSHClient:
        """Return a client of paramiko's, connected and logged in: for code that lives on paramiko.

        Address, user, keys and host keys are what the ``paramiko`` connector goes by, whatever connector this host has
        itself. The client is the caller's, to be closed by ``close()`` or by ``with``; :meth:`disconnect` and the end
        of a test leave it alone. It shares nothing with the processes that run here. Where it goes through other hosts
        or a program (``ProxyJump``, ``ProxyCommand``), these serve it until it is closed or the interpreter ends.

        :raises ConnectionFailed: with the reason; also when paramiko is not installed.
        """
        from .processes.io_thread import io_thread

        thread = io_thread()

        async def connect() -> paramiko_library.SSHClient:
            connector: ParamikoConnector = thread.connector("paramiko")  # type: ignore[assignment]
            return await connector.client(self)

        connecting = thread.submit(connect())
        try:
            return connecting.result()
        except BaseException:
            connecting.cancel()
            raise


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

    def put(
        self, src: Paths, dst: Path = ".", *, method: Method = "auto", **options: Any
    ) -> Put | ChainPut | TaktukPut:
        """Copy files and directories of this machine to all of them; return the group that did it.

        :param src: a path or pattern, or several. ``{{{host}}}`` is replaced in ``src`` and ``dst``.
        :param method: ``sftp``: to each by itself (:class:`~pytest_execo.Put`); ``chain``: once from here, and on from
            host to host (:class:`~pytest_execo.ChainPut`), over TCP and not encrypted; ``taktuk``: through TakTuk's
            tree, where it is installed. ``auto``: one of the first two, by how much goes to how many of them; hosts
            that a chain can't reach are then copied to by SFTP. The rule: :mod:`pytest_execo.processes.choosing`.
        :param options: those of the class. One that only one of them has decides between them.
        :raises ProcessFailed: with every host to which not all was copied.
        """
        copy: Put | ChainPut | TaktukPut = _processes().make_put(self, src, dst, method=method, **options).run()
        return copy

    def get(self, src: Paths, dst: Path = ".", **options: Any) -> Get:
        """Copy files and directories of each to this machine; ``{{{host}}}`` in ``dst`` keeps them apart.

        Options are those of :class:`~pytest_execo.processes.Transfer`.

        :raises ProcessFailed: with every host from which not all was copied.
        """
        copy: Get = _processes().Get(self, src, dst, **options).run()
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
