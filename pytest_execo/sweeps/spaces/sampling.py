"""Random subsets without replacement: drawn from the seed alone, one after another."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_execo.errors import InvalidSpace

from .draws import distinct
from .parts import Part

__all__ = ("drawn",)

_TRIES = 20_000
_TRIES_EACH = 1000


def drawn(part: Part, count: int, seed: int | str) -> tuple[Part, Sequence[int]]:
    """Return a part with all the cells of ``part``, and the numbers in it of ``count`` of them.

    Of a part without a size, cells are drawn from the larger one and thrown away where the constraint says no.

    :raises InvalidSpace: it has not so many, or they are too rare to be found this way.
    """
    larger, accept = part.relaxed()
    numbers: list[int] = []
    tries = 0
    for tries, number in enumerate(distinct(larger.size, seed), 1):
        if accept is None or accept(number):
            numbers.append(number)
        # Bounded by what was found, not by what is asked for: who asks for 1000 that don't exist is told as soon.
        if len(numbers) == count or tries == _TRIES + _TRIES_EACH * len(numbers):
            break
    if len(numbers) == count:
        return larger, numbers
    if accept is None:
        raise InvalidSpace(f"sample({count}) of a space of {larger.size} settings; draw no more than there are")
    raise InvalidSpace(
        f"sample({count}): of {tries} settings drawn, {len(numbers)} meet the constraints; "
        "build what they ask for into the levels"
    )
