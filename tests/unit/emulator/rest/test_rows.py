"""Rows of the reference's tables that the other files here have no test of: codes, texts, headers, pages, odd fields.

The names of the tests begin with the section, as there.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pytest_execo.emulator.oar.settings import OarRefused, OarSettings
from pytest_execo.emulator.rest.refusals import TEXTS, Refusal
from pytest_execo.emulator.sample import sample_reference

JOBS = "/sites/lyon/jobs"
DEPLOYMENTS = "/sites/lyon/deployments"
COMMAND = {"command": "sleep 1d"}
ITEM = "application/vnd.grid5000.item+json"
COLLECTION = "application/vnd.grid5000.collection+json"


@pytest.fixture
def large(api: Any) -> Any:
    """The API on the sample reference data: with disks that can be reserved, and clusters of all queues."""
    return type(api)(sample_reference())


def relayed(text: str) -> dict[str, Any]:
    """Return OAR's own JSON out of the API's sentence."""
    found: dict[str, Any] = json.loads("{" + text.partition(": {")[2])
    return found


# §2.1


def all_links(data: Any) -> Iterator[Mapping[str, str]]:
    """Yield every link in an answer."""
    if isinstance(data, list):
        for each in data:
            yield from all_links(each)
    elif isinstance(data, dict):
        yield from data.get("links", ())
        for each in data.values():
            yield from all_links(each)


@pytest.mark.parametrize(
    "path",
    [
        "", "/sites", "/sites/lyon", "/sites/lyon/clusters", "/sites/lyon/clusters/taurus/nodes/taurus-1",
        "/sites/versions", "/sites/lyon/jobs", "/sites/lyon/deployments", "/sites/lyon/environments",
        "/sites/lyon/vlans", "/sites/lyon/vlans/nodes", "/sites/lyon/vlans/4/users/alice", "/sites/lyon/status",
    ],
)  # fmt: skip
def test_2_1_links_are_relative_and_of_the_version_that_was_asked(api: Any, path: str) -> None:
    api.submit()
    found = list(all_links(api.json(f"/sid{path}")))
    assert found
    for each in found:
        assert set(each) == {"rel", "href", "type"}
        assert each["type"] in (ITEM, COLLECTION)
        assert each["href"] == "/sid" or each["href"].startswith("/sid/")


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/sites/lyon", "GET"),
        ("/sites/lyon/status", "GET"),
        (JOBS, "GET,POST"),
        ("/sites/lyon/jobs/{job}", "GET,DELETE"),
        ("/sites/lyon/jobs/{job}/walltime", "GET,POST"),
        (DEPLOYMENTS, "GET,POST"),
        ("/sites/lyon/vlans/4/nodes", "GET,POST"),
    ],
)
def test_2_1_allow_and_vary_are_in_every_answer(api: Any, path: str, allow: str) -> None:
    headers = api.get(path.format(job=api.submit()["uid"])).headers
    assert (headers["Allow"], headers["Vary"]) == (allow, "accept")


def test_2_1_last_modified_is_a_validator_too(api: Any) -> None:
    date = api.get("/sites/lyon").headers["Last-Modified"]
    assert api.get("/sites/lyon", headers={"If-Modified-Since": date}).status_code == 304
    assert api.get("/sites/lyon", headers={"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}).status_code == 200


def test_2_1_an_item_asked_for_as_a_collection_is_plain_json(api: Any) -> None:
    for path, asked in (("/sites", ITEM), ("/sites/lyon", COLLECTION)):
        assert api.get(path, headers={"Accept": asked}).mimetype == "application/json"


# §2.2


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "Bad Request"),
        (401, "Authorization Required"),
        (403, "You are not authorized to access this resource"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (406, "Not Acceptable"),
        (412, "Precondition Failed"),
        (422, "Unprocessable Entity"),
        (500, "Internal Server Error"),
        (502, "Bad Gateway"),
        (503, "Server Unavailable"),
    ],
)
def test_2_2_what_is_said_when_there_is_nothing_to_say(status: int, text: str) -> None:
    assert TEXTS[status] == text
    response = Refusal(status).response()
    assert (response.status_code, response.get_data(as_text=True)) == (status, text)
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_2_2_412_for_who_wants_another_state(api: Any) -> None:
    response = api.get("/sites/lyon", headers={"If-Match": '"another"'})
    assert (response.status_code, response.text) == (412, "Precondition Failed")
    assert response.mimetype == "text/plain"
    own = api.get("/sites/lyon").headers["ETag"]
    assert api.get("/sites/lyon", headers={"If-Match": own}).status_code == 200


@pytest.mark.parametrize(
    ("answered", "status"),
    [
        *((code, code) for code in (400, 401, 403, 404, 405, 406, 412, 415, 502, 503)),
        *((code, 500) for code in (402, 409, 410, 418, 500, 501, 504)),
    ],
)
def test_2_2_what_oar_answers_is_passed_on(
    api: Any, answered: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OarRefused(1, "OAR's own words", answered)

    monkeypatch.setattr(api.platform.sites["lyon"].oar, "submit", refuse)
    response = api.post(JOBS, COMMAND)
    assert (response.status_code, response.mimetype) == (status, "text/plain")
    url, _, body = response.text.removeprefix("Request to ").partition(" failed with status ")
    assert url.startswith("https://")
    assert url.endswith("/internal/oarapi/jobs.json")
    assert body.startswith(f"{answered}: {{")
    assert (relayed(response.text)["code"], relayed(response.text)["message"]) == (answered, "OAR's own words")


# §2.3


@pytest.mark.parametrize(
    "path", [JOBS, DEPLOYMENTS, "/sites/lyon/environments", "/sites/lyon/vlans", "/sites/versions"]
)
def test_2_3_the_envelope(api: Any, path: str) -> None:
    data = api.json(path)
    assert set(data) == {"total", "offset", "items", "links"}
    assert isinstance(data["total"], int)


LIMITS = [("", 50), ("?limit=51", 51), ("?limit=500", 500), ("?limit=501", 500), ("?offset=495", 15)]


@pytest.mark.parametrize(("query", "shown"), LIMITS)
def test_2_3_deployments_come_in_pages_of_50_and_at_most_500(api: Any, query: str, shown: int) -> None:
    job = api.submit(types=["deploy"])
    made = api.deploy(job)
    known = api.platform.sites["lyon"].kadeploy.deployments
    for number in range(509):
        known[f"D-{number}"] = dataclasses.replace(known[made["uid"]], uid=f"D-{number}")
    data = api.json(f"{DEPLOYMENTS}{query}")
    assert (data["total"], len(data["items"])) == (510, shown)


@pytest.mark.parametrize(("query", "shown"), LIMITS)
def test_2_3_no_page_of_jobs_has_more_than_500(api: Any, query: str, shown: int) -> None:
    oar = api.platform.sites["lyon"].oar
    job = oar.job(api.submit()["uid"])
    for number in range(509):
        oar._life.jobs[job.id + 1 + number] = dataclasses.replace(job, id=job.id + 1 + number)
    data = api.json(f"{JOBS}{query}")
    assert (data["total"], len(data["items"])) == (510, shown)


def test_2_3_versions_come_in_pages(api: Any) -> None:
    data = api.json("/sites/lyon/versions?offset=1")
    assert (data["total"], data["offset"], data["items"]) == (1, 1, [])


# §2.4


def test_2_4_all_queues_are_three(api: Any) -> None:
    """Of a cluster that is in none of admin, default and production, ``all`` knows nothing."""
    taurus = api.platform.sites["lyon"].data["clusters"]["taurus"]
    queues, taurus["queues"] = taurus["queues"], ["testing"]
    try:
        path = "/sites/lyon/clusters/taurus"
        assert [api.get(f"{path}{query}").status_code for query in ("", "?queues=all", "?queues=testing,x")] == [
            404, 404, 200,
        ]  # fmt: skip
        assert "taurus" not in [item["uid"] for item in api.json("/sites/lyon/clusters?queues=all")["items"]]
        # Nodes are there all the same, and so is the tree.
        assert api.get(f"{path}/nodes").status_code == 200
        assert "taurus" in api.json("/sites/lyon/clusters?deep=1")["items"]
    finally:
        taurus["queues"] = queues


def test_2_4_abaca_is_a_queue_like_others(large: Any) -> None:
    found = large.json("/sites/rennes/clusters?queues=abaca")
    assert {tuple(item["queues"]) for item in found["items"]} == {("abaca", "admin", "production")}


def test_2_4_deep_collections_of_nodes_are_lists(api: Any) -> None:
    assert isinstance(api.json("/sites/lyon/clusters?deep=1")["items"], dict)
    assert isinstance(api.json("/sites/lyon/clusters/taurus/nodes?deep=1")["items"], list)
    assert isinstance(api.json("/network_equipments?deep=1")["items"], list)


def test_2_4_accesses(api: Any, small_reference: Mapping[str, Any]) -> None:
    items = {**small_reference["items"], "accesses": {"alice": {"taurus": {"label": "p1"}}}}
    found = type(api)({**small_reference, "items": items}).json("/accesses")
    assert (found["uid"], found["alice"]) == ("accesses", {"taurus": {"label": "p1"}})


@pytest.mark.parametrize(
    "path",
    [
        "/refrepo", "/users", "/users/alice", "/stitcher/stitchings", "/sites/lyon/firewall/1", "/sites/lyon/storage",
        "/sites/lyon/public/alice/file", "/sites/lyon/internal/oarapi/jobs.json",
    ],
)  # fmt: skip
def test_2_4_and_2_12_what_is_not_emulated_is_not_there(api: Any, path: str) -> None:
    response = api.get(path)
    assert (response.status_code, response.text) == (404, "Not Found")


# §2.5 and §2.6

#: OAR's spelling → whether the filter can find it.
STATES = {
    "Waiting": True, "Hold": True, "toLaunch": False, "toError": False, "toAckReservation": False, "Launching": True,
    "Running": True, "Suspended": True, "Resuming": True, "Finishing": True, "Terminated": True, "Error": True,
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_2_5_and_2_6_states_are_in_lower_case_and_some_can_not_be_looked_for(api: Any, state: str) -> None:
    job = api.submit()
    api.platform.sites["lyon"].oar.job(job["uid"]).state = state
    assert api.json(f"{JOBS}/{job['uid']}")["state"] == state.lower()
    for asked in (state, state.lower(), state.upper(), f"nothing,{state.lower()}"):
        assert api.json(f"{JOBS}?state={asked}")["total"] == (1 if STATES[state] else 0)


@pytest.mark.parametrize("given", ["yes", "1", "true", ""])
def test_2_5_any_word_but_no_asks_for_resources(api: Any, given: str) -> None:
    api.submit()
    (job,) = api.json(f"{JOBS}?resources={given}")["items"]
    assert {"assigned_nodes", "resources_by_type"} <= set(job)


def test_2_6_the_exit_code_is_oars(api: Any) -> None:
    job = api.submit()
    api.platform.sites["lyon"].oar.end_command(job["uid"], 3)
    api.pass_time(30)
    assert api.json(f"{JOBS}/{job['uid']}")["exit_code"] == 3 << 8


def test_2_6_no_forecast_is_no_field(api: Any) -> None:
    job = api.submit(wait=0)
    assert (job["state"], job["started_at"], "scheduled_at" in job) == ("waiting", 0, False)


def test_2_6_names_of_disks_and_vlans(large: Any) -> None:
    nodes = "{(type='default' or type='disk') AND cluster='parasilo'}/host=1"
    job = large.submit("rennes", types=["deploy"], resources=f"{nodes}+{{type='kavlan'}}/vlan=1,walltime=1:00:00")
    found = job["resources_by_type"]
    assert set(found) == {"cores", "disks", "vlans"}
    (node,) = job["assigned_nodes"]
    assert found["disks"] == [f"disk1.{node}"]
    assert all(isinstance(vlan, str) for vlan in found["vlans"])
    status = large.json("/sites/rennes/clusters/parasilo/status")["disks"][f"disk1.{node}"]
    assert (status["hard"], status["soft"]) == ("alive", "busy")
    assert status["diskpath"].startswith("/dev/disk/by-path/")
    assert [each["uid"] for each in status["reservations"]] == [job["uid"]]


# §2.7


def test_2_7_the_answer_to_a_submission_is_the_whole_job(api: Any) -> None:
    answer = api.post(JOBS, COMMAND).json
    assert {"resources_by_type", "assigned_nodes", "events", "links"} <= set(answer)
    later = api.json(f"{JOBS}/{answer['uid']}")
    assert set(answer) <= set(later)


def test_2_7_directory_has_two_names(api: Any) -> None:
    for name in ("directory", "workdir"):
        assert api.post(JOBS, {**COMMAND, name: "/home/alice/here"}).json["directory"] == "/home/alice/here"


def test_2_7_several_resources_are_alternatives(api: Any) -> None:
    few, many = "{cluster='taurus'}/nodes=1,walltime=2:00:00", "{cluster='taurus'}/nodes=3,walltime=1:00:00"
    busy = api.submit(resources="{cluster='taurus'}/nodes=2,walltime=1:00:00")
    job = api.submit(resources=[many, few])
    assert (job["state"], job["walltime"], len(job["assigned_nodes"])) == ("running", 7200, 1)
    assert not set(job["assigned_nodes"]) & set(busy["assigned_nodes"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"properties": "cluster === 'x'"}, "Bad resource request ("),
        ({"properties": "no_such_column = 'x'"}, "Bad resource request ("),
        ({"properties": "cluster = 'x'"}, "There are not enough resources for your request"),
        ({"queue": "nosuch"}, "# Error: please verify your job submission syntax."),
        ({"resources": "{cluster='taurus'}"}, None),
        ({"resources": "nodes"}, "# Error: cannot recognize"),
        ({"resources": "nodes=1,walltime=1:x"}, "# Error: cannot recognize walltime resource value"),
        ({"types": ["besteffort"], "reservation": "23:00"}, "reservations are not allowed"),
        ({"queue": "production", "reservation": "23:00"}, "reservations are not allowed"),
        ({"types": ["besteffort", "deploy"]}, "besteffort"),
        ({"types": ["deploy"], "resources": "core=1"}, "'core' resource is not allowed"),
        ({"resources": "nodes=1,walltime=169:00:00"}, "at most 168 hours"),
    ],
)
def test_2_7_and_3_3_what_oar_says_no_to(api: Any, fields: dict[str, Any], message: str | None) -> None:
    response = api.post(JOBS, {**COMMAND, **fields})
    if message is None:
        assert response.status_code == 201
        return
    assert response.status_code == 400
    answer = relayed(response.text)
    assert (answer["code"], answer["title"]) == (400, "Bad query")
    assert message in answer["message"]


def test_2_7_a_reservation_that_is_over_is_too_old(api: Any) -> None:
    response = api.post(JOBS, {"resources": "nodes=1,walltime=1:00:00", "reservation": "2020-01-01 00:00:00"})
    assert response.status_code == 400
    assert "Reservation not valid --> KO (Reservation too old)" in relayed(response.text)["message"]
    (job,) = api.json(f"{JOBS}?state=error")["items"]
    assert job["message"] == "Reservation too old"


# §2.9


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({"users_to_force": ()}, {"force": "yes"}, "Walltime change for this job is not allowed to be forced"),
        (
            {"users_to_delay": ()},
            {"delay_next_jobs": True},
            "Walltime change for this job is not allowed to delay other jobs",
        ),
        ({"walltime_min": 7200}, {}, "Walltime change is not allowed for a job with walltime < 2:0:0"),
        (
            {"walltime_max_increase": 1800},
            {},
            "request cannot be updated because the walltime cannot increase by more than +0:30:0",
        ),
    ],
)
def test_2_9_what_is_forbidden(api: Any, settings: dict[str, Any], change: dict[str, Any], message: str) -> None:
    job = api.submit()
    api.platform.sites["lyon"].oar.settings = OarSettings(**settings)
    response = api.post(f"{JOBS}/{job['uid']}/walltime", {"walltime": "+1", **change})
    assert response.status_code == 403
    assert message in relayed(response.text)["message"]


def test_2_9_what_may_be_asked_for_is_shown(api: Any) -> None:
    job = api.submit()
    oar, path = api.platform.sites["lyon"].oar, f"{JOBS}/{job['uid']}/walltime"
    oar.settings = OarSettings(users_to_force=(), users_to_delay=("alice",), walltime_max_increase=1800)
    shown = api.json(path)
    assert (shown["possible"], shown["force"], shown["delay_next_jobs"]) == ("+0:30:0", "FORBIDDEN", "NO")
    assert (shown["pending"], shown["granted"]) == ("+0:0:0", "+0:0:0")
    assert api.post(path, {"walltime": "+0:20", "delay_next_jobs": "yes", "timeout": 600}).status_code == 202
    api.pass_time(30)
    assert api.json(path)["granted"] == "+0:20:0"


# §2.10


@pytest.mark.parametrize("state", ["Alive", "Absent", "Suspected", "Dead", "Standby"])
def test_2_10_hard_states(api: Any, state: str) -> None:
    name = "taurus-1.lyon.grid5000.fr"
    with api.platform.at_now():
        api.platform.sites["lyon"].oar.set_node_state(name, state)
    node = api.json(f"/sites/lyon/status?network_address={name}")["nodes"][name]
    assert (node["hard"], node["soft"]) == (state.lower(), "unknown" if state == "Dead" else "free")


def test_2_10_disks_are_there_even_if_there_are_none(api: Any) -> None:
    assert api.json("/sites/lyon/status")["disks"] == {}
    assert api.json("/sites/lyon/clusters/taurus/status")["disks"] == {}


@pytest.mark.parametrize(
    ("busy", "besteffort", "soft"),
    [
        (1, 0, "free_busy"),
        (3, 0, "busy_free"),
        (4, 0, "busy"),
        (0, 1, "free_busy_besteffort"),
        (3, 1, "busy_besteffort"),
    ],
)
def test_2_10_soft_states(api: Any, busy: int, besteffort: int, soft: str) -> None:
    where = "{host='taurus-1.lyon.grid5000.fr'}"
    for count, types in ((busy, []), (besteffort, ["besteffort"])):
        if count:
            api.submit(resources=f"{where}/core={count},walltime=1:00:00", types=types)
    node = api.json("/sites/lyon/status")["nodes"]["taurus-1.lyon.grid5000.fr"]
    assert (node["soft"], node["busy_slots"], node["freeable_slots"]) == (soft, busy, besteffort)
    assert node["free_slots"] == 4 - busy - besteffort


# §2.11


def test_2_11_environments_may_be_those_of_a_user(api: Any) -> None:
    job = api.submit(types=["deploy"])
    assert api.deploy(job, environment="debian12-min@deploy")["environment"] == "debian12-min@deploy"


def test_2_11_nodes_that_are_all_being_deployed_are_refused(api: Any) -> None:
    job = api.submit(types=["deploy"])
    api.deploy(job)
    response = api.post(DEPLOYMENTS, {"nodes": job["assigned_nodes"], "environment": "debian12-min"})
    assert (response.status_code, response.text) == (
        500, "Cannot launch deployment: Kadeploy error #14: All the nodes have been discarded",
    )  # fmt: skip
    forced = {"nodes": job["assigned_nodes"], "environment": "debian12-min", "ignore_nodes_deploying": True}
    assert api.post(DEPLOYMENTS, forced).status_code == 201


def test_2_11_fields_without_a_value_are_absent(api: Any) -> None:
    job = api.submit(types=["deploy"])
    made = api.deploy(job)
    assert {"key", "version", "arch", "vlan", "partition_label", "block_device", "result", "output"}.isdisjoint(made)
    assert None not in made.values()


def test_2_11_delete_of_one_that_was_canceled(api: Any) -> None:
    made = api.deploy(api.submit(types=["deploy"]))
    answers = [api.delete(f"{DEPLOYMENTS}/{made['uid']}") for _ in range(2)]
    assert [(each.status_code, each.data) for each in answers] == [(202, b"")] * 2
    assert api.json(f"{DEPLOYMENTS}?status=canceled")["total"] == 1
    assert api.delete(f"{DEPLOYMENTS}/D-none").status_code == 404


def test_2_11_words_of_kavlan_that_are_neither_ok_nor_unknown_read_unchanged(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = api.submit("rennes", types=["deploy"], resources="{type='kavlan'}/vlan=1+nodes=1,walltime=1:00:00")
    (node,), (vlan,) = job["assigned_nodes"], job["resources_by_type"]["vlans"]
    monkeypatch.setattr(api.platform.sites["rennes"].kavlan, "move", lambda names, vlan: dict.fromkeys(names, "broken"))
    answer = api.post(f"/sites/rennes/vlans/{vlan}/nodes", [node]).json
    assert answer == {node: {"status": "unchanged", "message": "Node already in vlan"}}


# §6.2


def test_6_2_a_job_id_wins_over_nodes_and_dates(api: Any) -> None:
    job = api.submit(resources="{cluster='taurus'}/nodes=1,walltime=1:00:00", wait=60)
    asked = f"/sites/lyon/metrics?job_id={job['uid']}&metrics=wattmetre_power_watt"
    other = api.json(f"{asked}&nodes=taurus-3,nova-1&start_time={job['started_at'] - 9000}")
    assert other == api.json(asked)
    assert other
