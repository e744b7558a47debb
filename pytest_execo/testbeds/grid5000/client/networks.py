"""VLANs: which there are, which nodes are in them, and their DHCP servers."""

from __future__ import annotations

from collections.abc import Sequence

from ....errors import InvalidRequest
from .calls import Calls, path_of

__all__ = ("NetworkCalls",)


class NetworkCalls(Calls):
    """Verbs about VLANs."""

    def vlans(self, site: str) -> dict[str, str]:
        """Return the kind of each VLAN by its id: ``{"1": "kavlan-local", …, "DEFAULT": "default"}``."""
        path = path_of(site, "vlans")
        items = self._items(path)
        return self._read("GET", path, lambda items: {str(i["uid"]): str(i.get("type", "")) for i in items}, items)

    def vlan_nodes(self, site: str, vlan: str | None = None) -> dict[str, str]:
        """Return in which VLAN each node of a site is, by its full name.

        :param vlan: only the nodes in this one.
        """
        path = path_of(site, "vlans", "nodes") if vlan is None else path_of(site, "vlans", vlan, "nodes")
        items = self._items(path)
        return self._read("GET", path, lambda items: {str(i["uid"]): str(i["vlan"]) for i in items}, items)

    def attach(self, site: str, vlan: str, nodes: Sequence[str]) -> dict[str, str]:
        """Put nodes, by their full names, into a VLAN; return what became of each.

        ``success``, ``unchanged`` (it was there, or kavlan said something that the API does not know) or ``failure``.
        A node that is missing in the answer is missing here.
        """
        if not nodes:
            raise InvalidRequest("no nodes to put into a VLAN; give at least one")
        path = path_of(site, "vlans", vlan, "nodes")
        data = self._http.json("POST", path, body=list(nodes))
        return self._read("POST", path, lambda data: {n: str(e["status"]).lower() for n, e in data.items()}, data)

    def dhcp(self, site: str, vlan: str, *, on: bool) -> None:
        """Start or stop the DHCP server of a VLAN."""
        self._http.text("PUT", path_of(site, "vlans", vlan, "dhcpd"), body={"action": "start" if on else "stop"})
