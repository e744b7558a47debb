"""The diagram: compared with one that writes down every second."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.emulator.oar.gantt import Gantt

_END = 40
_ENTRY = st.tuples(st.integers(0, _END), st.integers(1, 12), st.integers(1, 15))


def _fill(entries: list[tuple[int, int, int]]) -> tuple[Gantt, list[int], list[tuple[int, int, int]]]:
    """Put in what does not collide; return the diagram, what is taken in each second, and what was put in."""
    gantt, seconds, taken = Gantt(0b1111), [0] * 200, []
    for begin, length, mask in entries:
        if not any(seconds[s] & mask for s in range(begin, begin + length)):
            gantt.add(begin, begin + length, mask)
            taken.append((begin, begin + length, mask))
            for second in range(begin, begin + length):
                seconds[second] |= mask
    return gantt, seconds, taken


def _enough(count: int, free: int) -> int | None:
    chosen = 0
    for position in range(4):
        if free >> position & 1 and chosen.bit_count() < count:
            chosen |= 1 << position
    return chosen if chosen.bit_count() == count else None


@settings(max_examples=50)
@given(
    entries=st.lists(_ENTRY, max_size=12),
    since=st.integers(0, _END),
    duration=st.integers(1, 15),
    scope=st.integers(1, 15),
    count=st.integers(1, 4),
)
def test_find_is_the_first_second_at_which_it_fits(
    entries: list[tuple[int, int, int]], since: int, duration: int, scope: int, count: int
) -> None:
    gantt, seconds, _ = _fill(entries)
    found = gantt.find(since, duration, scope, count, lambda free: _enough(count, free))
    expected = None
    for start in range(since, 100):
        free = scope
        for second in range(start, start + duration):
            free &= ~seconds[second]
        if free.bit_count() >= count:
            expected = start, _enough(count, free)
            break
    assert found == expected
    at_once = gantt.find(since, duration, scope, count, lambda free: _enough(count, free), at_once=True)
    assert at_once == (expected if expected and expected[0] == since else None)


@settings(max_examples=50)
@given(entries=st.lists(_ENTRY, max_size=12), begin=st.integers(0, _END), length=st.integers(1, 20))
def test_free_and_taken(entries: list[tuple[int, int, int]], begin: int, length: int) -> None:
    gantt, seconds, taken = _fill(entries)
    for mask in (1, 6, 15):
        assert gantt.is_free(begin, begin + length, mask) == (
            not any(seconds[second] & mask for second in range(begin, begin + length))
        )
    for entry in taken:
        gantt.remove(*entry)
    assert gantt.is_free(-math.inf, math.inf, 15)


def test_outside_of_its_dates_all_is_taken() -> None:
    gantt = Gantt(0b11, begin=10, end=20)
    assert gantt.find(0, 5, 0b11, 1, lambda free: free) == (10, 0b11)
    assert gantt.find(0, 11, 0b11, 1, lambda free: free) is None
    assert gantt.find(16, 5, 0b11, 1, lambda free: free) is None


def test_only_where_it_is_allowed() -> None:
    gantt = Gantt(0b1)
    gantt.add(0, 10, 0b1)

    def even_hundreds(start: float) -> float | None:
        later = math.ceil(start / 100) * 100
        return later if later < 500 else None

    assert gantt.find(5, 5, 0b1, 1, lambda free: free, even_hundreds) == (100, 0b1)
    assert gantt.find(450, 5, 0b1, 1, lambda free: free, even_hundreds) is None
    assert gantt.find(50, 5, 0b1, 1, lambda free: free, even_hundreds, at_once=True) is None
