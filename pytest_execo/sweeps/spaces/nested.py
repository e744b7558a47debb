"""From what is written in Python to parts: factors, their levels, and the factors that only one level has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_execo.errors import InvalidSpace

from .branches import Choice
from .factors import check_name, factor_of, shown
from .parts import Part, Product, Single

__all__ = ("check_distinct", "nested")


def nested(factors: Mapping[Any, Any]) -> Part:
    """Return every combination of some factors: levels, or a mapping from level to the factors below it.

    :raises InvalidSpace: in one line, with the factor and what would be right.
    """
    part = Product([_part(name, levels) for name, levels in factors.items()])
    check_distinct(part.names)
    return part


def check_distinct(names: Sequence[str]) -> None:
    """:raises InvalidSpace: when a factor is there twice."""
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise InvalidSpace(f"factor {twice!r} is given twice; give it once")


def _part(name: object, levels: object) -> Part:
    if not isinstance(levels, Mapping):
        return Single(factor_of(name, levels))
    branches = [_branch(name, level, below) for level, below in levels.items()]
    return Choice(factor_of(check_name(name), list(levels)), branches)


def _branch(name: object, level: object, below: object) -> Part:
    from .space import Space

    if isinstance(below, Mapping):
        return nested(below)
    if not isinstance(below, Space):
        raise InvalidSpace(
            f"factor {name!r}: below {shown(level)} is {shown(below)}; write the factors of that level, {{}} for none"
        )
    if below.repetitions != 1:
        raise InvalidSpace(f"factor {name!r}: the space below {shown(level)} repeats; repeat the whole")
    return below._settings
