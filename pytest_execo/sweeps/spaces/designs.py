"""Designs of experiments: few settings of a space that say much about it.

::

    space = Space(memory=["2GiB", "4GiB"], vms=range(1, 33), dirty=[0, 25, 50], cores=[1, 2, 4, 8])
    latin_hypercube(space, 20, seed=7)      # 20 settings, each level of each factor as often as any other
    sobol(space, 64, seed=7)                # 64 settings that fill it evenly, and go on to 128
    plackett_burman(space)                  # which of the factors matter at all? 8 settings of first and last levels
    fractional_factorial(space, "a b c abc")
    subset_design(space, 4)                 # a quarter of all, for factors of any number of levels
    box_behnken(Space(a=[1, 2, 3], b=[1, 2, 3], c=[1, 2, 3]))  # for a response that is curved

Each takes a :class:`Space` and returns one, of settings that are repeated as often as the space repeats, and notes in
:meth:`Space.describe` what was done. The settings come in the order of the design: shuffle them, or run them in random
order, before anything is concluded from them (Montgomery, *Design and Analysis of Experiments*; Jain 1991, part IV).

The factors of a design are the :attr:`Space.axes`: one for each factor, except that what a zip, a union, a constraint
or a condition has joined is one. An axis of one level stays as it is. Low, middle and high are the first, the middle
and the last level as they were given.

Designs are made by scipy and pyDOE: ``pip install 'pytest-execo[design]'``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_execo.errors import InvalidSpace

from .factors import shown
from .libraries import library, versions
from .parts import MAX_LISTED
from .space_filling import free_axes, latin_hypercube, pick, sobol

if TYPE_CHECKING:
    from .space import Space

__all__ = (
    "box_behnken",
    "fractional_factorial",
    "latin_hypercube",
    "plackett_burman",
    "sobol",
    "subset_design",
)

# 2¹⁶ settings are a full factorial of 16 factors: nobody calls that a fraction.
_MAX_MAIN = 16


def plackett_burman(space: Space) -> Space:
    """Screen many factors in few settings, at their first and last level (Plackett and Burman 1946).

    A multiple of four settings, more than there are factors: 12 for 8 to 11, for example. Any two factors meet each
    other in all four combinations equally often, so that the effect of each on its own is known as well as if all
    settings were about it alone. Where factors interact, it is mixed with those effects: use a
    :func:`fractional_factorial` then.

    :raises InvalidSpace: no factor has two levels.
    :raises ImportError: pyDOE is missing.
    """
    sizes = free_axes(space)
    if not sizes:
        raise InvalidSpace(f"plackett_burman: no factor of {space!r} has two levels")
    pydoe = library("pydoe", "plackett_burman()")
    # pyDOE has no design of 28 settings, nor of some other numbers: the next one that it has, less the last columns.
    runs = next(runs for runs in range(4 * (len(sizes) // 4 + 1), 4 * len(sizes) + 5, 4) if _is_known(runs))
    columns = pydoe.pbdesign(runs - 1)[:, : len(sizes)]
    note = {"design": "plackett burman", "library": versions("pydoe")}
    return _coded(space, columns, note)


def fractional_factorial(space: Space, generators: str) -> Space:
    """Run a fraction of all combinations of first and last levels: one word for each factor says how it is set.

    A word of one letter is a factor that is varied on its own; one of several letters, perhaps with a ``-`` before it,
    the product of those. ``"a b c abc"``: four factors in 8 settings instead of 16, where the effect of each is mixed
    with the interaction of the other three (Montgomery, chapter 8, has tables of such words).

    :param generators: the words, between spaces, in the order of the factors that have two levels or more. Capital
        letters are the same as small ones.
    :raises InvalidSpace: too many or too few words, or one that can't be understood.
    :raises ImportError: pyDOE is missing.
    """
    sizes = free_axes(space)
    words = _words(generators)
    if len(words) != len(sizes):
        raise InvalidSpace(
            f"fractional_factorial({shown(generators)}): {len(words)} words for {len(sizes)} factors of two levels or "
            "more; write one for each"
        )
    columns = library("pydoe", "fractional_factorial()").fracfact(" ".join(words))
    note = {"design": "fractional factorial", "generators": generators, "library": versions("pydoe")}
    return _coded(space, columns, note)


def subset_design(space: Space, reduction: int) -> Space:
    """Run about one of ``reduction`` settings, balanced over factors of any number of levels.

    A generalized subset design (Surowiec and others 2017): what a fractional factorial is for two levels. All levels
    come, those of each factor about equally often. Its authors have a patent on one use of it, the testing of products
    in a processing facility (US 9746850).

    :param reduction: a whole number from 2, at most about the number of levels of the factors.
    :raises InvalidSpace: fewer than two factors with levels to choose from, too large a reduction, or a design of more
        than two million settings.
    :raises ImportError: pyDOE is missing.
    """
    name = f"subset_design({shown(reduction)})"
    if isinstance(reduction, bool) or not isinstance(reduction, int) or reduction < 2:
        raise InvalidSpace(f"{name}: write one of how many settings is to be run, a whole number from 2")
    sizes = free_axes(space)
    if len(sizes) < 2:
        raise InvalidSpace(f"{name}: {space!r} has fewer than two factors of two levels or more")
    if reduction > max(sizes):
        raise InvalidSpace(f"{name}: too large, no factor has more than {max(sizes)} levels")
    if math.prod(sizes) // reduction > MAX_LISTED or reduction ** len(sizes) > MAX_LISTED:
        raise InvalidSpace(f"{name}: more than {MAX_LISTED} settings to list; use sample() or latin_hypercube()")
    gsd = library("pydoe", "subset_design()").gsd
    try:
        rows = gsd(sizes, reduction).tolist()
    except ValueError as error:
        raise InvalidSpace(f"{name}: {error}") from error
    for axis, size in enumerate(sizes):
        came = len({row[axis] for row in rows})
        if came < size:
            raise InvalidSpace(f"{name}: too large, only {came} of the {size} levels of a factor would come")
    return pick(space, rows, {"design": "subset", "reduction": reduction, "library": versions("pydoe")})


def box_behnken(space: Space) -> Space:
    """Run three levels of each factor, for a response that is curved (Box and Behnken 1960).

    Every two factors at their first and last level, in all four combinations, with the others in the middle; and once
    the middle of all. So no setting has more than two factors at an end. pyDOE takes all pairs of factors, which for
    six factors and more are more settings than the published designs have. Of an even number of levels, the middle is
    the last one of the first half. The middle is not repeated: repeat the space, to know the error of a measurement.

    :raises InvalidSpace: fewer than three factors, or one with two levels.
    :raises ImportError: pyDOE is missing.
    """
    sizes = free_axes(space)
    if len(sizes) < 3:
        raise InvalidSpace(f"box_behnken: {space!r} has fewer than three factors of three levels or more")
    if min(sizes) < 3:
        raise InvalidSpace(f"box_behnken: a factor of {space!r} has two levels; give it three, or leave it out")
    columns = library("pydoe", "box_behnken()").bbdesign(len(sizes), center=1)
    return _coded(space, columns, {"design": "box behnken", "library": versions("pydoe")})


def _coded(space: Space, columns: Any, note: dict[str, Any]) -> Space:
    """Return the settings of a design whose levels are -1, 0 and 1: low, middle, high."""
    sizes = free_axes(space)
    rows = [tuple(_place(code, size) for code, size in zip(row, sizes, strict=True)) for row in columns.tolist()]
    # Of one factor alone, the smallest Plackett-Burman design has each level twice.
    return pick(space, list(dict.fromkeys(rows)), note)


def _place(code: float, size: int) -> int:
    return 0 if code < 0 else size - 1 if code > 0 else (size - 1) // 2


def _is_known(runs: int) -> bool:
    """Tell whether pyDOE has a Hadamard matrix of this order: 1, 12 or 20 times a power of two."""
    return any(runs % base == 0 and (runs // base).bit_count() == 1 for base in (1, 12, 20))


def _words(generators: object) -> Sequence[str]:
    """Return the words, with the letters a, b, c in the order in which pyDOE wants them."""
    what = f"fractional_factorial({shown(generators)})"
    if not isinstance(generators, str) or not generators.split():
        raise InvalidSpace(f"{what}: write one word for each factor, as in 'a b c abc'")
    words = generators.lower().split()
    letters: dict[str, str] = {}
    for word in words:
        if not re.fullmatch(r"[+-]?[a-z]+", word) or len(set(word)) != len(word):
            raise InvalidSpace(f"{what}: {word!r} is no word; write different letters, with a - before them if need be")
        name = word.lstrip("+-")
        if len(name) == 1:
            letters.setdefault(name, chr(ord("a") + len(letters)))
    if len(letters) > _MAX_MAIN:
        raise InvalidSpace(
            f"{what}: {len(letters)} letters make {2 ** len(letters)} settings; {_MAX_MAIN} are the most"
        )
    known: dict[frozenset[str], str] = {}
    renamed = []
    for word in words:
        name = word.lstrip("+-")
        strange = next((letter for letter in name if letter not in letters), None)
        if strange is not None:
            raise InvalidSpace(f"{what}: {word!r} has a letter that is no word of its own: {strange!r}")
        if frozenset(name) in known:
            raise InvalidSpace(f"{what}: {known[frozenset(name)]!r} and {word!r} would always vary together")
        known[frozenset(name)] = word
        sign = "-" if word.startswith("-") else ""
        renamed.append(sign + "".join(sorted(letters[letter] for letter in name)))
    return renamed
