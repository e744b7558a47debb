"""What OAR 2.5.9 printed, word for word, and what is read from it."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.testbeds.oar.parsing import (
    read_gantt,
    read_jobs,
    read_properties,
    read_states,
    read_submission,
    reasons,
)
from tests.unit.testbeds.oar.fake_oar import NOW, PROPERTIES, full_job, gantt, planned

_KEYS = st.sampled_from(["1", "resources", "jobs", "state", "walltime", "events", "job_id", "resource_id", "x"])
JSON = st.recursive(
    st.sampled_from([None, 0, 1.5, "7", "Running", True]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=8,
)
MODIFIED = "[ADMISSION RULE] Modify resource description with type constraints\n"
FAILED = "[ERROR] Oarsub failed, please verify your request syntax.\n"
NO_COLUMN = """\
DBD::Pg::st execute failed: ERROR:  column "nosuch" does not exist
LINE 4: ...              ('1' AND ( (type = 'default') AND ((nosuch='x'...
                                                             ^ at /usr/share/perl5/OAR/IO.pm line 1203.
Bad resource request (ERROR:  column "nosuch" does not exist
LINE 4: ...              ('1' AND ( (type = 'default') AND ((nosuch='x'...
                                                             )
"""


def test_a_job_has_its_number() -> None:
    submitted = read_submission(MODIFIED + "OAR_JOB_ID=12\n", "")
    assert submitted.job == 12
    assert submitted.reasons == ()


@pytest.mark.parametrize(
    ("stdout", "stderr", "reason"),
    [
        (
            MODIFIED + "OAR_JOB_ID=-5\n",
            "There are not enough resources for your request\n" + FAILED,
            "There are not enough resources for your request",
        ),
        (MODIFIED + "OAR_JOB_ID=-5\n", NO_COLUMN + FAILED, 'column "nosuch" does not exist'),
        (
            "",
            "[ADMISSION RULE] Error: unknown job type: nosuch\n\n",
            "[ADMISSION RULE] Error: unknown job type: nosuch",
        ),
        (MODIFIED, "ERROR : The queue nosuch does not exist\n", "ERROR : The queue nosuch does not exist"),
        (
            "",
            "/!\\ Cannot recognize the resource description : nodes=x\n",
            "/!\\ Cannot recognize the resource description : nodes=x",
        ),
        ("OAR_JOB_ID=\n", "", "oarsub gave no job and no reason"),
        ("", "", "oarsub gave no job and no reason"),
    ],
)
def test_a_refusal_has_oars_own_sentence(stdout: str, stderr: str, reason: str) -> None:
    submitted = read_submission(stdout, stderr)
    assert submitted.job is None
    assert submitted.reasons == (reason,)


def test_a_database_that_complains_often_is_quoted_briefly() -> None:
    said = "".join(
        f"DBD::Pg::db do failed: ERROR:  mistake {n} at /usr/share/perl5/OAR/IO.pm line {n}.\n" for n in range(9)
    )
    assert read_submission("OAR_JOB_ID=\n", said).reasons == ("mistake 0", "mistake 1", "mistake 2")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            "KO (This reservation could run at 2026-11-23 01:32:22)",
            "This reservation could run at 2026-11-23 01:32:22",
        ),
        ("KO (Reservation too old)", "Reservation too old"),
        ("KO", "Reservation not valid"),
    ],
)
def test_a_reservation_that_is_not_valid_has_a_job_all_the_same(answer: str, why: str) -> None:
    text = f"{MODIFIED}OAR_JOB_ID=4\nReservation mode: waiting validation...\nReservation not valid --> {answer}\n"
    submitted = read_submission(text, "")
    assert submitted.job == 4
    assert submitted.reasons == (why,)


def test_a_valid_reservation_is_a_job() -> None:
    text = f"{MODIFIED}OAR_JOB_ID=3\nReservation mode: waiting validation...\nReservation valid --> OK\n"
    assert read_submission(text, "").reasons == ()


def test_a_running_job() -> None:
    (job,) = read_jobs(full_job(3, message="R=4"))
    assert (job.id, job.owner, job.walltime, job.start, job.stop) == (3, "alice", 3600.0, NOW, None)
    assert job.end == NOW + 3600
    assert job.has_nodes
    assert not job.is_over
    assert job.nodes == ("node-1.lab", "node-2.lab")
    assert job.resubmission_of is None


def test_a_waiting_job_has_no_start_and_no_end() -> None:
    (job,) = read_jobs(full_job(state="Waiting", startTime=0, scheduledStart="no prediction", walltime=None))
    assert (job.start, job.forecast, job.end) == (None, None, None)
    assert not job.has_nodes


def test_numbers_may_be_text() -> None:
    (job,) = read_jobs(full_job(startTime="1795393577", walltime="300", exit_code="768", resubmit_job_id="5"))
    assert (job.start, job.walltime, job.exit_code, job.resubmission_of) == (1795393577.0, 300.0, 768, 5)


@pytest.mark.parametrize(
    ("state", "over", "nodes"),
    [
        ("Hold", False, False),
        ("Waiting", False, False),
        ("toLaunch", False, False),
        ("toAckReservation", False, False),
        ("Launching", False, False),
        ("Running", False, True),
        ("Suspended", False, False),
        ("Resuming", False, True),
        ("Finishing", False, False),
        ("toError", False, False),
        ("Terminated", True, False),
        ("Error", True, False),
    ],
)
def test_states(state: str, over: bool, nodes: bool) -> None:
    (job,) = read_jobs(full_job(state=state))
    assert (job.is_over, job.has_nodes) == (over, nodes)


def test_the_last_event_that_explains_is_the_last_word() -> None:
    events = [
        {"type": "WALLTIME", "description": "[sarko] Job [12] from 10 with 20; current time=30 (Elapsed)", "date": 5},
        {"type": "SEND_KILL_JOB", "description": "[Leon] Send the kill signal to oarexec on node-1 for job 1"},
        {"type": "SWITCH_INTO_ERROR_STATE", "description": "[bipbip 1] Ask to change the job state"},
    ]
    (job,) = read_jobs(full_job(state="Error", events=events, message="R=4"))
    assert job.last_words() == "WALLTIME: [sarko] Job [12] from 10 with 20; current time=30 (Elapsed)"
    assert job.events[0].date == 5
    (job,) = read_jobs(full_job(state="Error", message="Job killed by Leon directly"))
    assert job.last_words() == "Job killed by Leon directly"


def test_no_job_is_printed_as_nothing() -> None:
    assert read_jobs("") == ()
    assert read_jobs("{}\n") == ()


@pytest.mark.parametrize(
    "text",
    [
        "Usage: oarstat",
        "[]",
        '{"3": "Error"}',
        '{"3": {"events": "x"}}',
        '{"3": {"exit_code": {}}}',
        '{"x": {}}',
        '{"resources": 3}',
    ],
)
def test_what_is_not_oars_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_jobs(text)
    with pytest.raises(ValueError, match=r".+"):
        read_gantt(text)


def test_states_by_number() -> None:
    assert read_states("1: Running\n") == {1: "Running"}
    assert read_states("") == {}


def test_a_gantt_diagram() -> None:
    jobs = [
        planned(5, 0, 300, 1, 2),
        planned(6, 300, 600, 1, queue_name="besteffort"),
        planned(8, 0, 9, 4, types=["besteffort"]),
    ]
    diagram = read_gantt(gantt(jobs))
    assert [r.id for r in diagram.resources] == [*range(1, 9), 99]
    assert diagram.resources[0].node == "node-1.lab"
    five, six, eight = diagram.occupations
    assert five.nodes == {"node-1.lab", "node-2.lab"}
    assert (five.job, five.start, five.stop) == (5, NOW, NOW + 300)
    assert (five.besteffort, six.besteffort, eight.besteffort) == (False, True, True)


def test_properties_of_a_node_are_those_of_all_its_resources() -> None:
    assert read_properties(PROPERTIES) == {
        "node-1.lab": {"cluster": "big", "cpu": "1", "network_address": "node-1.lab", "resources": 2},
        "node-2.lab": {"cluster": "big", "core": "3", "cpu": "2", "network_address": "node-2.lab", "resources": 1},
    }


def test_reasons_are_said_once() -> None:
    assert reasons("a\na\n", "b") == ("a", "b")


@settings(max_examples=60)
@given(st.text(), st.text())
def test_no_output_breaks_the_reading_of_a_submission(stdout: str, stderr: str) -> None:
    submitted = read_submission(stdout, stderr)
    assert submitted.job is not None or submitted.reasons


@settings(max_examples=60)
@given(JSON)
def test_no_json_breaks_the_reading_but_by_a_value_error(data: object) -> None:
    text = json.dumps(data)
    for read in (read_jobs, read_gantt):
        with contextlib.suppress(ValueError):
            read(text)
