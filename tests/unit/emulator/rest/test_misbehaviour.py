"""Faults as a client meets them."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

JOBS = "/sites/lyon/jobs"


@pytest.mark.parametrize(
    ("answer", "text"), [(500, "Internal Server Error"), (502, "Bad Gateway"), (503, "Server Unavailable")]
)
def test_the_api_answers_with_an_error_as_often_as_said(api: Any, answer: int, text: str) -> None:
    api.faults.api(answer, path="/jobs", times=2)
    assert api.get("/sites/lyon").status_code == 200
    for _ in range(2):
        response = api.get(JOBS)
        assert (response.status_code, response.text) == (answer, text)
    assert api.get(JOBS).status_code == 200


def test_garbage_is_no_json(api: Any) -> None:
    api.faults.api("garbage")
    response = api.get("/sites")
    assert (response.status_code, response.mimetype) == (200, "application/json")
    with pytest.raises(ValueError, match="line 1 column"):
        _ = response.json


@pytest.mark.parametrize("answer", ["drop", "timeout"])
def test_a_connection_that_breaks(api: Any, answer: str) -> None:
    api.faults.api(answer, seconds=0)
    with pytest.raises(ConnectionError):
        api.get("/sites")
    assert api.get("/sites").status_code == 200


def test_a_request_that_is_held_is_let_go_at_the_end(api: Any) -> None:
    api.faults.api("slow", seconds=60)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(api.get("/sites").status_code))
    thread.start()
    api.application.ending.set()
    thread.join(10)
    assert answers == [200]


def test_a_fault_may_lose_the_answer_of_what_is_done(api: Any) -> None:
    api.faults.api(502, path=JOBS, done=True)
    response = api.post(JOBS, {"resources": "nodes=1", "command": "sleep 1d"})
    assert response.status_code == 502
    assert api.json(JOBS)["total"] == 1


def test_an_unreachable_frontend_is_that_of_its_site(api: Any) -> None:
    api.faults.frontend_unreachable("lyon", for_seconds=60)
    response = api.get(JOBS)
    assert response.status_code == 500
    assert response.text.startswith("Unable to contact https://")
    assert api.get("/sites/lyon").status_code == 200
    assert api.get("/sites/rennes/jobs").status_code == 200
    api.pass_time(60)
    assert api.get(JOBS).status_code == 200


def test_a_refused_reservation_says_when_it_could_run(api: Any) -> None:
    api.faults.reservation_refused(times=2)
    response = api.post(JOBS, {"resources": "nodes=1", "reservation": "23:00"})
    assert (
        response.status_code,
        "Reservation not valid --> KO (This reservation could run at 20" in response.text,
    ) == (400, True)
    response = api.post(JOBS, {"resources": "nodes=1", "command": "sleep 1d"})
    assert (response.status_code, "There are not enough resources for your request" in response.text) == (400, True)
    assert api.post(JOBS, {"resources": "nodes=1", "command": "sleep 1d"}).status_code == 201


# what only the emulator can be asked


@pytest.mark.parametrize("key", [None, "", "wrong"])
@pytest.mark.parametrize(("method", "path"), [("GET", "faults"), ("GET", "nowhere"), ("POST", "shutdown")])
def test_the_emulator_itself_needs_its_key(api: Any, method: str, path: str, key: str | None) -> None:
    headers = {} if key is None else {"X-Emulator-Key": key}
    assert api.ask(method, f"/emulator/{path}", headers=headers).status_code == 403


def test_faults_by_the_api(api: Any) -> None:
    faults = [
        {"kind": "api", "answer": "503", "path": "/jobs", "times": 3},
        {"kind": "node-dies", "nodes": ["taurus-1"], "at": "+60"},
        {"kind": "frontend-unreachable", "site": "rennes", "for": 10},
    ]
    response = api.control("POST", "faults", json=faults)
    assert response.status_code == 201
    listed = api.control("GET", "faults").json
    assert [fault["kind"] for fault in listed] == ["api", "node-dies", "frontend-unreachable"]
    assert listed[1]["date"] == api.clock.now() + 60
    assert api.get(JOBS).status_code == 503
    assert api.control("GET", "faults").json[0]["times_left"] == 2
    (happened,) = api.control("GET", "faults/happened").json
    assert (happened["kind"], happened["whom"]) == ("api", f"GET /stable{JOBS}")
    assert api.control("DELETE", "faults").status_code == 204
    assert api.get(JOBS).status_code == 200


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        ({"kind": "rain"}, "rain"),
        ({"answer": "503"}, "kind"),
        ("api=503", "kind"),
        ({"kind": "api", "answer": "503", "times": []}, "times"),
        ({"kind": "node-dies", "nodes": ["taurus-77"]}, "taurus-77"),
        ({"kind": "frontend-unreachable", "site": "atlantis"}, "atlantis"),
    ],
)
def test_faults_that_can_not_be_understood(api: Any, fault: Any, hint: str) -> None:
    response = api.control("POST", "faults", json=[fault])
    assert response.status_code == 400
    assert hint in response.text


def test_nodes_and_how_they_are_reached(api: Any) -> None:
    job = api.submit(resources="{cluster='taurus'}/nodes=2,walltime=1:00:00")
    names = [*job["assigned_nodes"], "nova-1.lyon.grid5000.fr"]
    found = api.control("GET", f"nodes?names={','.join(names)}").json
    assert [entry["name"] for entry in found] == job["assigned_nodes"]


def test_the_clock_is_shown_and_advanced(api: Any) -> None:
    before = api.control("GET", "clock").json
    assert before == {"now": api.clock.now(), "speed": 0}
    job = api.submit(wait=0)
    after = api.control("POST", "clock/advance", json={"seconds": 60}).json
    assert after["now"] == before["now"] + 60
    assert api.json(f"{JOBS}/{job['uid']}")["state"] == "running"


@pytest.mark.parametrize(
    "body", [{}, {"seconds": -1}, {"seconds": "1"}, {"seconds": True}, {"seconds": 1e12}, [1], None]
)
def test_the_clock_takes_a_number_of_seconds(api: Any, body: Any) -> None:
    response = api.control("POST", "clock/advance", data=json.dumps(body), content_type="application/json")
    assert response.status_code == 400


def test_all_jobs_of_all_sites(api: Any) -> None:
    first, second = api.submit("lyon"), api.submit("rennes")
    found = api.control("GET", "jobs").json
    assert {(job["uid"], job["site"]) for job in found} == {(first["uid"], "lyon"), (second["uid"], "rennes")}


def test_the_end_can_be_asked_for(api: Any) -> None:
    asked: list[bool] = []
    api.application.on_shutdown = lambda: asked.append(True)
    assert api.control("POST", "shutdown").status_code == 202
    assert asked == [True]
