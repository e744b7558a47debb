"""KaVLAN: the VLANs that jobs have, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....errors import TestbedError
from ..answers import Job
from ..client import Grid5000Client

__all__ = ("DEFAULT", "Vlan", "attach", "detach", "in_vlan", "vlans_of")

#: The VLAN that everything is in which is in none of its own.
DEFAULT = "DEFAULT"


@dataclass(frozen=True)
class Vlan:
    """A VLAN of a job. ``id`` is text, as the API has it; ``kind`` its OAR type, ``kavlan-local`` for instance."""

    site: str
    id: str
    kind: str

    def describe(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"vlan": self.id, "site": self.site, "kind": self.kind}


def vlans_of(client: Grid5000Client, job: Job) -> list[Vlan]:
    """Return the VLANs that a job has."""
    if not job.vlans:
        return []
    kinds = client.vlans(job.site)
    return [Vlan(job.site, vlan, kinds.get(vlan, "")) for vlan in job.vlans]


def in_vlan(node: str, vlan: str) -> str:
    """Return the name by which a node is reached in a VLAN: ``taurus-1-kavlan-4.lyon.grid5000.fr``."""
    host, dot, domain = node.partition(".")
    return f"{host}-kavlan-{vlan}{dot}{domain}"


def attach(client: Grid5000Client, vlan: Vlan, nodes: Sequence[str]) -> None:
    """Put nodes' interfaces into a VLAN. What the API calls unchanged is looked up: it says so of errors as well.

    :raises TestbedError: with the interfaces that are not in it.
    """
    _move(client, vlan.site, vlan.id, nodes)


def detach(client: Grid5000Client, site: str, nodes: Sequence[str]) -> None:
    """Put nodes' interfaces back into the default VLAN. :raises TestbedError: with those that are not."""
    _move(client, site, DEFAULT, nodes)


def _move(client: Grid5000Client, site: str, vlan: str, nodes: Sequence[str]) -> None:
    said = client.attach(site, vlan, nodes)
    doubtful = [name for name in nodes if said.get(name) != "success"]
    if not doubtful:
        return
    where = client.vlan_nodes(site)
    wrong = [f"{name} ({said.get(name, 'not named in the answer')})" for name in doubtful if where.get(name) != vlan]
    if wrong:
        raise TestbedError(f"VLAN {vlan} of {site}: not in it: {', '.join(wrong)}")
