"""Resources and their properties, made from the reference data (§3.3, §5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.emulator.oar.resources import Resource, resources_of
from pytest_execo.emulator.oar.table import Table


def _of(site: dict[str, Any], kind: str) -> list[Resource]:
    return [resource for resource in resources_of(site) if resource.type == kind]


def test_a_resource_per_core_vlan_and_subnet(small: dict[str, Any]) -> None:
    found = resources_of(small, most_cores=None)
    assert [resource.id for resource in found] == list(range(1, len(found) + 1))
    count = {kind: sum(1 for r in found if r.type == kind) for kind in dict.fromkeys(r.type for r in found)}
    assert count == {"default": 8 * 8, "kavlan-local": 3, "kavlan": 2, "kavlan-global": 1, "subnet": 4}


def test_properties_of_a_core(small: dict[str, Any]) -> None:
    cores = _of(small, "default")
    first, last = cores[0].properties, cores[3].properties
    assert len({core.properties["core"] for core in cores}) == len(cores)
    assert (first["cpuset"], last["cpuset"]) == (0, 3)
    assert (first["cpu"], last["cpu"]) == (1, 2)
    told = {key: first[key] for key in ("host", "network_address", "cluster", "memnode", "core_count", "eth_rate")}
    assert told == {
        "host": "taurus-1.lyon.grid5000.fr",
        "network_address": "taurus-1.lyon.grid5000.fr",
        "cluster": "taurus",
        "memnode": 65536,
        "core_count": 8,  # the truth, although only four are resources
        "eth_rate": 10,
    }
    words = {key: first[key] for key in ("wattmeter", "exotic", "deploy", "besteffort", "production", "virtual")}
    assert words == {
        "wattmeter": "YES", "exotic": "NO", "deploy": "YES", "besteffort": "YES", "production": "NO", "virtual": "ivt",
    }  # fmt: skip
    hydra = next(core for core in cores if core.properties["cluster"] == "hydra")
    assert (hydra.properties["production"], hydra.properties["wattmeter"]) == ("YES", "NO")


def test_disks_that_can_be_reserved(small: dict[str, Any]) -> None:
    small["clusters"]["taurus"]["nodes"][1]["storage_devices"] = [
        {"id": "disk0", "interface": "SATA", "storage": "SSD"},
        {"id": "disk1", "reservation": True, "by_path": "/dev/disk/by-path/pci-0"},
    ]
    (disk,) = _of(small, "disk")
    assert disk.properties["disk"] == "disk1.taurus-2"
    assert disk.properties["host"] == "taurus-2.lyon.grid5000.fr"
    assert (disk.properties["network_address"], disk.properties["diskpath"]) == ("", "/dev/disk/by-path/pci-0")


def test_vlans_and_subnets(small: dict[str, Any]) -> None:
    vlans = {r.properties["vlan"]: r.type for r in resources_of(small) if r.type.startswith("kavlan")}
    local = dict.fromkeys(("1", "2", "3"), "kavlan-local")
    assert vlans == {**local, "4": "kavlan", "5": "kavlan", "13": "kavlan-global"}
    subnets = _of(small, "subnet")
    assert [s.properties["subnet_address"] for s in subnets] == [
        "10.156.0.0",
        "10.156.4.0",
        "10.156.8.0",
        "10.156.12.0",
    ]
    assert len({s.properties["slash_22"] for s in subnets}) == 4
    assert len({s.properties["slash_21"] for s in subnets}) == 2
    assert len({s.properties["slash_20"] for s in subnets}) == 1


def test_nodes_are_in_the_order_of_their_numbers(make_cluster: Callable[..., dict[str, Any]]) -> None:
    site = {"uid": "lyon", "clusters": {"gros": make_cluster("gros", 11)}}
    assert [name.partition(".")[0] for name in Table(resources_of(site)).hosts][:3] == ["gros-1", "gros-2", "gros-3"]
    assert list(Table(resources_of(site)).hosts)[-1].startswith("gros-11.")


@pytest.mark.parametrize(
    "odd",
    [
        {"architecture": {"nb_cores": "8", "nb_procs": None}, "main_memory": {"ram_size": 1.0e11}},
        {"architecture": {}, "main_memory": None, "processor": {"version": 4.5, "cache_l1": None}},
        {
            "supported_job_types": {"virtual": False, "max_walltime": "12"},
            "gpu_devices": {"nvidia0": {"model": "A100"}},
        },
        {"network_adapters": [{"rate": "25000000000.0", "mounted": True}], "storage_devices": {"disk0": {}}},
    ],
)
def test_irregular_types_are_taken_as_they_come(odd: dict[str, Any], small: dict[str, Any]) -> None:
    small["clusters"]["taurus"]["nodes"][0].update(odd)
    first = resources_of(small)[0].properties
    assert first["core_count"] >= 1
    assert first["gpu_count"] == len(odd.get("gpu_devices", ()))


def test_a_site_may_have_no_cluster() -> None:
    assert resources_of({"uid": "bordeaux"}) == []
    assert resources_of({"uid": "bordeaux", "clusters": None, "kavlans": {}}) == []
