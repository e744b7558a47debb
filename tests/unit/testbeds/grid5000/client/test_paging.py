from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.testbeds.grid5000.client.paging import pages

Item = dict[str, Any]


class Listing:
    """A list, newest first, that changes each time that it is asked; it gives at most ``most`` at once."""

    def __init__(self, count: int, *, most: int = 500, total: bool = True) -> None:
        self.uids = list(range(count, 0, -1))
        self.most = most
        self.total = total
        self.asked: list[tuple[int, int]] = []
        self.changes: dict[int, tuple[list[int], int]] = {}

    def fetch(self, offset: int, limit: int) -> tuple[list[Item], int | None]:
        gone, new = self.changes.get(len(self.asked), ([], 0))
        top = max(self.uids, default=0)
        self.uids = [*range(top + new, top, -1), *(uid for uid in self.uids if uid not in gone)]
        self.asked.append((offset, limit))
        assert len(self.asked) < 1000
        items = [{"uid": uid} for uid in self.uids[offset : offset + min(limit, self.most)]]
        return items, len(self.uids) if self.total else None

    def read(self, size: int) -> list[int]:
        return [item["uid"] for item in pages(self.fetch, size=size)]


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1234])
@pytest.mark.parametrize("total", [True, False])
def test_all_pages_are_read(count: int, total: bool) -> None:
    listing = Listing(count, total=total)
    assert listing.read(500) == list(range(count, 0, -1))
    assert len(listing.asked) <= count // 490 + 1


def test_a_page_is_asked_for_when_it_is_needed() -> None:
    listing = Listing(1000)
    found = pages(listing.fetch)
    next(found)
    assert listing.asked == [(0, 500)]


@pytest.mark.parametrize("most", [1, 2, 3, 50])
def test_a_server_that_gives_less_than_it_was_asked_for(most: int) -> None:
    assert Listing(120, most=most).read(500) == list(range(120, 0, -1))


def test_new_items_do_not_make_others_come_twice() -> None:
    listing = Listing(30)
    listing.changes[1] = ([], 3)
    assert listing.read(10) == list(range(30, 0, -1))


@pytest.mark.parametrize("gone", [[30], list(range(30, 20, -1)), list(range(28, 12, -1)), list(range(30, 2, -1))])
def test_items_that_leave_do_not_hide_those_behind_them(gone: list[int]) -> None:
    listing = Listing(30)
    listing.changes[1] = (gone, 0)
    assert set(listing.read(10)) >= set(range(1, 31)) - set(gone)


def test_a_list_that_is_empty_all_of_a_sudden_ends() -> None:
    listing = Listing(30)
    listing.changes[1] = (list(range(1, 31)), 0)
    assert listing.read(10) == list(range(30, 20, -1))


def test_a_list_that_empties_as_it_is_read_ends() -> None:
    def fetch(offset: int, limit: int) -> tuple[list[Item], int | None]:
        asked.append(offset)
        first = 1000 * len(asked)
        return [{"uid": uid} for uid in range(first, first + limit)], 100

    asked: list[int] = []
    list(pages(fetch, size=10))
    assert len(asked) < 100


def test_a_server_that_ignores_offsets_does_not_hang_us() -> None:
    items = [{"uid": uid} for uid in range(10)]
    assert [item["uid"] for item in pages(lambda offset, limit: (items, 1000), size=10)] == list(range(10))


@settings(max_examples=25)
@given(
    count=st.integers(0, 80),
    size=st.integers(1, 20),
    most=st.integers(1, 20),
    total=st.booleans(),
    changes=st.dictionaries(
        st.integers(1, 30), st.tuples(st.lists(st.integers(1, 90), max_size=15), st.integers(0, 5)), max_size=6
    ),
)
def test_however_it_changes_nothing_comes_twice(
    count: int, size: int, most: int, total: bool, changes: dict[int, tuple[list[int], int]]
) -> None:
    listing = Listing(count, most=most, total=total)
    listing.changes = changes
    found = listing.read(size)
    assert len(found) == len(set(found))


@settings(max_examples=25)
@given(
    count=st.integers(20, 120),
    changes=st.dictionaries(
        st.integers(1, 12), st.tuples(st.lists(st.integers(1, 120), max_size=12), st.integers(0, 4)), max_size=4
    ),
)
def test_what_is_there_all_the_time_is_found_if_few_leave_at_once(
    count: int, changes: dict[int, tuple[list[int], int]]
) -> None:
    listing = Listing(count)
    # At most four at once: fewer than the pages overlap by.
    listing.changes = {when: (gone[:4], new) for when, (gone, new) in changes.items()}
    leaving = {uid for gone, _ in listing.changes.values() for uid in gone}
    assert set(listing.read(20)) >= set(range(1, count + 1)) - leaving
