"""§2.5-2.9: jobs, from submission to deletion, and their walltime."""

from __future__ import annotations

import datetime as dt
import json
import zoneinfo
from typing import Any

import pytest

JOBS = "/sites/lyon/jobs"
NOT_VALID = "The job you are trying to submit is not valid: "
WALLTIME = "The job walltime change you are trying to submit is not valid: "


def paris(date: float) -> str:
    return dt.datetime.fromtimestamp(date, zoneinfo.ZoneInfo("Europe/Paris")).strftime("%Y-%m-%d %H:%M:%S")


def relayed(text: str) -> dict[str, Any]:
    """Return OAR's own JSON out of the API's sentence."""
    sentence, _, body = text.partition(": {")
    assert sentence.startswith("Request to https://")
    found: dict[str, Any] = json.loads("{" + body)
    assert sentence.endswith(f"failed with status {found['code']}")
    return found


# §2.5


def test_2_5_newest_first(api: Any) -> None:
    first, second = api.submit(), api.submit()
    assert [job["uid"] for job in api.json(JOBS)["items"]] == [second["uid"], first["uid"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("user=alice", 1),
        ("user=nobody", 0),
        ("name=probe", 1),
        ("name=other", 0),
        ("project=lab", 1),
        ("project=default", 0),
        ("queue=default", 1),
        ("queue=besteffort", 0),
        ("state=running", 1),
        ("state=Running,waiting", 1),
        ("state=error", 0),
        ("job_id=1", 0),
        ("user=alice&state=waiting", 0),
    ],
)
def test_2_5_filters(api: Any, query: str, found: int) -> None:
    api.submit(name="probe", project="lab")
    assert api.json(f"{JOBS}?{query}")["total"] == found


def test_2_5_job_id_finds_one(api: Any) -> None:
    job = api.submit()
    api.submit()
    assert [found["uid"] for found in api.json(f"{JOBS}?job_id={job['uid']}")["items"]] == [job["uid"]]


def test_2_5_and_2_14_the_filter_can_not_match_tolaunch(api: Any) -> None:
    job = api.submit(wait=0)
    api.pass_time(0.6)
    assert api.json(f"{JOBS}/{job['uid']}")["state"] in ("tolaunch", "launching")
    for _ in range(20):
        state = api.json(f"{JOBS}/{job['uid']}")["state"]
        if state == "tolaunch":
            break
        api.pass_time(0.1)
    assert api.json(f"{JOBS}?state=tolaunch")["total"] == 0
    assert api.json(f"{JOBS}?state=toLaunch")["total"] == 0


@pytest.mark.parametrize(("query", "shown"), [("", False), ("resources=no", False), ("resources=yes", True)])
def test_2_5_items_have_resources_when_asked(api: Any, query: str, shown: bool) -> None:
    api.submit()
    (job,) = api.json(f"{JOBS}?{query}")["items"]
    assert ("assigned_nodes" in job, "resources_by_type" in job) == (shown, shown)


def test_2_5_nobody_has_to_log_in_to_list(api: Any) -> None:
    api.submit()
    assert api.json(JOBS, user=None)["total"] == 1


# §2.6


def test_2_6_a_running_job(api: Any, links: Any) -> None:
    before = api.clock.now()
    job = api.submit(name="probe", types=["deploy"], resources="{cluster='taurus'}/nodes=2,walltime=2:00:00")
    assert {key: job[key] for key in ("user", "user_uid", "walltime", "queue", "state", "project", "name", "mode")} == {
        "user": "alice", "user_uid": "alice", "walltime": 7200, "queue": "default", "state": "running",
        "project": "default", "name": "probe", "mode": "PASSIVE",
    }  # fmt: skip
    assert (job["types"], job["command"], job["directory"]) == (["deploy"], "sleep 1d", "/home/alice")
    assert before <= job["submitted_at"] + 1 <= job["started_at"] + 1 <= api.clock.now()
    assert "deploy = 'YES'" in job["properties"].replace('"', "'")
    assert links(job) == {"self": f"/stable{JOBS}/{job['uid']}", "parent": f"/stable{JOBS}"}
    assert all(set(event) == {"uid", "created_at", "type", "description"} for event in job["events"])


def test_2_6_null_fields_are_absent(api: Any) -> None:
    job = api.submit()
    assert {"name", "stopped_at", "exit_code"}.isdisjoint(job)
    assert None not in job.values()


