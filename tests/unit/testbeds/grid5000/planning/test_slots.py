"""Slots: listed, searched, and the earliest one, beside a search second by second."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds.grid5000.planning import (
    Interval,
    Occupation,
    earliest,
    find_first_slot,
    find_free_slot,
    find_max_slot,
    slots,
)
from pytest_execo.testbeds.grid5000.planning.occupation import merge
from pytest_execo.testbeds.grid5000.planning.sweep import subnet_blocks

Make = Callable[..., dict[str, Occupation]]

A, B, C = "taurus-1.lyon.grid5000.fr", "taurus-2.lyon.grid5000.fr", "gros-1.nancy.grid5000.fr"
CLUSTERS = {"taurus": [A, B], "gros": [C], "nova": []}


@pytest.fixture
def three(occupied: Make) -> dict[str, Occupation]:
    """Three nodes: busy until 100; from 300 to 400; until 200 and from 500."""
    return occupied({A: [(0, 100)], B: [(300, 400)], C: [(0, 200), (500, 1000)]})


def test_slots_at_each_change(three: dict[str, Occupation]) -> None:
    found = slots(three, CLUSTERS, 150)
    assert [(s.start, s.free["taurus"], s.free["gros"], s.free["grid5000"]) for s in found] == [
        (0, 1, 0, 1),
        (100, 2, 0, 2),
        (151, 1, 0, 1),  # from here on it would run into 300
        (200, 1, 1, 2),
        (351, 1, 0, 1),  # 350 to 500 was the last that fits
        (400, 2, 0, 2),
    ]
    assert found[0].end == 150
    assert found[3].names == {"taurus": (A,), "gros": (C,), "nova": ()}
    assert found[3].free == {"taurus": 1, "gros": 1, "nova": 0, "lyon": 1, "nancy": 1, "grid5000": 2}
    assert found[3].site_of == {"taurus": "lyon", "gros": "nancy"}


def test_slots_end_within_the_window(three: dict[str, Occupation]) -> None:
    assert slots(three, CLUSTERS, 1001) == []
    assert [s.start for s in slots(three, CLUSTERS, 1000)] == [0]
    assert slots({}, CLUSTERS, 10) == []
    with pytest.raises(InvalidRequest, match="walltime"):
        slots(three, CLUSTERS, 0)


def test_no_slot_where_one_vlan_is_as_good_as_another(occupied: Make) -> None:
    taken = occupied({A: []}, vlans={"4": ((51, 1000),), "5": ((0, 51),)}, vlan_kinds={"4": "kavlan", "5": "kavlan"})
    assert [slot.start for slot in slots(taken, {"taurus": [A]}, 1)] == [0]


def test_longer_than_a_day(occupied: Make) -> None:
    """EnOSlib: any walltime of 24 hours or more ended in a ValueError."""
    day = 86400.0
    taken = occupied({A: [(0, day), (2 * day, 3 * day)]}, (0, 28 * day))
    assert [(s.start, s.end) for s in slots(taken, {"taurus": [A]}, 25 * 3600)][-1] == (3 * day, 3 * day + 25 * 3600)
    found = earliest(taken, {"taurus": [A]}, {"taurus": 1}, 25 * 3600)
    assert found is not None
    assert found.start == 3 * day


def test_find(three: dict[str, Occupation]) -> None:
    listed = slots(three, CLUSTERS, 150)
    wanted: dict[str, int] = {"lyon": 1, "gros": 1}
    assert find_free_slot(listed, wanted) is listed[3]
    assert find_free_slot(listed, {"grid5000": 1, "lyon": 1}) is listed[1]
    assert find_free_slot(listed, {"taurus": 1, "lyon": 1}) is listed[1]  # they add up
    assert find_free_slot(listed, {"taurus": 3}) is None
    assert find_first_slot(listed, ["gros"]) is listed[3]
    assert find_first_slot(listed, {"gros": 1, "taurus": 5}) is listed[0]
    assert find_max_slot(listed, ["lyon"]) is listed[1]
    assert find_max_slot(listed, ["gros", "nancy"]) is listed[3]
    assert find_max_slot(listed, ["taurus", "lyon"]) is listed[1]
    assert find_max_slot(listed, ["nova"]) is None
    assert find_max_slot(listed, ["grid5000"]) is listed[1]
    assert wanted == {"lyon": 1, "gros": 1}


def test_max_counts_a_cluster_beside_its_site_once(occupied: Make) -> None:
    taken = occupied({A: [], B: [(0, 500)], C: [(500, 1000)]})
    listed = slots(taken, CLUSTERS, 100)
    # Counted twice, taurus would outdo gros and taurus-1 at the start.
    assert find_max_slot(listed, ["taurus", "lyon", "gros"]) is listed[0]


@pytest.mark.parametrize("search", [find_free_slot, find_first_slot, find_max_slot])
def test_an_absent_cluster_never_succeeds(search: Callable[..., object], three: dict[str, Occupation]) -> None:
    """execo: five hosts of a cluster that no slot has were found at once; and the argument was changed."""
    wanted = {"grisou": 5, "lyon": 1}
    listed = slots(three, CLUSTERS, 100)
    with pytest.raises(InvalidRequest, match="'grisou'"):
        search(listed, wanted)
    with pytest.raises(InvalidRequest, match="did you mean 'taurus'"):
        search(listed, {"taurs": 1})
    with pytest.raises(InvalidRequest, match="'grisou'"):
        earliest(three, CLUSTERS, wanted, 100)
    assert wanted == {"grisou": 5, "lyon": 1}
    assert find_free_slot(listed, {"nova": 1}) is None  # known, and has no node


@pytest.mark.parametrize("count", [-1, 1.5, True, "2"])
def test_a_count_that_is_none(count: Any, three: dict[str, Occupation]) -> None:
    with pytest.raises(InvalidRequest, match="lyon"):
        earliest(three, CLUSTERS, {"lyon": count}, 10)


# beside nodes


def test_vlans(occupied: Make) -> None:
    taken = occupied({A: [], B: []}, vlans={"4": ((0, 50),), "1": ()}, vlan_kinds={"4": "kavlan", "1": "kavlan-local"})
    clusters = {"taurus": [A, B]}
    found = earliest(taken, clusters, {"lyon": 1}, 10, vlan="kavlan")
    assert found is not None
    assert (found.start, found.vlans) == (50, {"lyon": {"kavlan": 1, "kavlan-local": 1}})
    assert earliest(taken, clusters, {"lyon": 1}, 10, vlan="kavlan-global") is None
    listed = slots(taken, clusters, 10)
    found = find_free_slot(listed, {"lyon": 1}, vlan="kavlan")
    assert found is not None
    assert found.start == 50


def test_subnets(occupied: Make) -> None:
    ranges: dict[str, tuple[Interval, ...]] = {f"10.158.{4 * number}.0/22": () for number in range(4)}
    taken = occupied({A: []}, subnets={**ranges, "10.158.8.0/22": ((0, 70),)})
    starts = {}
    for size, count in {"slash_22": 3, "slash_21": 1, "slash_20": 1, "slash_19": 1}.items():
        found = earliest(taken, {"taurus": [A]}, {"lyon": 1}, 10, subnets=[(size, count)])
        starts[size] = found and found.start
        again = find_free_slot(slots(taken, {"taurus": [A]}, 10), {"lyon": 1}, subnets=[(size, count)])
        assert (again and again.start) == starts[size]
    assert starts == {"slash_22": 0, "slash_21": 0, "slash_20": 70, "slash_19": None}


@pytest.mark.parametrize("size", ["22", "slash_", "slash_x", "slash_99"])
def test_a_subnet_size_that_is_none(size: str, three: dict[str, Occupation]) -> None:
    with pytest.raises(InvalidRequest, match="slash_22"):
        earliest(three, CLUSTERS, {"lyon": 1}, 10, subnets=[(size, 1)])


def test_blocks_are_aligned() -> None:
    assert subnet_blocks(["10.0.4.0/22", "10.0.8.0/22"], "slash_21") == 0  # side by side, but not one range
    assert subnet_blocks(["10.0.8.0/22", "10.0.12.0/22"], "slash_21") == 1
    assert subnet_blocks(["10.0.0.0/16", "nonsense"], "slash_22") == 1


def test_what_is_not_allowed(three: dict[str, Occupation], occupied: Make) -> None:
    asked = []

    def allowed(start: float, end: float) -> str | None:
        asked.append((start, end))
        return "not in the morning" if start < 7200 else None

    taken = occupied({A: [(0, 100)]}, (0, 86400))
    found = earliest(taken, {"taurus": [A]}, {"lyon": 1}, 60, allowed=allowed)
    assert found is not None
    assert found.start == 7200  # nothing changes there but the rule
    assert asked == [(100, 160), (3600, 3660), (7200, 7260)]


# laws

names = [f"{cluster}-{n}.{site}.grid5000.fr" for cluster, site in (("a", "s"), ("b", "s"), ("c", "t")) for n in (1, 2)]
clusters = {cluster: [name for name in names if name.startswith(cluster)] for cluster in "abc"}
site_of = {"a": "s", "b": "s", "c": "t"}
WINDOW = (0.0, 60.0)
times = st.lists(
    st.tuples(st.integers(0, 55), st.integers(1, 20)).map(lambda pair: (float(pair[0]), float(sum(pair)))), max_size=4
)
busy_nodes = st.fixed_dictionaries({name: times.map(lambda found: merge(found, WINDOW)) for name in names})
demands = st.dictionaries(st.sampled_from([*"abcst", "grid5000"]), st.integers(0, 3), min_size=1)


def _fits(busy: Mapping[str, tuple[Interval, ...]], wanted: Mapping[str, int], start: int, walltime: int) -> bool:
    """By Hall's theorem: each set of elements has nodes enough beside it. Slow, and with no idea of sites."""
    free = [name for name in names if all(e <= start or s >= start + walltime for s, e in busy[name])]
    elements = list(wanted)
    for mask in range(1 << len(elements)):
        chosen = [element for number, element in enumerate(elements) if mask >> number & 1]
        have = sum(any(element in (name[0], site_of[name[0]], "grid5000") for element in chosen) for name in free)
        if have < sum(wanted[element] for element in chosen):
            return False
    return True


