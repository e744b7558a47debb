"""Nodes, clusters and sites as values."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.emulator.sample import sample_reference
from pytest_execo.testbeds.grid5000.reference import Reference, load_reference


def test_a_node(reference: Reference) -> None:
    node = reference.node("nova-2")
    assert node is not None
    assert (node.name, node.site, node.cluster) == ("nova-2.lyon.grid5000.fr", "lyon", "nova")
    assert (node.cores, node.cpus, node.threads, node.memory) == (16, 2, 32, 64 * 2**30)
    assert (node.gpus, node.gpu_models, node.rate) == (1, ("Invented A2",), 10e9)
    assert node.description["uid"] == "nova-2"
    assert reference.node("nova-2.lyon") is reference.node("nova-2.lyon.grid5000.fr") is node
    assert reference.node("nova-99") is None


def test_an_interface_that_is_for_management_is_no_network(reference: Reference) -> None:
    node = reference.node("taurus-1")
    assert node is not None
    assert [nic.name for nic in node.interfaces if nic.management] == ["bmc"]
    assert [nic.address for nic in node.interfaces if nic.mounted] == ["taurus-1.lyon.grid5000.fr"]


def test_nodes_come_in_the_order_of_their_numbers(reference: Reference) -> None:
    assert [node.uid for node in reference.clusters["taurus"].nodes] == [f"taurus-{n}" for n in range(1, 7)]


def test_vlans(reference: Reference) -> None:
    assert reference.sites["lyon"].vlans == (*map(str, range(1, 10)), "13")


def taurus_1(**changed: object) -> Any:
    """Return ``taurus-1`` after some of its data have been changed; ``metrics`` are those of its cluster."""
    document = sample_reference()
    cluster = document["sites"]["lyon"]["clusters"]["taurus"]
    cluster["metrics"] = changed.pop("metrics", cluster["metrics"])
    cluster["nodes"][0] |= changed
    return load_reference(document).node("taurus-1")


@pytest.mark.parametrize("size", [math.nan, math.inf, 10**400, "big", None, [], True, {}])
def test_a_number_that_is_none(size: object) -> None:
    assert taurus_1(main_memory={"ram_size": size}).memory is None


def test_a_wattmeter_that_only_some_nodes_have() -> None:
    def having(*only: str) -> bool:
        return bool(taurus_1(pdu=None, metrics=[{"name": "wattmetre_power_watt", "only_for": only}]).wattmeter)

    assert (having("taurus-1", "taurus-2"), having("taurus-2"), having()) == (True, False, True)


def test_a_node_that_says_no_queues_has_those_of_its_cluster() -> None:
    assert taurus_1(supported_job_types={}).queues == ("admin", "default")


def test_a_limited_walltime() -> None:
    assert taurus_1(supported_job_types={"max_walltime": "7200"}).max_walltime == 7200
    assert taurus_1(supported_job_types={"max_walltime": 0}).max_walltime is None


KEYS = (
    "architecture", "chassis", "exotic", "gpu_devices", "main_memory", "network_adapters", "pdu", "storage_devices",
    "supported_job_types",
)  # fmt: skip
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["uid", "rate", "ram_size", "nb_cores", "queues", "mounted"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(KEYS), junk, max_size=4), junk)
def test_no_data_are_too_odd(changed: dict[str, object], metrics: object) -> None:
    document = {"sites": {"lyon": {"uid": "lyon", "kavlans": metrics, "clusters": [
        {"uid": "taurus", "metrics": metrics, "queues": metrics, "nodes": [{**changed, "uid": "taurus-1"}]}
    ]}}}  # fmt: skip
    assert load_reference(document).node("taurus-1") is not None
