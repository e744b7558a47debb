from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.errors import ApiError, InvalidRequest
from pytest_execo.testbeds.grid5000.answers import Submission
from pytest_execo.testbeds.grid5000.client import Grid5000Client

PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
#: As reference §2.6 has it.
JOB: dict[str, Any] = {
    "uid": 374191, "user_uid": "jdoe", "user": "jdoe", "walltime": 7200, "queue": "default", "state": "running",
    "project": "default", "types": ["deploy"], "mode": "INTERACTIVE", "command": "", "submitted_at": 1294395993,
    "scheduled_at": 1294395995, "started_at": 1294395995, "message": "FIFO scheduling OK",
    "properties": "((cluster=\"paramount\") AND deploy = \"YES\") AND maintenance = \"NO\"", "directory": "/home/jdoe",
    "events": [{"uid": 1, "created_at": 1294403214, "type": "FRAG_JOB_REQUEST", "description": "User root requested"}],
    "links": [{"rel": "self", "href": "/stable/sites/rennes/jobs/374191"}],
    "resources_by_type": {"cores": ["paramount-4.rennes.grid5000.fr/0"], "vlans": ["4"], "subnets": ["10.158.0.0/22"]},
    "assigned_nodes": ["paramount-4.rennes.grid5000.fr"],
}  # fmt: skip


class Jobs:
    """A site's jobs behind ``GET /sites/SITE/jobs``, by the rules of §2.5."""

    def __init__(self, reply: Any, jobs: list[dict[str, Any]]) -> None:
        self.jobs = sorted(jobs, key=lambda job: -job["uid"])
        self._reply = reply

    def __call__(self, asked: Any) -> Any:
        query = asked.query
        found = self.jobs
        if "state" in query:
            # OAR's spelling of these three is never that of .capitalize.
            words = {word.lower() for word in query["state"].split(",")} - {"tolaunch", "toerror", "toackreservation"}
            found = [job for job in found if job["state"] in words]
        for key in ("user", "name", "queue", "project"):
            if key in query:
                found = [job for job in found if job.get(key) == query[key]]
        offset, limit = int(query.get("offset", 0)), min(int(query.get("limit", 50)), 500)
        page = found[offset : offset + limit]
        return self._reply(200, {"total": len(found), "offset": offset, "items": page, "links": []})


@pytest.fixture
def listing(server: Any, reply: Any) -> Callable[..., Jobs]:
    def serve(*jobs: dict[str, Any]) -> Jobs:
        made = Jobs(reply, list(jobs))
        server.on("GET", "/sites/rennes/jobs", made)
        return made

    return serve


def test_a_job(server: Any, client: Grid5000Client, reply: Any) -> None:
    server.on("GET", "/sites/rennes/jobs/374191", reply(200, JOB))
    job = client.job("rennes", 374191)
    assert (job.id, job.state, job.user, job.walltime, job.site) == (374191, "running", "jdoe", 7200, "rennes")
    assert job.nodes == ("paramount-4.rennes.grid5000.fr",)
    assert job.vlans == ("4",)
    assert job.subnets == ("10.158.0.0/22",)
    assert job.events[0].type == "FRAG_JOB_REQUEST"


def test_a_job_that_waits_has_not_started_in_1970(server: Any, client: Grid5000Client, reply: Any) -> None:
    server.on("GET", "/sites/rennes/jobs/1", reply(200, {"uid": 1, "state": "waiting", "started_at": 0}))
    job = client.job("rennes", 1)
    assert job.started_at is None
    assert job.begin is None


def test_no_such_job(server: Any, client: Grid5000Client, reply: Any) -> None:
    server.on("GET", "/sites/rennes/jobs/1", reply(404, "Couldn't find OAR::Job with 'job_id'=1", PLAIN))
    with pytest.raises(ApiError, match="Couldn't find OAR::Job") as caught:
        client.job("rennes", 1)
    assert caught.value.status == 404


def test_more_jobs_than_a_page_has(server: Any, client: Grid5000Client, listing: Any) -> None:
    listing(*({"uid": uid, "state": "running"} for uid in range(1, 1203)))
    assert [job.id for job in client.jobs("rennes")] == list(range(1202, 0, -1))
    assert [asked.query["limit"] for asked in server.asked] == ["500"] * 3
    assert "resources" not in server.last.query