def test_2_6_started_at_is_0_and_the_plan_is_shown_while_it_waits(api: Any) -> None:
    api.submit(resources="{cluster='taurus'}/nodes=3,walltime=1:00:00")
    job = api.submit(resources="{cluster='taurus'}/nodes=1,walltime=1:00:00")
    assert (job["state"], job["started_at"]) == ("waiting", 0)
    assert job["scheduled_at"] > api.clock.now()
    assert len(job["assigned_nodes"]) == 1


def test_2_6_an_advance_reservation_has_its_date(api: Any) -> None:
    start = api.clock.now() // 1 + 3600
    job = api.submit(reservation=paris(start))
    assert (job["state"], job["started_at"]) == ("waiting", start)
    api.pass_time(3600 + 60)
    assert api.json(f"{JOBS}/{job['uid']}")["state"] == "running"


def test_2_6_resources_by_type_has_the_types_that_are_there(api: Any) -> None:
    job = api.submit(
        types=["deploy"], resources="{type='kavlan'}/vlan=1+slash_22=1+{cluster='taurus'}/nodes=1,walltime=1:00:00"
    )
    found = job["resources_by_type"]
    assert set(found) == {"cores", "vlans", "subnets"}
    assert found["cores"] == [f"{job['assigned_nodes'][0]}/{core}" for core in range(4)]
    assert found["vlans"][0] in [str(uid) for uid in range(4, 10)]
    assert found["subnets"][0].endswith("/22")


def test_2_6_a_job_that_is_over(api: Any) -> None:
    job = api.submit(resources="nodes=1,walltime=0:10:00", wait=900)
    assert job["state"] == "error"
    assert job["started_at"] < job["stopped_at"] <= api.clock.now()
    assert {"WALLTIME", "SWITCH_INTO_ERROR_STATE"} <= {event["type"] for event in job["events"]}


# §2.7


def test_2_7_created(api: Any) -> None:
    response = api.post(JOBS, {"resources": "nodes=1,walltime=0:30:00", "command": "sleep 1d"})
    assert response.status_code == 201
    assert response.headers["Location"] == f"http://localhost/stable{JOBS}/{response.json['uid']}"
    assert {"resources_by_type", "assigned_nodes", "links"} <= set(response.json) | {"assigned_nodes"}
    assert response.json["state"] in ("hold", "waiting")


def test_2_7_a_form_does_as_well(api: Any) -> None:
    response = api.post(JOBS, data={"resources": "nodes=1", "command": "sleep 1d", "types[]": ["deploy", "exotic"]})
    assert response.status_code == 201
    assert set(response.json["types"]) == {"deploy", "exotic"}


def test_2_7_defaults_are_a_node_and_an_hour(api: Any) -> None:
    response = api.post(JOBS, {"command": "sleep 1d"})
    assert (response.status_code, response.json["walltime"]) == (201, 3600)


def test_2_7_the_trap_of_the_walltime_field(api: Any) -> None:
    response = api.post(JOBS, {"command": "sleep 1d", "resources": "nodes=1", "walltime": "02:00:00"})
    assert response.json["walltime"] == 2
    response = api.post(JOBS, {"command": "sleep 1d", "resources": "nodes=1,walltime=1:0:0", "walltime": 60})
    assert response.json["walltime"] == 3600


COMMAND = "you must give a :command to execute on launch"
SYNTAX = (
    "Syntax error in reservation {} date, should at least match the format: 'YYYY-MM-DD hh:mm:ss'. "
    "Please see documentation for available date syntaxes."
)


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({}, [COMMAND]),
        ({"reservation": "tomorrow"}, [SYNTAX.format("start")]),
        ({"reservation": "2026-11-27 19:00:00, later"}, [SYNTAX.format("end")]),
        ({"reservation": "soon, later"}, [SYNTAX.format("start"), SYNTAX.format("end")]),
        ({"reservation": 17}, ["`reservation` should be a String."]),
        ({"reservation": 0}, [COMMAND, "`reservation` should be a String."]),
    ],
)
def test_2_7_what_the_api_itself_refuses(api: Any, fields: dict[str, Any], reasons: list[str]) -> None:
    response = api.post(JOBS, {"resources": "nodes=1", **fields})
    assert (response.status_code, response.text) == (400, NOT_VALID + "; ".join(reasons))


