"""§2.11 and §4: deployments and environments."""

from __future__ import annotations

from typing import Any

import pytest

DEPLOYMENTS = "/sites/lyon/deployments"
T1 = "taurus-1.lyon.grid5000.fr"
KEY = "ssh-ed25519 AAAAC3Nza alice@laptop"


@pytest.fixture
def job(api: Any) -> Any:
    """Two taurus nodes of alice's, to deploy."""
    return api.submit(types=["deploy"], resources="{cluster='taurus'}/nodes=2+{type='kavlan'}/vlan=1,walltime=2:00:00")


def test_2_11_created(api: Any, job: Any, links: Any) -> None:
    response = api.post(DEPLOYMENTS, {"nodes": job["assigned_nodes"], "environment": "debian12-min", "key": KEY})
    assert response.status_code == 201
    made = response.json
    assert made["uid"].startswith("D-")
    assert response.headers["Location"] == f"http://localhost/stable{DEPLOYMENTS}/{made['uid']}"
    assert {key: made[key] for key in made if key not in ("uid", "key", "links")} == {
        "site_uid": "lyon", "user_uid": "alice", "environment": "debian12-min", "status": "processing",
        "nodes": job["assigned_nodes"], "disable_bootloader_install": False, "disable_disk_partitioning": False,
        "ignore_nodes_deploying": False, "created_at": int(api.clock.now()), "updated_at": int(api.clock.now()),
    }  # fmt: skip
    assert links(made)["parent"] == f"/stable{DEPLOYMENTS}"


def test_2_11_a_key_becomes_a_file_with_a_url(api: Any, job: Any) -> None:
    made = api.deploy(job, key=KEY)
    assert made["key"].startswith("http://localhost/stable/sites/lyon/files/alice-key-")
    response = api.get(made["key"].removeprefix("http://localhost"), user=None)
    assert (response.status_code, response.text) == (200, KEY)
    api.pass_time(600)
    assert api.machines.on[job["assigned_nodes"][0]]["keys"] == (KEY,)


def test_2_11_a_key_may_be_the_url_of_one_that_is_there(api: Any, job: Any) -> None:
    url = api.deploy(job, key=KEY, wait=600)["key"]
    assert api.deploy(job, key=url, wait=600)["key"] == url
    assert api.machines.on[job["assigned_nodes"][0]]["keys"] == (KEY,)


def test_2_11_the_state_is_what_kadeploy_has_told(api: Any, job: Any) -> None:
    made = api.deploy(job, wait=150)
    assert (made["status"], "result" in made) == ("processing", False)
    assert api.put(f"{DEPLOYMENTS}/{made['uid']}").status_code == 204
    shown = api.json(f"{DEPLOYMENTS}/{made['uid']}")["result"]
    assert {node["macro"] for node in shown.values()} <= {"SetDeploymentMiniOS", "BroadcastEnv", "BootNewEnv"}
    api.pass_time(300)
    ended = api.json(f"{DEPLOYMENTS}/{made['uid']}")
    assert ended["status"] == "terminated"
    assert ended["result"] == {
        node: {"macro": "BootNewEnv", "micro": None, "state": "OK", "error": None} for node in job["assigned_nodes"]
    }
    assert ended["updated_at"] > ended["created_at"]


def test_2_11_terminated_even_if_all_are_ko(api: Any, job: Any) -> None:
    api.faults.deployment_ko(2)
    ended = api.deploy(job, wait=600)
    assert (ended["status"], {node["state"] for node in ended["result"].values()}) == ("terminated", {"KO"})


def test_2_11_a_stuck_deployment_stays_processing_until_it_is_canceled(api: Any, job: Any) -> None:
    api.faults.deployment_stuck()
    made = api.deploy(job, wait=3600)
    path = f"{DEPLOYMENTS}/{made['uid']}"
    assert made["status"] == "processing"
    response = api.delete(path)
    # Its own OpenAPI document says 204.
    assert (response.status_code, response.data) == (202, b"")
    assert response.headers["Location"] == f"http://localhost/stable{path}"
    assert api.json(path)["status"] == "canceled"


def test_2_11_a_canceled_one_by_fault_has_an_output(api: Any, job: Any) -> None:
    api.faults.deployment_canceled(after=10)
    ended = api.deploy(job, wait=60)
    assert (ended["status"], bool(ended["output"])) == ("canceled", True)


