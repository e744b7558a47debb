"""What fits on a Gantt diagram, and when."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_execo.testbeds import Request
from pytest_execo.testbeds.oar.fitting import Fitting
from pytest_execo.testbeds.oar.parsing import read_gantt
from tests.unit.testbeds.oar.fake_oar import NOW, gantt, planned

DEAD = {"state": "Dead"}


def fitting(request: Request, jobs: Any = (), *, walltime: float = 600, **changes: Any) -> Fitting:
    return Fitting(request, read_gantt(gantt(jobs, **changes)), where="front", now=NOW, walltime=walltime)


@pytest.mark.parametrize(
    ("request_", "changes", "line"),
    [
        (Request(nodes=5), {}, "asks for 5 nodes, front has 4"),
        (Request(nodes=4), {"node_2": DEAD}, "asks for 4 nodes, front has 3, and 1 that are absent or broken"),
        (Request(nodes=4, cluster="big"), {}, "asks for 4 nodes of cluster big, front has 3 of cluster big"),
        (Request(nodes=1, cluster="huge"), {}, "asks for cluster 'huge', front has big, small"),
        (Request(shares=(("big", 1), ("huge", 1))), {}, "asks for cluster 'huge', front has big, small"),
        (
            Request(nodes=3, shares=(("big", 1), ("small", 2))),
            {},
            "asks for 2 nodes of cluster small, front has 1 of cluster small",
        ),
        (Request(nodes=1, hosts=("node-9",)), {}, "asks for node 'node-9', which front does not have"),
        (Request(nodes=4, properties=(("memnode", ">=32"),)), {}, "asks for 4 nodes, front has 3 like that"),
        (Request(nodes=1, properties=(("gpu", 1),)), {}, "asks for 1 nodes, front has 0 like that"),
        (Request(nodes=3, same_switch=True), {}, "asks for 3 nodes behind one switch, front has no such switch"),
        (Request(nodes=1, queue="it's"), {}, 'asks for queue "it\'s", which OAR would misread'),
        (Request(nodes=1, types=("-I",)), {}, "asks for type '-I', which OAR would misread"),
        (
            Request(nodes=1, properties=(("cluster", "a' or '1'='1"),)),
            {},
            "asks for cluster \"a' or '1'='1\", and OAR takes no quotes, braces, backslashes, $ and ; in a value",
        ),
    ],
)
def test_what_is_not_met_is_said(request_: Request, changes: Any, line: str) -> None:
    assert fitting(request_, **changes).unmet() == [line]


def test_an_unknown_property_is_answered_with_those_there_are() -> None:
    (line,) = fitting(Request(nodes=1, properties=(("nosuch", 1),))).unmet()
    assert line == (
        "asks for property 'nosuch', front has cluster, core, deploy, gpu, host, memnode, network_address, state,"
        " switch, type, vlan"
    )


@pytest.mark.parametrize(
    "request_",
    [
        Request(nodes=4),
        Request(nodes=2, same_switch=True),
        Request(nodes=2, hosts=("node-1", "node-4.lab")),
        Request(nodes=2, properties=(("memnode", ">16"), ("cluster", "big"))),
        Request(nodes=3, properties=(("cluster", "!=small"),)),
        Request(nodes=4, shares=(("big", 3), ("small", 1))),
        Request(nodes=4, properties=(("deploy", False),)),
    ],
)
def test_what_fits(request_: Request) -> None:
    assert fitting(request_).unmet() == []
    assert fitting(request_).start() == NOW


def test_nodes_to_be_left_out_do_not_count() -> None:
    left_out = ("node-1.lab", "node-2.lab")
    assert fitting(Request(nodes=2, without=left_out)).unmet() == []
    (line,) = fitting(Request(nodes=3, without=left_out)).unmet()
    assert line == "asks for 3 nodes, front has 2 like that"


def test_a_node_that_sleeps_is_woken_and_one_that_is_absent_is_not() -> None:
    asleep = {"state": "Absent", "available_upto": NOW + 9000}
    assert fitting(Request(nodes=4), node_1=asleep).unmet() == []
    for absent in ({"state": "Absent"}, asleep | {"available_upto": NOW - 1}, {"state": "Suspected"}):
        assert fitting(Request(nodes=4), node_1=absent).unmet()


def test_the_earliest_start_is_when_others_end() -> None:
    jobs = [planned(1, -60, 300, 1, 2), planned(2, -60, 900, 3)]
    assert fitting(Request(nodes=1), jobs).start() == NOW
    assert fitting(Request(nodes=3), jobs).start() == NOW + 300
    assert fitting(Request(nodes=4), jobs).start() == NOW + 900


def test_a_hole_before_a_reservation_is_used_if_it_is_long_enough() -> None:
    jobs = [planned(1, 500, 900, 1, 2, 3, 4)]
    assert fitting(Request(nodes=4), jobs, walltime=500).start() == NOW
    assert fitting(Request(nodes=4), jobs, walltime=501).start() == NOW + 900


def test_best_effort_jobs_give_way_to_others_only() -> None:
    jobs = [planned(1, -60, 900, 1, 2, 3, 4, types=["besteffort"])]
    assert fitting(Request(nodes=4), jobs).start() == NOW
    assert fitting(Request(nodes=4, types=("besteffort",)), jobs).start() == NOW + 900


def test_all_nodes_of_a_switch_are_free_at_the_same_time() -> None:
    jobs = [planned(1, 0, 300, 1), planned(2, 0, 900, 3)]
    assert fitting(Request(nodes=2), jobs).start() == NOW
    assert fitting(Request(nodes=2, same_switch=True), jobs).start() == NOW + 300


def test_short_names_become_oars() -> None:
    assert fitting(Request(nodes=1)).full_names(("node-2", "node-3.lab", "else")) == (
        "node-2.lab",
        "node-3.lab",
        "else",
    )
