"""Parts that have some of the cells of another: those that pass a test, those that were drawn."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_execo.errors import InvalidSpace

from .factors import Factor
from .parts import Accept, Cell, Part, Test, is_listed, numbered

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ("Filtered", "Picked")


class _Some(Part):
    """Some of the cells of a part."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.names: tuple[str, ...] = part.names

    @property
    def required(self) -> frozenset[str]:
        return self.part.required

    def factors(self) -> Iterator[Factor]:
        return self.part.factors()


class Filtered(_Some):
    """The cells of a part that pass a test. They are listed when their number is first asked for.

    :param what: tells the test from others.
    """

    def __init__(self, part: Part, test: Test, what: object) -> None:
        super().__init__(part)
        self.test = test
        self._what = what

    @cached_property
    def _kept(self) -> list[int]:
        if not is_listed(self.part):
            raise InvalidSpace(
                "how many settings meet the constraint can't be counted, there are too many; "
                "draw some: .sample(100, seed=1)"
            )
        return [number for number, cell in enumerate(self.part.cells()) if self.test(cell)]

    @property
    def size(self) -> int:
        return len(self._kept)

    def cell(self, number: int) -> Cell:
        return self.part.cell(self._kept[number])

    def number(self, params: Mapping[str, Any]) -> int | None:
        number = self.part.number(params)
        if number is None:
            return None
        place = bisect.bisect_left(self._kept, number)
        return place if place < len(self._kept) and self._kept[place] == number else None

    def strategy(self) -> SearchStrategy[Cell]:
        # A filter shrinks factor by factor; one that lets little through has Hypothesis give up.
        if is_listed(self.part) and self.size * 10 < self.part.size:
            return numbered(self)
        return self.part.strategy().filter(self.test)

    @property
    def identity(self) -> tuple[object, ...]:
        return ("filtered", self.part.identity, self._what)

    def relaxed(self) -> tuple[Part, Accept | None]:
        if is_listed(self.part):
            return self, None
        part, inner = self.part.relaxed()
        return part, lambda number: (inner is None or inner(number)) and self.test(part.cell(number))


class Picked(_Some):
    """Some cells of a part, by their numbers, in an order of their own."""

    def __init__(self, part: Part, numbers: Sequence[int]) -> None:
        super().__init__(part)
        self.numbers: tuple[int, ...] = tuple(numbers)

    @property
    def size(self) -> int:
        return len(self.numbers)

    @cached_property
    def _places(self) -> dict[int, int]:
        return {number: place for place, number in enumerate(self.numbers)}

    def cell(self, number: int) -> Cell:
        return self.part.cell(self.numbers[number])

    def number(self, params: Mapping[str, Any]) -> int | None:
        number = self.part.number(params)
        return None if number is None else self._places.get(number)

    def strategy(self) -> SearchStrategy[Cell]:
        return numbered(self)

    @property
    def identity(self) -> tuple[object, ...]:
        return ("picked", self.part.identity, self.numbers)
