"""The emulator's nodes as embedded SSH nodes: they come with a job or a deployment, and go with it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import TestbedError
from ..testbeds.embedded.client import Client
from .machines import Machines

__all__ = ("RELEASE_FILE", "EmbeddedMachines")

#: Where a node says which environment it runs, below ``/etc``, as on Grid'5000.
RELEASE_FILE = "grid5000/release"
# What nodes run that nobody has deployed.
_STANDARD = "debian12-std"


class EmbeddedMachines(Machines):
    """Nodes that really come and go.

    Each call of :meth:`provide` starts a node manager of its own for its nodes: fresh disks, homes and host keys, and
    the manager ends when the last of them is withdrawn. A deployed node lets ``root`` in, any other one the job's user:
    names only, the rights are those of whoever runs the emulator.

    :param disk: bytes of each node's disk. It is memory, taken as it is filled.
    """

    def __init__(self, *, disk: int = 1 << 30) -> None:
        self._disk = disk
        self._lock = threading.RLock()
        # node → its manager, and its name there: a VLAN is part of the name
        self._on: dict[str, tuple[Client, str]] = {}

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
        """Start them. :raises ReservationFailed: when the machine can't."""
        if not nodes:
            return
        names = [_in_vlan(node, vlan) for node in nodes]
        with self._lock:
            self.withdraw(nodes)
            client = Client(
                {
                    "names": names,
                    "user": "root" if environment is not None else user,
                    "keys": list(keys),
                    "disk": self._disk,
                    "files": {RELEASE_FILE: f"{environment or _STANDARD}\n"},
                }
            )
            self._on.update({node: (client, name) for node, name in zip(nodes, names, strict=True)})

    def withdraw(self, nodes: Sequence[str]) -> None:
        """Switch them off. A manager whose last node goes ends, and takes all disks with it."""
        with self._lock:
            gone = [(node, *self._on.pop(node)) for node in nodes if node in self._on]
            for client in {client for _, client, _ in gone}:
                if any(other is client for other, _ in self._on.values()):
                    for name in [name for _, other, name in gone if other is client]:
                        with contextlib.suppress(TestbedError):  # its manager has gone, and it with that
                            client.ask("power_off", name)
                else:
                    client.release()

    def power_off(self, node: str) -> None:
        """Switch it off without warning. One that is off stays off."""
        with self._lock:
            if node in self._on:
                client, name = self._on[node]
                with contextlib.suppress(TestbedError):
                    client.ask("power_off", name)

    def reach(self, nodes: Sequence[str]) -> list[Mapping[str, Any]]:
        """Say where they listen, and with which key one gets in."""
        found: list[Mapping[str, Any]] = []
        with self._lock:
            for node in nodes:
                if node not in self._on:
                    continue
                client, name = self._on[node]
                listed = next(entry for entry in client.ready["nodes"] if entry["name"] == name)
                found.append({**listed, "name": node, "user": client.ready["user"], "keyfile": client.paths.key})
        return found

    def close(self) -> None:
        """End all managers."""
        with self._lock:
            self.withdraw(list(self._on))


def _in_vlan(node: str, vlan: str | None) -> str:
    host, dot, domain = node.partition(".")
    return node if vlan is None else f"{host}-kavlan-{vlan}{dot}{domain}"