@pytest.mark.parametrize("reservation", ["now", "23", "23:30", "23:30:00"])
def test_2_7_short_dates(api: Any, reservation: str) -> None:
    assert api.post(JOBS, {"resources": "nodes=1,walltime=0:10:00", "reservation": reservation}).status_code == 201


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"resources": "nodes=many"}, "# Error: cannot recognize"),
        ({"resources": "nodes=1,walltime=soon"}, "# Error: cannot recognize walltime"),
        ({"resources": "nodes=900"}, "There are not enough resources for your request"),
        ({"types": ["nosuch"]}, "unknown job type: nosuch"),
    ],
)
def test_2_7_what_oar_refuses_is_relayed(api: Any, fields: dict[str, Any], message: str) -> None:
    response = api.post(JOBS, {"resources": "nodes=1", "command": "sleep 1d", **fields})
    assert response.status_code == 400
    answer = relayed(response.text)
    assert (answer["code"], answer["title"]) == (400, "Bad query")
    assert message in answer["message"]


def test_2_7_a_refused_reservation_says_when_and_leaves_a_job_in_error(api: Any) -> None:
    start = api.clock.now() // 1 + 3600
    order = {"resources": "{cluster='taurus'}/nodes=3,walltime=2:00:00", "reservation": paris(start)}
    assert api.post(JOBS, order).status_code == 201
    response = api.post(JOBS, order, user="bob")
    assert response.status_code == 400
    message = relayed(response.text)["message"]
    assert "Reservation not valid --> KO (This reservation could run at " in message
    (job,) = api.json(f"{JOBS}?state=error&user=bob")["items"]
    assert job["message"].startswith("This reservation could run at ")


def test_2_7_a_start_in_the_past_is_moved_to_now(api: Any) -> None:
    now = api.clock.now()
    job = api.submit(reservation=f"{paris(now - 600)}, {paris(now + 3600)}")
    assert job["state"] == "running"
    assert job["started_at"] >= now - 1


# §2.8


def test_2_8_delete_is_asynchronous(api: Any) -> None:
    job = api.submit()
    path = f"{JOBS}/{job['uid']}"
    response = api.delete(path)
    assert (response.status_code, response.data) == (202, b"")
    assert response.headers["Location"] == f"http://localhost/stable{path}"
    assert response.headers["X-Oar-Info"] == (
        f"Deleting the job = {job['uid']} ...REGISTERED. The job(s) [ {job['uid']} ] will be deleted in a near future."
    )
    assert api.json(path)["state"] == "running"
    api.pass_time(30)
    assert api.json(path)["state"] == "error"


def test_2_8_a_second_delete_is_refused(api: Any) -> None:
    job = api.submit()
    api.delete(f"{JOBS}/{job['uid']}")
    response = api.delete(f"{JOBS}/{job['uid']}")
    assert response.status_code == 400
    assert relayed(response.text)["message"].endswith(
        f"Deleting the job = {job['uid']} ...ERROR.\nCannot frag {job['uid']} ; This job was already killed."
    )


@pytest.mark.parametrize(("user", "status"), [(None, 403), ("bob", 403), ("unknown", 403)])
def test_2_8_only_the_owner_deletes(api: Any, user: str | None, status: int) -> None:
    job = api.submit()
    assert api.delete(f"{JOBS}/{job['uid']}", user=user).status_code == status


def test_2_8_unknown(api: Any) -> None:
    response = api.delete(f"{JOBS}/17")
    assert (response.status_code, response.text) == (404, "Couldn't find OAR::Job with 'job_id'=17")


def test_2_8_the_first_delete_of_a_terminated_job_is_accepted(api: Any) -> None:
    job = api.submit()
    api.platform.sites["lyon"].oar.end_command(job["uid"])
    api.pass_time(30)
    ended = api.json(f"{JOBS}/{job['uid']}")
    assert (ended["state"], ended["exit_code"]) == ("terminated", 0)
    assert api.delete(f"{JOBS}/{job['uid']}").status_code == 202


def test_2_8_a_noop_job_that_is_killed_ends_terminated(api: Any) -> None:
    job = api.submit(types=["noop"])
    api.delete(f"{JOBS}/{job['uid']}")
    api.pass_time(30)
    assert api.json(f"{JOBS}/{job['uid']}")["state"] == "terminated"


