"""Several sites at one date, and why not."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds.grid5000.planning import GridPlan, Occupation, SitePlan, occupation, plan

Make = Callable[..., Any]
HOUR, DAY = 3600.0, 86400.0
#: 2026-03-02 00:00 in Paris, a Monday.
MONDAY = 1_772_406_000.0


def _names(site: str, cluster: str, count: int) -> list[str]:
    return [f"{cluster}-{number}.{site}.grid5000.fr" for number in range(1, count + 1)]


CANDIDATES = {
    "taurus": _names("lyon", "taurus", 3),
    "nova": _names("lyon", "nova", 2),
    "gros": _names("nancy", "gros", 4),
}
SITE_OF = {"taurus": "lyon", "nova": "lyon", "gros": "nancy", "paradoxe": "rennes"}


@pytest.fixture
def grid(occupied: Make) -> Callable[..., dict[str, Occupation]]:
    """Return the three clusters, with hours since Monday at which nodes are busy, and what a site is to have."""

    def grid(busy: dict[str, list[tuple[float, float]]] | None = None, **fields: Any) -> dict[str, Occupation]:
        hours = {
            name: [
                (MONDAY + start * HOUR, MONDAY + end * HOUR) for start, end in (busy or {}).get(name.split(".")[0], [])
            ]
            for names in CANDIDATES.values()
            for name in names
        }
        made: dict[str, Occupation] = occupied(hours, (MONDAY, MONDAY + 28 * DAY), **fields)
        return made

    return grid


def _plan(occupations: dict[str, Occupation], wanted: dict[str, int], hours: float = 1, **options: Any) -> GridPlan:
    options = {"not_before": MONDAY, **options}
    return plan(CANDIDATES, SITE_OF, occupations, wanted, hours * HOUR, **options)


def test_several_sites_at_one_date(grid: Make) -> None:
    busy = {"taurus-1": [(0, 5)], "taurus-2": [(4, 6)], "gros-1": [(0, 3)], "gros-2": [(7, 9)], "nova-1": [(0, 100)]}
    taken = grid(busy)
    found = _plan(taken, {"lyon": 4, "nancy": 4}, 2)
    assert found.start == MONDAY + 9 * HOUR
    assert found.end == found.start + 2 * HOUR
    assert found.unmet == ()
    assert found.sites == (
        SitePlan("lyon", (*CANDIDATES["taurus"], "nova-2.lyon.grid5000.fr"), {"taurus": 3, "nova": 1}),
        SitePlan("nancy", tuple(CANDIDATES["gros"]), {"gros": 4}),
    )
    assert found.alternatives == (
        "could start at 2026-03-02 00:00:00 CET with 6 of 8 nodes (lyon: 3 of 4, nancy: 3 of 4)",
        "could start at 2026-03-02 05:00:00 CET with 7 of 8 nodes (lyon: 3 of 4, nancy: 4 of 4)",
    )


def test_now(grid: Make) -> None:
    found = _plan(grid(), {"lyon": 1}, not_before=MONDAY + 0.25)
    assert (found.start, found.alternatives) == (MONDAY + 1, ())
    assert found.sites == (SitePlan("lyon", ("taurus-1.lyon.grid5000.fr",), {"taurus": 1}),)


def test_at_a_later_date(grid: Make) -> None:
    found = _plan(grid({"nova-1": [(40, 50)]}), {"nova": 2}, not_before=MONDAY + 40.5 * HOUR)
    assert found.start == MONDAY + 50 * HOUR
    assert found.alternatives == ("could start at 2026-03-03 16:30:00 CET with 1 of 2 nodes",)


@pytest.mark.parametrize(("spread", "clusters"), [(True, {"taurus": 1, "nova": 1}), (False, {"nova": 2})])
def test_alike_or_spread(grid: Make, spread: bool, clusters: dict[str, int]) -> None:
    assert _plan(grid(), {"lyon": 2}, spread=spread).sites[0].clusters == clusters


def test_longer_than_a_day(grid: Make) -> None:
    found = _plan(grid({"nova-1": [(24, 30)]}), {"nova": 2}, 25)
    assert found.start == MONDAY + 30 * HOUR
    assert found.end == MONDAY + 55 * HOUR


def test_from_a_status(now: int, job: Make, status: Make) -> None:
    """All the mistakes of the predecessors in one status: the plan goes behind each job that counts."""
    first, second, third, fourth, fifth = _names("lyon", "taurus", 5)
    answer = status(
        "lyon",
        {
            first: [
                job(1, state="waiting", started_at=0, walltime=60),
                job(2, state="waiting", started_at=0, scheduled_at=now + 60, walltime=600),
            ],
            second: [job(3, started_at=now - 50, walltime=90000)],
            third: [job(4, started_at=now, walltime=9000, queue="besteffort", types=["besteffort"])],
            fourth: "standby",
            fifth: "absent",
        },
    )
    taken = occupation({"lyon": answer}, (now, now + 28 * DAY))
    nodes = {"taurus": [first, second, third, fourth, fifth]}
    found = plan(nodes, {"taurus": "lyon"}, taken, {"taurus": 2}, 3600, not_before=now)
    assert (found.start, found.sites[0].nodes) == (now, (third, fourth))
    found = plan(nodes, {"taurus": "lyon"}, taken, {"taurus": 3}, 3600, not_before=now)
    assert (found.start, found.sites[0].nodes) == (now + 660, (first, third, fourth))
    found = plan(nodes, {"taurus": "lyon"}, taken, {"taurus": 4}, 3600, not_before=now)
    assert (found.start, found.sites[0].nodes) == (now + 89950, (first, second, third, fourth))
    found = plan(nodes, {"taurus": "lyon"}, taken, {"taurus": 5}, 3600, not_before=now)
    assert found.unmet == ("asks for 5 nodes of taurus, 4 can be used: 1 absent",)


# rules


def test_the_next_date_that_is_allowed(grid: Make) -> None:
    def evenings(start: float, end: float) -> str | None:
        return None if (start - MONDAY) % DAY >= 19 * HOUR else "during the day at most 2 h"

    found = _plan(grid({"nova-1": [(0, 8.5)]}), {"nova": 2}, 3, allowed=evenings)
    assert found.start == MONDAY + 19 * HOUR
    assert found.alternatives == ()


def test_never_allowed(grid: Make) -> None:
    found = _plan(grid({"nova-1": [(0, 8.5)]}), {"nova": 2}, allowed=lambda start, end: "the queue is closed")
    assert found.unmet == ("free from 2026-03-02 08:30:00 CET on, but not allowed then or later: the queue is closed",)
    assert found.sites == ()
    assert math.isinf(found.start)
    assert found.alternatives == ()


# networks


def test_each_site_needs_its_vlan(grid: Make) -> None:
    taken = grid(vlans={"4": ()}, vlan_kinds={"4": "kavlan"})
    busy = (MONDAY, MONDAY + 3 * HOUR)
    taken["nancy"] = Occupation(
        "nancy", taken["nancy"].window, taken["nancy"].nodes, vlans={"4": (busy,)}, vlan_kinds={"4": "kavlan"}
    )
    assert _plan(taken, {"lyon": 1}, vlan="kavlan").start == MONDAY
    assert _plan(taken, {"lyon": 1, "nancy": 1}, vlan="kavlan").start == busy[1]
    assert _plan(taken, {"lyon": 1, "gros": 1}, vlan="kavlan").start == busy[1]
    # Of the whole grid, nodes of lyon are enough until then.
    found = _plan(taken, {"grid5000": 5}, vlan="kavlan")
    assert (found.start, [part.site for part in found.sites]) == (MONDAY, ["lyon"])
    assert _plan(taken, {"grid5000": 6}, vlan="kavlan").start == busy[1]
    found = _plan(taken, {"lyon": 1, "nancy": 1}, vlan="kavlan-local")
    assert found.unmet == (
        "lyon: no VLAN of kind kavlan-local is free until 2026-03-30 01:00:00 CEST",
        "nancy: no VLAN of kind kavlan-local is free until 2026-03-30 01:00:00 CEST",
    )
    assert _plan(taken, {"grid5000": 2}, vlan="kavlan-local").unmet == (
        "asks for a VLAN of kind kavlan-local: none is free beside free nodes until 2026-03-30 01:00:00 CEST",
    )


def test_one_global_vlan_is_enough(grid: Make) -> None:
    taken = grid()
    taken["lyon"] = Occupation(
        "lyon", taken["lyon"].window, taken["lyon"].nodes, vlans={"11": ()}, vlan_kinds={"11": "kavlan-global"}
    )
    assert _plan(taken, {"lyon": 1, "nancy": 1}, vlan="kavlan-global").start == MONDAY
    assert _plan(taken, {"nancy": 1}, vlan="kavlan-global").unmet
    # By share one node of the grid would be of gros alone, which has no VLAN.
    assert [p.site for p in _plan(taken, {"grid5000": 1}, vlan="kavlan-global").sites] == ["lyon"]
    found = _plan(taken, {"grid5000": 3, "nancy": 1}, vlan="kavlan-global")
    assert [sum(part.clusters.values()) for part in found.sites] == [2, 2]


def test_subnets(grid: Make) -> None:
    taken = grid(subnets={"10.144.0.0/22": ((MONDAY, MONDAY + HOUR),), "10.144.4.0/22": ()})
    assert _plan(taken, {"lyon": 1}, subnets=(("slash_22", 1),)).start == MONDAY
    assert _plan(taken, {"lyon": 1}, subnets=(("slash_21", 1),)).start == MONDAY + HOUR
    assert _plan(taken, {"lyon": 1}, subnets=(("slash_22", 3),)).unmet == (
        "lyon: 3 slash_22 asked for, 2 free until 2026-03-30 01:00:00 CEST",
    )


# why not


@pytest.mark.parametrize(
    ("wanted", "unmet"),
    [
        (
            {"taurus": 4, "lyon": 3},
            ("asks for 4 nodes of taurus, 3 fit the request", "asks for 3 nodes of lyon, 2 fit the request"),
        ),
        ({"grid5000": 10}, ("asks for 10 nodes, 9 fit the request",)),
        ({"paradoxe": 1}, ("asks for 1 node of paradoxe, 0 fit the request",)),
        ({"rennes": 1}, ("asks for 1 node of rennes, 0 fit the request",)),
    ],
)
def test_too_few(grid: Make, wanted: dict[str, int], unmet: tuple[str, ...]) -> None:
    found = _plan(grid(), wanted)
    assert found.unmet == unmet
    assert found.sites == ()


def test_too_few_that_can_be_used(grid: Make) -> None:
    taken = grid()
    window = taken["nancy"].window
    whole = (window,)
    nodes = {**taken["nancy"].nodes, "gros-1.nancy.grid5000.fr": whole, "gros-2.nancy.grid5000.fr": whole}
    del nodes["gros-4.nancy.grid5000.fr"]
    states = {"gros-1.nancy.grid5000.fr": "dead", "gros-2.nancy.grid5000.fr": "absent"}
    taken["nancy"] = Occupation("nancy", window, nodes, unusable=states)
    found = _plan(taken, {"gros": 2})
    assert found.unmet == ("asks for 2 nodes of gros, 1 can be used: 1 absent, 1 dead, 1 unknown to OAR",)
    assert found.alternatives == ("could start at 2026-03-02 00:00:00 CET with 1 of 2 nodes",)
    del taken["nancy"]
    found = _plan(taken, {"nancy": 2, "lyon": 1})
    assert found.unmet == ("asks for 2 nodes of nancy, 0 can be used: 4 of nancy, which has not told its status",)


def test_never_free(grid: Make) -> None:
    taken = grid({"taurus-1": [(0, 700)], "taurus-2": [(0, 700)]})
    assert _plan(taken, {"taurus": 2, "nova": 2}).unmet == (
        "asks for 2 nodes of taurus: never so many free for 1 h 00 min until 2026-03-30 01:00:00 CEST, at most 1",
    )
    # Each is free at some time, but never both.
    taken = grid({"taurus-1": [(0, 300)], "taurus-2": [(0, 300)], "nova-1": [(300, 700)]})
    found = _plan(taken, {"taurus": 3, "nova": 2})
    assert found.unmet == (
        "asks for 5 nodes: never all free for 1 h 00 min at one date until 2026-03-30 01:00:00 CEST, at most 4",
    )
    assert found.alternatives == (
        "could start at 2026-03-02 00:00:00 CET with 3 of 5 nodes (taurus: 1 of 3, nova: 2 of 2)",
        "could start at 2026-03-14 12:00:00 CET with 4 of 5 nodes (taurus: 3 of 3, nova: 1 of 2)",
    )


def test_longer_than_the_window(grid: Make) -> None:
    found = _plan(grid(), {"lyon": 1}, 49, window=2 * DAY)
    assert found.unmet == ("asks for 2 d 1 h, longer than the 2 d 0 h that were looked at",)


def test_few_alternatives_are_told(grid: Make) -> None:
    taken = grid({"gros-1": [(0, 4)], "gros-2": [(0, 3)], "gros-3": [(0, 2)], "taurus-1": [(0, 1)], "nova-1": [(0, 9)]})
    found = _plan(taken, {"grid5000": 9})
    assert found.start == MONDAY + 9 * HOUR
    assert [line.split(" at ")[1] for line in found.alternatives] == [
        "2026-03-02 00:00:00 CET with 4 of 9 nodes",
        "2026-03-02 01:00:00 CET with 5 of 9 nodes",
        "2026-03-02 04:00:00 CET with 8 of 9 nodes",
    ]


# input


def test_a_node_that_is_given_twice_is_one(grid: Make) -> None:
    nodes = {"nova": [*CANDIDATES["nova"], CANDIDATES["nova"][0]]}
    found = plan(nodes, {"nova": "lyon"}, grid(), {"nova": 3}, HOUR, not_before=MONDAY)
    assert found.unmet == ("asks for 3 nodes of nova, 2 fit the request",)


def test_only_what_all_occupations_cover(grid: Make) -> None:
    taken = grid()
    window = (MONDAY + HOUR, MONDAY + DAY)
    taken["nancy"] = Occupation("nancy", window, taken["nancy"].nodes)
    assert _plan(taken, {"lyon": 1, "nancy": 1}).start == MONDAY + HOUR
    assert _plan(taken, {"lyon": 1, "nancy": 1}, 23).start == MONDAY + HOUR
    assert _plan(taken, {"lyon": 1, "nancy": 1}, 24).unmet == (
        "asks for 1 d 0 h, longer than the 23 h 00 min that were looked at",
    )
    assert _plan(taken, {"lyon": 1}, 24).start == MONDAY


@pytest.mark.parametrize(
    ("wanted", "options", "message"),
    [
        ({"lion": 1}, {}, "'lion' .* did you mean 'lyon'"),
        ({"lyon": -1}, {}, "lyon: -1 nodes"),
        ({"lyon": 0}, {}, "no nodes"),
        ({}, {}, "no nodes"),
        ({"lyon": 1}, {"hours": 0}, "walltime of 0"),
        ({"lyon": 1}, {"hours": math.inf}, "walltime of inf"),
        ({"lyon": 1}, {"subnets": (("22", 1),)}, "subnet size '22'"),
    ],
)
def test_input(grid: Make, wanted: dict[str, int], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        _plan(grid(), wanted, **options)


def test_a_cluster_of_no_site_is_unknown(grid: Make) -> None:
    with pytest.raises(InvalidRequest, match="'grisou'"):
        plan({"grisou": []}, {}, grid(), {"grisou": 1}, HOUR, not_before=MONDAY)
    # A site that has answered and has no clusters (bordeaux) is known.
    found = plan({}, {}, grid(), {"lyon": 1}, HOUR, not_before=MONDAY)
    assert found.unmet == ("asks for 1 node of lyon, 0 fit the request",)


def test_arguments_are_left_as_they_are(grid: Make) -> None:
    taken, wanted = grid({"nova-1": [(0, 3)]}), {"lyon": 3, "nova": 2, "grid5000": 20}
    before = copy.deepcopy((taken, wanted, CANDIDATES, SITE_OF))
    assert _plan(taken, wanted).unmet
    assert (taken, wanted, CANDIDATES, SITE_OF) == before


# law

elements = st.sampled_from(["taurus", "nova", "gros", "lyon", "nancy", "grid5000"])
hours = st.tuples(st.integers(0, 10), st.integers(1, 10)).map(lambda pair: (float(pair[0]), float(sum(pair))))


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from([n for of in CANDIDATES.values() for n in of]), hours),
    st.dictionaries(elements, st.integers(0, 4), min_size=1).filter(lambda wanted: any(wanted.values())),
    st.booleans(),
)
def test_a_plan_keeps_its_word(busy: dict[str, tuple[float, float]], wanted: dict[str, int], spread: bool) -> None:
    window = (0.0, 28 * DAY)
    nodes = {n: (busy[n],) if n in busy else () for of in CANDIDATES.values() for n in of}
    taken = {
        site: Occupation(site, window, {n: t for n, t in nodes.items() if f".{site}." in n})
        for site in ("lyon", "nancy")
    }
    found = plan(CANDIDATES, SITE_OF, taken, wanted, 5, not_before=0, spread=spread)
    chosen = [n for part in found.sites for n in part.nodes]
    if found.unmet:
        assert not chosen
        return
    assert len(chosen) == len(set(chosen)) == sum(wanted.values())
    assert all(end <= found.start or start >= found.end for n in chosen for start, end in nodes[n])
    for part in found.sites:
        assert all(n.split(".")[1] == part.site for n in part.nodes)
        assert {c: sum(n.startswith(c) for n in part.nodes) for c in part.clusters} == part.clusters
    assert all(sum(n.startswith(c) for n in chosen) >= wanted.get(c, 0) for c in CANDIDATES)
