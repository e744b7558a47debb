"""Parameter spaces: factors, levels, and the points they make.

A space is never listed: its length and any of its points are computed, so that a large space costs what its levels
cost. Points are numbered with the last factor varying fastest and the repetition slowest: a campaign that is
interrupted early has one repetition of everything rather than every repetition of something.
"""

from __future__ import annotations

import keyword
import math
import operator
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

from pytest_execo.errors import InvalidSpace

from .identity import canonical_json, plain
from .labels import join_label, level_labels
from .points import Level, Point, fresh

__all__ = ("Level", "Point", "Space")

MAX_LEVELS = 10_000_000
"""The most levels that a factor may have: what bounds an iterator that never ends."""


class _Factor:
    """A validated factor: its levels, their plain JSON, and where each of them is."""

    def __init__(self, name: str, levels: tuple[Any, ...]) -> None:
        self.name = name
        self.params = tuple(_param(name, number, level) for number, level in enumerate(levels))
        self.keys = tuple(_key(param) for param in self.params)
        self.positions: dict[object, int] = {}
        for number, key in enumerate(self.keys):
            first = self.positions.setdefault(key, number)
            if first != number:
                raise InvalidSpace(_same_twice(name, levels, first, number))
        # The copy is ours: a list that the caller changes later must not change the space.
        self.levels = tuple(fresh(level) for level in levels)
        self.values = tuple(level.value if isinstance(level, Level) else level for level in self.levels)

    @cached_property
    def labels(self) -> list[str]:
        """``name=level`` for each level, made when the first point is asked for."""
        keys = [canonical_json(param) for param in self.params]
        texts = [param if isinstance(param, str) else key for param, key in zip(self.params, keys, strict=True)]
        (name,) = level_labels([self.name], [self.name])
        return [f"{name}:{label}" for label in level_labels(texts, keys)]


class Space:
    """A full factorial: every combination of the levels of its factors, ``repeat`` times.

    ::

        space = Space(memory=["2GiB", "4GiB"], dirty=[0, 25, 50], repeat=3)
        len(space)        # 18
        space.point(7)    # <Point memory:2GiB-dirty:25-r1>

    :param factors: a mapping from factor to levels, for names that can't be keywords here (``repeat``).
    :param repeat: how many times each point is run.
    :param more: factors by keyword: a collection of levels, or an iterator, which is read to its end. A level is
        JSON, or a :class:`Level`.
    :raises InvalidSpace: in one line, with the factor and what would be right.
    """

    def __init__(
        self, factors: Mapping[str, Iterable[Any]] | None = None, /, *, repeat: int = 1, **more: Iterable[Any]
    ) -> None:
        if factors is not None and not isinstance(factors, Mapping):
            raise InvalidSpace(f"factors are {_text(factors)}, not a mapping; write Space(x=[1, 2]) or {{'x': [1, 2]}}")
        if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
            raise InvalidSpace(f"repeat is {_text(repeat)}; write a whole number from 1")
        given = dict(factors or {})
        for name in more:
            if name in given:
                raise InvalidSpace(f"factor {name!r} is given twice; give it once")
        self._repeat = int(repeat)
        self._factors = tuple(_factor(name, levels) for name, levels in {**given, **more}.items())
        self._points = math.prod(len(factor.levels) for factor in self._factors)

    @property
    def factors(self) -> dict[str, tuple[Any, ...]]:
        """The levels by factor, in order, as they were given."""
        return {factor.name: tuple(fresh(level) for level in factor.levels) for factor in self._factors}

    @property
    def repeat(self) -> int:
        """How many times each point is run."""
        return self._repeat

    @property
    def size(self) -> int:
        """The number of trials, exact at any size; ``len()`` is the same, and Python bounds it to 2⁶³-1."""
        return self._points * self._repeat

    def __len__(self) -> int:
        return self.size

    def __bool__(self) -> bool:
        return True

    def point(self, index: int) -> Point:
        """Return the point of that number, from 0.

        :raises IndexError: when the space has fewer.
        """
        number = operator.index(index)
        if not 0 <= number < self.size:
            raise IndexError(f"point {number} of a space of {self.size}")
        repetition, rest = divmod(number, self._points)
        places: list[int] = []
        for factor in reversed(self._factors):
            rest, place = divmod(rest, len(factor.levels))
            places.append(place)
        places.reverse()
        chosen = list(zip(self._factors, places, strict=True))
        parts = [factor.labels[place] for factor, place in chosen]
        if self._repeat > 1:
            parts.append(f"r{repetition}")
        return Point(
            {factor.name: factor.values[place] for factor, place in chosen},
            {factor.name: factor.params[place] for factor, place in chosen},
            repetition,
            join_label(parts),
        )

    def index(self, point: Point) -> int:
        """Return the number of a point: ``space.index(space.point(i)) == i``.

        :raises InvalidSpace: when the point is not in this space.
        """
        params = point._params
        if params.keys() != {factor.name for factor in self._factors} or not 0 <= point.repetition < self._repeat:
            raise InvalidSpace(f"{point!r} is not in {self!r}")
        number = point.repetition
        for factor in self._factors:
            place = factor.positions.get(_key(params[factor.name]))
            if place is None:
                raise InvalidSpace(f"{point!r} is not in {self!r}")
            number = number * len(factor.levels) + place
        return number

    def __iter__(self) -> Iterator[Point]:
        number = 0
        while number < self.size:
            yield self.point(number)
            number += 1

    def __contains__(self, point: object) -> bool:
        try:
            return isinstance(point, Point) and self.index(point) >= 0
        except InvalidSpace:
            return False

    def __mul__(self, other: Space) -> Space:
        """Every combination of both; the repetitions multiply.

        :raises InvalidSpace: when a factor is in both.
        """
        if not isinstance(other, Space):
            return NotImplemented
        return Space(self.factors, repeat=self._repeat * other._repeat, **other.factors)

    def _identity(self) -> tuple[object, ...]:
        return self._repeat, tuple((factor.name, factor.keys) for factor in self._factors)

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Space) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        factors = " * ".join(f"{factor.name}:{len(factor.levels)}" for factor in self._factors)
        repeat = f" repeat={self._repeat}" if self._repeat > 1 else ""
        return f"<Space {factors or 'no factor'}{repeat}>"