@settings(max_examples=25)
@given(busy_nodes, demands, st.integers(1, 40))
def test_the_earliest_slot_is_free_and_no_earlier_one_is(
    busy: dict[str, tuple[Interval, ...]], wanted: dict[str, int], walltime: int
) -> None:
    taken = {
        site: Occupation(site, WINDOW, {name: busy[name] for name in names if name.split(".")[1] == site})
        for site in ("s", "t")
    }
    before = copy.deepcopy((taken, wanted))
    found = earliest(taken, clusters, wanted, walltime)
    right = next((start for start in range(61 - walltime) if _fits(busy, wanted, start, walltime)), None)
    assert (found and found.start) == right
    listed = slots(taken, clusters, walltime)
    in_list = find_free_slot(listed, wanted)
    assert (in_list and in_list.start) == right
    # The slots say the truth at each second between them as well.
    for start in range(61 - walltime):
        slot = [each for each in listed if each.start <= start][-1]
        free = [n for n in names if all(e <= start or s >= start + walltime for s, e in busy[n])]
        assert [name for cluster in "abc" for name in slot.names[cluster]] == free
        assert slot.free["grid5000"] == len(free)
    assert (taken, wanted) == before


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 20)), max_size=5), st.floats(0.5, 30))
def test_dates_are_whole_seconds(times: list[tuple[float, float]], walltime: float) -> None:
    busy = merge([(start, start + length) for start, length in times], WINDOW)
    found = earliest({"s": Occupation("s", WINDOW, {names[0]: busy})}, clusters, {"a": 1}, walltime)
    fits = [d for d in range(61) if d + walltime <= 60 and all(e <= d or s >= d + walltime for s, e in busy)]
    assert (found and found.start) == (fits[0] if fits else None)
