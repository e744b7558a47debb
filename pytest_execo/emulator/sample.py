"""A small Grid'5000 of our own: three sites, six clusters, with real names of clusters and invented everything else.

Made by code, the same each time. It has what parsers stumble over in the real data: numbers that are text, text that is
a number, things that are missing or null. Addresses of IPv6 and MACs are of ranges that nobody has.
"""

from __future__ import annotations

from typing import Any

__all__ = ("sample_reference",)

_GIB = 2**30
# site → number for addresses, /14 of its subnets, global VLAN
_SITES = {"lyon": (1, "10.140.0.0/14", 13), "nancy": (2, "10.144.0.0/14", 14), "rennes": (3, "10.156.0.0/14", 16)}
# cluster → site, nodes, cores, memory in GiB, rate in Gbit/s
_CLUSTERS: dict[str, tuple[str, int, int, int, int]] = {
    "taurus": ("lyon", 6, 12, 32, 10),
    "nova": ("lyon", 4, 16, 64, 10),
    "gros": ("nancy", 6, 18, 96, 25),
    "grisou": ("nancy", 4, 16, 128, 10),
    "paradoxe": ("rennes", 5, 52, 384, 25),
    "parasilo": ("rennes", 3, 16, 128, 10),
}
_EXOTIC = ("grisou",)
_ABACA = ("paradoxe",)
_TWO_NICS = ("gros",)
_WATTMETERS = ("taurus", "gros", "paradoxe")
_GPUS = {"nova": "Invented A2"}
_DISKS = ("parasilo",)


def sample_reference() -> dict[str, Any]:
    """Return the reference data as one document, in the form of ``GET /?deep=1``."""
    return {
        "type": "grid",
        "uid": "grid5000",
        "version": "5a3b1e0000000000000000000000000000000001",
        "sites": {name: _site(name) for name in _SITES},
    }


def _site(name: str) -> dict[str, Any]:
    number, subnet, vlan = _SITES[name]
    clusters = [cluster for cluster, (site, *_) in _CLUSTERS.items() if site == name]
    kavlans = {str(each): _kavlan(number, each) for each in (*range(1, 10), vlan)}
    kavlans["default"] = {
        "gateway": f"172.{15 + number}.111.254",
        "network": f"172.{15 + number}.96.0/20",
        "network_ipv6": f"2001:db8:{number:x}00::/56",
        "gateway_ipv6": f"2001:db8:{number:x}00::1",
    }
    return {
        "uid": name,
        "type": "site",
        "name": name.capitalize(),
        "description": f"an invented {name}",
        "location": "nowhere",
        "email_contact": f"{name}@grid5000.invalid",
        "latitude": 45.0 + number,
        "longitude": 4.0 + number,
        "production": True,
        "scheduler": "oar",
        "frontend_ip": f"172.{15 + number}.111.1",
        "g5ksubnet": {"gateway": _gateway(subnet), "network": subnet},
        "kavlans": kavlans,
        "ipv6": {"prefix": f"2001:db8:{number:x}", "site_index": number, "site_global_kavlan": vlan},
        "kavlan_ip_range": f"10.{4 * number}.0.0/14",
        "virt_ip_range": subnet,
        "clusters": {cluster: _cluster(cluster) for cluster in clusters},
        "servers": [{"uid": "frontend", "type": "server", "kind": "virtual"}],
        "pdus": [{"uid": f"{name}-pdu1", "type": "pdu", "vendor": "Invented"}],
        "network_equipments": [{"uid": f"gw-{name}", "type": "network_equipment", "kind": "router"}],
    }


