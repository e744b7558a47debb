"""The emulator's own reference data: small, the same each time, and as irregular as the real ones."""

from __future__ import annotations

import ipaddress
import json

from pytest_execo.emulator.sample import sample_reference
from pytest_execo.testbeds.grid5000.reference import load_reference


def test_three_sites_of_two_clusters_each() -> None:
    reference = load_reference(sample_reference())
    assert {name: list(site.clusters) for name, site in reference.sites.items()} == {
        "lyon": ["taurus", "nova"],
        "nancy": ["gros", "grisou"],
        "rennes": ["paradoxe", "parasilo"],
    }
    assert all(3 <= len(cluster.nodes) <= 6 for cluster in reference.clusters.values())


def test_it_is_json_and_the_same_each_time() -> None:
    assert json.loads(json.dumps(sample_reference())) == sample_reference()


def test_what_experiments_ask_for_is_in_it() -> None:
    reference = load_reference(sample_reference())
    nodes = list(reference.nodes())
    assert any(node.gpus for node in nodes)
    assert any(node.wattmeter for node in nodes)
    assert any(disk.reservable for node in nodes for disk in node.disks)
    assert any(node.exotic for node in nodes)
    assert any("default" not in node.queues for node in nodes)
    assert any(sum(nic.mountable for nic in node.interfaces) == 2 for node in nodes)
    periods = [metric["period"] for cluster in reference.clusters.values() for metric in cluster.metrics]
    assert {0, 1000} <= set(periods)


def test_the_irregular_types_are_in_it() -> None:
    nodes = [node.description for node in load_reference(sample_reference()).nodes()]
    kinds = {type(node["processor"]["version"]) for node in nodes}
    assert kinds == {str, int, float}
    assert {type(node["bios"]["version"]) for node in nodes} == {str, int, float}
    assert {type(nic["firmware_version"]) for node in nodes for nic in node["network_adapters"]} == {str, float}
    assert {type(disk["firmware_version"]) for node in nodes for disk in node["storage_devices"]} == {str, int}
    assert {type(node["chassis"]["serial"]) for node in nodes} == {str, int}
    assert {type(pdu["port"]) for node in nodes for pdu in node.get("pdu", ())} == {str, int}
    assert {type(node["supported_job_types"]["virtual"]) for node in nodes} == {str, bool}
    assert None in {node["processor"]["cache_l1"] for node in nodes}
    vlans = sample_reference()["sites"]["lyon"]["kavlans"]
    assert [vlan for vlan in vlans if "gateway_ipv6" not in vlans[vlan]] == ["1", "2", "3"]


def test_serials_and_macs_are_invented() -> None:
    macs = [
        nic["mac"]
        for node in load_reference(sample_reference()).nodes()
        for nic in node.description["network_adapters"]
    ]
    assert len(set(macs)) == len(macs)
    assert all(mac.startswith("02:00:") for mac in macs)  # locally administered: of no maker


def test_addresses_in_a_vlan_are_of_its_network_and_of_one_node_only() -> None:
    for site in sample_reference()["sites"].values():
        seen: set[str] = set()
        for node in (node for cluster in site["clusters"].values() for node in cluster["nodes"]):
            for kind, network in (("kavlan", "network"), ("kavlan6", "network_ipv6")):
                for by_vlan in node[kind].values():
                    for vlan, address in by_vlan.items():
                        described = site["kavlans"][vlan.removeprefix("kavlan-")]
                        assert ipaddress.ip_address(address) in ipaddress.ip_network(described[network])
                        assert address not in (described["gateway"], *seen)
                        seen.add(address)


def test_networks_do_not_overlap() -> None:
    networks = []
    for site in sample_reference()["sites"].values():
        range_ = ipaddress.ip_network(site["kavlan_ip_range"])
        routed = [ipaddress.ip_network(vlan["network"]) for uid, vlan in site["kavlans"].items() if uid not in "123"]
        networks += [*routed, ipaddress.ip_network(site["g5ksubnet"]["network"])]
        assert sum(network.overlaps(range_) for network in routed) == len(routed) - 1  # all but the default one
    assert not any(a.overlaps(b) for n, a in enumerate(networks) for b in networks[:n])
