"""§2.4: reference data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest


def uids(data: Mapping[str, Any]) -> list[str]:
    return [item["uid"] for item in data["items"]]


def test_2_4_the_grid_and_its_links(api: Any, links: Any) -> None:
    grid = api.json("/")
    assert (grid["uid"], grid["type"], grid["timestamp"]) == ("grid5000", "grid", int(api.clock.now()))
    assert set(links(grid)) == {
        "accesses", "network_equipments", "sites", "self", "parent", "version", "versions", "users",
    }  # fmt: skip


def test_2_4_sites_and_a_site_with_its_links(api: Any, links: Any) -> None:
    assert uids(api.json("/sites")) == ["lyon", "rennes"]
    site = api.json("/sites/lyon")
    assert (site["uid"], site["latitude"]) == ("lyon", 45.7)
    assert "clusters" not in site
    assert set(links(site)) == {
        "clusters", "servers", "self", "parent", "version", "versions", "jobs", "environments", "deployments", "vlans",
        "metrics", "storage", "status",
    }  # fmt: skip


def test_2_4_a_cluster_has_a_link_to_its_status(api: Any, links: Any) -> None:
    cluster = api.json("/sites/lyon/clusters/taurus")
    assert links(cluster)["status"] == "/stable/sites/lyon/clusters/taurus/status"
    assert links(cluster)["nodes"] == "/stable/sites/lyon/clusters/taurus/nodes"
    assert "nodes" not in cluster


@pytest.mark.parametrize(
    ("query", "clusters"),
    [
        ("", ["taurus", "pyxis"]),
        ("?queues=all", ["taurus", "nova", "pyxis"]),
        ("?queues=production", ["nova"]),
        ("?queues=default,production", ["taurus", "nova", "pyxis"]),
    ],
)
def test_2_4_clusters_are_those_of_the_queues(api: Any, query: str, clusters: list[str]) -> None:
    assert uids(api.json(f"/sites/lyon/clusters{query}")) == clusters


def test_2_4_a_cluster_of_another_queue_is_not_there(api: Any) -> None:
    assert api.get("/sites/lyon/clusters/nova").status_code == 404
    assert api.get("/sites/lyon/clusters/nova?queues=all").status_code == 200


def test_2_4_a_cluster_without_queues_counts_as_admin_and_default(small_reference: Mapping[str, Any], api: Any) -> None:
    del small_reference  # the fixture is shared: change the copy that this emulator has
    taurus = api.platform.sites["lyon"].data["clusters"]["taurus"]
    queues = taurus.pop("queues")
    try:
        assert "taurus" in uids(api.json("/sites/lyon/clusters"))
        assert "taurus" in uids(api.json("/sites/lyon/clusters?queues=admin"))
        assert "taurus" not in uids(api.json("/sites/lyon/clusters?queues=production"))
    finally:
        taurus["queues"] = queues


def test_2_4_nodes(api: Any, links: Any) -> None:
    nodes = api.json("/sites/lyon/clusters/taurus/nodes")
    assert uids(nodes) == ["taurus-1", "taurus-2", "taurus-3"]
    node = api.json("/sites/lyon/clusters/taurus/nodes/taurus-2")
    assert node["architecture"]["nb_cores"] == 4
    assert links(node)["self"] == "/stable/sites/lyon/clusters/taurus/nodes/taurus-2"
    assert links(node)["parent"] == "/stable/sites/lyon/clusters/taurus"


@pytest.mark.parametrize(
    ("path", "found"),
    [("/sites/lyon/servers", ["adm-1"]), ("/network_equipments", ["sw-1"]), ("/sites/lyon/pdus", None)],
)
def test_2_4_servers_and_equipments_are_there_where_they_are(api: Any, path: str, found: list[str] | None) -> None:
    response = api.get(path)
    assert response.status_code == (404 if found is None else 200)
    if found is not None:
        assert uids(response.json) == found
        assert api.json(f"{path}/{found[0]}")["uid"] == found[0]


@pytest.mark.parametrize("path", ["", "/sites", "/sites/lyon", "/sites/lyon/clusters/taurus/nodes/taurus-1"])
def test_2_4_versions(api: Any, path: str) -> None:
    versions = api.json(f"{path}/versions")
    (version,) = versions["items"]
    assert set(version) == {"uid", "date", "message", "author", "type", "links"}
    assert (version["type"], version["date"][-3:]) == ("version", "GMT")
    assert api.json(f"{path}/versions/{version['uid']}") == version
    latest = api.get(f"{path}/versions/latest")
    assert latest.status_code == 307
    assert latest.headers["Location"] == f"http://localhost/stable{path}/versions/{version['uid']}"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("branch=master", 200),
        ("branch=devel", 404),
        ("version=9ebe1b1d0f6a3c5e7b8a9c0d1e2f3a4b5c6d7e8f", 200),
        ("version=0000000", 404),
        ("timestamp=1790000000", 200),
        ("timestamp=1000000000", 404),
        ("date=2026-09-01", 200),
        ("date=2001-09-01T12:00:00", 404),
        ("date=yesterday", 400),
    ],
)
def test_2_4_versions_and_branches_that_are_not_there(api: Any, query: str, status: int) -> None:
    assert api.get(f"/sites/lyon?{query}").status_code == status


def test_2_4_deep_is_one_document_of_all(api: Any, small_reference: Mapping[str, Any]) -> None:
    tree = api.json("/?deep=1")
    assert set(tree) == {"total", "offset", "items", "version", "links"}
    assert tree["items"] == small_reference["items"]
    # The queue filter is not applied.
    assert set(tree["items"]["sites"]["lyon"]["clusters"]) == {"taurus", "nova", "pyxis"}


def test_2_4_deep_of_a_part(api: Any) -> None:
    assert set(api.json("/sites?deep=1")["items"]) == {"lyon", "rennes"}
    site = api.json("/sites/lyon?deep=true")["items"]
    assert isinstance(site["clusters"]["taurus"]["nodes"], list)
    assert [node["uid"] for node in api.json("/sites/lyon/clusters/nova/nodes?deep=1")["items"]] == ["nova-1"]


def test_2_4_deep_with_a_job_has_its_clusters_and_nodes_only(api: Any) -> None:
    job = api.submit(resources="{cluster='taurus'}/nodes=2,walltime=1:00:00")
    site = api.json(f"/sites/lyon?deep=1&job_id={job['uid']}")["items"]
    nodes = [f"{node['uid']}.lyon.grid5000.fr" for node in site["clusters"]["taurus"]["nodes"]]
    assert (list(site["clusters"]), nodes) == (["taurus"], job["assigned_nodes"])
    assert api.get("/sites/lyon?deep=1&job_id=1").status_code == 404


def test_2_4_accesses_are_there_where_the_reference_data_have_them(api: Any) -> None:
    assert api.get("/accesses").status_code == 404


def test_2_4_health(api: Any) -> None:
    assert api.json("/sites/lyon/health") == {"status": "OK"}
    assert api.get("/sites/atlantis/health").status_code == 404


def test_2_4_apidocs_is_openapi_3(api: Any) -> None:
    assert api.json("/apidocs")["openapi"].startswith("3.")
