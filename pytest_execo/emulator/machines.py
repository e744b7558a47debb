"""What stands for the nodes: whoever makes them reachable, fresh, and takes them away."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ("Machines", "NoMachines")


class Machines(ABC):
    """The machines of all sites. Called by the platform, from one thread at a time; node names are full names."""

    @abstractmethod
    def provide(
        self,
        site: str,
        nodes: Sequence[str],
        *,
        user: str,
        environment: str | None,
        keys: Sequence[str],
        vlan: str | None = None,
    ) -> None:
        """Make nodes reachable, fresh: a new disk, a new host key, nothing of what ran there before.

        :param environment: what was deployed; ``None``: the standard system, in which ``user`` logs in.
        :param keys: public keys that may log in.
        """

    @abstractmethod
    def withdraw(self, nodes: Sequence[str]) -> None:
        """Switch nodes off and forget their disks. Nodes that are off stay off."""

    @abstractmethod
    def power_off(self, node: str) -> None:
        """The node dies, without warning: a fault."""

    @abstractmethod
    def reach(self, nodes: Sequence[str]) -> list[Mapping[str, Any]]:
        """Say how nodes are reached: ``name``, ``address``, ``port``, ``user``, ``keyfile``, ``host_key``.

        Nodes that are off are left out.
        """

    @abstractmethod
    def close(self) -> None:
        """End all of them. A second call does nothing."""


class NoMachines(Machines):
    """Nodes that are only remembered: for tests of the platform, and where only the API is wanted."""

    def __init__(self) -> None:
        #: Node → what it was provided with, while it is on.
        self.on: dict[str, dict[str, Any]] = {}

    def provide(
        self,
        site: str,
        nodes: Sequence[str],
        *,
        user: str,
        environment: str | None,
        keys: Sequence[str],
        vlan: str | None = None,
    ) -> None:
        """Remember them."""
        for node in nodes:
            self.on[node] = {"site": site, "user": user, "environment": environment, "keys": tuple(keys), "vlan": vlan}

    def withdraw(self, nodes: Sequence[str]) -> None:
        """Forget them."""
        for node in nodes:
            self.on.pop(node, None)

    def power_off(self, node: str) -> None:
        """Forget it."""
        self.on.pop(node, None)

    def reach(self, nodes: Sequence[str]) -> list[Mapping[str, Any]]:
        """Say their names, at an address where nobody answers."""
        return [{"name": node, "address": "127.0.0.1", "port": 1} for node in nodes if node in self.on]

    def close(self) -> None:
        """Forget all."""
        self.on.clear()
