"""Resources, deployments, VLANs and metrics."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_execo.errors import ApiError, InvalidRequest
from pytest_execo.testbeds.grid5000.answers import DeploymentOrder
from pytest_execo.testbeds.grid5000.client import Grid5000Client

PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
NODE = "parapide-5.rennes.grid5000.fr"


def collection(*items: Any) -> dict[str, Any]:
    return {"total": len(items), "offset": 0, "items": list(items), "links": []}


# resources


def test_reference_data(server: Any, client: Grid5000Client, reply: Any) -> None:
    data = {"uid": "grid5000", "sites": {"lyon": {"clusters": {}}}}
    server.on("GET", "/", reply(200, data))
    assert client.reference() == data
    assert server.last.query == {"deep": "1"}
    server.on("GET", "/", reply(200, {"total": 1, "items": {"lyon": {}}}))
    assert client.reference()["items"] == {"lyon": {}}


def test_sites_clusters_nodes_are_of_all_queues(server: Any, client: Grid5000Client, reply: Any) -> None:
    server.on("GET", "/sites", reply(200, collection({"uid": "lyon"}, {"uid": "rennes"})))
    server.on("GET", "/sites/lyon/clusters", reply(200, collection({"uid": "taurus"})))
    server.on("GET", "/sites/lyon/clusters/taurus/nodes", reply(200, collection({"uid": "taurus-1"})))
    assert [site["uid"] for site in client.sites()] == ["lyon", "rennes"]
    assert client.clusters("lyon") == [{"uid": "taurus"}]
    assert server.last.query == {"queues": "all"}
    assert client.nodes("lyon", "taurus") == [{"uid": "taurus-1"}]


STATUS = {
    "uid": 1742000000,
    "links": [],
    "nodes": {
        NODE: {
            "hard": "alive", "soft": "busy", "comment": "OK", "free_slots": 0, "freeable_slots": 0, "busy_slots": 8,
            "reservations": [{"uid": 7, "state": "running", "started_at": 1741999000, "walltime": 7200}],
        }
    },
    "disks": {},
    "vlans": {"4": {"hard": "alive", "soft": "free", "type": "kavlan", "reservations": []}},
    "subnets": {"10.158.0.0/22": {"hard": "alive", "soft": "free"}},
}  # fmt: skip


def test_status(server: Any, client: Grid5000Client, reply: Any) -> None:
    server.on("GET", "/sites/rennes/status", reply(200, STATUS))
    status = client.status("rennes")
    assert server.last.query == {}
    assert (status.date, status.nodes[NODE].soft, status.nodes[NODE].jobs[0].id) == (1742000000, "busy", 7)
    assert status.vlans["4"].kind == "kavlan"
    assert status.subnets["10.158.0.0/22"].jobs == ()  # anonymous: no reservations


def test_a_light_status(server: Any, client: Grid5000Client, reply: Any) -> None:
    server.on("GET", "/sites/rennes/clusters/parapide/status", reply(200, STATUS))
    client.status(
        "rennes", cluster="parapide", nodes=False, disks=False, vlans=False, subnets=False, waiting=False,
        job_details=False, network_address=NODE,
    )  # fmt: skip
    off = dict.fromkeys(("nodes", "disks", "vlans", "subnets", "waiting", "job_details"), "no")
    assert server.last.query == off | {"network_address": NODE}


# deployments

DEPLOYMENT = {
    "uid": "D-1f0b", "site_uid": "rennes", "user_uid": "jdoe", "environment": "debian12-min", "status": "processing",
    "nodes": [NODE], "created_at": 1742000000, "updated_at": 1742000000, "links": [],
}  # fmt: skip


def test_a_deployment_begins(server: Any, client: Grid5000Client, reply: Any) -> None:
    server.on("POST", "/sites/rennes/deployments", reply(201, DEPLOYMENT, {"Location": "http://x/D-1f0b"}))
    found = client.deploy("rennes", DeploymentOrder((NODE,), "debian12-min", key="ssh-ed25519 AAAA", vlan="4"))
    assert (found.id, found.status, found.is_over) == ("D-1f0b", "processing", False)
    assert server.last.data == {
        "nodes": [NODE], "environment": "debian12-min", "key": "ssh-ed25519 AAAA", "vlan": "4",
    }  # fmt: skip


@pytest.mark.parametrize("status", [400, 500])
def test_kadeploy_refuses(server: Any, client: Grid5000Client, reply: Any, status: int) -> None:
    said = "Cannot launch deployment: Kadeploy error #6: Invalid rights"
    server.on("POST", "/sites/rennes/deployments", reply(status, said, PLAIN))
    with pytest.raises(ApiError) as caught:
        client.deploy("rennes", DeploymentOrder((NODE,), "debian12-min"))
    assert caught.value.reason == said
    assert len(server.asked) == 1


def test_a_deployment_is_asked_for_past_all_caches(server: Any, client: Grid5000Client, reply: Any) -> None:
    over = DEPLOYMENT | {"status": "terminated", "result": {NODE: {"state": "ko", "error": "no PXE", "macro": "M"}}}
    server.on("GET", "/sites/rennes/deployments/D-1f0b", reply(200, over))
    found = client.deployment("rennes", "D-1f0b")
    assert server.last.headers["cache-control"] == "no-cache"
    assert found.is_over
    assert found.result == {NODE: "KO"}
    assert "no PXE" in found.reasons[NODE]


def test_deployments_come_in_pages(server: Any, client: Grid5000Client, reply: Any) -> None:
    uids = [f"D-{number}" for number in range(700, 0, -1)]

    def page(asked: Any) -> Any:
        offset, limit = int(asked.query["offset"]), int(asked.query["limit"])
        items = [DEPLOYMENT | {"uid": uid} for uid in uids[offset : offset + limit]]
        return reply(200, {"total": len(uids), "offset": offset, "items": items})

    server.on("GET", "/sites/rennes/deployments", page)
    assert [found.id for found in client.deployments("rennes", user="jdoe", status="processing")] == uids
    assert server.last.query["user"] == "jdoe"
    assert server.last.query["status"] == "processing"


@pytest.mark.parametrize("status", [202, 204])
def test_a_deployment_is_canceled(server: Any, client: Grid5000Client, reply: Any, status: int) -> None:
    server.on("DELETE", "/sites/rennes/deployments/D-1f0b", reply(status))
    client.cancel_deployment("rennes", "D-1f0b")
    assert server.last.method == "DELETE"


def test_environments(server: Any, client: Grid5000Client, reply: Any) -> None:
    item = {
        "uid": "debian12-min_x86_64_2021090715_deploy", "name": "debian12-min", "arch": "x86_64",
        "version": 2021090715, "visibility": "public", "user": "deploy",
    }  # fmt: skip
    server.on("GET", "/sites/rennes/environments", reply(200, collection(item)))
    (found,) = client.environments("rennes")
    assert (found.name, found.arch, found.version, found.user) == ("debian12-min", "x86_64", 2021090715, "deploy")
    assert server.last.query == {"latest_only": "yes"}
    client.environments("rennes", name="a", arch="b", user="c", latest_only=False)
    assert server.last.query == {"latest_only": "no", "name": "a", "arch": "b", "user": "c"}


# VLANs


def test_vlans_have_texts_for_ids(server: Any, client: Grid5000Client, reply: Any) -> None:
    items = [{"uid": "1", "type": "kavlan-local"}, {"uid": 4, "type": "kavlan"}, {"uid": "DEFAULT", "type": "default"}]
    server.on("GET", "/sites/rennes/vlans", reply(200, collection(*items)))
    assert client.vlans("rennes") == {"1": "kavlan-local", "4": "kavlan", "DEFAULT": "default"}


def test_nodes_in_vlans(server: Any, client: Grid5000Client, reply: Any) -> None:
    item = {"uid": NODE, "vlan": "4", "links": []}
    server.on("GET", "/sites/rennes/vlans/nodes", reply(200, collection(item, {"uid": "x", "vlan": "DEFAULT"})))
    server.on("GET", "/sites/rennes/vlans/4/nodes", reply(200, collection(item)))
    assert client.vlan_nodes("rennes") == {NODE: "4", "x": "DEFAULT"}
    assert client.vlan_nodes("rennes", "4") == {NODE: "4"}


def test_attach(server: Any, client: Grid5000Client, reply: Any) -> None:
    answer = {
        "a": {"status": "success", "message": "Successfully added to vlan"},
        "b": {"status": "unchanged", "message": "Node already in vlan"},
        "c": {"status": "failure", "message": "Unknown node"},
    }
    server.on("POST", "/sites/rennes/vlans/4/nodes", reply(200, answer))
    assert client.attach("rennes", "4", ("a", "b", "c")) == {"a": "success", "b": "unchanged", "c": "failure"}
    assert server.last.data == ["a", "b", "c"]
    with pytest.raises(InvalidRequest, match="no nodes to put into a VLAN"):
        client.attach("rennes", "4", ())


@pytest.mark.parametrize(("on", "action"), [(True, "start"), (False, "stop")])
def test_dhcp(server: Any, client: Grid5000Client, reply: Any, on: bool, action: str) -> None:
    server.on("PUT", "/sites/rennes/vlans/4/dhcpd", reply(204))
    client.dhcp("rennes", "4", on=on)
    assert server.last.data == {"action": action}


# metrics


def sample(second: str, node: str = "taurus-7", value: Any = 131.7) -> dict[str, Any]:
    return {
        "timestamp": f"2025-07-21T16:15:{second}+02:00", "device_id": node, "metric_id": "wattmetre_power_watt",
        "value": value, "labels": {"_device_orig": ["wattmetre1-port6"]},
    }  # fmt: skip


def test_metrics_are_of_exactly_the_interval(server: Any, client: Grid5000Client, reply: Any) -> None:
    samples = [sample("32.5"), sample("31"), sample("31.123456789"), sample("33.000001"), sample("30.4"), sample("34")]
    server.on("GET", "/sites/lyon/metrics", reply(200, samples))
    begin = 1753107330.5  # 16:15:30.5
    found = client.metrics(
        "lyon", nodes=["taurus-7.lyon.grid5000.fr"], metrics=["wattmetre_power_watt", "x"], start=begin, end=begin + 2.6
    )
    assert server.last.query == {
        "nodes": "taurus-7", "metrics": "wattmetre_power_watt,x", "start_time": "1753107330", "end_time": "1753107334",
    }  # fmt: skip
    assert [round(each.date - begin, 3) for each in found] == [0.5, 0.623, 2.0, 2.5]
    assert found[0].node == "taurus-7"
    assert found[0].labels == {"_device_orig": ["wattmetre1-port6"]}


def test_a_sensor_that_had_nothing_to_say_does_not_cost_the_series(
    server: Any, client: Grid5000Client, reply: Any
) -> None:
    server.on("GET", "/sites/lyon/metrics", reply(200, [sample("31", value=None), sample("32", value=7)]))
    assert [each.value for each in client.metrics("lyon", nodes=["taurus-7"])] == [7]


def test_metrics_of_a_job(server: Any, client: Grid5000Client, reply: Any) -> None:
    server.on("GET", "/sites/lyon/metrics", reply(200, [sample("31")]))
    assert len(client.metrics("lyon", job_id=7)) == 1
    assert server.last.query == {"job_id": "7"}
    with pytest.raises(InvalidRequest, match="give job_id alone"):
        client.metrics("lyon", job_id=7, start=1)
    with pytest.raises(InvalidRequest, match="metrics of no node"):
        client.metrics("lyon")


def test_many_nodes_make_several_questions(server: Any, client: Grid5000Client, reply: Any) -> None:
    server.on(
        "GET",
        "/sites/lyon/metrics",
        lambda asked: reply(200, [sample("31", n) for n in asked.query["nodes"].split(",")]),
    )
    names = [f"gros-{number}" for number in range(250)]
    assert {each.node for each in client.metrics("lyon", nodes=names)} == set(names)
    assert len(server.asked) == 3
