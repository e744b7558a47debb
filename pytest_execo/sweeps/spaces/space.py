"""Parameter spaces: factors, levels, and the points they make.

A space is never listed: its size and any of its points are computed, so that a space of 10¹⁴⁹ points costs what its
levels cost. Points are numbered with the last factor varying fastest and the repetition slowest: a campaign that is
interrupted early has one repetition of everything rather than every repetition of something.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

from pytest_execo.errors import InvalidSpace

from .branch_factors import all_levels, count_levels, told_apart
from .constraints import Predicate, all_constrained
from .draws import check_seed
from .factors import Factor, shown
from .labels import join_label
from .layers import Layer, Layers
from .nested import check_distinct, nested
from .parts import Cell, Part, Product
from .points import Level, Point
from .sampling import drawn

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ("Level", "Point", "Space")


class Space:
    """A full factorial: every combination of the levels of its factors, ``repeat`` times; and what is made of such.

    ::

        space = Space(memory=["2GiB", "4GiB"], dirty=[0, 25, 50], repeat=3)
        len(space)        # 18
        space.point(7)    # <Point memory:2GiB-dirty:25-r1>
        space * other, space | other, space.zip(other), space.where(…), space.sample(100, seed=1), space.shuffled(7)

    A *setting* is a level for each factor; a *point* is a setting in one repetition. Spaces are immutable.

    :param factors: a mapping from factor to levels, for names that can't be keywords here (``repeat``).
    :param where: one or several constraints; see :meth:`where`.
    :param repeat: how many times each setting is run.
    :param more: factors by keyword: a collection of levels, an iterator, which is read to its end, levels that are
        computed (:func:`~pytest_execo.sweeps.permutations`), or a mapping from level to the factors that only that
        level has: ``disk={"ssd": {"model": ["a", "b"]}, "none": {}}``. A level is JSON, an enum, a path, a frozen
        dataclass, or a :class:`Level`.
    :raises InvalidSpace: in one line, with the factor and what would be right.
    """

    def __init__(
        self,
        factors: Mapping[str, Any] | None = None,
        /,
        *,
        where: Predicate | Iterable[Predicate] | None = None,
        repeat: int = 1,
        **more: Any,
    ) -> None:
        if factors is not None and not isinstance(factors, Mapping):
            raise InvalidSpace(f"factors are {shown(factors)}, not a mapping; write Space(x=[1, 2]) or {{'x': [1, 2]}}")
        given = dict(factors or {})
        for name in more:
            if name in given:
                raise InvalidSpace(f"factor {name!r} is given twice; give it once")
        part = all_constrained(nested({**given, **more}), where)
        self._layers: Layers = Layers([Layer(_repetitions(repeat), part)])
        self._notes: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def _of(cls, layers: Layers, notes: Iterable[Mapping[str, Any]] = ()) -> Space:
        space = cls.__new__(cls)
        space._layers = layers
        space._notes = tuple(notes)
        return space

    @classmethod
    def of(cls, points: Iterable[Mapping[str, Any]]) -> Space:
        """Return a space of the settings in a list, in its order; they may have different factors.

        :raises InvalidSpace: one is no mapping, or the same as another; with its place in the list, from 0.
        """
        from .listing import Listed

        return cls._of(Layers([Layer(1, Listed.of(points))]))

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Space:
        """Return a space of the settings in a file.

        CSV: the first line has the factors. A cell that is a JSON number, ``true``, ``false`` or ``null`` is that, any
        other is text; an empty cell: the setting does not have the factor. JSON: a list of objects.

        :raises InvalidSpace: it can't be read, with file and line.
        """
        from .listing import Listed

        return cls._of(Layers([Layer(1, Listed.read(path))]))

    # what it has

    @property
    def names(self) -> tuple[str, ...]:
        """The factors, in order; those that only some settings have, too."""
        return self._settings.names

    @property
    def factors(self) -> dict[str, Sequence[Any]]:
        """The levels by factor, in order, as they were given; of a factor in several branches, those of all."""
        return {name: all_levels(some) for name, some in self._factors.items()}

    @cached_property
    def _factors(self) -> dict[str, list[Factor]]:
        """Each factor by name; several where branches have different levels of it."""
        found: dict[str, list[Factor]] = {name: [] for name in self.names}
        for factor in self._settings.factors():
            known = found[factor.name]
            if all(factor is not one and factor.identity != one.identity for one in known):
                known.append(factor)
        return found

    @cached_property
    def _apart(self) -> dict[str, str]:
        """New labels, by fragment, of levels that would read the same: of one factor in two branches."""
        return {fragment: label for some in self._factors.values() for fragment, label in told_apart(some).items()}

    @property
    def repetitions(self) -> int:
        """How many times each setting is run; the most, where that differs."""
        return self._layers.repetitions

    @property
    def size(self) -> int:
        """The number of points, exact at any size; ``len()`` is the same, and Python bounds it to 2⁶³-1.

        :raises InvalidSpace: a constraint on too many settings to list; such a space can be sampled and iterated.
        """
        return self._layers.size

    @cached_property
    def _repeats(self) -> bool:
        return self.repetitions > 1

    @property
    def _settings(self) -> Part:
        return self._layers.settings

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
        return self._point(*self._layers.cell(number))

    def index(self, point: Point) -> int:
        """Return the number of a point: ``space.index(space.point(i)) == i``.

        :raises InvalidSpace: when the point is not in this space.
        """
        number = self._layers.number(point._params, point.repetition)
        if number is None:
            raise InvalidSpace(f"{point!r} is not in {self!r}")
        return number

    def find(self, params_json: str, repetition: int = 0) -> Point:
        """Return the point with these parameters, given as JSON.

        :raises InvalidSpace: when the space has none.
        """
        params = json.loads(params_json)
        return self.point(self.index(Point({}, params, repetition, params_json, params_json)))

    def __iter__(self) -> Iterator[Point]:
        for cell, repetition in self._layers.cells():
            yield self._point(cell, repetition)

    def __contains__(self, point: object) -> bool:
        return isinstance(point, Point) and self._layers.has(point._params, point.repetition)

    def _point(self, cell: Cell, repetition: int) -> Point:
        entries = [factor.entry(place) for factor, place in cell]
        labels = [entry[3] for entry in entries]
        if self._apart:
            labels = [self._apart.get(entry[4], entry[3]) for entry in entries]
        if self._repeats:
            labels.append(f"r{repetition}")
        # Sorted as texts they are sorted by name: the quote that ends a name comes before all that a name may have.
        fragments = sorted([entry[4] for entry in entries])
        return Point._of(entries, repetition, join_label(labels), "{" + ",".join(fragments) + "}")

    # what is made of it

    def __mul__(self, other: Space) -> Space:
        """Every combination of both; the repetitions multiply.

        :raises InvalidSpace: when a factor is in both.
        """
        if not isinstance(other, Space):
            return NotImplemented
        check_distinct((*self.names, *other.names))
        return self._of(self._layers.times(other._layers), (*self._notes, *other._notes))

    def __or__(self, other: Space) -> Space:
        """The points of both: those of the first, then those of the second that are not in the first.

        A setting that has 3 repetitions in one and 10 in the other has 10.
        """
        if not isinstance(other, Space):
            return NotImplemented
        return self._of(self._layers.united(other._layers), (*self._notes, *other._notes))

    def zip(self, other: Space) -> Space:
        """The first setting of this one with the first of the other, and so on; the repetitions multiply.

        :raises InvalidSpace: they have not the same number of settings, or a factor in common.
        """
        if not isinstance(other, Space):
            raise InvalidSpace(f"zip({shown(other)}): give a space")
        check_distinct((*self.names, *other.names))
        return self._of(self._layers.zipped(other._layers), (*self._notes, *other._notes))

    def where(self, *predicates: Predicate) -> Space:
        """Keep the settings for which all predicates are true: ``space.where(lambda memory, vms: memory * vms <= 64)``.

        The names of a predicate's arguments say which factors it looks at; ``**params`` looks at all. A factor that a
        setting does not have is passed as the argument's default, or ``None``. In a large space, only the combinations
        of these factors are listed to apply it, so that ``size`` stays exact.

        :raises InvalidSpace: an argument that is no factor; later, with the setting, when a predicate fails.
        """
        layers = self._layers
        for predicate in predicates:
            layers = layers.constrained(predicate)
        return self._of(layers, self._notes)

    def repeat(self, times: int) -> Space:
        """Run each point that many times."""
        return self._of(self._layers.repeated(_repetitions(times)), self._notes)

    def sample(self, count: int, *, seed: int | str) -> Space:
        """Draw settings at random, no one twice; each is then repeated as often as the space repeats.

        So ``Space(…, repeat=10).sample(100, seed=1)`` has 1000 points. The same seed draws the same settings on every
        machine and with every version; a larger sample begins with the smaller one, so that it keeps what was done.

        :param seed: a whole number or a text.
        :raises InvalidSpace: the space has not so many.
        """
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InvalidSpace(f"sample({shown(count)}): write how many, a whole number from 1")
        note = {"sample": count, "seed": check_seed(seed)}
        return self._of(self._layers.picked(*drawn(self._settings, count, seed)), (*self._notes, note))

    def shuffled(self, seed: int | str, *, blocks: Sequence[str] = ()) -> Space:
        """Put the points into a random order, another one in each repetition.

        That is a randomized complete block design: what drifts with time is not mistaken for the effect of a factor
        (Jain 1991; Montgomery). The place of a point among others does not depend on which others there are.

        :param blocks: factors whose equal levels stay together, for what is expensive to change:
            ``shuffled(7, blocks=["cluster"])``; the blocks are in random order too.
        """
        check_seed(seed)
        if isinstance(blocks, str):
            raise InvalidSpace(f"blocks is {blocks!r}; write a list of factors: blocks=[{blocks!r}]")
        for name in blocks:
            if name not in self.names:
                raise InvalidSpace(f"blocks: no factor {name!r} in {self!r}")
        note = {"shuffled": seed, "blocks": list(blocks)}
        return self._of(self._layers.shuffled(seed, blocks), (*self._notes, note))

    @property
    def axes(self) -> tuple[int, ...]:
        """The sizes of the independent components of the settings: those of the factors, in a full factorial."""
        part = self._settings
        return tuple(one.size for one in part.parts) if isinstance(part, Product) else (part.size,)

    def at(self, places: Sequence[int]) -> int:
        """Return the number of the setting at these places of the :attr:`axes`."""
        axes = self.axes
        if len(places) != len(axes) or not all(0 <= place < size for place, size in zip(places, axes, strict=True)):
            raise InvalidSpace(f"at({shown(list(places))}): write a number below each of {shown(list(axes))}")
        number = 0
        for place, size in zip(places, axes, strict=True):
            number = number * size + place
        return number

    def pick(self, numbers: Iterable[int], *, note: Mapping[str, Any] | None = None) -> Space:
        """Return the settings with these numbers, in this order, each as often as it is repeated.

        :param note: JSON that says how they were chosen, for :meth:`describe`.
        :raises InvalidSpace: a number that is given twice, or too large.
        """
        listed = [operator.index(number) for number in numbers]
        size = self._settings.size
        wrong = next((number for number in listed if not 0 <= number < size), None)
        if wrong is not None:
            raise InvalidSpace(f"pick: no setting {wrong} in a space of {size}")
        if len(set(listed)) != len(listed):
            raise InvalidSpace("pick: a number is given twice; repeat() runs a setting again")
        return self._of(self._layers.picked(self._settings, listed), (*self._notes, note or {"picked": len(listed)}))

    def latin_hypercube(self, count: int, *, seed: int | str) -> Space:
        """Draw settings that spread evenly over the levels; see :func:`~pytest_execo.sweeps.latin_hypercube`."""
        from .designs import latin_hypercube

        return latin_hypercube(self, count, seed=seed)

    def sobol(self, count: int, *, seed: int | str) -> Space:
        """Draw settings that fill the space evenly; see :mod:`~pytest_execo.sweeps.spaces.designs`."""
        from .designs import sobol

        return sobol(self, count, seed=seed)

    def plackett_burman(self) -> Space:
        """Screen many factors at their first and last level; see :mod:`~pytest_execo.sweeps.spaces.designs`."""
        from .designs import plackett_burman

        return plackett_burman(self)

    def strategy(self) -> SearchStrategy[Point]:
        """Return a Hypothesis strategy of the settings, as points of repetition 0.

        It shrinks toward the first level of each factor: put the simplest level first, and what ``@given`` reports is
        the simplest setting that fails.
        """
        try:
            import hypothesis  # noqa: F401
        except ImportError as error:
            raise ImportError("strategy() needs Hypothesis: pip install hypothesis") from error
        if not self._settings.relaxed()[0].size:
            raise InvalidSpace(f"strategy of {self!r}: it has no point")
        return self._settings.strategy().map(lambda cell: self._point(cell, 0))

    def describe(self) -> dict[str, Any]:
        """Return what it is, as JSON: factors with their number of levels, repetitions, size, and how it was made."""
        try:
            size: int | None = self.size
        except InvalidSpace:
            size = None
        return {
            "size": size,
            "factors": {name: count_levels(some) for name, some in self._factors.items()},
            "repetitions": self.repetitions,
            "made": [dict(note) for note in self._notes],
        }

    def __eq__(self, other: object) -> bool:
        return self._layers.identity == other._layers.identity if isinstance(other, Space) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._layers.identity)

    def __repr__(self) -> str:
        described = self.describe()
        factors = " * ".join(f"{name}:{_count(count)}" for name, count in described["factors"].items())
        size = described["size"]
        settings = math.prod(described["factors"].values())
        shown_size = "" if size == settings * self.repetitions else f" size={'?' if size is None else _count(size)}"
        repeat = f" repeat={self.repetitions}" if self.repetitions > 1 else ""
        return f"<Space {factors or 'no factor'}{shown_size}{repeat}>"


def _repetitions(times: object) -> int:
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise InvalidSpace(f"repeat is {shown(times)}; write a whole number from 1")
    return int(times)


def _count(number: int) -> str:
    return str(number) if number < 10**9 else f"{number:.3g}" if number < 10**300 else f"10^{len(str(number)) - 1}"