def _kavlan(site: int, number: int) -> dict[str, str]:
    """Describe a VLAN: local ones, 1 to 3, are not routed and have no gateway for IPv6."""
    prefix = f"2001:db8:{site:x}{0x80 + number:02x}"
    if number <= 3:
        third = 176 + 16 * number  # 192.168.192.0/20 and the next two, the same at all sites
        return {
            "gateway": f"192.168.{third + 15}.254",
            "network": f"192.168.{third}.0/20",
            "network_ipv6": f"{prefix}::/64",
        }
    block, quarter = divmod(number - 4, 4)  # four of /18 in each /16 of the site's range
    third = 64 * quarter
    return {
        "gateway": f"10.{4 * site + block}.{third + 63}.254",
        "network": f"10.{4 * site + block}.{third}.0/18",
        "network_ipv6": f"{prefix}::/64",
        "gateway_ipv6": f"{prefix}::1",
    }


def _gateway(subnet: str) -> str:
    first, second, *_ = subnet.split(".")
    return f"{first}.{int(second) + 3}.255.254"  # the last address of a /14


def _cluster(name: str) -> dict[str, Any]:
    _, count, *_ = _CLUSTERS[name]
    metrics: list[dict[str, Any]] = [
        {
            "name": "bmc_ambient_temp_celsius",
            "description": "Front inlet temperature",
            "period": 0,
            "optional_period": 5000,
            "source": {"id": "inlet", "protocol": "ipmisensor"},
        },
        {
            "name": "network_ifacein_bytes_total",
            "description": "Input byte counter of the network interface",
            "period": 1000,
            "source": {"id": "in", "protocol": "snmp"},
        },
    ]
    if name in _WATTMETERS:
        metrics.append(
            {
                "name": "wattmetre_power_watt",
                "description": "Power consumption of the node",
                "period": 1000,
                "optional_period": 20,
                "source": {"protocol": "wattmetre"},
            }
        )
    return {
        "uid": name,
        "type": "cluster",
        "model": f"Invented {name.capitalize()}",
        "boot_type": "uefi",
        "created_at": "Tue, 02 Jan 2024 00:00:00 GMT",
        "manufactured_at": "Mon, 01 Jan 2024 00:00:00 GMT",
        "priority": 202401,
        "redfish": True,
        "exotic": name in _EXOTIC,
        "kavlan": True,
        "queues": ["abaca", "admin", "production"] if name in _ABACA else ["admin", "default"],
        "nodes_count": count,
        "metrics": metrics,
        "nodes": [_node(name, number) for number in range(1, count + 1)],
    }


def _node(cluster: str, number: int) -> dict[str, Any]:
    site, _, cores, memory, rate = _CLUSTERS[cluster]
    uid = f"{cluster}-{number}"
    place = list(_CLUSTERS).index(cluster)
    odd = number % 2 == 1  # every other one has the irregular types
    node: dict[str, Any] = {
        "uid": uid,
        "type": "node",
        "exotic": cluster in _EXOTIC,
        "nodeset": cluster,
        "redfish": True,
        "architecture": {
            "cpu_core_numbering": "contiguous",
            "nb_cores": cores,
            "nb_procs": 2,
            "nb_threads": 2 * cores,
            "platform_type": "x86_64",
        },
        "bios": {"vendor": "Invented", "version": ("2.1.0", 2.1, 2)[number % 3], "release_date": "01/02/2024"},
        "bmc_version": 6 if odd else "6.10",
        "chassis": {"manufacturer": "Invented", "name": "Chassis", "serial": 1000 + number if odd else f"X{number}"},
        "main_memory": {"ram_size": memory * _GIB},
        "management_tools": {"ipmitool": True},
        "memory_devices": [],
        "network_adapters": _adapters(cluster, number, site, place, rate),
        "operating_system": {"ht_enabled": True, "cstate_driver": None},
        "performance": {"core_flops": 10_000_000_000, "node_flops": 0},
        "processor": {
            "model": "Invented Xeon",
            "version": ("6126", 6126, 61.26)[number % 3],
            "clock_speed": 2_600_000_000,
            "cache_l1": None if odd else 65_536,
            "instruction_set": "x86-64",
        },
        "software": {"standard-environment": "debian12-x64-std", "postinstall-version": "1.2026012214"},
        "storage_devices": _storage(cluster, number),
        "supported_job_types": {
            "besteffort": True,
            "deploy": True,
            "max_walltime": 0,
            "queues": ["abaca", "admin", "production"] if cluster in _ABACA else ["admin", "default"],
            "virtual": "ivt" if odd else False,
        },
    }
    node["kavlan"], node["kavlan6"] = _addresses_in_vlans(cluster, number)
    if cluster in _WATTMETERS:
        node["pdu"] = [{"uid": f"wattmetre1-{site}", "port": number if odd else str(number), "kind": "wattmetre-only"}]
    if cluster in _GPUS:
        node["gpu_devices"] = {
            "nvidia0": {"model": _GPUS[cluster], "vendor": "Invented", "memory": 16 * _GIB, "device": "/dev/nvidia0"}
        }
    return node


