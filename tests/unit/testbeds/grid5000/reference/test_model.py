"""Nodes, clusters and sites as values."""

from __future__ import annotations

from pytest_execo.testbeds.grid5000.reference import Reference


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
