"""What a space is made of: named levels, and the points themselves."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_execo.errors import InvalidSpace

from .identity import JSON, canonical_json

__all__ = ("Level", "Point", "fresh")


@dataclass(frozen=True)
class Level:
    """A level whose value is not JSON (a function, a class, a configuration object), named by ``id``.

    The id stands for the value in identities, records and labels, and two levels of one id are equal. A value that
    is a list, a dict, a set or an array is copied for each point; any other object is shared by all of them.
    """

    value: Any = field(compare=False)
    id: str

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise InvalidSpace(f"the id of a Level is {self.id!r}; give it a name, a str that is not empty")


class Point:
    """One cell of a space: a level for each factor, and a repetition. Immutable; equal when its identity is.

    ``values`` and ``params`` are new copies at each reading: what a test does to a list it was given changes
    neither another trial nor the next attempt at this one.
    """

    __slots__ = ("_key", "_levels", "_params", "label", "repetition")

    repetition: int
    """Which repetition of the point, from 0."""
    label: str
    """A short readable name, unique in the space: ``memory:2GiB-dirty:25-r3``; ``-r3`` only where the space repeats."""

    def __init__(self, levels: Mapping[str, Any], params: Mapping[str, Any], repetition: int, label: str) -> None:
        for name, value in (("_levels", levels), ("_params", params), ("repetition", repetition), ("label", label)):
            object.__setattr__(self, name, value)

    _levels: Mapping[str, Any]
    _params: Mapping[str, Any]

    @property
    def values(self) -> Mapping[str, Any]:
        """What the test function gets, by factor."""
        return {name: fresh(value) for name, value in self._levels.items()}

    @property
    def params(self) -> Mapping[str, JSON]:
        """The parameters in identities and records: plain JSON, named levels replaced by their ids."""
        return {name: fresh(value) for name, value in self._params.items()}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Point is immutable: {name!r} can't be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Point is immutable: {name!r} can't be deleted")

    def _identity(self) -> tuple[str, int]:
        # The canonical text, because 1 == True in Python and they are two levels here.
        return canonical_json(self._params), self.repetition

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Point) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def __reduce__(self) -> tuple[type[Point], tuple[Any, ...]]:
        return Point, (self._levels, self._params, self.repetition, self.label)

    def __repr__(self) -> str:
        return f"<Point {self.label}>"


def fresh(value: Any) -> Any:
    """Return a copy that shares no list, dict, set or array with ``value``; the unchangeable is returned as it is."""
    kind = type(value)
    if kind is list:
        return [fresh(item) for item in value]
    if kind is tuple:
        return tuple(fresh(item) for item in value)
    if kind is dict:
        return {key: fresh(item) for key, item in value.items()}
    if isinstance(value, list | dict | set | bytearray) or hasattr(value, "dtype"):
        return copy.deepcopy(value)
    return Level(fresh(value.value), value.id) if kind is Level else value
