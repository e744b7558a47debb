"""Subnets: addresses for virtual machines, each with a MAC that goes with it."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from ....errors import TestbedError
from ..answers import Job
from ..client import Grid5000Client

__all__ = ("Subnets", "subnets_of")


class Subnets:
    """The addresses of a job's subnets, handed out one by one. Thread-safe.

    The first and the last address of each 256 are left alone, because tools take them for network and broadcast; so
    is the gateway.

    :param ranges: ``("10.158.0.0/22",)``. :param gateway: of the site. :param prefix: length of the site's network.
    """

    def __init__(self, site: str, ranges: Sequence[str], *, gateway: str | None = None, prefix: int = 14) -> None:
        self.site: str = site
        self.ranges: tuple[str, ...] = tuple(ranges)
        self.gateway: str | None = gateway
        self.netmask: str = str(ipaddress.ip_network(f"0.0.0.0/{prefix}").netmask)
        self._lock = threading.Lock()
        self._free: dict[str, None] = dict.fromkeys(
            str(address)
            for network in ranges
            for address in ipaddress.ip_network(network)
            if address.packed[3] not in (0, 255) and str(address) != gateway
        )
        self._size = len(self._free)

    def __len__(self) -> int:
        return len(self._free)

    def take(self, count: int = 1) -> list[tuple[str, str]]:
        """Take addresses: (address, MAC) each. :raises TestbedError: when there are not so many left."""
        with self._lock:
            if count > len(self._free):
                raise TestbedError(f"asks for {count} addresses, {len(self._free)} of {self._size} are left")
            chosen = [address for address, _ in zip(self._free, range(count), strict=False)]
            for address in chosen:
                del self._free[address]
        return [(address, mac(address)) for address in chosen]

    def give_back(self, addresses: Iterable[str]) -> None:
        """Give addresses back: others get them when all the rest is taken."""
        with self._lock:
            self._free.update(dict.fromkeys(addresses))

    def describe(self) -> dict[str, Any]:
        """Return them as JSON."""
        return {"subnets": list(self.ranges), "site": self.site, "gateway": self.gateway, "netmask": self.netmask}


def mac(address: str) -> str:
    """Return the MAC of an address ``10.x.y.z``: ``00:16:3E:x:y:z``, as Grid'5000's own images reckon."""
    _, *rest = ipaddress.IPv4Address(address).packed
    return ":".join(["00", "16", "3E", *(f"{byte:02X}" for byte in rest)])


def subnets_of(client: Grid5000Client, site: str, job: Job) -> Subnets | None:
    """Return the addresses that a job has; ``None``: it has no subnet."""
    if not job.subnets:
        return None
    described = client.site(site).get("g5ksubnet") or {}
    network = str(described.get("network") or "")
    length = network.partition("/")[2]
    return Subnets(
        site, job.subnets, gateway=described.get("gateway"), prefix=int(length) if length.isdecimal() else 14
    )