def test_2_11_delete_of_one_that_is_over_changes_nothing(api: Any, job: Any) -> None:
    made = api.deploy(job, wait=600)
    assert api.delete(f"{DEPLOYMENTS}/{made['uid']}").status_code == 202
    assert api.json(f"{DEPLOYMENTS}/{made['uid']}")["status"] == "terminated"


@pytest.mark.parametrize("user", [None, "bob"])
def test_2_11_only_the_owner_cancels(api: Any, job: Any, user: str | None) -> None:
    made = api.deploy(job)
    assert api.delete(f"{DEPLOYMENTS}/{made['uid']}", user=user).status_code == 403


@pytest.mark.parametrize(
    ("order", "reasons"),
    [
        ({"environment": "debian12-min"}, ["Nodes must be a non-empty list of node FQDN"]),
        ({"environment": "debian12-min", "nodes": []}, ["Nodes must be a non-empty list of node FQDN"]),
        ({"environment": "debian12-min", "nodes": ["taurus-1"]}, ["Nodes must be a non-empty list of node FQDN"]),
        ({"environment": "debian12-min", "nodes": T1}, ["Nodes must be a non-empty list of node FQDN"]),
        ({"nodes": [T1]}, ["Environment can't be blank"]),
        ({"environment": " "}, ["Environment can't be blank", "Nodes must be a non-empty list of node FQDN"]),
    ],
)
def test_2_11_what_the_api_itself_refuses(api: Any, order: dict[str, Any], reasons: list[str]) -> None:
    response = api.post(DEPLOYMENTS, order)
    text = "The deployment you are trying to submit is not valid: " + "; ".join(reasons)
    assert (response.status_code, response.text) == (400, text)


@pytest.mark.parametrize(
    ("order", "number"),
    [
        ({"nodes": ["taurus-9.lyon.grid5000.fr"]}, 2),
        ({"nodes": ["taurus-3.lyon.grid5000.fr", "nova-1.lyon.grid5000.fr"]}, 6),
        ({"environment": "debian99-min"}, 7),
        ({"vlan": "77"}, 9),
    ],
)
def test_2_11_what_kadeploy_refuses(api: Any, job: Any, order: dict[str, Any], number: int) -> None:
    response = api.post(DEPLOYMENTS, {"nodes": job["assigned_nodes"], "environment": "debian12-min", **order})
    assert response.status_code == 500
    assert response.text.startswith(f"Cannot launch deployment: Kadeploy error #{number}: ")


def test_2_11_rights_are_a_running_deploy_job_of_ones_own(api: Any, job: Any) -> None:
    order = {"nodes": job["assigned_nodes"], "environment": "debian12-min"}
    assert "#6" in api.post(DEPLOYMENTS, order, user="bob").text
    assert api.post(DEPLOYMENTS, order, user=None).status_code == 403
    other = api.submit(resources="{cluster='taurus'}/nodes=1,walltime=1:00:00")
    assert "#6" in api.post(DEPLOYMENTS, {**order, "nodes": other["assigned_nodes"]}).text
    api.delete(f"/sites/lyon/jobs/{job['uid']}")
    api.pass_time(30)
    assert "#6" in api.post(DEPLOYMENTS, order).text


def test_2_11_fields_that_are_not_permitted_are_ignored(api: Any, job: Any) -> None:
    made = api.deploy(job, color="red", reboot_kexec_timeout=5, disable_bootloader_install=True, version=2025061410)
    assert {"color", "reboot_kexec_timeout"}.isdisjoint(made)
    assert (made["disable_bootloader_install"], made["version"]) == (True, 2025061410)


def test_2_11_a_form_does_as_well(api: Any, job: Any) -> None:
    response = api.post(DEPLOYMENTS, data={"nodes[]": job["assigned_nodes"], "environment": "debian12-min"})
    assert (response.status_code, response.json["nodes"]) == (201, job["assigned_nodes"])


def test_2_11_the_list_is_newest_first_with_filters(api: Any, job: Any) -> None:
    first = api.deploy(job, wait=600)
    second = api.deploy(job)
    listed = api.json(DEPLOYMENTS)
    assert [item["uid"] for item in listed["items"]] == [second["uid"], first["uid"]]
    assert [item["uid"] for item in api.json(f"{DEPLOYMENTS}?reverse=true")["items"]] == [first["uid"], second["uid"]]
    for query, found in (("status=processing", 1), ("user=bob", 0), ("limit=1", 2), ("user=alice&status=error", 0)):
        assert api.json(f"{DEPLOYMENTS}?{query}")["total"] == found
    assert len(api.json(f"{DEPLOYMENTS}?limit=1&offset=1")["items"]) == 1


