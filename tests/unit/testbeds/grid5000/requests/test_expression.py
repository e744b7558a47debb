"""A request in OAR's words."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.emulator.clock import ManualClock
from pytest_execo.emulator.oar.engine import Oar
from pytest_execo.emulator.oar.resources import resources_of
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.grid5000.answers import Submission
from pytest_execo.testbeds.grid5000.reference import Reference, load_reference
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
            "{host in ('taurus-1.lyon.grid5000.fr', 'taurus-3.lyon.grid5000.fr')}/nodes=2,walltime=0:01:00",
        ),
        (
            Request(
                nodes=1, walltime=60, cluster="nova", without=("nova-1.lyon.grid5000.fr", "nova-2.lyon.grid5000.fr")
            ),
            {"nova": 1},
            "{host in ('nova-3.lyon.grid5000.fr', 'nova-4.lyon.grid5000.fr')}/nodes=1,walltime=0:01:00",
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
    assert "{host in ('gros-2.nancy.grid5000.fr')}" in of(some, reference, {"gros": 1}, "nancy").resources


def test_one_switch_for_nodes_of_several_clusters_is_one_group(reference: Reference) -> None:
    # Two groups would each have a switch of their own.
    request = Request(walltime=60, same_switch=True)
    assert of(request, reference, {"taurus": 1, "nova": 2}).resources == (
        "{(cluster='taurus' or cluster='nova')}/switch=1/nodes=3,walltime=0:01:00"
    )
    assert of(request, reference, {"gros": 2, "grisou": 0}, "nancy").resources == (
        "{cluster='gros'}/switch=1/nodes=2,walltime=0:01:00"
    )


def given_by_oar(site: str, asked: Submission) -> tuple[list[str], list[str]]:
    """Return the nodes that a site's OAR plans for a job, and the types of the resources beside them."""
    clock = ManualClock()
    oar = Oar(site, resources_of(sample_reference()["sites"][site]), clock)
    job = oar.job(oar.submit("alice", **asked.to_json()))
    while not job.mask and (due := oar.next_date()) is not None:
        clock.advance(due - clock.now())
        oar.advance()
    return oar.nodes(job), [each.type for each in oar.predicted(job) if each.type != "default"]


@pytest.mark.parametrize(
    ("request_", "site", "nodes", "others"),
    [
        (Request(), "lyon", {"taurus": 2, "nova": 1}, []),
        (Request(hosts=("taurus-2", "taurus-5")), "lyon", {"taurus": 2}, []),
        (Request(disks=True), "rennes", {"parasilo": 2}, ["disk", "disk"]),
        (Request(disks=True, hosts=("parasilo-2",)), "rennes", {"parasilo": 1}, ["disk"]),
        (Request(same_switch=True), "lyon", {"taurus": 2, "nova": 1}, []),
        (Request(cluster="grisou"), "nancy", {"grisou": 4}, []),
        (Request(cluster="paradoxe"), "rennes", {"paradoxe": 5}, []),
        (Request(vlan="kavlan", environment="debian12-min"), "nancy", {"gros": 2}, ["kavlan"]),
        (Request(vlan="kavlan-global", environment="debian12-min"), "nancy", {"gros": 2}, ["kavlan-global"]),
        (Request(types=("besteffort",)), "rennes", {"paradoxe": 1}, []),
    ],
)
def test_oar_gives_what_was_asked_for(
    request_: Request, site: str, nodes: dict[str, int], others: list[str], reference: Reference
) -> None:
    given, beside = given_by_oar(site, of(dataclasses.replace(request_, walltime=60), reference, nodes, site))
    assert Counter(name.partition("-")[0] for name in given) == nodes or request_.same_switch
    assert len(given) == sum(nodes.values())
    if request_.hosts:
        assert [name.partition(".")[0] for name in given] == list(request_.hosts)
    assert beside == others


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
        (Request(cluster="grisou"), "grisou", ("exotic",)),
        (Request(types=("exotic",)), "grisou", ("exotic",)),
        (Request(types=("container",)), "taurus", ("container",)),
        (Request(types=("inner=12",)), "taurus", ("inner=12",)),
        (Request(environment="debian12-min", types=("deploy",)), "taurus", ("deploy",)),
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
        (Request(types=("besteffort",)), "paradoxe", "besteffort"),
        (Request(types=("night",), queue="default"), "taurus", "default"),
    ],
)
def test_the_queue_is_one_that_the_cluster_has(
    request_: Request, cluster: str, queue: str | None, reference: Reference
) -> None:
    site = reference.clusters[cluster].site
    assert of(request_, reference, {cluster: 1}, site).queue == queue


def test_a_queue_that_nobody_has_heard_of() -> None:
    document = sample_reference()
    document["sites"]["lyon"]["clusters"]["taurus"]["queues"] = ["admin", "besteffort", "newer"]
    assert of(Request(cluster="taurus"), load_reference(document), {"taurus": 1}).queue == "newer"


def test_clusters_that_are_not_used_have_no_say_in_the_queue(reference: Reference) -> None:
    assert of(Request(), reference, {"paradoxe": 1, "parasilo": 0}, "rennes").queue == "production"


levels = st.lists(
    st.tuples(
        st.sampled_from(["nodes", "host", "cluster", "switch", "core", "vlan", "slash_22"]),
        st.one_of(st.integers(1, 999).map(str), st.sampled_from(["ALL", "BEST", "BESTHALF"])),
    ),
    max_size=3,
).map(tuple)
conditions = st.sampled_from(["", "cluster='x'", "type='kavlan'", "a in ('b','c') AND d > 3", "(x='+' or y='/')"])
groups = st.builds(Group, levels, conditions).filter(lambda group: group.levels or group.condition)


@settings(max_examples=50)
@given(st.lists(groups, min_size=1, max_size=4), st.one_of(st.none(), st.integers(1, 10**6).map(float)))
def test_what_is_written_is_read_again(parts: list[Group], walltime: float | None) -> None:
    expression = Expression(tuple(parts), walltime)
    assert Expression.parse(str(expression)) == expression


@pytest.mark.parametrize(
    "text",
    [
        "", "nodes", "nodes=x", "{a='b'}/", "nodes=2+", "nodes=2,walltime=1:x", "{a='b'}nodes=", "/nodes=1/+x=1",
        "nodes=2,walltime=", "{a='b'}+", "{a='b'}{c='d'}", "nodes=2,walltime=1:0:0,core=1", "{}/nodes=1", "+nodes=1",
        # As execo made them.
        "{host NOT IN ('a')}/+nodes=2", "{type='kavlan'}/vlan=1+",
    ],
)  # fmt: skip
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Expression.parse(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("nodes=2", "/nodes=2"),
        (
            "{\"type='kavlan'\"}/vlan=1,{\"cluster='suno'\"}/nodes=3",
            "{\"type='kavlan'\"}/vlan=1+{\"cluster='suno'\"}/nodes=3",
        ),
        ("{cluster='x'},walltime=2", "{cluster='x'},walltime=2:00:00"),
        ("{cluster='x'}nodes=BEST,walltime=0:30", "{cluster='x'}/nodes=BEST,walltime=0:30:00"),
        ("slash_22=1+{cluster='x'}/nodes=1", "/slash_22=1+{cluster='x'}/nodes=1"),
        ("/switch=1/nodes=4/core=ALL", "/switch=1/nodes=4/core=ALL"),
    ],
)
def test_forms_that_others_write(text: str, written: str) -> None:
    assert str(Expression.parse(text)) == written
