"""A factor with its levels: checked once, and then known by their numbers."""

from __future__ import annotations

import json
import keyword
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, TypeAlias

from pytest_execo.errors import InvalidSpace

from ..identity import canonical_json, plain
from .labels import level_labels, long_label
from .levels import Levels, Numbers
from .points import Level, fresh

__all__ = ("Factor", "LazyFactor", "ListedFactor", "factor_of", "shown")

Entry: TypeAlias = tuple[str, Any, Any, str, str]

MAX_LEVELS = 10_000_000
"""The most levels that a factor may list: what bounds an iterator that never ends."""


LISTED_RANGE = 10_000
"""How long a range may be to be listed: so short, it is the same as a list of its numbers; longer, it is computed."""


class Factor(ABC):
    """The name of a factor, and its levels by number."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._prefix = f"{json.dumps(name, ensure_ascii=False)}:"

    @property
    @abstractmethod
    def levels(self) -> Sequence[Any]:
        """The levels, as they were given."""

    @property
    @abstractmethod
    def identity(self) -> tuple[object, ...]:
        """What two factors of the same levels have in common."""

    @property
    @abstractmethod
    def keys(self) -> frozenset[object] | None:
        """What tells levels apart, for a factor that lists them."""

    @abstractmethod
    def value(self, place: int) -> Any:
        """Return what a test gets."""

    @abstractmethod
    def param(self, place: int) -> Any:
        """Return the level as JSON."""

    @abstractmethod
    def fragment(self, place: int) -> str:
        """Return ``"name":level`` as canonical JSON."""

    @abstractmethod
    def label(self, place: int) -> str:
        """Return ``name:level`` for people."""

    def entry(self, place: int) -> Entry:
        """Return all that a point says of a level: name, value, parameter, label, fragment."""
        return self.name, self.value(place), self.param(place), self.label(place), self.fragment(place)

    @abstractmethod
    def place(self, param: object) -> int | None:
        """Return the number of a level, given as JSON; ``None`` when it is none of them."""


class ListedFactor(Factor):
    """A factor whose levels are listed."""

    def __init__(self, name: str, levels: Sequence[Any]) -> None:
        super().__init__(name, len(levels))
        self._params = tuple(_param(name, number, level) for number, level in enumerate(levels))
        self._keys = tuple(_key(param) for param in self._params)
        self._places: dict[object, int] = {}
        for number, key in enumerate(self._keys):
            first = self._places.setdefault(key, number)
            if first != number:
                raise InvalidSpace(_same_twice(name, levels, first, number))
        # The copy is ours: a list that the caller changes later must not change the space.
        self._levels = tuple(fresh(level) for level in levels)
        self._values = tuple(level.value if isinstance(level, Level) else level for level in self._levels)

    @property
    def levels(self) -> tuple[Any, ...]:
        return tuple(fresh(level) for level in self._levels)

    @property
    def identity(self) -> tuple[object, ...]:
        return self.name, self._keys

    @cached_property
    def keys(self) -> frozenset[object]:
        return frozenset(self._keys)

    def value(self, place: int) -> Any:
        return self._values[place]

    def param(self, place: int) -> Any:
        return self._params[place]

    def fragment(self, place: int) -> str:
        return self._fragments[place]

    def label(self, place: int) -> str:
        return self._labels[place]

    def place(self, param: object) -> int | None:
        return self._places.get(_key(param))

    def entry(self, place: int) -> Entry:
        return self._entries[place]

    @cached_property
    def _entries(self) -> list[Entry]:
        # Asked for every factor of every point, so it is there for the taking.
        return [super(ListedFactor, self).entry(place) for place in range(self.size)]

    @cached_property
    def _texts(self) -> list[str]:
        return [canonical_json(param) for param in self._params]

    @cached_property
    def _fragments(self) -> list[str]:
        return [self._prefix + text for text in self._texts]

    @cached_property
    def _labels(self) -> list[str]:
        texts = [p if isinstance(p, str) else text for p, text in zip(self._params, self._texts, strict=True)]
        (name,) = level_labels([self.name], [self.name])
        return [f"{name}:{label}" for label in level_labels(texts, self._texts)]


class LazyFactor(Factor):
    """A factor whose levels are computed: permutations, combinations, tuples, long ranges."""

    def __init__(self, name: str, levels: Levels) -> None:
        super().__init__(name, levels.size)
        self._levels = levels
        (self._shown,) = level_labels([name], [name])

    @property
    def levels(self) -> Sequence[Any]:
        return self._levels  # type: ignore[return-value]  # by number, and with an exact size besides a bounded len()

    @property
    def identity(self) -> tuple[object, ...]:
        return self.name, self._levels.identity

    @property
    def keys(self) -> None:
        return None

    def value(self, place: int) -> Any:
        return self._levels[place]

    def param(self, place: int) -> Any:
        return self._levels.param(place)

    def fragment(self, place: int) -> str:
        return self._prefix + canonical_json(self.param(place))

    def label(self, place: int) -> str:
        return f"{self._shown}:{long_label(canonical_json(self.param(place)))}"

    def place(self, param: object) -> int | None:
        return self._levels.number(param)


def factor_of(name: object, levels: object) -> Factor:
    """Return a factor. :raises InvalidSpace: in one line, with the factor and what would be right."""
    checked = check_name(name)
    if isinstance(levels, range) and abs(levels.stop - levels.start) > LISTED_RANGE * abs(levels.step):
        levels = Numbers(levels)
    if isinstance(levels, Levels):
        found: Factor = LazyFactor(checked, levels)
    else:
        found = ListedFactor(checked, _levels(checked, levels))
    if not found.size:
        raise InvalidSpace(f"factor {name!r} has no level; give it at least one, or leave the factor out")
    return found


def check_name(name: object) -> str:
    """Return the name of a factor. :raises InvalidSpace: when it can't be one."""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise InvalidSpace(
            f"factor {shown(name)} can't be an argument of a test function; name it like a Python variable"
        )
    return name


