"""``@sweep``: a parameter space over a test function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import Any

import pytest

from ..errors import InvalidSpace
from ..sweeps import Level, Space
from .nearest import nearest

__all__ = ("generate", "sweep")

_MARK = "execo_sweep"


@dataclass(frozen=True)
class _Design:
    """What ``@sweep`` leaves on the function. A fault is kept until collection, which can say where it is."""

    space: Space | None
    fault: str


def sweep(
    factors: Mapping[str, Iterable[Any]] | Callable[..., Any] | None = None,
    /,
    *,
    repeat: int = 1,
    **more: Iterable[Any],
) -> pytest.MarkDecorator:
    """Run a test function once for each combination of levels, ``repeat`` times: a full factorial design.

    ::

        @sweep(memory=["2GiB", "4GiB"], dirty=[0, 25, 50], repeat=10)
        def test_migration(nodes, trial, memory, dirty): ...

    Each combination and repetition is a trial with an identity of its own: the test's name, the parameters as
    canonical JSON, the repetition. A trial that was done is not run again by the next ``pytest``; adding levels adds
    trials and keeps what was done. All combinations run once before any is repeated.

    :param factors: factors whose names are no keyword (``{"repeat": [1, 2]}``); others are easier as keywords.
    :param repeat: how many times each combination runs.
    :param more: factor = its levels, JSON values. Another value is given a name: ``pytest.param(value, id="a-name")``.

    Several ``@sweep`` on one function multiply. What is wrong with a design is told at collection, with exit code 4.
    """
    if callable(factors):
        # @sweep without parentheses: what it is to decorate has come as its argument, and has to stay a test.
        mark = pytest.mark.execo_sweep.with_args(_Design(None, "it needs factors: @sweep(size=[1, 10])"))
        return mark(factors)  # type: ignore[no-any-return]
    try:
        design = _Design(Space(_named(factors, more), repeat=repeat), "")
    except InvalidSpace as error:
        design = _Design(None, str(error))
    return pytest.mark.execo_sweep.with_args(design)


def _named(factors: Mapping[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    if factors is not None and not isinstance(factors, Mapping):
        raise InvalidSpace(f"{factors!r} is not a mapping of factors; write sweep(name=[…]) or sweep({{'name': […]}})")
    twice = [name for name in factors or () if name in more]
    if twice:
        raise InvalidSpace(f"factor {twice[0]!r} is given twice")
    return {name: _levels(name, levels) for name, levels in {**(factors or {}), **more}.items()}


def _levels(name: str, levels: Any) -> Any:
    if not isinstance(levels, list | tuple):
        return levels  # the space says what is wrong with it
    return [_level(name, level) for level in levels]


def _level(name: str, level: Any) -> Any:
    # pytest.param(value, id="…") is how pytest's users give a value a name.
    if not hasattr(level, "marks") or not hasattr(level, "values") or not hasattr(level, "id"):
        return level
    if not isinstance(level.id, str) or len(level.values) != 1 or level.marks:
        raise InvalidSpace(
            f'factor {name!r}: write pytest.param(value, id="a-name") with one value, an id and no marks'
        )
    return Level(level.values[0], level.id)


def generate(metafunc: pytest.Metafunc) -> str | None:
    """Parametrize a function by its sweeps; return what is wrong with them, in one line that says where."""
    designs: list[_Design] = [mark.args[0] for mark in metafunc.definition.iter_markers(_MARK)]
    fault = next((design.fault for design in designs if design.fault), None) or _clash(metafunc, designs)
    if fault is None:
        try:
            # The decorator nearest to the function varies slowest, as with stacked pytest.mark.parametrize.
            space = reduce(mul, [design.space for design in reversed(designs) if design.space is not None])
        except InvalidSpace as error:
            fault = str(error)
    if fault is not None:
        path, line, _ = metafunc.definition.location
        return f"{path}:{(line or 0) + 1}: @sweep of {metafunc.function.__name__}: {fault}"
    names = list(space.factors)
    metafunc.parametrize(
        names,
        [pytest.param(*point.values.values(), id=point.label, marks=pytest.mark.execo_trial(point)) for point in space],
    )
    return None


def _clash(metafunc: pytest.Metafunc, designs: list[_Design]) -> str | None:
    """Find a factor that the function does not take, or that something else sets."""
    others: set[str] = set()
    for mark in metafunc.definition.iter_markers("parametrize"):
        given = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        others |= {name.strip() for name in given.split(",")} if isinstance(given, str) else set(given)
    for design in designs:
        for name in design.space.factors if design.space is not None else ():
            if name in others:
                return f"factor {name!r} is given twice: by @sweep and by pytest.mark.parametrize"
            if name not in metafunc.fixturenames:
                taken = [n for n in metafunc.definition.obj.__code__.co_varnames if n in metafunc.fixturenames]
                return f"the function takes no argument {name!r}{nearest(name, taken)}"
    return None