def test_4_3_nodes_of_another_deployment_are_discarded(api: Any, job: Any) -> None:
    first, second = job["assigned_nodes"]
    api.deploy(job, nodes=[first])
    made = api.deploy(job, wait=600)
    assert {node: entry["state"] for node, entry in made["result"].items()} == {first: "DISCARDED", second: "OK"}


def test_4_4_nodes_come_up_in_the_vlan(api: Any, job: Any) -> None:
    (vlan,) = job["resources_by_type"]["vlans"]
    made = api.deploy(job, vlan=vlan, wait=600)
    assert made["vlan"] == vlan
    for node in job["assigned_nodes"]:
        assert api.json(f"/sites/lyon/vlans/nodes/{node}")["vlan"] == vlan
        assert api.machines.on[node]["vlan"] == vlan


def test_machines_follow_the_deployment(api: Any, job: Any) -> None:
    assert api.machines.on == {}
    api.deploy(job, wait=600)
    first, second = job["assigned_nodes"]
    assert {node: entry["environment"] for node, entry in api.machines.on.items()} == dict.fromkeys(
        (first, second), "debian12-min"
    )
    api.deploy(job, nodes=[first], environment="ubuntu2404-min")
    assert set(api.machines.on) == {second}
    api.pass_time(600)
    assert api.machines.on[first]["environment"] == "ubuntu2404-min"
    api.delete(f"/sites/lyon/jobs/{job['uid']}")
    api.pass_time(30)
    assert api.machines.on == {}


# environments


ENVIRONMENTS = "/sites/lyon/environments"


def names(data: Any) -> set[tuple[str, str, int, str]]:
    return {(item["name"], item["arch"], item["version"], item["user"]) for item in data["items"]}


def test_2_11_environments_are_the_latest_public_ones_and_ones_own(api: Any) -> None:
    found = names(api.json(ENVIRONMENTS))
    assert ("debian12-min", "x86_64", 2026012214, "deploy") in found
    assert ("debian12-min", "aarch64", 2026012214, "deploy") in found
    assert ("debian12-mine", "x86_64", 2026020101, "alice") in found
    assert {user for *_, user in found} == {"deploy", "alice"}
    assert {user for *_, user in names(api.json(ENVIRONMENTS, user=None))} == {"deploy"}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?name=debian12-min&arch=x86_64", 1),
        ("?name=debian12-min&arch=x86_64&latest_only=no", 2),
        ("?name=debian12-min&arch=x86_64&latest_only=yes", 1),
        ("?user=deploy&arch=ppc64le", 0),
        ("?user=bob", 0),
        ("?user=alice", 1),
    ],
)
def test_2_11_filters_of_environments(api: Any, query: str, count: int) -> None:
    assert api.json(f"{ENVIRONMENTS}{query}")["total"] == count


def test_2_11_anonymous_may_not_ask_for_a_users(api: Any) -> None:
    response = api.get(f"{ENVIRONMENTS}?user=deploy", user=None)
    text = "Not allowed to list other users environments, because you are seen as an anonymous one"
    assert (response.status_code, response.text) == (403, text)


def test_2_11_an_environment(api: Any) -> None:
    found = api.json(f"{ENVIRONMENTS}/debian12-min_x86_64_2026012214_deploy")
    assert set(found) == {
        "uid", "name", "alias", "arch", "version", "description", "author", "visibility", "destructive", "os", "image",
        "postinstalls", "boot", "filesystem", "partition_type", "multipart", "user", "links",
    }  # fmt: skip
    assert set(found["image"]) == {"file", "kind", "compression"}
    assert set(found["postinstalls"][0]) == {"archive", "compression", "script"}
    assert (found["visibility"], found["alias"]) == ("public", "debian12-x64-min")


def test_2_11_a_private_environment_is_its_owners(api: Any) -> None:
    path = f"{ENVIRONMENTS}/debian12-mine_x86_64_2026020101_alice"
    assert api.get(path).status_code == 200
    assert api.get(path, user="bob").status_code == 404
