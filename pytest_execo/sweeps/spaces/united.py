"""The union of two parts: the cells of the first, then those of the second that are not in the first."""

from __future__ import annotations

from typing import Any

from .branches import Union
from .chosen import Filtered
from .parts import Cell, Part, is_listed

__all__ = ("params_of", "united")


def united(first: Part, second: Part) -> Part:
    """Return the cells of both, each once."""
    if first.identity == second.identity:
        return first
    if first.apart(second):
        return Union([first, second])
    rest = Filtered(second, _NotIn(first), ("not in", first.identity))
    return first if is_listed(second) and not rest.size else Union([first, rest])


class _NotIn:
    """The test of the cells that a part has not. A class, so that spaces can be pickled."""

    def __init__(self, part: Part) -> None:
        self._part = part

    def __call__(self, cell: Cell) -> bool:
        return not self._part.has(params_of(cell))


def params_of(cell: Cell) -> dict[str, Any]:
    """Return the parameters of a cell."""
    return {factor.name: factor.param(place) for factor, place in cell}
