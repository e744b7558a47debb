"""What a space is made of: named levels, and the points themselves."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_execo.errors import InvalidSpace

from ..identity import JSON, canonical_json

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
    """One trial of a space: a level for each factor it has, and a repetition. Immutable; equal when its identity is.

    ``values`` and ``params`` are new copies at each reading: what a test does to a list it was given changes
    neither another trial nor the next attempt at this one.

    :param levels: what the test function gets, by factor.
    :param params: the same in plain JSON.
    :param params_json: ``params`` as canonical JSON, where it is known already.
    """

    # Made by the hundred thousand. So the attributes are private and read through properties, and dicts are made when
    # somebody asks for them.
    __slots__ = ("_entries", "_label", "_params_json", "_repetition")

    _entries: Sequence[tuple[Any, ...]]
    _label: str
    _params_json: str
    _repetition: int

    def __init__(
        self,
        levels: Mapping[str, Any],
        params: Mapping[str, Any],
        repetition: int,
        label: str,
        params_json: str | None = None,
    ) -> None:
        self._entries = [(name, levels.get(name), param) for name, param in params.items()]
        self._repetition = repetition
        self._label = label
        self._params_json = canonical_json(params) if params_json is None else params_json

    @classmethod
    def _of(cls, entries: Sequence[tuple[Any, ...]], repetition: int, label: str, params_json: str) -> Point:
        """Return a point from tuples that begin with name, value, parameter."""
        point = cls.__new__(cls)
        point._entries = entries
        point._repetition = repetition
        point._label = label
        point._params_json = params_json
        return point

    @property
    def repetition(self) -> int:
        """Which repetition of the point, from 0."""
        return self._repetition

    @property
    def label(self) -> str:
        """A short readable name, unique in the space: ``memory:2GiB-dirty:25-r3``; ``-r3`` only where it repeats."""
        return self._label

    @property
    def params_json(self) -> str:
        """:attr:`params` as canonical JSON, which is what makes two points equal."""
        return self._params_json

    @property
    def values(self) -> Mapping[str, Any]:
        """What the test function gets, by factor."""
        return {entry[0]: fresh(entry[1]) for entry in self._entries}

    @property
    def params(self) -> Mapping[str, JSON]:
        """The parameters in identities and records: plain JSON, named levels replaced by their ids."""
        return {entry[0]: fresh(entry[2]) for entry in self._entries}

    @property
    def _params(self) -> dict[str, Any]:
        """:attr:`params` without copies, to look at."""
        return {entry[0]: entry[2] for entry in self._entries}

    def _identity(self) -> tuple[str, int]:
        # The canonical text, because 1 == True in Python and they are two levels here.
        return self._params_json, self._repetition

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Point) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def __reduce__(self) -> tuple[type[Point], tuple[Any, ...]]:
        levels = {entry[0]: entry[1] for entry in self._entries}
        return Point, (levels, self._params, self._repetition, self._label, self._params_json)

    def __repr__(self) -> str:
        return f"<Point {self._label}>"


# What can't change, nearly all there is in a space.
_ATOMS = frozenset({str, int, float, bool, type(None)})


def fresh(value: Any) -> Any:
    """Return a copy that shares no list, dict, set or array with ``value``; the unchangeable is returned as it is."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is list:
        return [fresh(item) for item in value]
    if kind is tuple:
        return tuple(fresh(item) for item in value)
    if kind is dict:
        return {key: fresh(item) for key, item in value.items()}
    if isinstance(value, list | dict | set | bytearray) or hasattr(value, "dtype"):
        return copy.deepcopy(value)
    return Level(fresh(value.value), value.id) if kind is Level else value