def _factor(name: object, levels: object) -> _Factor:
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise InvalidSpace(
            f"factor {_text(name)} can't be an argument of a test function; name it like a Python variable"
        )
    found = _levels(name, levels)
    if not found:
        raise InvalidSpace(f"factor {name!r} has no level; give it at least one, or leave the factor out")
    return _Factor(name, found)


def _levels(name: str, levels: object) -> tuple[Any, ...]:
    if isinstance(levels, str | bytes | bytearray):
        raise InvalidSpace(
            f"factor {name!r} is {_text(levels)}, one level rather than several; write [{_text(levels)}]"
        )
    if isinstance(levels, Mapping):
        raise InvalidSpace(
            f"factor {name!r} is a mapping; conditional levels are not supported, write a list of levels"
        )
    if isinstance(levels, set | frozenset):
        raise InvalidSpace(f"factor {name!r} is a set, which has no stable order; write a sorted list of levels")
    if not isinstance(levels, Iterable) or isinstance(levels, Level):
        raise InvalidSpace(f"factor {name!r} is {_text(levels)}, not levels; write [{_text(levels)}]")
    if isinstance(levels, Collection):
        try:
            count = len(levels)
        except OverflowError:  # a range of more than 2**63-1
            count = MAX_LEVELS + 1
        except TypeError as error:  # an array without dimensions has __len__ and no length
            raise InvalidSpace(f"factor {name!r} is {_text(levels)}, not levels; write [{_text(levels)}]") from error
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
        where = "" if str(error).startswith(f"{_text(level)},") else f"{_text(level)}: "
        raise InvalidSpace(
            f"level {number} of factor {name!r} is {where}{error}; name it: "
            'pytest.param(value, id="a-name") or Level(value, "a-name")'
        ) from None


def _key(param: object) -> object:
    # The text alone would do; most levels are plain numbers and strings, which are told apart a lot faster.
    kind = type(param)
    return (kind.__name__, param) if kind is int or kind is str else canonical_json(param)


def _same_twice(name: str, levels: tuple[Any, ...], first: int, second: int) -> str:
    one, other = levels[first], levels[second]
    if isinstance(one, Level) and isinstance(other, Level):
        return f"levels {first} and {second} of factor {name!r} have the same id {one.id!r}; give each its own"
    return f"levels {first} and {second} of factor {name!r} are the same, {_text(other)}; give it once"


def _text(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "…"
