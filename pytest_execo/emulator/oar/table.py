"""Sets of resources as bits of whole numbers, and the columns of OAR's table as such sets.

Bit *n* stands for the *n*-th resource of the site. A set of 4000 resources is a number of 500 bytes: whether a job
fits is a few operations on such numbers, however many cores it wants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .resources import Resource

__all__ = ("Table", "bits")


def bits(mask: int) -> Iterator[int]:
    """Return the positions of the bits that are set, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Table:
    """The resources of a site, by property. The states of resources change, nothing else."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self.resources: tuple[Resource, ...] = tuple(resources)
        self.everything: int = (1 << len(self.resources)) - 1
        self._columns: dict[str, dict[Any, int]] = {}
        self.columns: frozenset[str] = frozenset(
            ("resource_id", "type", "state", "available_upto", *(key for r in self.resources for key in r.properties))
        )
        #: The resources of each node, by full name.
        self.hosts: dict[str, int] = {h: mask for h, mask in self.column("host").items() if h}
        self.by_type: dict[str, int] = dict(self.column("type"))
        self.usable: int = 0
        self.standby: int = 0
        self.dead: int = 0
        self.refresh()

    def refresh(self) -> None:
        """Read the states of the resources anew."""
        self.usable = self.standby = self.dead = 0
        for position, resource in enumerate(self.resources):
            bit = 1 << position
            self.usable |= bit if resource.usable else 0
            self.standby |= bit if resource.standby else 0
            self.dead |= bit if resource.state == "Dead" else 0
        self._columns.pop("state", None)
        self._columns.pop("available_upto", None)

    def column(self, name: str) -> dict[Any, int]:
        """Return value → resources that have it, in the order of the table. Resources without the property are in none.

        :raises KeyError: when no resource has such a property.
        """
        if name not in self._columns:
            values: dict[Any, int] = {}
            for position, resource in enumerate(self.resources):
                value = _value(resource, name)
                if value is not None:
                    values[value] = values.get(value, 0) | 1 << position
            if not values and name not in self.columns:
                raise KeyError(name)
            self._columns[name] = values
        return self._columns[name]

    def of(self, mask: int) -> list[Resource]:
        """Return the resources of a set, in the order of the table."""
        return [self.resources[position] for position in bits(mask)]

    def hosts_in(self, mask: int) -> list[str]:
        """Return the nodes of which the set has at least one core, in the order of the table."""
        cores = mask & self.by_type.get("default", 0)
        return list(dict.fromkeys(resource.host for resource in self.of(cores)))


def _value(resource: Resource, name: str) -> Any:
    if name in ("type", "state", "available_upto"):
        return getattr(resource, name)
    return resource.id if name == "resource_id" else resource.properties.get(name)
