"""Settings that fill a space evenly: Latin hypercubes and Sobol' points."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_execo.errors import InvalidSpace

from .draws import Draws, check_seed, hashed
from .factors import shown
from .libraries import library, versions

if TYPE_CHECKING:
    from .space import Space

__all__ = ("free_axes", "latin_hypercube", "pick", "sobol")

_HYPERCUBES = 20
# Sobol' points are multiples of 2⁻⁵³, which a float has exactly.
_BITS = 53
# Larger axes get further random bits, so that each of their places can come.
_WIDE = 32


def latin_hypercube(space: Space, n: int, *, seed: int | str) -> Space:
    """Draw ``n`` settings that spread evenly over each axis: a Latin hypercube (McKay, Beckman and Conover 1979).

    Each level of a factor comes ``n / levels`` times, rounded up or down; of a factor with ``n`` levels or more, no
    level comes twice. How the levels of different factors meet is random. Where settings fall together, they exchange
    levels with others until they differ, which keeps that balance. The axes are :attr:`Space.axes`: a factor, or what
    was joined by a constraint, a condition or a zip.

    The same seed gives the same settings on every machine with the same versions of scipy and numpy, which the note in
    :meth:`Space.describe` has. A larger hypercube does not contain the smaller one; with :func:`sobol` it does.

    :param n: how many settings; each is then repeated as often as the space repeats.
    :param seed: a whole number or a text.
    :raises InvalidSpace: the space has fewer settings, or no ``n`` different ones were found that are balanced, which
        can happen where ``n`` is nearly all of them.
    :raises ImportError: scipy is missing.
    """
    sizes = _check("latin_hypercube", space, n, seed)
    random, qmc = library("numpy.random", "latin_hypercube()"), library("scipy.stats.qmc", "latin_hypercube()")
    note = {"design": "latin hypercube", "n": n, "seed": seed, "library": versions("scipy", "numpy")}
    if not sizes:
        return pick(space, [()], note)
    for attempt in range(_HYPERCUBES):
        generator = random.default_rng(int.from_bytes(hashed(seed, "latin hypercube", str(attempt))))
        # Not scrambled: the middle of each stratum, from which its number is read without a rounding error.
        cube = qmc.LatinHypercube(len(sizes), scramble=False, rng=generator).random(n)
        strata = [[int(value * n) for value in column] for column in cube.T.tolist()]
        draws = Draws(f"latin hypercube {seed!r} {attempt}")
        columns = [_places(size, column, draws) for size, column in zip(sizes, strata, strict=True)]
        rows = [list(row) for row in zip(*columns, strict=True)]
        if _moved_apart(rows, draws):
            return pick(space, rows, note)
    raise InvalidSpace(
        f"latin_hypercube({n}): no {n} different settings of {math.prod(sizes)} found that are balanced; use sample()"
    )


def sobol(space: Space, n: int, *, seed: int | str) -> Space:
    """Take the first ``n`` different settings of a scrambled Sobol' sequence (Sobol' 1967; Owen 1998).

    They fill the space more evenly than random ones, in several factors at once, best where ``n`` is a power of two. A
    longer design begins with the shorter one of the same seed, so that it keeps what was done. A setting that the
    sequence meets again is passed over. The axes are :attr:`Space.axes`, as for :func:`latin_hypercube`.

    The same seed gives the same settings on every machine with the same versions of scipy and numpy, which the note in
    :meth:`Space.describe` has.

    :param n: how many settings; each is then repeated as often as the space repeats.
    :param seed: a whole number or a text.
    :raises InvalidSpace: the space has fewer settings, or too many axes (21 201 are known), or the sequence meets too
        few different settings in reasonable time, which can happen where ``n`` is nearly all of them.
    :raises ImportError: scipy is missing.
    """
    sizes = _check("sobol", space, n, seed)
    random, qmc = library("numpy.random", "sobol()"), library("scipy.stats.qmc", "sobol()")
    note = {"design": "sobol", "n": n, "seed": seed, "library": versions("scipy", "numpy")}
    if len(sizes) > qmc.Sobol.MAXDIM:
        raise InvalidSpace(f"sobol({n}): the sequence has {qmc.Sobol.MAXDIM} axes, the space {len(sizes)}")
    if not sizes:
        return pick(space, [()], note)
    generator = random.default_rng(int.from_bytes(hashed(seed, "sobol")))
    engine = qmc.Sobol(len(sizes), scramble=True, bits=_BITS, rng=generator)
    draws = Draws(f"sobol {seed!r}")
    # A power of two, for other numbers of points are warned of: the last ones are just not used.
    chunk = max(64, 1 << (n - 1).bit_length())
    found: dict[tuple[int, ...], None] = {}
    for _ in range(0, 64 * n + 2**16, chunk):
        for point in engine.random(chunk).tolist():
            found[tuple(_scaled(value, size, draws) for value, size in zip(point, sizes, strict=True))] = None
            if len(found) == n:
                return pick(space, list(found), note)
    raise InvalidSpace(
        f"sobol({n}): the sequence meets few of the last settings of {math.prod(sizes)}; use sample(), or all of them"
    )


def free_axes(space: Space) -> list[int]:
    """Return the sizes of the axes on which there is a choice. Those of one level stay out of the designs."""
    return [size for size in space.axes if size > 1]


def pick(space: Space, rows: Sequence[Sequence[int]], note: dict[str, Any]) -> Space:
    """Return the settings at these places of the free axes."""
    numbers = []
    for row in rows:
        places = iter(row)
        numbers.append(space.at([next(places) if size > 1 else 0 for size in space.axes]))
    return space.pick(numbers, note=note)


def _check(name: str, space: Space, n: object, seed: object) -> list[int]:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InvalidSpace(f"{name}({shown(n)}): write how many, a whole number from 1")
    check_seed(seed)
    sizes = free_axes(space)
    if n > math.prod(sizes):
        raise InvalidSpace(f"{name}({n}) of a space with fewer settings: {math.prod(sizes)}")
    return sizes


def _places(size: int, strata: Sequence[int], draws: Draws) -> list[int]:
    """Turn the strata of an axis into places on it, in whole numbers, for an axis may have more places than floats."""
    n = len(strata)
    if size < 2 * n:
        # One shift for all strata: points at equal distances meet each place n / size times, rounded up or down.
        shift = draws.below(size)
        return [(stratum * size + shift) // n for stratum in strata]
    # Points at equal distances would be alike where the places have a structure of their own, as permutations have.
    # The borders are shifted, so that the rounding of strata to whole places favours none.
    shift = draws.below(n)
    places = []
    for stratum in strata:
        low, high = (stratum * size + shift) // n, ((stratum + 1) * size + shift) // n
        places.append(low + draws.below(high - low))
    return places


def _moved_apart(rows: list[list[int]], draws: Draws) -> bool:
    """Exchange places between rows until no two are the same; tell whether that worked."""
    count = Counter(map(tuple, rows))
    waiting = [number for number, row in enumerate(rows) if count[tuple(row)] > 1]
    tries = 50 * len(rows) + 500
    while waiting:
        one = waiting.pop()
        while count[tuple(rows[one])] > 1:
            tries -= 1
            if not tries:
                return False
            axis, two = draws.below(len(rows[one])), draws.below(len(rows))
            before = [tuple(rows[one]), tuple(rows[two])]
            if before[0][axis] == before[1][axis]:
                continue
            rows[one][axis], rows[two][axis] = rows[two][axis], rows[one][axis]
            after = [tuple(rows[one]), tuple(rows[two])]
            known = len(count)
            _change(count, before, after)
            if len(count) < known:
                _change(count, after, before)
                rows[one][axis], rows[two][axis] = rows[two][axis], rows[one][axis]
            elif count[after[1]] > 1:
                waiting.append(two)
    return True


def _change(count: Counter[tuple[int, ...]], gone: Sequence[tuple[int, ...]], come: Sequence[tuple[int, ...]]) -> None:
    for row in gone:
        count[row] -= 1
        if not count[row]:
            del count[row]
    count.update(come)


def _scaled(value: float, size: int, draws: Draws) -> int:
    """Return the place of a point of [0, 1) on an axis, exactly."""
    number, bits = int(value * 2**_BITS), _BITS
    if size.bit_length() > _WIDE:
        more = size.bit_length()
        number, bits = (number << more) + draws.below(1 << more), bits + more
    return number * size >> bits
