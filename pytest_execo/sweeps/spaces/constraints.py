"""Constraints: predicates on settings, applied to no more of a space than they look at."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from pytest_execo.errors import InvalidSpace

from .branches import Union
from .chosen import Filtered, Picked
from .factors import shown
from .parts import Cell, Part, Product, Test, is_listed
from .points import fresh

__all__ = ("Predicate", "all_constrained", "constrained")

Predicate: TypeAlias = Callable[..., Any]


def all_constrained(part: Part, where: Predicate | Iterable[Predicate] | None) -> Part:
    """Return the cells of ``part`` for which one or several predicates, or none, are true.

    :raises InvalidSpace: as :func:`constrained`.
    """
    if where is None:
        return part
    for predicate in where if isinstance(where, Iterable) else [where]:
        part = constrained(part, predicate, part.names)
    return part


def constrained(part: Part, predicate: Callable[..., Any], names: Sequence[str]) -> Part:
    """Return the cells of ``part`` for which the predicate is true.

    :param names: the factors of the whole space, of which the part may have some only.
    :raises InvalidSpace: it is not callable, or looks at what is no factor.
    """
    looks_at, defaults = _looks_at(names, predicate)
    return _constrained(part, _Test(predicate, looks_at, defaults), looks_at, predicate)


def _constrained(part: Part, test: Test, looks_at: Sequence[str], what: object) -> Part:
    if isinstance(part, Union):
        return Union([_constrained(one, test, looks_at, what) for one in part.parts])
    if is_listed(part):
        return Filtered(part, test, what)
    if not set(part.names) & set(looks_at):
        # It says the same of all these cells.
        return part if test(()) else Picked(part, ())
    if not isinstance(part, Product):
        return Filtered(part, test, what)
    # Too large to list: the components with the factors that the predicate looks at, and nothing else.
    held = [one for one in part.parts if set(one.names) & set(looks_at)]
    filtered = Filtered(Product(held), test, what)
    return Product([filtered if one is held[0] else one for one in part.parts if one is held[0] or one not in held])


def _looks_at(factors: Sequence[str], predicate: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    if not callable(predicate):
        raise InvalidSpace(f"where is {shown(predicate)}; write a function of factors: where=lambda memory, vms: …")
    try:
        parameters = inspect.signature(predicate).parameters.values()
    except (TypeError, ValueError) as error:
        raise InvalidSpace(f"where={_name(predicate)}: its arguments can't be read; wrap it in a lambda") from error
    names: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            names = list(factors)
            break
        if parameter.kind is parameter.VAR_POSITIONAL or parameter.kind is parameter.POSITIONAL_ONLY:
            raise InvalidSpace(f"where={_name(predicate)}: argument {parameter.name!r} has to be the name of a factor")
        if parameter.name in factors:
            names.append(parameter.name)
        elif parameter.default is parameter.empty:
            raise InvalidSpace(
                f"where={_name(predicate)}: no factor {parameter.name!r}; there are {', '.join(factors) or 'none'}"
            )
    if not names:
        raise InvalidSpace(f"where={_name(predicate)}: it looks at no factor; there are {', '.join(factors) or 'none'}")
    return tuple(names), {p.name: p.default for p in parameters if p.default is not p.empty}


class _Test:
    """A predicate as a test of cells."""

    def __init__(self, predicate: Callable[..., Any], names: tuple[str, ...], defaults: dict[str, Any]) -> None:
        self._predicate = predicate
        self._absent = {name: defaults.get(name) for name in names}

    def __call__(self, cell: Cell) -> bool:
        values = dict(self._absent)
        for factor, place in cell:
            if factor.name in values:
                values[factor.name] = fresh(factor.value(place))
        try:
            return bool(self._predicate(**values))
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            setting = ", ".join(f"{name}={shown(value)}" for name, value in values.items())
            raise InvalidSpace(f"where={_name(self._predicate)}: {reason}; at {setting}") from error


def _name(predicate: object) -> str:
    return getattr(predicate, "__name__", None) or repr(predicate)
