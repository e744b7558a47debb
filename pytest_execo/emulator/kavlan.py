"""KaVLAN of one site: which VLANs there are, who holds them, which network interface is in which."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ("DEFAULT", "Kavlan", "Vlan", "global_vlan")

#: The VLAN of everybody, in which a node is unless it was moved.
DEFAULT = "DEFAULT"
_LOCAL = range(1, 4)
_ROUTED = range(4, 10)


@dataclass(frozen=True)
class Vlan:
    """A VLAN; ``kind`` is its type in the API: ``kavlan-local``, ``kavlan``, ``kavlan-global``…"""

    uid: str
    kind: str


class Kavlan:
    """The VLANs of one site.

    Safe to use from several threads. What jobs hold is asked of ``holders`` each time, so that a VLAN is nobody's as
    soon as its job is over.

    :param site: its description in the reference data, with ``kavlans`` and clusters.
    :param remote: ids of the other sites' global VLANs.
    :param holders: returns who holds which VLAN by a running job: pairs of user and id.
    :param owners: returns who has which node by a running job of type deploy: node → user.
    """

    def __init__(
        self,
        site: Mapping[str, Any],
        nodes: Iterable[Mapping[str, Any]],
        remote: Iterable[str],
        *,
        holders: Callable[[], Sequence[tuple[str, str]]],
        owners: Callable[[], Mapping[str, str]],
    ) -> None:
        self._lock = threading.Lock()
        own = sorted(int(uid) for uid in site.get("kavlans", {}) if str(uid).isdecimal())
        vlans = [Vlan(DEFAULT, "kavlan-default"), *(Vlan(str(uid), _kind(uid)) for uid in own)]
        vlans += [Vlan(uid, "kavlan-global-remote") for uid in sorted(remote, key=int) if int(uid) not in own]
        #: By id, in the order of the API.
        self.vlans: dict[str, Vlan] = {vlan.uid: vlan for vlan in vlans}
        self._holders = holders
        #: Returns who holds the other sites' global VLANs, which are on all sites: pairs of user and id.
        self.remote_holders: Callable[[], Sequence[tuple[str, str]]] = tuple
        self._owners = owners
        # interface (its name in the network) → node
        self._node_of: dict[str, str] = {}
        for node in nodes:
            self._node_of.update(_interfaces(str(site["uid"]), node))
        self._moved: dict[str, str] = {}
        self._added: dict[str, set[str]] = {uid: set() for uid in self.vlans}
        #: VLANs whose DHCP server is stopped.
        self.without_dhcp: set[str] = set()

    # interfaces

    def interfaces(self) -> list[str]:
        """Return the names of all interfaces that can be moved."""
        return list(self._node_of)

    def vlan_of(self, interface: str) -> str:
        """Return the id of the VLAN that it is in. :raises KeyError: unknown."""
        if interface not in self._node_of:
            raise KeyError(interface)
        with self._lock:
            return self._moved.get(interface, DEFAULT)

    def move(self, interfaces: Iterable[str], vlan: str) -> dict[str, str]:
        """Put interfaces into a VLAN, whoever asks. Return for each: ``success``, ``unchanged`` or ``unknown``."""
        said = {}
        with self._lock:
            for name in interfaces:
                if name not in self._node_of:
                    said[name] = "unknown"
                elif self._moved.get(name, DEFAULT) == vlan:
                    said[name] = "unchanged"
                else:
                    said[name] = "success"
                    self._moved[name] = vlan
        return said

    def reset(self, nodes: Iterable[str]) -> None:
        """Put all interfaces of nodes back into the default VLAN: their job is over, or they are deployed anew."""
        gone = set(nodes)
        with self._lock:
            self._moved = {name: vlan for name, vlan in self._moved.items() if self._node_of[name] not in gone}

    # rights

    def may_move(self, user: str, interfaces: Iterable[str], vlan: str) -> bool:
        """Tell whether ``user`` may put these into ``vlan``: both are theirs. Unknown ones don't count."""
        owners = self._owners()
        mine = all(owners.get(self._node_of[name]) == user for name in interfaces if name in self._node_of)
        return mine and (vlan == DEFAULT or self.is_authorized(user, vlan))

    def is_authorized(self, user: str, vlan: str) -> bool:
        """Tell whether ``user`` holds the VLAN by a running job, or was let in."""
        return user in self.users(vlan)

    def users(self, vlan: str) -> list[str]:
        """Return who may use a VLAN."""
        with self._lock:
            added = set(self._added[vlan])
        held = (*self._holders(), *self.remote_holders())
        return sorted(added | {user for user, uid in held if uid == vlan})

    def all_users(self) -> dict[str, list[str]]:
        """Return who may use any VLAN, and which."""
        found: dict[str, list[str]] = {}
        for uid in self.vlans:
            for user in self.users(uid):
                found.setdefault(user, []).append(uid)
        return dict(sorted(found.items()))

    def let_in(self, user: str, vlan: str) -> None:
        """Let a user use the VLAN, besides who holds it."""
        with self._lock:
            self._added[vlan].add(user)

    def shut_out(self, user: str, vlan: str) -> None:
        """Take back what :meth:`let_in` gave."""
        with self._lock:
            self._added[vlan].discard(user)

    def set_dhcp(self, vlan: str, *, running: bool) -> None:
        """Start or stop the DHCP server of a VLAN."""
        with self._lock:
            (self.without_dhcp.discard if running else self.without_dhcp.add)(vlan)


def global_vlan(site: Mapping[str, Any]) -> str | None:
    """Return the id of a site's own VLAN that reaches all sites; ``None``: it has none."""
    ids = [int(uid) for uid in site.get("kavlans", {}) if str(uid).isdecimal() and int(uid) not in (*_LOCAL, *_ROUTED)]
    return str(min(ids)) if ids else None


def _kind(uid: int) -> str:
    if uid in _LOCAL:
        return "kavlan-local"
    return "kavlan" if uid in _ROUTED else "kavlan-global"


def _interfaces(site: str, node: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of a node's interfaces that KaVLAN can move. The node's own name is always one."""
    name = f"{node['uid']}.{site}.grid5000.fr"
    found = {name: name}
    for adapter in node.get("network_adapters") or ():
        address = adapter.get("network_address")
        if adapter.get("kavlan") and not adapter.get("management") and isinstance(address, str):
            found[address] = name
    return found
