"""The decorator: ``@sweep(size=[1, 10, 100], repeat=5)``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from ..errors import InvalidSpace
from ..sweeps.spaces.points import Level
from ..sweeps.spaces.space import Space

if TYPE_CHECKING:
    from ..sweeps.spaces.search import Search, Until

__all__ = ("MARK", "Design", "sweep")

MARK = "execo_sweep"

Points: TypeAlias = "Mapping[str, Any] | Iterable[Mapping[str, Any]] | Space | str | os.PathLike[str]"


@dataclass(frozen=True)
class Design:
    """What ``@sweep`` leaves on the function. A fault is kept until collection, which can say where it is."""

    space: Space | None = None
    fault: str = ""
    #: A file of points, to be read at collection, when the directory of the test is known; and what is done to it.
    path: str = ""
    finish: Callable[[Space], Space] | None = None
    until: Until | None = None
    search: Callable[[Space], Search] | None = None
    #: How many trials a search may take.
    trials: int = 0


def sweep(
    points: Points | Callable[..., Any] | None = None,
    /,
    *,
    where: Callable[..., Any] | Iterable[Callable[..., Any]] | None = None,
    repeat: int = 1,
    sample: int | None = None,
    seed: int | str = 0,
    until: Until | None = None,
    search: Callable[[Space], Search] | None = None,
    trials: int | None = None,
    **factors: Any,
) -> pytest.MarkDecorator:
    """Run a test function once for each combination of levels, ``repeat`` times: a full factorial design.

    ::

        @sweep(memory=["2GiB", "4GiB"], dirty=[0, 25, 50], repeat=10)
        def test_migration(nodes, trial, memory, dirty): ...

    Each combination and repetition is a trial with an identity of its own: the test's name, the parameters as
    canonical JSON, the repetition. A trial that was done is not run again by the next ``pytest``; adding levels adds
    trials and keeps what was done. All combinations run once before any is repeated.

    :param points: instead of keywords: a mapping of factors (for names that are keywords here: ``{"repeat": [1, 2]}``),
        a :class:`~pytest_execo.Space` of any design, a list of settings (mappings), or the path of a CSV or JSON file
        of settings, relative to the test's file.
    :param where: keep the combinations for which it is true: ``where=lambda memory, vms: memory * vms <= 64``.
    :param repeat: how many times each combination runs.
    :param sample: draw that many of the combinations, at random, the same in each session.
    :param seed: of the sample. Default: 0, so that nobody has to think of one to go on tomorrow.
    :param until: repeat each combination until a measurement is precise enough:
        ``until=Until("duration", relative=0.05, at_least=3, at_most=30)``; instead of ``repeat``.
    :param search: called with the space, returns an ask/tell search that chooses the combinations one after another;
        needs ``trials``.
    :param trials: how many trials the search may take.
    :param factors: factor = its levels: JSON, enums, paths, frozen dataclasses; a mapping from level to factors that
        only that level has. Another value is given a name: ``pytest.param(value, id="a-name")``.

    Several ``@sweep`` on one function multiply. What is wrong with a design is told at collection, with exit code 4.
    """
    if callable(points) and not isinstance(points, Space):
        # @sweep without parentheses: what it is to decorate has come as its argument, and has to stay a test.
        mark = pytest.mark.execo_sweep.with_args(Design(fault="it needs factors: @sweep(size=[1, 10])"))
        return mark(points)  # type: ignore[no-any-return]

    def finish(space: Space) -> Space:
        if where is not None:
            space = space.where(*([where] if callable(where) else where))
        if sample is not None:
            space = space.sample(sample, seed=seed)
        # Not Space.repeat() for 1: it refuses what is no number, and a space may repeat already.
        times = until.at_most if until is not None else repeat
        return space if times == 1 and not isinstance(times, bool) else space.repeat(times)

    try:
        _check(where, repeat, until, search, trials)
        rule = {"until": until, "search": search, "trials": trials or 0}
        if isinstance(points, str | os.PathLike):
            if factors:
                raise InvalidSpace("it has a file of points and factors; multiply two @sweep, or give one of them")
            design = Design(path=os.fspath(points), finish=finish, **rule)  # type: ignore[arg-type]
        else:
            design = Design(finish(_space(points, factors)), **rule)  # type: ignore[arg-type]
    except InvalidSpace as error:
        design = Design(fault=str(error))
    return pytest.mark.execo_sweep.with_args(design)


def _check(where: object, repeat: object, until: Any, search: Any, trials: Any) -> None:
    if where is not None and not callable(where) and not isinstance(where, Iterable):
        raise InvalidSpace(f"where is {where!r}; write a function of factors: where=lambda memory, vms: …")
    if until is not None and (not hasattr(until, "needs_more") or not hasattr(until, "at_most")):
        raise InvalidSpace(f"until is {until!r}; write until=Until('duration', relative=0.05, at_most=30)")
    if until is not None and repeat != 1:
        raise InvalidSpace("repeat and until are both given; at_most= of Until says how often at most")
    if search is not None and not callable(search):
        raise InvalidSpace(f"search is {search!r}; give a function of the space that returns an ask/tell search")
    if search is not None and (not isinstance(trials, int) or isinstance(trials, bool) or trials < 1):
        raise InvalidSpace(f"search needs trials=, how many trials it may take; it is {trials!r}")
    if search is None and trials is not None:
        raise InvalidSpace("trials is for search=; sample= draws that many combinations")
    if search is not None and (until is not None or repeat != 1):
        raise InvalidSpace("search decides about repetitions itself; leave repeat and until out")


def _space(points: Any, factors: Mapping[str, Any]) -> Space:
    if points is None or isinstance(points, Mapping):
        twice = [name for name in factors if name in (points or ())]
        if twice:
            raise InvalidSpace(f"factor {twice[0]!r} is given twice")
        return Space({name: _levels(name, levels) for name, levels in {**(points or {}), **factors}.items()})
    if factors:
        raise InvalidSpace("it has a space and factors; multiply them: @sweep(space * Space(size=[1, 10]))")
    if isinstance(points, Space):
        return points
    if isinstance(points, Iterable):
        return Space.of(points)
    raise InvalidSpace(f"{points!r} is not a mapping of factors; write sweep(name=[…]) or sweep({{'name': […]}})")


def _levels(name: str, levels: Any) -> Any:
    if not isinstance(levels, list | tuple):
        return levels  # the space says what is wrong with it, if anything
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
