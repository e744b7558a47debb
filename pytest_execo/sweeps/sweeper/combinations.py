"""Combinations: what scripts sweep over, as plain mappings; and how factors are spelled out into them.

A :class:`~pytest_execo.sweeps.Point` is for tests: its factors are arguments, its labels node ids. A combination is
for scripts that come from execo: it looks like a dict and can be the key of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import islice
from typing import Any, TypeAlias

from pytest_execo.errors import InvalidSpace

from ..identity import canonical_json
from ..spaces.points import Level, Point, fresh
from ..spaces.space import Space

__all__ = ("Combination", "Combinations", "Sweeps", "combination", "combinations_of", "shuffled", "sweep_combinations")

Sweeps: TypeAlias = "Space | Mapping[str, Any] | Iterable[Mapping[str, Any]]"
"""What can be swept: a space; factors and their levels, as for :func:`sweep_combinations`; or the combinations."""

MAX_COMBINATIONS = 2_000_000
"""The most combinations of a sweep: they are listed, other than the points of a space."""


class Combination(Mapping[str, Any]):
    """A level for each factor: an immutable mapping that can be a key, ``comb["x"]``, ``dict(comb)``.

    Equal to any mapping of the same levels; ``1``, ``1.0`` and ``True`` are three levels, ``(1, 2)`` and ``[1, 2]``
    one. Levels are as they were given, and lists are new copies at each reading.
    """

    __slots__ = ("_levels", "repetition", "text")

    text: str
    """The canonical JSON of the levels: what makes two combinations the same."""
    repetition: int
    """Which repetition, from 0, where a :class:`~pytest_execo.sweeps.Space` repeats. Combinations that differ in it
    are not equal, and a plain mapping equals repetition 0."""

    def __init__(self, levels: Mapping[str, Any], text: str, repetition: int = 0) -> None:
        for name, value in (("_levels", levels), ("text", text), ("repetition", repetition)):
            object.__setattr__(self, name, value)

    _levels: Mapping[str, Any]

    def __getitem__(self, factor: str) -> Any:
        return fresh(self._levels[factor])

    def __iter__(self) -> Iterator[str]:
        return iter(self._levels)

    def __len__(self) -> int:
        return len(self._levels)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Combination is immutable: {name!r} can't be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Combination is immutable: {name!r} can't be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        try:
            found = combination(other)
        except InvalidSpace:
            return False
        return (self.text, self.repetition) == (found.text, found.repetition)

    def __hash__(self) -> int:
        return hash((self.text, self.repetition))

    def __reduce__(self) -> tuple[type[Combination], tuple[Any, ...]]:
        return Combination, (self._levels, self.text, self.repetition)

    def __repr__(self) -> str:
        return repr(dict(self._levels))


class Combinations(Set[Combination]):
    """Some combinations of a sweep, in its order: a set that plain mappings can be looked up in.

    ``len(…)``, ``comb in …``, iteration, and ``&``, ``|``, ``-`` with others.
    """

    __slots__ = ("_combinations",)

    def __init__(self, combinations: Iterable[Mapping[str, Any]] = ()) -> None:
        self._combinations: dict[Combination, None] = dict.fromkeys(map(combination, combinations))

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, Mapping):
            return False
        try:
            return combination(value) in self._combinations
        except InvalidSpace:
            return False

    def __iter__(self) -> Iterator[Combination]:
        return iter(self._combinations)

    def __len__(self) -> int:
        return len(self._combinations)

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, islice(self._combinations, 3)))
        more = len(self) - 3
        return f"<{len(self)} combinations{': ' if shown else ''}{shown}{f', and {more} more' if more > 0 else ''}>"


def combination(levels: Mapping[str, Any], repetition: int = 0) -> Combination:
    """Return a combination of these levels; of one that it is already, itself.

    :raises InvalidSpace: in one line: a name is not text, or a level is not JSON and has no name (:class:`Level`).
    """
    if isinstance(levels, Combination):
        return levels
    if not isinstance(levels, Mapping):
        raise InvalidSpace(f"a combination is {_text(levels)}, not a mapping from factor to level")
    params: dict[str, Any] = {}
    for name, level in levels.items():
        if not isinstance(name, str):
            raise InvalidSpace(f"factor {_text(name)} of combination {_text(levels)} is not text")
        params[name] = level.id if isinstance(level, Level) else level
    try:
        text = canonical_json(params)
    except ValueError as error:
        raise InvalidSpace(f"combination {_text(levels)} holds {error}; name it: Level(value, 'a-name')") from None
    values = {name: fresh(level.value if isinstance(level, Level) else level) for name, level in levels.items()}
    return Combination(values, text, repetition)


def combinations_of(sweeps: Sweeps) -> list[Combination]:
    """Return the combinations of a space, of factors, or of a list, in order; one that is there twice is there once.

    :raises InvalidSpace: in one line: what is wrong, or that there are too many to list.
    """
    given: Any = sweeps
    if isinstance(sweeps, Space):
        if sweeps.size > MAX_COMBINATIONS:
            raise InvalidSpace(
                f"a space of {sweeps.size} points is too large to list; sample it: space.sample(1000, seed=1)"
            )
        found: Iterable[Combination] = map(_of_point, sweeps)
    elif isinstance(sweeps, Mapping):
        found = _expand(sweeps)
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes):
        found = map(combination, given)
    else:
        raise InvalidSpace(f"sweeps are {_text(sweeps)}; give a Space, a dict of factors, or a list of combinations")
    listed = list(islice(found, MAX_COMBINATIONS + 1))
    if len(listed) > MAX_COMBINATIONS:
        raise InvalidSpace(f"more than {MAX_COMBINATIONS} combinations, too many to list; give fewer")
    return list(dict.fromkeys(listed))


def sweep_combinations(parameters: Mapping[str, Any]) -> list[Combination]:
    """Return every combination of the levels of ``parameters``, the last factor varying fastest: execo's ``sweep``.

    ::

        sweep_combinations({"x": [1, 2], "y": {"p": {"k": [3]}, "q": {}}})
        # {'x': 1, 'y': 'p', 'k': 3}, {'x': 1, 'y': 'q'}, {'x': 2, 'y': 'p', 'k': 3}, {'x': 2, 'y': 'q'}

    :param parameters: from factor to its levels; or to a dict from level to the factors that go with it alone.
    :raises InvalidSpace: in one line: a factor without levels (execo leaves it out in silence), in two places of one
        combination, or too many combinations to list.
    """
    return combinations_of(parameters)


def shuffled(combinations: Iterable[Combination], seed: int | str) -> list[Combination]:
    """Return them in a random order that ``seed`` determines, all of one repetition before those of the next.

    The order of two of them does not depend on which others there are.
    """

    def drawn(comb: Combination) -> tuple[int, bytes]:
        text = f"{seed!r}\0{comb.text}\0{comb.repetition}"
        return comb.repetition, hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

    return sorted(combinations, key=drawn)


def _of_point(point: Point) -> Combination:
    text = getattr(point, "params_json", None)
    return Combination(point.values, text if isinstance(text, str) else canonical_json(point.params), point.repetition)


def _expand(parameters: Mapping[str, Any]) -> Iterator[Combination]:
    return map(combination, _rows(list(_checked(parameters).items())))


def _rows(factors: list[tuple[str, list[tuple[Any, dict[str, Any]]]]]) -> Iterator[dict[str, Any]]:
    if not factors:
        yield {}
        return
    (name, options), *rest = factors
    for level, inner in options:
        for row in _rows(list(inner.items())):
            for more in _rows(rest):
                found = {name: level, **row, **more}
                if len(found) != 1 + len(row) + len(more):
                    raise InvalidSpace(f"a factor is twice in {_text({name: level})}, {_text(row)} and {_text(more)}")
                yield found


def _checked(parameters: Mapping[str, Any]) -> dict[str, list[tuple[Any, dict[str, Any]]]]:
    """Return, for each factor, its levels and the checked factors below each of them."""
    found: dict[str, list[tuple[Any, dict[str, Any]]]] = {}
    for name, levels in parameters.items():
        if not isinstance(name, str):
            raise InvalidSpace(f"factor {_text(name)} is not text")
        if isinstance(levels, Mapping):
            options = [(level, _checked(_inner(name, level, inner))) for level, inner in levels.items()]
        elif isinstance(levels, str | bytes) or not isinstance(levels, Iterable):
            raise InvalidSpace(f"factor {name!r} is {_text(levels)}, not levels; write [{_text(levels)}]")
        else:
            options = [(level, {}) for level in islice(levels, MAX_COMBINATIONS + 1)]
        if not options:
            raise InvalidSpace(f"factor {name!r} has no level; give it at least one, or leave the factor out")
        found[name] = options
    return found


def _inner(name: str, level: object, inner: object) -> Mapping[str, Any]:
    if not isinstance(inner, Mapping):
        raise InvalidSpace(
            f"level {_text(level)} of factor {name!r} has {_text(inner)} below it, not a dict of factors; write {{}}"
        )
    return inner


def _text(value: object) -> str:
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # an integer of more digits than Python shows
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}…"
