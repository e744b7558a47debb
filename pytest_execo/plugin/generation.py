"""From a sweep to pytest's items: one for each trial.

What is said of a trial is kept once for the function, in the stash of its module or class, and found from the item by
its number: a mark on each item would cost more than all the rest of collection does for it.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import mul
from typing import Any

import pytest

from ..errors import InvalidSpace
from ..nearest import nearest
from ..sweeps.spaces.points import Point
from ..sweeps.spaces.space import Space
from .sweep import MARK, Design

__all__ = ("PAUSED", "Swept", "generate", "resume_collector", "swept")

#: More items than this are not collected: pytest takes about 5 kB and 0.2 ms for each.
MOST_ITEMS = 2_000_000
# From here on a garbage collection costs more than what it might find.
_MANY = 5_000

#: Set while the garbage collector waits for the end of collection.
PAUSED: pytest.StashKey[bool] = pytest.StashKey()


@dataclass(frozen=True)
class Swept:
    """The sweep of a function: its design, and the points in the order of the items; none for the slots of a search."""

    design: Design
    names: tuple[str, ...]
    points: Sequence[Point]
    #: Whether each item has a mark with its number: where it can't be told from pytest's own numbers.
    marked: bool

    def number(self, item: pytest.Item) -> int:
        """Return the number of an item among those of the sweep."""
        if self.marked:
            mark = item.get_closest_marker("execo_trial")
            assert mark is not None
            return int(mark.args[0])
        return int(item.callspec.indices[self.names[0]])  # type: ignore[attr-defined]

    @property
    def adapts(self) -> bool:
        """Whether it decides as it goes which trials are run."""
        return self.design.until is not None or self.design.search is not None


_SWEPT: pytest.StashKey[dict[str, Swept]] = pytest.StashKey()


def swept(item: pytest.Item) -> tuple[Swept, int] | None:
    """Return the sweep that an item is of, and its number in there; ``None`` for an item of no sweep."""
    parent = item.parent
    functions = parent.stash.get(_SWEPT, None) if parent is not None else None
    found = functions.get(getattr(item, "originalname", "")) if functions else None
    return None if found is None else (found, found.number(item))


def generate(metafunc: pytest.Metafunc) -> str | None:
    """Parametrize a function by its sweeps; return what is wrong with them, in one line that says where."""
    try:
        design = _design(metafunc)
        assert design.space is not None
        if design.search is None and design.space.size > MOST_ITEMS:
            raise InvalidSpace(f"{design.space.size:.4g} trials are too many to collect; sample=100 draws 100 of them")
    except InvalidSpace as error:
        path, line, _ = metafunc.definition.location
        return f"{path}:{(line or 0) + 1}: @sweep of {metafunc.function.__name__}: {error}"
    if design.space.size >= _MANY:
        _pause_collector(metafunc.config)
    names = design.space.names
    if design.search is not None:
        points: list[Point] = []
        width = len(str(design.trials - 1))
        ids = [f"search-{number:0{width}}" for number in range(design.trials)]
        values: list[Any] = [tuple(None for _ in names)] * design.trials
    else:
        points = list(design.space)
        ids = [point.label for point in points]
        values = [tuple(map(point.values.get, names)) for point in points]
    marked = not names or _has_others(metafunc)
    if marked:
        numbers = [pytest.mark.execo_trial(number) for number in range(len(ids))]
        values = [pytest.param(*one, id=id, marks=mark) for one, id, mark in zip(values, ids, numbers, strict=True)]
        metafunc.parametrize(names, values)
    else:
        metafunc.parametrize(names, values, ids=ids)
    parent = metafunc.definition.parent
    assert parent is not None
    parent.stash.setdefault(_SWEPT, {})[metafunc.definition.name] = Swept(design, names, points, marked)
    return None


def _pause_collector(config: pytest.Config) -> None:
    """Have Python's garbage collector wait until collection is over.

    It looks through all objects again and again while they become more, all of which stay: at 100 000 items that takes
    more time than the items do.
    """
    if gc.isenabled():
        gc.disable()
        config.stash[PAUSED] = True
        config.add_cleanup(resume_collector)  # when collection never comes to its end


def resume_collector() -> None:
    """Have the garbage collector go on. Whoever had it off from the start never gets here."""
    gc.enable()


def _has_others(metafunc: pytest.Metafunc) -> bool:
    """Tell whether something else parametrizes the function: pytest then numbers the items of all of it together."""
    if any(True for _ in metafunc.definition.iter_markers("parametrize")):
        return True
    fixtures = getattr(metafunc, "_arg2fixturedefs", {}).values()
    return any(definition.params is not None for definitions in fixtures for definition in definitions)


def _design(metafunc: pytest.Metafunc) -> Design:
    """Return the product of all sweeps of the function.

    :raises InvalidSpace: what is wrong with them.
    """
    # The decorator nearest to the function varies slowest, as with stacked pytest.mark.parametrize.
    designs = [_read(metafunc, mark.args[0]) for mark in metafunc.definition.iter_markers(MARK)]
    spaces = [design.space for design in designs if design.space is not None]
    for space in spaces:
        _check_names(metafunc, space)
    if len(designs) == 1:
        return designs[0]
    ruled = [design for design in designs if design.until is not None or design.search is not None]
    if any(design.search is not None for design in ruled):
        raise InvalidSpace("a sweep with search= stands alone: give all factors to it")
    repeated = [design for design in designs if design.space is not None and design.space.repetitions > 1]
    if ruled and len({id(design) for design in (*ruled, *repeated)}) > 1:
        raise InvalidSpace("repetitions are decided twice; give until= to one @sweep, and no repeat= to the others")
    return replace((ruled or designs)[0], space=reduce(mul, spaces))


def _read(metafunc: pytest.Metafunc, design: Design) -> Design:
    if design.fault:
        raise InvalidSpace(design.fault)
    if not design.path:
        return design
    assert design.finish is not None
    return replace(design, space=design.finish(Space.read(metafunc.definition.path.parent / design.path)))


def _check_names(metafunc: pytest.Metafunc, space: Space) -> None:
    """Find a factor that the function does not take, or that something else sets."""
    others: set[str] = set()
    for mark in metafunc.definition.iter_markers("parametrize"):
        given = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        others |= {name.strip() for name in given.split(",")} if isinstance(given, str) else set(given)
    for name in space.names:
        if name in others:
            raise InvalidSpace(f"factor {name!r} is given twice: by @sweep and by pytest.mark.parametrize")
        if name not in metafunc.fixturenames:
            taken = [n for n in metafunc.definition.obj.__code__.co_varnames if n in metafunc.fixturenames]
            raise InvalidSpace(f"the function takes no argument {name!r}{nearest(name, taken)}")
