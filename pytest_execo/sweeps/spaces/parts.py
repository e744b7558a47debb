"""What spaces are built of: sets of settings, by number, without a list of them.

A *cell* is a setting as the numbers of its levels: a factor and a place for each. A part has an exact number of cells,
gives the cell of a number and finds the number of a cell from its parameters. The last factor varies fastest.

Where a constraint looks at too many cells to list them, nobody knows the number of cells that are left. Such a part
has no size, and is *relaxed* to be used: to a part with more cells, and a test of their numbers.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_execo.errors import InvalidSpace

from .factors import Factor

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ("MAX_LISTED", "Accept", "Cell", "Part", "Product", "Single", "Test", "Zip", "is_listed", "numbered")

Cell: TypeAlias = tuple[tuple[Factor, int], ...]
Test: TypeAlias = Callable[[Cell], bool]
Accept: TypeAlias = Callable[[int], bool]

MAX_LISTED = 2_000_000
"""How many cells are listed at most to apply a constraint: some seconds, and 16 MB.

Which settings a seed draws depends on it, so it may never change.
"""


class Part(ABC):
    """A set of cells. Immutable."""

    names: tuple[str, ...]

    @property
    @abstractmethod
    def size(self) -> int:
        """How many cells there are. :raises InvalidSpace: when a constraint would have to list too many."""

    @abstractmethod
    def cell(self, number: int) -> Cell:
        """Return the cell of a number."""

    @abstractmethod
    def number(self, params: Mapping[str, Any]) -> int | None:
        """Return the number of the cell with these parameters, no more and no less; ``None`` when there is none."""

    @abstractmethod
    def strategy(self) -> SearchStrategy[Cell]:
        """Return a Hypothesis strategy of cells that shrinks to the first ones."""

    @property
    @abstractmethod
    def identity(self) -> tuple[object, ...]:
        """What two equal parts have in common."""

    @property
    @abstractmethod
    def required(self) -> frozenset[str]:
        """The factors that every cell has."""

    @abstractmethod
    def factors(self) -> Iterator[Factor]:
        """All factors; one that is in several branches comes as often."""

    def relaxed(self) -> tuple[Part, Accept | None]:
        """Return a part with a size, and which of its cells are of this one: those whose number is accepted.

        ``None``: all of them are, and the part is this one.
        """
        return self, None

    def has(self, params: Mapping[str, Any]) -> bool:
        """Whether there is a cell with these parameters; of a part without a size too."""
        part, accept = self.relaxed()
        number = part.number(params)
        return number is not None and (accept is None or accept(number))

    def cells(self) -> Iterator[Cell]:
        """All cells, in order; of a part without a size too."""
        part, accept = self.relaxed()
        number, size = 0, part.size
        while number < size:
            if accept is None or accept(number):
                yield part.cell(number)
            number += 1

    def apart(self, other: Part) -> bool:
        """Whether it is plain that no cell is in both: a factor, or all its levels, tell them apart."""
        if self.required - set(other.names) or other.required - set(self.names):
            return True
        for name in self.required & other.required:
            one, two = self._keys(name), other._keys(name)
            if one is not None and two is not None and one.isdisjoint(two):
                return True
        return False

    def _keys(self, name: str) -> frozenset[object] | None:
        """Return what tells the levels of a factor apart, if they are listed."""
        keys: frozenset[object] = frozenset()
        for factor in self.factors():
            if factor.name == name:
                if factor.keys is None:
                    return None
                keys |= factor.keys
        return keys


class Single(Part):
    """A factor."""

    def __init__(self, factor: Factor) -> None:
        self.factor = factor
        self.names: tuple[str, ...] = (factor.name,)

    @property
    def size(self) -> int:
        return self.factor.size

    def cell(self, number: int) -> Cell:
        return ((self.factor, number),)

    def number(self, params: Mapping[str, Any]) -> int | None:
        return self.factor.place(params[self.factor.name]) if params.keys() == {self.factor.name} else None

    def strategy(self) -> SearchStrategy[Cell]:
        return numbered(self)

    @property
    def identity(self) -> tuple[object, ...]:
        return ("factor", *self.factor.identity)

    @property
    def required(self) -> frozenset[str]:
        return frozenset(self.names)

    def factors(self) -> Iterator[Factor]:
        yield self.factor


class Product(Part):
    """Every combination of the cells of other parts. Of none: one cell, without a factor."""

    def __init__(self, parts: Sequence[Part]) -> None:
        # Products of products are one: so each component can be seen by a constraint.
        self.parts: tuple[Part, ...] = tuple(
            inner for part in parts for inner in (part.parts if isinstance(part, Product) else (part,))
        )
        self.names: tuple[str, ...] = tuple(name for part in self.parts for name in part.names)

    @cached_property
    def size(self) -> int:
        return math.prod(part.size for part in self.parts)

    def cell(self, number: int) -> Cell:
        found: list[Cell] = []
        for part in reversed(self.parts):
            number, place = divmod(number, part.size)
            found.append(part.cell(place))
        return tuple(one for cell in reversed(found) for one in cell)

    def cells(self) -> Iterator[Cell]:
        if not all(is_listed(part) for part in self.parts) or sum(part.size for part in self.parts) > MAX_LISTED:
            yield from super().cells()
            return
        # Twice as fast as number by number.
        for cells in itertools.product(*(list(part.cells()) for part in self.parts)):
            yield tuple(itertools.chain.from_iterable(cells))

    def number(self, params: Mapping[str, Any]) -> int | None:
        if not params.keys() <= set(self.names):
            return None
        number = 0
        for part in self.parts:
            place = part.number({name: params[name] for name in part.names if name in params})
            if place is None:
                return None
            number = number * part.size + place
        return number

    def strategy(self) -> SearchStrategy[Cell]:
        from hypothesis import strategies as st

        return st.tuples(*(part.strategy() for part in self.parts)).map(
            lambda cells: tuple(itertools.chain.from_iterable(cells))
        )

    @property
    def identity(self) -> tuple[object, ...]:
        return ("product", *(part.identity for part in self.parts))

    @property
    def required(self) -> frozenset[str]:
        return frozenset().union(*(part.required for part in self.parts))

    def factors(self) -> Iterator[Factor]:
        for part in self.parts:
            yield from part.factors()

    def relaxed(self) -> tuple[Part, Accept | None]:
        relaxed = [part.relaxed() for part in self.parts]
        if all(accept is None for _, accept in relaxed):
            return self, None

        def accepts(number: int) -> bool:
            for part, accept in reversed(relaxed):
                number, place = divmod(number, part.size)
                if accept is not None and not accept(place):
                    return False
            return True

        return Product([part for part, _ in relaxed]), accepts


class Zip(Part):
    """The first cell of one part with the first of another, and so on."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts: tuple[Part, ...] = tuple(parts)
        self.names: tuple[str, ...] = tuple(name for part in parts for name in part.names)

    @property
    def size(self) -> int:
        return self.parts[0].size

    def cell(self, number: int) -> Cell:
        return tuple(one for part in self.parts for one in part.cell(number))

    def number(self, params: Mapping[str, Any]) -> int | None:
        if not params.keys() <= set(self.names):
            return None
        numbers = {part.number({n: params[n] for n in part.names if n in params}) for part in self.parts}
        return numbers.pop() if len(numbers) == 1 else None

    def strategy(self) -> SearchStrategy[Cell]:
        return numbered(self)

    @property
    def identity(self) -> tuple[object, ...]:
        return ("zip", *(part.identity for part in self.parts))

    @property
    def required(self) -> frozenset[str]:
        return frozenset().union(*(part.required for part in self.parts))

    def factors(self) -> Iterator[Factor]:
        for part in self.parts:
            yield from part.factors()


def is_listed(part: Part) -> bool:
    """Return whether a part has so few cells that they may be listed."""
    try:
        return part.size <= MAX_LISTED
    except InvalidSpace:
        return False


def numbered(part: Part) -> SearchStrategy[Cell]:
    """Return a Hypothesis strategy of the cells of a part with a size that shrinks to the first."""
    from hypothesis import strategies as st

    return st.integers(0, part.size - 1).map(part.cell) if part.size else st.nothing()