# §2.9


def test_2_9_the_walltime_of_a_running_job_has_12_keys(api: Any) -> None:
    job = api.submit()
    found = api.json(f"{JOBS}/{job['uid']}/walltime")
    assert set(found) == {
        "uid", "walltime", "possible", "pending", "timeout", "force", "delay_next_jobs", "whole", "granted",
        "granted_with_force", "granted_with_delay_next_jobs", "granted_with_whole", "links",
    }  # fmt: skip
    assert (found["uid"], found["walltime"], found["possible"]) == (job["uid"], "1:0:0", "UNLIMITED")
    assert found["force"] in ("NO", "YES", "FORBIDDEN")


def test_2_9_durations_are_absent_while_it_does_not_run(api: Any) -> None:
    job = api.submit(wait=0)
    assert {"walltime", "possible", "pending"}.isdisjoint(api.json(f"{JOBS}/{job['uid']}/walltime"))


def test_2_9_needs_a_user(api: Any) -> None:
    job = api.submit()
    assert api.get(f"{JOBS}/{job['uid']}/walltime", user=None).status_code == 403


@pytest.mark.parametrize(
    ("change", "seconds"),
    [({"walltime": "+1:30"}, 9000), ({"walltime": "2:00:00"}, 7200), ({"walltime": "+1", "whole": "yes"}, 7200)],
)
def test_2_9_a_longer_walltime(api: Any, change: dict[str, Any], seconds: int) -> None:
    job = api.submit()
    path = f"{JOBS}/{job['uid']}/walltime"
    response = api.post(path, change)
    assert response.status_code == 202
    assert response.text == f"Walltime change request updated for job {job['uid']}, it will be handled shortly"
    # A sentence that says it is JSON.
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.headers["Location"] == f"http://localhost/stable{path}"
    api.pass_time(30)
    assert api.json(f"{JOBS}/{job['uid']}")["walltime"] == seconds


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "you must give a new walltime"),
        ({"walltime": 3600}, "new walltime must be a String"),
        ({"walltime": "+1", "timeout": "x"}, "timeout must be an Integer"),
        ({"walltime": "+1", "force": "perhaps"}, "force must be a Boolean"),
        ({"walltime": "+1", "delay_next_jobs": 1}, "delay_next_jobs must be a Boolean"),
        ({"walltime": "+1", "whole": []}, "whole must be a Boolean"),
    ],
)
def test_2_9_what_the_api_itself_refuses(api: Any, change: dict[str, Any], reason: str) -> None:
    job = api.submit()
    response = api.post(f"{JOBS}/{job['uid']}/walltime", change)
    assert (response.status_code, response.text) == (400, WALLTIME + reason)


def test_2_9_json_only(api: Any) -> None:
    job = api.submit()
    assert api.post(f"{JOBS}/{job['uid']}/walltime", data={"walltime": "+1"}).status_code == 415


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"walltime": "+01h"}, 400, "Syntax error"),
        ({"walltime": "-0:10"}, 400, "Walltime reduction is not allowed"),
        ({"walltime": "+1", "force": True}, 403, "Walltime change for this job is not allowed to be forced"),
    ],
)
def test_2_9_what_oar_refuses_is_relayed(api: Any, change: dict[str, Any], status: int, message: str) -> None:
    job = api.submit()
    response = api.post(f"{JOBS}/{job['uid']}/walltime", change)
    assert response.status_code == status
    assert message in relayed(response.text)["message"]


def test_2_9_another_users_job_and_one_that_does_not_run(api: Any) -> None:
    job = api.submit()
    response = api.post(f"{JOBS}/{job['uid']}/walltime", {"walltime": "+1"}, user="bob")
    assert (response.status_code, relayed(response.text)["message"]) == (
        403,
        f"Job {job['uid']} does not belong to you",
    )
    waiting = api.submit(wait=0)
    response = api.post(f"{JOBS}/{waiting['uid']}/walltime", {"walltime": "+1"})
    assert (response.status_code, relayed(response.text)["message"]) == (403, f"Job {waiting['uid']} is not running")


def test_2_9_unknown(api: Any) -> None:
    response = api.post(f"{JOBS}/17/walltime", {"walltime": "+1"})
    assert (response.status_code, response.text) == (404, "Job id '17' cannot be found.")
