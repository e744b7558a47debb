"""Random orders in which the place of a setting does not depend on which others there are."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_execo.errors import InvalidSpace

from .draws import hashed
from .parts import Part, is_listed

__all__ = ("random_order",)


def random_order(part: Part, seed: int | str, repetition: int, blocks: Sequence[str]) -> list[int]:
    """Return the numbers of the cells of a part in random order, equal levels of the ``blocks`` next to each other.

    :raises InvalidSpace: there are too many to list.
    """
    if not is_listed(part):
        raise InvalidSpace("shuffled: there are too many settings to list; draw some first: .sample(100, seed=1)")
    keys: list[tuple[bytes, bytes, int]] = []
    for number, cell in enumerate(part.cells()):
        fragments = sorted(factor.fragment(place) for factor, place in cell)
        block = sorted(factor.fragment(place) for factor, place in cell if factor.name in blocks)
        keys.append((hashed(seed, str(repetition), *block), hashed(seed, str(repetition), *fragments), number))
    return [number for _, _, number in sorted(keys)]
