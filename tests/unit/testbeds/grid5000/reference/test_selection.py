"""Conditions on nodes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds.grid5000.reference import Reference, Selection


@pytest.mark.parametrize(
    ("wanted", "clusters"),
    [
        ({}, "taurus nova gros grisou paradoxe parasilo"),
        ({"cores": ">=16"}, "nova gros grisou paradoxe parasilo"),
        ({"cores": 12}, "taurus"),
        ({"cores": "<=12"}, "taurus"),
        ({"cores": "!=12"}, "nova gros grisou paradoxe parasilo"),
        ({"memory": ">=128GiB"}, "grisou paradoxe parasilo"),
        ({"memory": ">=64GiB", "cores": "<20"}, "nova gros grisou parasilo"),
        ({"gpu": 1}, "nova"),
        ({"gpu": 0}, "taurus nova gros grisou paradoxe parasilo"),
        ({"gpu": "==0"}, "taurus gros grisou paradoxe parasilo"),
        ({"gpu_model": "a2"}, "nova"),
        ({"rate": ">=25Gbps"}, "gros paradoxe"),
        ({"rate": "25G"}, "gros paradoxe"),
        ({"disk": "HDD"}, "parasilo"),
        ({"disk": "!=HDD"}, "taurus nova gros grisou paradoxe"),
        ({"disks": ">=1"}, "parasilo"),
        ({"wattmeter": True}, "taurus gros paradoxe"),
        ({"wattmeter": False}, "nova grisou parasilo"),
        ({"architecture": "x86_64", "threads": ">=100"}, "paradoxe"),
    ],
)
def test_which_nodes_meet_it(reference: Reference, wanted: dict[str, Any], clusters: str) -> None:
    selection = Selection.parse(wanted)
    assert {node.cluster for node in reference.nodes() if selection.matches(node)} == set(clusters.split())


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"core": 1}, "core=1: unknown property; did you mean 'cores'?"),
        ({"cores": "many"}, "cores='many': write '>=16'"),
        ({"memory": ">=big"}, "write '>=64GiB'"),
        ({"rate": "fast"}, "write '>=25Gbps'"),
        ({"wattmeter": "yes"}, "write True"),
        ({"cores": True}, "write '>=16'"),
        ({"gpu_model": ">A100"}, "write 'A100'"),
        ({"cores": ""}, "write '>=16'"),
        ({"cores": "nan"}, "write '>=16'"),
        ({"cores": float("inf")}, "write '>=16'"),
        ({"cores": [16]}, "write '>=16'"),
    ],
)
def test_what_is_wrong(wanted: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Selection.parse(wanted)
    assert words in str(caught.value)


def test_what_no_node_has_is_said_with_the_most_there_is(reference: Reference) -> None:
    nodes = list(reference.nodes())
    assert Selection.parse({"memory": ">=2TiB", "cores": ">=16"}).unmet(nodes) == [
        "memory >= 2TiB: no node has it, the largest has 384 GiB"
    ]
    assert Selection.parse({"rate": ">=100Gbps"}).unmet(nodes) == [
        "rate >= 100Gbps: no node has it, the fastest has 25 Gbps"
    ]
    assert Selection.parse({"gpu": 1, "wattmeter": True}).unmet(nodes) == [
        "no node meets gpu >= 1 and wattmeter True together"
    ]
    assert Selection.parse({"gpu": 1}).unmet(nodes) == []


def test_what_no_node_has_is_said_with_what_there_is(reference: Reference) -> None:
    nodes = list(reference.nodes())
    assert Selection.parse({"disk": "NVMe"}).unmet(nodes) == ["disk == NVMe: no node has it, there is HDD, SSD"]
    assert Selection.parse({"architecture": "ppc64le"}).unmet(nodes) == [
        "architecture == ppc64le: no node has it, there is x86_64"
    ]
    assert Selection.parse({"gpu_model": "A100"}).unmet([n for n in nodes if n.cluster != "nova"]) == [
        "gpu_model == A100: no node has it"
    ]


@pytest.mark.parametrize(
    ("wanted", "model", "found"),
    [
        ("A100", "A100-SXM4-40GB", True),
        ("a100", "Nvidia A100-SXM4-40GB", True),
        ("40GB", "A100-SXM4-40GB", True),
        ("A10", "A100-SXM4-40GB", False),
        ("A100-SXM4", "A100-SXM4-40GB", True),
        ("100", "A100-SXM4-40GB", False),
        ("GTX 1080", "GeForce GTX 1080 Ti", True),
        ("L40", "L40S", False),
        (".*", "L40S", False),
    ],
)
def test_models_are_matched_by_whole_words(wanted: str, model: str, found: bool, reference: Reference) -> None:
    node = reference.node("nova-1")
    assert node is not None
    assert Selection.parse({"gpu_model": wanted}).matches(dataclasses.replace(node, gpu_models=(model,))) is found


def test_what_is_not_known_of_a_node_it_does_not_meet(reference: Reference) -> None:
    node = reference.node("nova-1")
    assert node is not None
    unknown = dataclasses.replace(node, memory=None)
    assert not Selection.parse({"memory": "<1TiB"}).matches(unknown)
    assert Selection.parse({"memory": "<1TiB"}).matches(node)
