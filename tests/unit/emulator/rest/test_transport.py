"""§2.1-2.3: versions, media types, headers, who asks, plain-text errors, pages."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("prefix", ["/stable", "/sid", "/3.0"])
def test_2_1_links_have_the_version_of_the_request(api: Any, links: Any, prefix: str) -> None:
    assert links(api.json(f"{prefix}/sites/lyon"))["jobs"] == f"{prefix}/sites/lyon/jobs"


def test_2_1_another_version_is_not_there(api: Any) -> None:
    response = api.get("/nowhere/sites")
    assert (response.status_code, response.text) == (404, "Not Found")


ITEM = "application/vnd.grid5000.item+json"
COLLECTION = "application/vnd.grid5000.collection+json"


@pytest.mark.parametrize(
    ("path", "accept", "media"),
    [
        ("/sites/lyon", "*/*", "application/json"),
        ("/sites/lyon", "application/json", "application/json"),
        ("/sites/lyon", ITEM, ITEM),
        ("/sites", COLLECTION, COLLECTION),
        ("/sites", f"{COLLECTION};q=0.5, application/json", "application/json"),
    ],
)
def test_2_1_the_media_type_is_the_one_that_was_asked_for(api: Any, path: str, accept: str, media: str) -> None:
    response = api.get(path, headers={"Accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (200, f"{media}; charset=utf-8")


def test_2_1_pretty_is_for_people(api: Any) -> None:
    assert "\n  " in api.get("/sites/lyon?pretty").text
    assert "\n" not in api.get("/sites/lyon").text


def test_2_1_headers_of_reference_data(api: Any) -> None:
    headers = api.get("/sites/lyon/clusters").headers
    assert headers["Cache-Control"] == "max-age=60, public, must-revalidate, proxy-revalidate, s-maxage=60"
    assert (headers["Vary"], headers["Allow"]) == ("accept", "GET")
    assert headers["Last-Modified"].endswith("GMT")
    assert headers["ETag"]


def test_2_1_a_given_version_is_cached_for_a_month(api: Any) -> None:
    version = api.json("/sites")["version"]
    assert api.get(f"/sites?version={version}").headers["Cache-Control"].startswith("max-age=2592000, public")


def test_2_1_who_has_it_already_gets_304(api: Any) -> None:
    etag = api.get("/sites/lyon").headers["ETag"]
    again = api.get("/sites/lyon", headers={"If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    assert api.get("/sites/lyon", headers={"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/sites/lyon/environments/debian12-min_x86_64_2026012214_deploy", "/sites/lyon/vlans/4"]
)
def test_2_1_items_of_servers_are_private_for_a_minute(api: Any, path: str) -> None:
    assert api.get(path).headers["Cache-Control"] == "max-age=60, private"


def test_2_1_a_deployment_too_is_private_for_a_minute(api: Any) -> None:
    deployment = api.deploy(api.submit(types=["deploy"]))
    headers = api.get(f"/sites/lyon/deployments/{deployment['uid']}").headers
    assert headers["Cache-Control"] == "max-age=60, private"


def test_2_1_a_login_with_its_password_may_write(api: Any) -> None:
    assert api.submit()["user"] == "alice"


@pytest.mark.parametrize("auth", [("alice", "wrong"), ("mallory", "wonder"), ("", "")])
def test_2_1_a_wrong_password_is_401(api: Any, auth: tuple[str, str]) -> None:
    response = api.get("/sites", user=None, auth=auth)
    assert (response.status_code, response.text) == (401, "Authorization Required")
    assert response.headers["WWW-Authenticate"].startswith("Basic")


def test_2_1_another_kind_of_credentials_is_401(api: Any) -> None:
    for value in ("Bearer abc", "Basic ???", "Basic"):
        assert api.get("/sites", user=None, headers={"Authorization": value}).status_code == 401


def test_2_1_the_header_of_the_proxy_counts_with_the_key_only(api: Any) -> None:
    order = {"resources": "nodes=1", "command": "sleep 1"}
    forged = api.post("/sites/lyon/jobs", order, user=None, headers={"X-Api-User-CN": "alice"})
    assert forged.status_code == 403
    assert api.post("/sites/lyon/jobs", order, user="Carol").json["user"] == "carol"


@pytest.mark.parametrize("user", [None, "", "unknown", "(unknown)", "anonymous"])
def test_2_1_who_is_not_known_may_read_and_not_write(api: Any, user: str | None) -> None:
    assert api.get("/sites/lyon/jobs", user=user).status_code == 200
    response = api.post("/sites/lyon/jobs", {"resources": "nodes=1", "command": "sleep 1"}, user=user)
    assert (response.status_code, response.text) == (403, "You are not authorized to access this resource")


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/sites/atlantis", 404, "Cannot find resource /sites/atlantis"),
        ("GET", "/sites/lyon/clusters/x", 404, "Cannot find resource /sites/lyon/clusters/x"),
        ("GET", "/sites/lyon/jobs/17", 404, "Couldn't find OAR::Job with 'job_id'=17"),
        ("GET", "/sites/lyon/jobs/x", 404, "Couldn't find OAR::Job with 'job_id'=x"),
        ("GET", "/sites/lyon/jobs/17/walltime", 404, "Job id '17' cannot be found."),
        ("GET", "/sites/lyon/deployments/D-1", 404, "Couldn't find Grid5000::Deployment with ID=D-1"),
        ("GET", "/sites/lyon/environments/x", 404, "Cannot find environment x"),
        ("GET", "/sites/lyon/vlans/99", 404, "Vlan 99 does not exist"),
        ("GET", "/sites/lyon/vlans/nodes/x", 404, "Unknown node 'x'."),
        ("GET", "/sites/versions/abc", 404, "/sites does not exist."),
        ("GET", "/sites/atlantis/versions/abc", 404, "The resource '/sites/atlantis' does not exist."),
        ("GET", "/no/such/path", 404, "Not Found"),
        ("DELETE", "/sites/lyon", 404, "Not Found"),
        ("POST", "/sites/lyon/vlans/4/dhcpd", 405, "Method Not Allowed"),
    ],
)
def test_2_2_errors_are_plain_text(api: Any, method: str, path: str, status: int, text: str) -> None:
    response = api.ask(method, path)
    assert (response.status_code, response.text) == (status, text)
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_2_2_406_for_who_takes_no_json(api: Any) -> None:
    response = api.get("/sites", headers={"Accept": "image/png"})
    assert (response.status_code, response.text) == (406, "Not Acceptable")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/sites/lyon/jobs"), ("POST", "/sites/lyon/deployments"), ("POST", "/sites/lyon/vlans/nodes")],
)
def test_2_2_415_names_the_content_type(api: Any, method: str, path: str) -> None:
    response = api.ask(method, path, data="resources: nodes=1", content_type="text/yaml")
    assert (response.status_code, response.text) == (415, "Content-Type 'text/yaml' is not supported")


@pytest.mark.parametrize("body", ["{", "[1]", "null", '"x"', "[" * 100000])
def test_2_2_400_for_a_body_that_can_not_be_read(api: Any, body: str) -> None:
    response = api.post("/sites/lyon/jobs", data=body, content_type="application/json")
    assert (response.status_code, response.text) == (400, "Bad Request")


def test_2_2_a_request_of_more_than_a_megabyte_is_refused(api: Any) -> None:
    response = api.post("/sites/lyon/jobs", data="x" * (1 << 20) + "x", content_type="application/json")
    assert response.status_code == 413


def test_2_2_what_fails_inside_is_500_without_details(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.platform.sites["lyon"].oar, "jobs", lambda: 1 / 0)
    response = api.get("/sites/lyon/jobs")
    assert (response.status_code, response.text) == (500, "Internal Server Error")


def test_2_3_a_page_has_its_offset_and_the_total_of_all(api: Any) -> None:
    numbers = [api.submit("rennes", wait=0)["uid"] for _ in range(5)]
    page = api.json("/sites/rennes/jobs?offset=1&limit=2")
    assert (page["total"], page["offset"]) == (5, 1)
    assert [job["uid"] for job in page["items"]] == numbers[::-1][1:3]
    assert {link["rel"] for link in page["links"]} == {"self", "parent"}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", 50),
        ("?limit=51", 51),
        ("?limit=9999", 52),
        ("?limit=0", 0),
        ("?limit=x", 0),
        ("?offset=51", 1),
        ("?offset=x", 50),
        ("?offset=-4", 50),
    ],
)
def test_2_3_limit_is_50_by_default(api: Any, query: str, shown: int) -> None:
    # 52 jobs, of which OAR lets no user have more than 50 waiting.
    for number in range(52):
        api.submit("lyon", wait=0, user="alice" if number % 2 else "bob")
    assert len(api.json(f"/sites/lyon/jobs{query}")["items"]) == shown


@pytest.mark.parametrize("path", ["/sites", "/sites/lyon/clusters", "/sites/lyon/vlans", "/sites/lyon/environments"])
def test_2_3_the_others_return_all_with_offset_0(api: Any, path: str) -> None:
    data = api.json(f"{path}?limit=1&offset=1")
    assert (data["offset"], data["total"]) == (0, len(data["items"]))
    assert data["total"] > 1


def test_a_suffix_and_a_final_slash_change_nothing(api: Any) -> None:
    assert api.json("/sites/lyon.json") == api.json("/sites/lyon/") == api.json("/sites/lyon")
