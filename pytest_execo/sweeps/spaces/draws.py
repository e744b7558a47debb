"""Random numbers that are the same on every machine, with every version of Python, for ever.

A sample is named by its seed in papers and records, so its points must not depend on what a library makes of a seed.
SHA-256 of a seed and a counter is a generator that nobody will change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pytest_execo.errors import InvalidSpace

__all__ = ("Draws", "check_seed", "distinct", "hashed")


class Draws:
    """A stream of whole numbers, uniform, determined by the seed."""

    def __init__(self, seed: int | str) -> None:
        self._key = _key(check_seed(seed))
        self._counter = 0

    def below(self, bound: int) -> int:
        """Return a number from 0 to ``bound`` - 1, each as likely as any other."""
        bits = (bound - 1).bit_length()
        while True:
            # What is too large is drawn again: a remainder would favour small numbers.
            number = self._bits(bits)
            if number < bound:
                return number

    def _bits(self, bits: int) -> int:
        data = b""
        while len(data) * 8 < bits:
            data += hashlib.sha256(self._key + self._counter.to_bytes(8, "big")).digest()
            self._counter += 1
        return int.from_bytes(data, "big") >> (len(data) * 8 - bits)


def distinct(size: int, seed: int | str) -> Iterator[int]:
    """Yield the numbers below ``size`` in random order, each once: a shuffle, made only as far as it is read."""
    draws = Draws(seed)
    moved: dict[int, int] = {}
    for first in range(size) if size < 2**62 else _count(size):
        other = first + draws.below(size - first)
        yield moved.get(other, other)
        moved[other] = moved.pop(first, first)


def _count(size: int) -> Iterator[int]:
    number = 0
    while number < size:
        yield number
        number += 1


def hashed(seed: int | str, *texts: str) -> bytes:
    """Return what to sort by for a random order in which no item's place depends on which others there are."""
    return hashlib.sha256(
        b"\0".join([_key(check_seed(seed)), *(t.encode("utf-8", "surrogatepass") for t in texts)])
    ).digest()


def check_seed(seed: object) -> int | str:
    """Return the seed. :raises InvalidSpace: when it is neither an int nor a str."""
    if isinstance(seed, bool) or not isinstance(seed, int | str):
        raise InvalidSpace(f"seed is {seed!r}; write a whole number or a text")
    return seed


def _key(seed: int | str) -> bytes:
    # 1 and "1" are two seeds.
    return hashlib.sha256(repr(seed).encode("utf-8", "backslashreplace")).digest()