def _levels(name: str, levels: object) -> tuple[Any, ...]:
    if isinstance(levels, str | bytes | bytearray):
        raise InvalidSpace(
            f"factor {name!r} is {shown(levels)}, one level rather than several; write [{shown(levels)}]"
        )
    if isinstance(levels, Mapping):  # the space knows these; here is a level of a level
        raise InvalidSpace(f"factor {name!r} is a mapping; write a list of levels")
    if isinstance(levels, set | frozenset):
        raise InvalidSpace(f"factor {name!r} is a set, which has no stable order; write a sorted list of levels")
    if not isinstance(levels, Iterable) or isinstance(levels, Level):
        raise InvalidSpace(f"factor {name!r} is {shown(levels)}, not levels; write [{shown(levels)}]")
    if isinstance(levels, Collection):
        try:
            count = len(levels)
        except OverflowError:  # a collection of more than 2**63-1
            count = MAX_LEVELS + 1
        except TypeError as error:  # an array without dimensions has __len__ and no length
            raise InvalidSpace(f"factor {name!r} is {shown(levels)}, not levels; write [{shown(levels)}]") from error
    else:
        # An iterator need not end.
        levels = tuple(islice(levels, MAX_LEVELS + 1))
        count = len(levels)
    if count > MAX_LEVELS:
        raise InvalidSpace(f"factor {name!r} has more than {MAX_LEVELS} levels; give it fewer")
    return tuple(_named(level) for level in levels)


def _named(level: Any) -> Any:
    # What pytest.param(value, id=…) makes, known by its shape: this package works without pytest.
    if isinstance(level, tuple) and getattr(level, "_fields", None) == ("values", "marks", "id") and len(level[0]) == 1:
        return Level(level[0][0], level[2]) if isinstance(level[2], str) else level[0][0]
    return level


def _param(name: str, number: int, level: object) -> Any:
    if isinstance(level, Level):
        return level.id
    try:
        return plain(level)
    except ValueError as error:
        where = "" if str(error).startswith(f"{shown(level)},") else f"{shown(level)}: "
        raise InvalidSpace(
            f"level {number} of factor {name!r} is {where}{error}; name it: "
            'pytest.param(value, id="a-name") or Level(value, "a-name")'
        ) from None


def _key(param: object) -> object:
    # The text alone would do; most levels are plain numbers and strings, which are told apart a lot faster.
    kind = type(param)
    return (kind.__name__, param) if kind is int or kind is str else canonical_json(param)


def _same_twice(name: str, levels: Sequence[Any], first: int, second: int) -> str:
    one, other = levels[first], levels[second]
    if isinstance(one, Level) and isinstance(other, Level):
        return f"levels {first} and {second} of factor {name!r} have the same id {one.id!r}; give each its own"
    return f"levels {first} and {second} of factor {name!r} are the same, {shown(other)}; give it once"


def shown(value: object) -> str:
    """Return a value in a message: one line, not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "…"