def _adapters(cluster: str, number: int, site: str, place: int, rate: int) -> list[dict[str, Any]]:
    domain = f"{site}.grid5000.fr"
    uid = f"{cluster}-{number}"

    def adapter(device: str, **more: Any) -> dict[str, Any]:
        last = int(device[-1]) if device[-1].isdecimal() else 9
        return {
            "device": device,
            "interface": "Ethernet",
            "driver": "invented",
            "enabled": True,
            "firmware_version": 14.2 if number % 2 else "14.2.1",
            "kavlan": True,
            "mac": f"02:00:{place:02x}:{number:02x}:00:{last:02x}",
            "management": False,
            "mountable": True,
            "mounted": False,
            "rate": rate * 1_000_000_000,
            **more,
        }

    first = adapter(
        "eth0",
        mounted=True,
        name="eno1",
        ip=f"172.{15 + _SITES[site][0]}.{place}.{number}",
        ip6=f"2001:db8:{place:x}::{number:x}",
        network_address=f"{uid}.{domain}",
        switch=f"gw-{site}",
        switch_port=f"1/{number}",
    )
    if cluster in _TWO_NICS:
        second = adapter("eth1", name="eno2", network_address=f"{uid}-eth1.{domain}", switch=f"gw-{site}")
    else:
        second = adapter("eth1", mountable=False, kavlan=False, rate=0)
    bmc = adapter("bmc", management=True, mountable=False, kavlan=False, network_address=f"{uid}-bmc.{domain}")
    return [first, second, bmc]


def _addresses_in_vlans(cluster: str, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return interface → VLAN → the address that the node has there, and the same for IPv6."""
    site, *_ = _CLUSTERS[cluster]
    place, (index, _, own) = list(_CLUSTERS).index(cluster), _SITES[site]
    addresses: dict[str, Any] = {}
    addresses6: dict[str, Any] = {}
    for nic, device in enumerate(("eth0", "eth1") if cluster in _TWO_NICS else ("eth0",)):
        host = 2 * place + nic + 1
        for vlan in (*range(1, 10), own):
            described = _kavlan(index, vlan)
            first, second, third, _ = described["network"].split(".")
            where = f"kavlan-{vlan}"
            addresses.setdefault(device, {})[where] = f"{first}.{second}.{third}.{number + 16 * host}"
            prefix = described["network_ipv6"].removesuffix("::/64")
            addresses6.setdefault(device, {})[where] = f"{prefix}::{place:x}:{nic:x}:{number:x}"
    return addresses, addresses6


def _storage(cluster: str, number: int) -> list[dict[str, Any]]:
    disks: list[dict[str, Any]] = [
        {
            "id": "disk0",
            "by_path": f"/dev/disk/by-path/pci-0000:00:1f.2-ata-{number}",
            "interface": "SATA",
            "model": "Invented",
            "size": 480_000_000_000,
            "storage": "SSD",
            "vendor": "Invented",
            "firmware_version": 1 if number % 2 else "1A",
        }
    ]
    if cluster in _DISKS:
        disks.append({**disks[0], "id": "disk1", "storage": "HDD", "size": 2_000_000_000_000, "reservation": True})
    return disks
