"""Levels that are computed rather than listed: the levels of a factor may be all orders of 96 machines.

Each of these is a sequence by number: it has an exact ``size``, gives the level of a number, and finds the number of a
level. The items that a level is a list of have the rules of a factor's levels: JSON, enums, … or named by
:class:`~pytest_execo.sweeps.Level`. A ``range`` is computed too, where it is long.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pytest_execo.errors import InvalidSpace

from ..identity import canonical_json, plain
from .points import Level, fresh

__all__ = ("Combinations", "Levels", "Numbers", "Permutations", "Tuples", "combinations", "permutations", "tuples")


class Levels(ABC):
    """Levels of a factor, by number."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many levels there are, exact at any size."""

    @abstractmethod
    def __getitem__(self, number: int) -> Any: ...

    @abstractmethod
    def param(self, number: int) -> Any:
        """Return the level of that number as JSON."""

    @abstractmethod
    def number(self, param: object) -> int | None:
        """Return the number of a level, given as JSON; ``None`` when it is none of these."""

    @property
    @abstractmethod
    def identity(self) -> tuple[object, ...]:
        """What two sequences of the same levels have in common."""

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Any]:
        number = 0
        while number < self.size:
            yield self[number]
            number += 1


class Numbers(Levels):
    """The numbers of a range, for one that is too large to be listed."""

    def __init__(self, numbers: range) -> None:
        self.numbers: range = numbers

    @property
    def size(self) -> int:
        # len() of a range is bounded.
        return max(0, -((self.numbers.start - self.numbers.stop) // self.numbers.step))

    def __getitem__(self, number: int) -> int:
        return self.numbers[number]

    def param(self, number: int) -> int:
        return self.numbers[number]

    def number(self, param: object) -> int | None:
        # True is 1 to a range, and is another level.
        return self.numbers.index(param) if type(param) is int and param in self.numbers else None

    @property
    def identity(self) -> tuple[object, ...]:
        return "Numbers", self.numbers

    def __repr__(self) -> str:
        return repr(self.numbers)


class _Lists(Levels):
    """Levels that are lists of items.

    :param items: what the levels are made of, all different.
    :param length: how many items a level has.
    """

    def __init__(self, items: Iterable[Any], length: int) -> None:
        # A copy: a list that the caller changes later must not change the levels.
        self.items: tuple[Any, ...] = tuple(fresh(item) for item in items)
        if isinstance(length, bool) or not isinstance(length, int) or length < 0:
            raise InvalidSpace(f"length is {length!r}; write a whole number from 0")
        self.length: int = length
        try:
            self._params = [item.id if isinstance(item, Level) else plain(item) for item in self.items]
        except ValueError as error:
            raise InvalidSpace(
                f"{type(self).__name__.lower()}(): an item is {error}; name it: Level(item, 'a-name')"
            ) from None
        self._places = {canonical_json(param): place for place, param in enumerate(self._params)}
        if len(self._places) != len(self.items):
            raise InvalidSpace(f"{type(self).__name__.lower()}(): two of the {len(self.items)} items are the same")

    @abstractmethod
    def _chosen(self, number: int) -> list[int]:
        """Return the places of the items of the level of that number."""

    @abstractmethod
    def _number(self, chosen: Sequence[int]) -> int | None:
        """Return the number of the level with the items at these places; ``None`` when there is none."""

    def __getitem__(self, number: int) -> list[Any]:
        items = [self.items[place] for place in self._chosen(self._checked(number))]
        return [item.value if isinstance(item, Level) else item for item in items]

    def param(self, number: int) -> list[Any]:
        return [self._params[place] for place in self._chosen(self._checked(number))]

    def number(self, param: object) -> int | None:
        if not isinstance(param, list) or len(param) != self.length:
            return None
        chosen = [self._places.get(canonical_json(item)) for item in param]
        found = [place for place in chosen if place is not None]
        return self._number(found) if len(found) == len(chosen) else None

    def _checked(self, number: int) -> int:
        if not 0 <= number < self.size:
            raise IndexError(f"level {number} of {self.size}")
        return number

    @property
    def identity(self) -> tuple[object, ...]:
        return type(self).__name__, self.length, tuple(self._places)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.items)} items, {self.length} at a time>"


class Permutations(_Lists):
    """See :func:`permutations`."""

    def __init__(self, items: Iterable[Any], length: int | None = None) -> None:
        listed = tuple(items)
        super().__init__(listed, len(listed) if length is None else length)
        self._size = math.perm(len(listed), self.length)

    @property
    def size(self) -> int:
        return self._size

    def _chosen(self, number: int) -> list[int]:
        # The Lehmer code: each digit says which of the items that are left comes next.
        digits = []
        for base in range(len(self.items) - self.length + 1, len(self.items) + 1):
            number, digit = divmod(number, base)
            digits.append(digit)
        left = list(range(len(self.items)))
        return [left.pop(digit) for digit in reversed(digits)]

    def _number(self, chosen: Sequence[int]) -> int | None:
        left = list(range(len(self.items)))
        number = 0
        for place in chosen:
            if place not in left:
                return None
            number = number * len(left) + left.index(place)
            left.remove(place)
        return number


class Combinations(_Lists):
    """See :func:`combinations`."""

    @property
    def size(self) -> int:
        return math.comb(len(self.items), self.length)

    def _chosen(self, number: int) -> list[int]:
        chosen: list[int] = []
        place = 0
        while len(chosen) < self.length:
            # How many levels go on with this item.
            with_it = math.comb(len(self.items) - place - 1, self.length - len(chosen) - 1)
            if number < with_it:
                chosen.append(place)
            else:
                number -= with_it
            place += 1
        return chosen

    def _number(self, chosen: Sequence[int]) -> int | None:
        if list(chosen) != sorted(set(chosen)):
            return None
        number = 0
        for done, place in enumerate(chosen):
            first = chosen[done - 1] + 1 if done else 0
            for passed in range(first, place):
                number += math.comb(len(self.items) - passed - 1, self.length - done - 1)
        return number


class Tuples(_Lists):
    """See :func:`tuples`."""

    @property
    def size(self) -> int:
        return int(len(self.items) ** self.length)

    def _chosen(self, number: int) -> list[int]:
        chosen = []
        for _ in range(self.length):
            number, place = divmod(number, len(self.items))
            chosen.append(place)
        return chosen[::-1]

    def _number(self, chosen: Sequence[int]) -> int | None:
        number = 0
        for place in chosen:
            number = number * len(self.items) + place
        return number


def permutations(items: Iterable[Any], length: int | None = None) -> Permutations:
    """Return all orders of the items, or of ``length`` of them, as the levels of a factor.

    In the order of :func:`itertools.permutations`. ``len`` is bounded by Python, ``.size`` is not: there are
    9.9e149 orders of 96 items.
    """
    return Permutations(items, length)


def combinations(items: Iterable[Any], length: int) -> Combinations:
    """Return all choices of ``length`` of the items, whose order does not matter, as :func:`itertools.combinations`."""
    return Combinations(items, length)


def tuples(items: Iterable[Any], length: int) -> Tuples:
    """Return all lists of ``length`` items, as ``itertools.product(items, repeat=length)``."""
    return Tuples(items, length)
