"""Parts of which a cell is in one or the other: the branches of a factor, and unions."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_execo.errors import InvalidSpace

from .factors import Factor
from .parts import Accept, Cell, Part

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ("Choice", "Union")


class _Several(Part):
    """The cells of one part, then those of the next, and so on."""

    parts: tuple[Part, ...]
    _accepts: tuple[Accept | None, ...] = ()

    @cached_property
    def _ends(self) -> list[int]:
        return list(itertools.accumulate(part.size for part in self.parts))

    @property
    def size(self) -> int:
        return self._ends[-1]

    def _split(self, number: int) -> tuple[int, int]:
        """Return the place of the part that has the cell of that number, and the cell's number there."""
        place = bisect.bisect_right(self._ends, number)
        return place, number - self._start(place)

    def _start(self, place: int) -> int:
        return self._ends[place - 1] if place else 0

    def _nonempty(self) -> list[int]:
        """The places of the parts that have a cell, as far as that is known."""
        return [place for place, part in enumerate(self.parts) if part.relaxed()[0].size]

    def factors(self) -> Iterator[Factor]:
        for part in self.parts:
            yield from part.factors()

    def relaxed(self) -> tuple[Part, Accept | None]:
        relaxed = [part.relaxed() for part in self.parts]
        accepts = [accept for _, accept in relaxed]
        if all(accept is None for accept in accepts):
            return self, None
        several = self._with([part for part, _ in relaxed], accepts)

        def accept(number: int) -> bool:
            place, rest = several._split(number)
            test = accepts[place]
            return test is None or test(rest)

        return several, accept

    def _with(self, parts: Sequence[Part], accepts: Sequence[Accept | None]) -> _Several:
        """Return the same of other parts, of whose cells only those are meant that are accepted."""
        raise NotImplementedError


class Choice(_Several):
    """A factor whose levels have factors of their own: execo's nested dicts."""

    def __init__(self, factor: Factor, branches: Sequence[Part]) -> None:
        self.factor = factor
        self.parts: tuple[Part, ...] = tuple(branches)
        self.names: tuple[str, ...] = (
            factor.name,
            *dict.fromkeys(name for branch in branches for name in branch.names),
        )
        if factor.name in self.names[1:]:
            raise InvalidSpace(f"factor {factor.name!r} is given again below one of its own levels")

    def cell(self, number: int) -> Cell:
        place, rest = self._split(number)
        return ((self.factor, place), *self.parts[place].cell(rest))

    def cells(self) -> Iterator[Cell]:
        for place, part in enumerate(self.parts):
            for cell in part.cells():
                yield ((self.factor, place), *cell)

    def number(self, params: Mapping[str, Any]) -> int | None:
        if self.factor.name not in params:
            return None
        place = self.factor.place(params[self.factor.name])
        if place is None:
            return None
        number = self.parts[place].number({n: p for n, p in params.items() if n != self.factor.name})
        return None if number is None else number + self._start(place)

    def strategy(self) -> SearchStrategy[Cell]:
        from hypothesis import strategies as st

        def of(place: int) -> SearchStrategy[Cell]:
            return self.parts[place].strategy().map(lambda cell: ((self.factor, place), *cell))

        places = self._nonempty()
        return st.sampled_from(places).flatmap(of) if places else st.nothing()

    @property
    def identity(self) -> tuple[object, ...]:
        return ("choice", self.factor.identity, *(branch.identity for branch in self.parts))

    @property
    def required(self) -> frozenset[str]:
        return frozenset({self.factor.name}).union(frozenset.intersection(*(branch.required for branch in self.parts)))

    def factors(self) -> Iterator[Factor]:
        yield self.factor
        yield from super().factors()

    def _with(self, parts: Sequence[Part], accepts: Sequence[Accept | None]) -> _Several:
        return Choice(self.factor, parts)


class Union(_Several):
    """The cells of several parts, of which no two have one in common.

    :param accepts: for each part, which of its cells are meant; the others may be in several.
    """

    def __init__(self, parts: Sequence[Part], accepts: Sequence[Accept | None] = ()) -> None:
        # Unions of unions are one, where no test depends on how they are numbered.
        self.parts: tuple[Part, ...] = tuple(
            inner
            for part in parts
            for inner in (part.parts if isinstance(part, Union) and not (accepts or part._accepts) else (part,))
        )
        self._accepts = tuple(accepts)
        self.names: tuple[str, ...] = tuple(dict.fromkeys(name for part in self.parts for name in part.names))

    def cell(self, number: int) -> Cell:
        place, rest = self._split(number)
        return self.parts[place].cell(rest)

    def cells(self) -> Iterator[Cell]:
        for part in self.parts:
            yield from part.cells()

    def number(self, params: Mapping[str, Any]) -> int | None:
        for place, part in enumerate(self.parts):
            number = part.number(params)
            accept = self._accepts[place] if self._accepts else None
            if number is not None and (accept is None or accept(number)):
                return number + self._start(place)
        return None

    def strategy(self) -> SearchStrategy[Cell]:
        from hypothesis import strategies as st

        return st.one_of(*(self.parts[place].strategy() for place in self._nonempty()))

    @property
    def identity(self) -> tuple[object, ...]:
        return ("union", *(part.identity for part in self.parts))

    @property
    def required(self) -> frozenset[str]:
        return frozenset.intersection(*(part.required for part in self.parts))

    def _with(self, parts: Sequence[Part], accepts: Sequence[Accept | None]) -> _Several:
        return Union(parts, accepts)