def test_only_as_many_as_are_wanted(server: Any, client: Grid5000Client, listing: Any) -> None:
    listing(*({"uid": uid, "state": "running"} for uid in range(1, 100)))
    assert [job.id for job in client.jobs("rennes", limit=3)] == [99, 98, 97]
    assert [asked.query["limit"] for asked in server.asked] == ["3"]
    assert list(client.jobs("rennes", limit=0)) == []


def test_what_is_looked_for(server: Any, client: Grid5000Client, listing: Any) -> None:
    listing(JOB)
    jobs = client.jobs(
        "rennes", state=["Waiting", "running"], user="jdoe", queue="default", project="default", resources=True
    )
    assert [job.id for job in jobs] == [374191]
    assert server.last.query == {
        "state": "running,waiting", "user": "jdoe", "queue": "default", "project": "default", "resources": "yes",
        "offset": "0", "limit": "500",
    }  # fmt: skip
    assert list(client.jobs("rennes", name="other")) == []


@pytest.mark.parametrize("state", ["toLaunch", "toerror", "toAckReservation"])
def test_states_that_the_server_can_not_look_for_are_found(
    server: Any, client: Grid5000Client, listing: Any, state: str
) -> None:
    listing(
        {"uid": 1, "state": "running", "user": "jdoe"},
        {"uid": 2, "state": state.lower(), "user": "jdoe"},
        {"uid": 3, "state": "waiting", "user": "jdoe"},
        {"uid": 4, "state": state.lower(), "user": "other"},
    )
    assert [job.id for job in client.jobs("rennes", state=[state, "running"], user="jdoe")] == [2, 1]
    assert [job.id for job in client.jobs("rennes", state=[state], limit=1)] == [4]
    assert server.last.query["limit"] == "500"  # one page of all, and not page after page of one


def test_a_state_that_there_is_not_is_refused(server: Any, client: Grid5000Client) -> None:
    with pytest.raises(InvalidRequest, match=re.escape("state='runing': no state of a job; did you mean 'running'?")):
        client.jobs("rennes", state=["runing"])
    assert not server.asked


def test_submission(server: Any, client: Grid5000Client, reply: Any) -> None:
    server.on("POST", "/sites/rennes/jobs", reply(201, JOB, {"Location": "http://x/stable/sites/rennes/jobs/374191"}))
    job = client.submit("rennes", Submission("nodes=2,walltime=25:00:00", command="sleep 1d", types=("deploy",)))
    assert job.id == 374191
    assert server.last.data == {"resources": "nodes=2,walltime=25:00:00", "command": "sleep 1d", "types": ["deploy"]}


def test_oar_may_take_five_minutes(monkeypatch: pytest.MonkeyPatch, client: Grid5000Client) -> None:
    from pytest_execo.testbeds.grid5000.client.transport import Answer, Transport

    timeouts: list[float] = []

    def attempt(self: Transport, method: str, url: str, data: Any, headers: Any, timeout: float) -> Answer:
        timeouts.append(timeout)
        return Answer(200, {}, b'{"uid": 1}')

    monkeypatch.setattr(Transport, "attempt", attempt)
    client.submit("rennes", Submission("nodes=1"))
    client.job("rennes", 1)
    assert timeouts[0] == 330
    assert timeouts[1] < 330


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (
            400,
            'Request to http://api.rennes/internal/oarapi/jobs.json failed with status 400: {"code":400,'
            '"title":"Bad query","message":"# Reservation not valid --> KO '
            '(This reservation could run at 2026-11-23 01:32:22)"}',
            "Reservation not valid --> KO (This reservation could run at 2026-11-23 01:32:22)",
        ),
        (
            400,
            "The job you are trying to submit is not valid: you must give a :command to execute on launch",
            "The job you are trying to submit is not valid: you must give a :command to execute on launch",
        ),
        (403, "You are not authorized to access this resource", "You are not authorized to access this resource"),
        (500, "Internal Server Error", "Internal Server Error"),
    ],
)  # fmt: skip
def test_a_refused_submission_says_why_and_is_not_repeated(
    server: Any, client: Grid5000Client, reply: Any, status: int, text: str, said: str
) -> None:
    server.on("POST", "/sites/rennes/jobs", reply(status, text, PLAIN))
    with pytest.raises(ApiError) as caught:
        client.submit("rennes", Submission("nodes=1"))
    assert (caught.value.status, caught.value.reason) == (status, said)
    assert len(server.asked) == 1


