"""A small Grid'5000 for the tests of the emulator: two sites, four clusters, eight nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest


def _node(uid: str, site: str, number: int, *, arch: str = "x86_64", second: bool = False) -> dict[str, Any]:
    adapters: list[dict[str, Any]] = [
        {
            "device": "eth0",
            "mounted": True,
            "mountable": True,
            "management": False,
            "kavlan": True,
            "interface": "Ethernet",
            "rate": 10_000_000_000,
            "network_address": f"{uid}.{site}.grid5000.fr",
            "ip": f"172.16.{number}.1",
            "switch": "sw-1",
        }
    ]
    if second:
        adapters.append(
            {
                "device": "eth1",
                "mounted": False,
                "mountable": True,
                "management": False,
                "kavlan": True,
                "interface": "Ethernet",
                "rate": 10_000_000_000,
                "network_address": f"{uid}-eth1.{site}.grid5000.fr",
            }
        )
    return {
        "uid": uid,
        "type": "node",
        "exotic": False,
        "architecture": {"nb_cores": 4, "nb_procs": 2, "nb_threads": 8, "platform_type": arch},
        "main_memory": {"ram_size": 34359738368},
        "network_adapters": adapters,
        "storage_devices": [{"id": "disk0", "interface": "SATA", "storage": "SSD", "size": 10**11}],
        "supported_job_types": {"deploy": True, "besteffort": True, "virtual": "ivt", "max_walltime": 0},
    }


def _cluster(site: str, uid: str, nodes: int, **more: Any) -> dict[str, Any]:
    arch, second = more.pop("arch", "x86_64"), more.pop("second", False)
    return {
        "uid": uid,
        "type": "cluster",
        "model": "Invented",
        "queues": ["default", "admin"],
        "exotic": False,
        "kavlan": True,
        "metrics": [],
        "nodes": [_node(f"{uid}-{n}", site, n, arch=arch, second=second) for n in range(1, nodes + 1)],
        **more,
    }


_METRICS = [
    {
        "name": "wattmetre_power_watt",
        "description": "Power",
        "period": 1000,
        "optional_period": 20,
        "source": {"protocol": "wattmetre"},
    },
    {
        "name": "bmc_ambient_temp_celsius",
        "description": "Temperature",
        "period": 0,
        "optional_period": 5000,
        "source": {"protocol": "ipmisensor"},
    },
    {
        "name": "network_ifacein_bytes_total",
        "description": "Traffic",
        "period": 5000,
        "optional_period": 1000,
        "source": {"protocol": "snmp"},
        "labels": {"interface": "eth0"},
        "only_for": ["taurus-1"],
    },
]


def _site(uid: str, own_global: int, clusters: list[dict[str, Any]], network: str) -> dict[str, Any]:
    kavlans = {str(n): {"network": f"10.{n}.0.0/18", "gateway": None} for n in (*range(1, 10), own_global)}
    return {
        "uid": uid,
        "type": "site",
        "name": uid.capitalize(),
        "latitude": 45.7,
        "kavlans": {**kavlans, "default": {"network": "172.16.0.0/20"}},
        "g5ksubnet": {"network": network, "gateway": network.partition("/")[0]},
        "clusters": {cluster["uid"]: cluster for cluster in clusters},
        "servers": [{"uid": "adm-1", "type": "server"}],
    }


@pytest.fixture(scope="session")
def small_reference() -> Mapping[str, Any]:
    """The answer to ``GET /?deep=1``: lyon with taurus (wattmeters), nova, pyxis (another arch), hidden; rennes."""
    lyon = _site(
        "lyon",
        13,
        [
            _cluster("lyon", "taurus", 3, metrics=_METRICS),
            _cluster("lyon", "nova", 1, queues=["production"]),
            _cluster("lyon", "pyxis", 1, arch="aarch64"),
        ],
        "10.140.0.0/20",
    )
    rennes = _site("rennes", 16, [_cluster("rennes", "paradoxe", 3, second=True)], "10.156.0.0/20")
    items = {
        "uid": "grid5000",
        "type": "grid",
        "sites": {"lyon": lyon, "rennes": rennes},
        "network_equipments": [{"uid": "sw-1", "type": "network_equipment"}],
    }
    return {
        "total": len(items),
        "offset": 0,
        "items": items,
        "version": "9ebe1b1d0f6a3c5e7b8a9c0d1e2f3a4b5c6d7e8f",
        "links": [],
    }
