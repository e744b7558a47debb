"""A request in OAR's words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.grid5000.answers import Submission
from pytest_execo.testbeds.grid5000.reference import Reference
from pytest_execo.testbeds.grid5000.requests import Expression, Group, submissions


def of(request: Request, reference: Reference, nodes: dict[str, int], site: str = "lyon", **more: float) -> Submission:
    """Return what one site is asked for."""
    return submissions(request, reference, nodes, **more)[site]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("request_", "nodes", "resources"),
    [
        (Request(nodes=2, walltime=3600), {"taurus": 2}, "{cluster='taurus'}/nodes=2,walltime=1:00:00"),
        (Request(nodes=2, walltime=90000), {"taurus": 2}, "{cluster='taurus'}/nodes=2,walltime=25:00:00"),
        (
            Request(nodes=3, walltime=60),
            {"taurus": 2, "nova": 1},
            "{cluster='taurus'}/nodes=2+{cluster='nova'}/nodes=1,walltime=0:01:00",
        ),
        (
            Request(walltime=60, vlan="kavlan", environment="debian12-min"),
            {"nova": 1},
            "{cluster='nova'}/nodes=1+{type='kavlan'}/vlan=1,walltime=0:01:00",
        ),
        (
            Request(walltime=60, subnets=(("slash_22", 2),)),
            {"nova": 1},
            "{cluster='nova'}/nodes=1+/slash_22=2,walltime=0:01:00",
        ),
        (Request(walltime=60, same_switch=True), {"nova": 2}, "{cluster='nova'}/switch=1/nodes=2,walltime=0:01:00"),
        (
            Request(nodes=2, walltime=60, hosts=("taurus-1", "taurus-3.lyon")),
            {"taurus": 2},
            "{network_address in ('taurus-1.lyon.grid5000.fr', 'taurus-3.lyon.grid5000.fr')}/nodes=2,walltime=0:01:00",
        ),
    ],
)
def test_resources(request_: Request, nodes: dict[str, int], resources: str, reference: Reference) -> None:
    submission = of(request_, reference, nodes)
    assert submission.resources == resources
    assert str(Expression.parse(resources)) == resources
    assert submission.command == "sleep 31536000"
    assert submission.reservation is None


def test_reservable_disks(reference: Reference) -> None:
    request = Request(walltime=60, disks=True)
    assert of(request, reference, {"parasilo": 2}, "rennes").resources == (
        "{(type='default' or type='disk') AND cluster='parasilo'}/host=2,walltime=0:01:00"
    )


def test_nodes_that_meet_a_condition_are_named_where_the_cluster_has_others(reference: Reference) -> None:
    request = Request(walltime=60, properties=(("gpu", 1),))
    assert of(request, reference, {"nova": 1}).resources == "{cluster='nova'}/nodes=1,walltime=0:01:00"
    some = Request(walltime=60, hosts=("gros-2",))
    assert "network_address in ('gros-2.nancy.grid5000.fr')" in of(some, reference, {"gros": 1}, "nancy").resources


def test_several_sites_at_one_date(reference: Reference) -> None:
    made = submissions(
        Request(walltime=60, vlan="kavlan-global", environment="x"), reference, {"taurus": 1, "gros": 2, "nova": 0},
        start=1795802400.0,
    )  # fmt: skip
    assert {site: each.resources for site, each in made.items()} == {
        "lyon": "{cluster='taurus'}/nodes=1+{type='kavlan-global'}/vlan=1,walltime=0:01:00",
        "nancy": "{cluster='gros'}/nodes=2,walltime=0:01:00",  # one global VLAN does for all
    }
    assert {each.reservation for each in made.values()} == {"2026-11-27 19:00:00"}  # in Paris, wherever we are


def test_a_site_without_nodes_is_not_asked(reference: Reference) -> None:
    # execo gives it "{host NOT IN (…)}/+nodes=2" and a trailing "vlan=1+".
    assert submissions(
        Request(walltime=60, vlan="kavlan", environment="x"), reference, {"gros": 0, "nova": 1}
    ).keys() == {"lyon"}


@pytest.mark.parametrize(
    ("request_", "cluster", "types"),
    [
        (Request(environment="debian12-min"), "taurus", ("deploy",)),
        (Request(types=("night", "besteffort")), "taurus", ("night", "besteffort")),
        (Request(), "grisou", ("exotic",)),
        (Request(monitor=""), "taurus", ("monitor",)),
        (Request(monitor="prom_.*", types=("deploy",)), "taurus", ("deploy", "monitor=prom_.*")),
    ],
)
def test_types(request_: Request, cluster: str, types: tuple[str, ...], reference: Reference) -> None:
    site = reference.clusters[cluster].site
    assert of(request_, reference, {cluster: 1}, site).types == (*types, "origin=pytest-execo")


@pytest.mark.parametrize(
    ("request_", "cluster", "queue"),
    [
        (Request(), "taurus", None),
        (Request(), "paradoxe", "production"),  # of the queues abaca, admin and production
        (Request(queue="abaca"), "paradoxe", "abaca"),
        (Request(types=("besteffort",)), "taurus", "besteffort"),
        (Request(queue="testing"), "taurus", "testing"),
    ],
)
def test_the_queue_is_one_that_the_cluster_has(
    request_: Request, cluster: str, queue: str | None, reference: Reference
) -> None:
    site = reference.clusters[cluster].site
    assert of(request_, reference, {cluster: 1}, site).queue == queue


levels = st.lists(
    st.tuples(
        st.sampled_from(["nodes", "host", "cluster", "switch", "core", "vlan", "slash_22"]),
        st.one_of(st.integers(1, 999).map(str), st.sampled_from(["ALL", "BEST", "BESTHALF"])),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
conditions = st.sampled_from(["", "cluster='x'", "type='kavlan'", "a in ('b','c') AND d > 3", "(x='+' or y='/')"])
groups = st.builds(Group, levels, conditions)


@settings(max_examples=50)
@given(st.lists(groups, min_size=1, max_size=4), st.one_of(st.none(), st.integers(1, 10**6).map(float)))
def test_what_is_written_is_read_again(parts: list[Group], walltime: float | None) -> None:
    expression = Expression(tuple(parts), walltime)
    assert Expression.parse(str(expression)) == expression


@pytest.mark.parametrize(
    "text", ["", "nodes", "nodes=x", "{a='b'}/", "nodes=2+", "nodes=2,walltime=1:x", "{a='b'}nodes=", "/nodes=1/+x=1"]
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Expression.parse(text)