def test_deletion(server: Any, client: Grid5000Client, reply: Any) -> None:
    server.on("DELETE", "/sites/rennes/jobs/7", reply(202, b"", {"X-Oar-Info": "Deleting the job = 7 ...REGISTERED."}))
    client.delete_job("rennes", 7)
    assert server.last.body == b""


@pytest.mark.parametrize("status", [400, 500])
def test_a_second_deletion_is_no_error(server: Any, client: Grid5000Client, reply: Any, status: int) -> None:
    said = (
        f'Request to http://x failed with status {status}: {{"message": "Oardel command exited with status 1536: '
        'Deleting the job = 7 ...ERROR.\\nCannot frag 7 ; This job was already killed."}'
    )
    server.on("DELETE", "/sites/rennes/jobs/7", reply(status, said, PLAIN))
    client.delete_job("rennes", 7)


@pytest.mark.parametrize(("status", "said"), [(404, "Job id '7' cannot be found."), (403, "You are not authorized")])
def test_other_refusals_of_a_deletion_are_errors(
    server: Any, client: Grid5000Client, reply: Any, status: int, said: str
) -> None:
    server.on("DELETE", "/sites/rennes/jobs/7", reply(status, said, PLAIN))
    with pytest.raises(ApiError, match=said) as caught:
        client.delete_job("rennes", 7)
    assert caught.value.status == status


def test_a_deletion_whose_answer_was_lost_is_made_again(server: Any, client: Grid5000Client, reply: Any) -> None:
    killed = reply(400, "Cannot frag 7 ; This job was already killed.", PLAIN)
    server.on("DELETE", "/sites/rennes/jobs/7", reply(manners="drop"), killed)
    client.delete_job("rennes", 7)
    assert len(server.asked) == 2


def test_walltime(server: Any, client: Grid5000Client, reply: Any) -> None:
    state = {"uid": 7, "walltime": "1:0:0", "possible": "UNLIMITED", "pending": "0:0:0", "granted": "0:0:0"}
    server.on("GET", "/sites/rennes/jobs/7/walltime", reply(200, state))
    found = client.walltime("rennes", 7)
    assert (found.walltime, found.possible, found.pending, found.granted) == ("1:0:0", "UNLIMITED", "0:0:0", "0:0:0")


@pytest.mark.parametrize(
    ("details", "body"),
    [
        ({"walltime": 7200}, {"walltime": "2:00:00"}),
        ({"walltime": 90000}, {"walltime": "25:00:00"}),
        ({"walltime": 90.2, "add": True}, {"walltime": "+0:01:31"}),
        (
            {"walltime": 60, "force": True, "delay_next_jobs": True, "whole": True, "timeout": 30},
            {"walltime": "0:01:00", "force": True, "delay_next_jobs": True, "whole": True, "timeout": 30},
        ),
    ],
)
def test_another_walltime(
    server: Any, client: Grid5000Client, reply: Any, details: dict[str, Any], body: dict[str, Any]
) -> None:
    sentence = "Walltime change request updated for job 7, it will be handled shortly"
    server.on("POST", "/sites/rennes/jobs/7/walltime", reply(202, sentence))  # said to be JSON, and is not
    assert client.change_walltime("rennes", 7, **details) == sentence
    assert server.last.data == body


@pytest.mark.parametrize("walltime", [0, -1, float("inf"), float("nan")])
def test_no_walltime_at_all_is_refused(server: Any, client: Grid5000Client, walltime: float) -> None:
    with pytest.raises(InvalidRequest, match="write a number of seconds above 0"):
        client.change_walltime("rennes", 7, walltime)
    assert not server.asked
