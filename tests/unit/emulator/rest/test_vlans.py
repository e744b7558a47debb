"""§2.11 and §6.1: VLANs, row by row."""

from __future__ import annotations

from typing import Any

import pytest

VLANS = "/sites/rennes/vlans"
NODES = [f"paradoxe-{number}.rennes.grid5000.fr" for number in (1, 2, 3)]
SECOND = "paradoxe-1-eth1.rennes.grid5000.fr"


@pytest.fixture
def vlan(api: Any) -> str:
    """A VLAN of alice's, who has all nodes of rennes to deploy."""
    job = api.submit("rennes", types=["deploy"], resources="{type='kavlan'}/vlan=1+nodes=3,walltime=1:00:00")
    assert job["state"] == "running"
    uid: str = job["resources_by_type"]["vlans"][0]
    return uid


def test_2_11_vlans(api: Any, links: Any) -> None:
    vlans = api.json(VLANS)
    assert [item["uid"] for item in vlans["items"]] == ["DEFAULT", *map(str, range(1, 10)), "16", "13"]
    assert set(links(vlans)) == {"nodes", "users", "self", "parent"}
    kinds = {item["uid"]: item["type"] for item in vlans["items"]}
    assert (kinds["1"], kinds["4"], kinds["16"], kinds["13"]) == (
        "kavlan-local", "kavlan", "kavlan-global", "kavlan-global-remote",
    )  # fmt: skip


def test_2_11_and_2_14_a_vlan_has_a_text_as_uid(api: Any, links: Any) -> None:
    found = api.json(f"{VLANS}/4")
    assert (found["uid"], found["type"]) == ("4", "kavlan")
    assert set(links(found)) == {"dhcpd", "nodes", "users", "self", "parent"}


@pytest.mark.parametrize(
    ("user", "body", "status", "text"),
    [
        ("alice", {"action": "start"}, 204, ""),
        ("alice", {"action": "stop"}, 204, ""),
        ("alice", {"action": "dance"}, 422, "An action ('start' or 'stop') should be provided"),
        ("alice", {}, 422, "An action ('start' or 'stop') should be provided"),
        ("bob", {"action": "stop"}, 403, "Not enough privileges on Kavlan resources"),
        (None, {"action": "stop"}, 403, "You are not authorized to access this resource"),
    ],
)
def test_2_11_dhcpd(api: Any, vlan: str, user: str | None, body: dict[str, str], status: int, text: str) -> None:
    response = api.put(f"{VLANS}/{vlan}/dhcpd", body, user=user)
    assert (response.status_code, response.text) == (status, text)
    stopped = body.get("action") == "stop" and status == 204
    assert (vlan in api.platform.sites["rennes"].kavlan.without_dhcp) is stopped


def test_2_11_dhcpd_is_json_or_a_form(api: Any, vlan: str) -> None:
    response = api.ask("PUT", f"{VLANS}/{vlan}/dhcpd", data="<start/>", content_type="text/xml")
    assert (response.status_code, response.text) == (415, "Content-Type 'text/xml' is not supported")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH"])
def test_2_11_dhcpd_knows_no_other_verb(api: Any, method: str) -> None:
    assert api.ask(method, f"{VLANS}/4/dhcpd").status_code == 405


def test_2_11_nodes_of_all_vlans_and_of_one(api: Any, vlan: str) -> None:
    found = api.json(f"{VLANS}/nodes")
    assert {item["uid"] for item in found["items"]} >= {*NODES, SECOND}
    assert {item["vlan"] for item in found["items"]} == {"DEFAULT"}
    api.post(f"{VLANS}/{vlan}/nodes", [SECOND])
    assert [item["uid"] for item in api.json(f"{VLANS}/{vlan}/nodes")["items"]] == [SECOND]


def test_2_11_a_node(api: Any) -> None:
    found = api.json(f"{VLANS}/nodes/{NODES[0]}")
    assert (found["uid"], found["vlan"]) == (NODES[0], "DEFAULT")


def test_2_11_some_nodes_without_the_unknown_ones(api: Any) -> None:
    response = api.post(f"{VLANS}/nodes", [NODES[1], "nobody.rennes.grid5000.fr"], user=None)
    assert (response.status_code, [item["uid"] for item in response.json["items"]]) == (200, [NODES[1]])


def test_2_11_moving_nodes(api: Any, vlan: str) -> None:
    path = f"{VLANS}/{vlan}/nodes"
    moved = {"status": "success", "message": "Successfully added to vlan"}
    there = {"status": "unchanged", "message": "Node already in vlan"}
    unknown = {"status": "failure", "message": "Unknown node"}
    assert api.post(path, [NODES[0], "nobody"]).json == {NODES[0]: moved, "nobody": unknown}
    assert api.post(path, NODES[:2]).json == {NODES[0]: there, NODES[1]: moved}
    assert api.post(f"{VLANS}/DEFAULT/nodes", NODES[:1]).json == {NODES[0]: moved}
    assert api.json(f"{VLANS}/nodes/{NODES[1]}")["vlan"] == vlan


@pytest.mark.parametrize("path", ["nodes", "4/nodes"])
@pytest.mark.parametrize("body", [[], {}, "x", {"nodes": ["x"]}])
def test_2_11_a_list_of_nodes_has_to_be_one(api: Any, path: str, body: Any) -> None:
    response = api.post(f"{VLANS}/{path}", body)
    assert (response.status_code, response.text) == (422, "Missing node list")


def test_2_11_moving_needs_rights_on_vlan_and_nodes(api: Any, vlan: str) -> None:
    other = "5" if vlan != "5" else "6"
    for path, user in ((vlan, "bob"), (other, "alice"), ("DEFAULT", "bob")):
        response = api.post(f"{VLANS}/{path}/nodes", NODES[:1], user=user)
        assert (response.status_code, response.text) == (403, "Not enough privileges on Kavlan resources")
    assert api.post(f"{VLANS}/{vlan}/nodes", NODES[:1], user=None).status_code == 403


def test_2_11_users(api: Any, vlan: str) -> None:
    (found,) = api.json(f"{VLANS}/users")["items"]
    assert (found["uid"], found["vlans"]) == ("alice", [vlan])
    assert api.json(f"{VLANS}/users/alice")["vlans"] == [vlan]
    assert api.json(f"{VLANS}/users/bob")["vlans"] == []
    assert [item["uid"] for item in api.json(f"{VLANS}/{vlan}/users")["items"]] == ["alice"]
    assert api.json(f"{VLANS}/{vlan}/users/alice")["status"] == "authorized"
    assert api.json(f"{VLANS}/{vlan}/users/bob")["status"] == "unauthorized"


def test_2_11_users_are_let_in_by_oar_only(api: Any) -> None:
    path = f"{VLANS}/4/users/bob"
    assert api.put(path).status_code == 403
    assert api.put(path, user="oar").status_code == 204
    assert api.json(path)["status"] == "authorized"
    assert api.delete(path, user="bob").status_code == 403
    assert api.delete(path, user="oar").status_code == 204
    assert api.json(path)["status"] == "unauthorized"


def test_the_vlan_is_nobodys_when_the_job_is_over(api: Any, vlan: str) -> None:
    api.post(f"{VLANS}/{vlan}/nodes", NODES)
    api.pass_time(3700)
    assert api.json(f"{VLANS}/users")["items"] == []
    assert api.json(f"{VLANS}/{vlan}/nodes")["items"] == []


def test_2_11_there_is_no_nat(api: Any) -> None:
    assert api.put(f"{VLANS}/4/nat", {"action": "start"}).status_code == 404
