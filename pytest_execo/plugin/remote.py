"""What the fixture ``remote`` gives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..hosts import Host, Hosts
from ..processes import CommandLine, Remote

__all__ = ("RemoteProcesses",)


class RemoteProcesses:
    """Starts groups of processes on the nodes of a test. They end with the test that asked for this fixture."""

    def __init__(self, nodes: Hosts) -> None:
        self.nodes = nodes

    def __call__(self, cmd: CommandLine, hosts: Iterable[Host | str] | None = None, **options: Any) -> Remote:
        """Make a group and do not start it. ``hosts``: all the nodes; options are those of :class:`Remote`."""
        return Remote(cmd, self.nodes if hosts is None else hosts, **options)

    def run(
        self, cmd: CommandLine, hosts: Iterable[Host | str] | None = None, *, check: bool = True, **options: Any
    ) -> Remote:
        """Run ``cmd`` on the nodes and wait for the last; see :meth:`Remote.run`."""
        return self(cmd, hosts, **options).run(check=check)

    def start(self, cmd: CommandLine, hosts: Iterable[Host | str] | None = None, **options: Any) -> Remote:
        """Start ``cmd`` on the nodes and return at once."""
        return self(cmd, hosts, **options).start()
