"""Mistakes of EnOSlib and execo with what is asked of OAR that are not made here.

What each of the peers does is told by the docstring of the test. Others of their mistakes are shown beside the code, in
``requests/`` and ``planning/``.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest

from pytest_execo.emulator.sample import sample_reference
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.grid5000.reference import Reference, load_reference
from pytest_execo.testbeds.grid5000.requests import Expression, submissions
from pytest_execo.testbeds.needs import request_of

PLAIN = Request(nodes=2, walltime=3600.0)

# EnOSlib, row 7

#: Field of a request → a value of it that OAR has to hear of.
HEARD: dict[str, Any] = {
    "walltime": 90000.0,
    "hosts": ("gros-1", "gros-3"),
    "without": ("gros-2.nancy.grid5000.fr",),
    "properties": (("cores", 99),),  # has a test of its own
    "environment": "debian12-min",
    "vlan": "kavlan",
    "subnets": (("slash_22", 2),),
    "disks": True,
    "same_switch": True,
    "start": 1795802400.0,
    "queue": "admin",
    "project": "lab",
    "types": ("night",),
    "monitor": "prom_.*",
}
#: Fields that decide how many nodes of which cluster there are, and those that are met after the reservation.
ELSEWHERE = {"nodes", "cluster", "shares", "min_nodes", "spare", "metrics"}


def test_no_field_of_a_request_is_forgotten_by_this_test() -> None:
    assert HEARD.keys() | ELSEWHERE == {field.name for field in dataclasses.fields(Request)}
    assert not HEARD.keys() & ELSEWHERE


@pytest.mark.parametrize("field", sorted(HEARD.keys() - {"properties"}))
def test_nothing_that_is_asked_for_is_dropped(field: str, reference: Reference) -> None:
    """EnOSlib takes ``min``, ``reservable_disks``, and ``nodes`` of servers, and drops them on the way. Here each field
    that OAR has to do with changes what OAR is told."""
    request = dataclasses.replace(PLAIN, **{field: HEARD[field]})
    told = [submissions(each, reference, {"gros": 2}, start=each.start)["nancy"].to_json() for each in (PLAIN, request)]
    assert told[0] != told[1]


def test_properties_that_only_some_nodes_have_reach_oar() -> None:
    """The same, of properties: where not all nodes of a cluster have them, those that have are named."""
    document = sample_reference()
    node = document["sites"]["nancy"]["clusters"]["gros"]["nodes"][1]
    node["architecture"]["nb_cores"] = 99
    request = dataclasses.replace(PLAIN, nodes=1, properties=(("cores", 99),))
    told = submissions(request, load_reference(document), {"gros": 1})["nancy"].resources
    assert told == f"{{host in ('{node['uid']}.nancy.grid5000.fr')}}/nodes=1,walltime=1:00:00"


# execo, W-34


@pytest.mark.parametrize("vlan", [None, "kavlan", "kavlan-global"])
@pytest.mark.parametrize(
    "nodes", [{"gros": 2}, {"gros": 0, "taurus": 2}, {"gros": 1, "grisou": 1, "taurus": 2}, {"gros": 1, "nova": 0}]
)
def test_each_condition_belongs_to_a_number_of_nodes(
    nodes: dict[str, int], vlan: str | None, reference: Reference
) -> None:
    """execo writes ``{host NOT IN (…)}/+nodes=2`` when it leaves out a host of a site, whose nodes may be any then, and
    ends with ``vlan=1+``. Here each part of an expression has a condition and a number, whatever is asked for beside
    the nodes; and there are as many nodes in all as were wanted."""
    named = ("gros-1", "gros-4", "grisou-1", "taurus-1", "taurus-2")
    yes_no = (False, True)
    for hosts, subnets, disks, switch in itertools.product(((), named), ((), (("slash_22", 1),)), yes_no, yes_no):
        request = Request(
            walltime=60.0, hosts=hosts, vlan=vlan, subnets=subnets, disks=disks, same_switch=switch, environment="x"
        )
        made = submissions(request, reference, nodes)
        assert set(made) == {reference.clusters[name].site for name, count in nodes.items() if count}
        asked = 0
        for submission in made.values():
            assert not submission.resources.endswith(("+", "/"))
            expression = Expression.parse(submission.resources)
            assert str(expression) == submission.resources
            for group in expression.groups:
                name, number = group.levels[-1]
                assert group.condition or name.startswith("slash_")
                if name in ("nodes", "host"):
                    assert "cluster=" in group.condition or "host in" in group.condition
                    asked += int(number)
        assert asked == sum(nodes.values())


# execo, W-37 and W-38


@pytest.mark.parametrize("types", [("night", "container"), ["night", "container"]])
def test_types_of_jobs_are_any_sequence_and_keep_their_order(types: Any, reference: Reference) -> None:
    """execo ends with a TypeError on a tuple of job types, and writes them in the order of a set, never the same.
    Here their order is the one in which they were given."""
    request = request_of({"nodes": 1, "cluster": "grisou", "types": types, "environment": "debian12-min"})
    made = [submissions(request, reference, {"grisou": 1})["nancy"].types for _ in range(3)]
    # Exotic is found, where execo looks for the word in a list as if it were a mapping.
    assert made == [("night", "container", "deploy", "exotic", "origin=pytest-execo")] * 3
