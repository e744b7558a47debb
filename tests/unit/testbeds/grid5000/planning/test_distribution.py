"""Nodes over clusters."""

from __future__ import annotations

import copy

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_execo.errors import InvalidRequest, RequestNotMet
from pytest_execo.testbeds.grid5000.planning import distribute

CLUSTERS_OF = {"lyon": ["taurus", "nova"], "nancy": ["gros", "grisou"], "rennes": ["paradoxe"], "bordeaux": []}
FREE = {"taurus": 4, "nova": 12, "gros": 60, "grisou": 20, "paradoxe": 0}


def test_clusters_then_sites_then_the_grid() -> None:
    given = distribute({"grid5000": 10, "lyon": 4, "taurus": 2}, FREE, CLUSTERS_OF)
    # taurus: 2 of its own; lyon: 4 by 2 and 12 that are left; the grid: 10 by 1, 9, 60, 20.
    assert given == {"taurus": 3, "nova": 4, "gros": 7, "grisou": 2}
    assert sum(given.values()) == 16


@pytest.mark.parametrize(
    ("wanted", "given_"),
    [
        ({"gros": 60}, {"gros": 60}),
        ({"nancy": 8}, {"gros": 6, "grisou": 2}),
        ({"nancy": 80}, {"gros": 60, "grisou": 20}),
        ({"nancy": 0}, {}),
        ({}, {}),
        ({"grid5000": 96}, {"taurus": 4, "nova": 12, "gros": 60, "grisou": 20}),
        ({"grid5000": 1}, {"gros": 1}),
    ],
)
def test_by_share(wanted: dict[str, int], given_: dict[str, int]) -> None:
    assert distribute(wanted, FREE, CLUSTERS_OF) == given_


def test_equal_remainders_go_to_the_first() -> None:
    free = {"a": 3, "b": 3, "c": 3}
    assert distribute({"s": 4}, free, {"s": ["a", "b", "c"]}) == {"a": 2, "b": 1, "c": 1}
    assert distribute({"s": 5}, free, {"s": ["c", "b", "a"]}) == {"c": 2, "b": 2, "a": 1}


@pytest.mark.parametrize(
    ("wanted", "given_"),
    [
        ({"lyon": 3}, {"taurus": 3}),
        ({"lyon": 10}, {"nova": 10}),
        ({"lyon": 14}, {"taurus": 2, "nova": 12}),
        ({"grid5000": 70}, {"gros": 60, "nova": 10}),
    ],
)
def test_few_clusters(wanted: dict[str, int], given_: dict[str, int]) -> None:
    assert distribute(wanted, FREE, CLUSTERS_OF, spread=False) == given_


def test_more_than_there_are() -> None:
    """execo: a StopIteration, and what was available was changed."""
    wanted = {"taurus": 6, "lyon": 13, "grid5000": 81, "rennes": 1, "gros": 1}
    free = dict(FREE)
    with pytest.raises(RequestNotMet) as caught:
        distribute(wanted, free, CLUSTERS_OF)
    assert caught.value.reasons == (
        "taurus: 6 nodes asked for, 4 free",
        "lyon: 13 nodes asked for, 12 free",
        "rennes: 1 node asked for, 0 free",
        "grid5000: 81 nodes asked for, 79 free",
    )
    assert free == FREE
    assert wanted == {"taurus": 6, "lyon": 13, "grid5000": 81, "rennes": 1, "gros": 1}


def test_what_is_unknown() -> None:
    with pytest.raises(InvalidRequest, match="did you mean 'nancy'"):
        distribute({"nanci": 1}, FREE, CLUSTERS_OF)
    with pytest.raises(InvalidRequest, match="-3 nodes"):
        distribute({"nancy": -3}, FREE, CLUSTERS_OF)
    with pytest.raises(RequestNotMet, match="bordeaux: 1 node asked for, 0 free"):
        distribute({"bordeaux": 1}, FREE, CLUSTERS_OF)


@settings(max_examples=30)
@given(
    st.fixed_dictionaries({c: st.integers(0, 30) for c in FREE}),
    st.dictionaries(st.sampled_from([*FREE, *CLUSTERS_OF, "grid5000"]), st.integers(0, 20)),
    st.booleans(),
)
def test_sums(free: dict[str, int], wanted: dict[str, int], spread: bool) -> None:
    before = copy.deepcopy((free, wanted))
    try:
        given = distribute(wanted, free, CLUSTERS_OF, spread=spread)
    except RequestNotMet:
        # By sums over nested sets: it can't be done only if one of these has too little.
        tight = [sum(wanted.values()) > sum(free.values())]
        tight += [wanted.get(c, 0) > free[c] for c in free]
        tight += [
            wanted.get(s, 0) + sum(wanted.get(c, 0) for c in of) > sum(free[c] for c in of)
            for s, of in CLUSTERS_OF.items()
        ]
        assert any(tight)
    else:
        assert sum(given.values()) == sum(wanted.values())
        assert all(wanted.get(c, 0) <= given.get(c, 0) <= free[c] for c in free)
        for site, of in CLUSTERS_OF.items():
            least = wanted.get(site, 0) + sum(wanted.get(c, 0) for c in of)
            assert sum(given.get(c, 0) for c in of) >= least
        assert all(given.values())
    assert (free, wanted) == before


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 50), min_size=1), st.integers(1, 200))
def test_no_share_is_off_by_one(free: dict[str, int], count: int) -> None:
    total = sum(free.values())
    assume(count <= total)
    given = distribute({"s": count}, free, {"s": list(free)})
    assert all(abs(given.get(c, 0) - count * size / total) < 1 for c, size in free.items())
