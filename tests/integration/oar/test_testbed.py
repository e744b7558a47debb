"""The testbed ``oar`` on a real OAR 2.5.9: submit, wait, nodes, more time, the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from pytest_execo import Host
from pytest_execo.errors import RequestNotMet, ReservationFailed
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.oar import OarLease, OarTestbed
from pytest_execo.testbeds.oar.frontend import Frontend, Unreachable
from pytest_execo.testbeds.oar.parsing import Job
from pytest_execo.testbeds.oar.waiting import wait_until_over
from tests.integration.oar.lab.site import OarLab

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Eventually = Callable[..., None]
#: A job that starts no process: quicker, where none is needed.
NOOP = ("noop",)


def make(lab: OarLab, user: str = "alice", **options: str) -> OarTestbed:
    return OarTestbed(
        "frontend", reach=lambda node: lab.host(node, user), frontend=lab.host("frontend", user), options=options
    )


def states(lab: OarLab, user: str = "alice") -> dict[int, str]:
    """The user's jobs that are not over."""
    return {job.id: job.state for job in Frontend(lab.host(user=user), "frontend").own_jobs()}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases look often whether they are still alive."""
    monkeypatch.setattr("pytest_execo.testbeds.oar.lease.FRESH", 0.5)


@pytest.fixture
def testbed(oar_lab: OarLab) -> Iterator[OarTestbed]:
    yield make(oar_lab)
    assert states(oar_lab) == {}, f"a test left jobs behind\n{oar_lab.log()}"


@pytest.fixture
def bob(oar_lab: OarLab) -> OarTestbed:
    return make(oar_lab, "bob")


@pytest.fixture(scope="module")
def occupied(oar_lab: OarLab) -> Iterator[OarLease]:
    """All nodes are bob's."""
    lease = make(oar_lab, "bob").reserve(Request(nodes=4, walltime=900, types=NOOP))
    yield lease
    lease.release()


def job_of(lease: OarLease) -> Job:
    job = lease.frontend.job(lease.job_id)
    assert job is not None
    return job


def test_from_a_request_to_commands_on_nodes_and_back(testbed: OarTestbed, oar_lab: OarLab) -> None:
    said: list[str] = []
    testbed.say = said.append
    plan = testbed.plan(Request(nodes=2, walltime=300))
    assert plan.unmet == ()
    assert plan.start is not None
    assert abs(plan.start - time.time()) < 30
    lease = testbed.reserve(Request(nodes=2, walltime=300))
    try:
        assert said[0] == f"job {lease.job_id} submitted on frontend"
        assert len(lease.nodes) == 2
        assert [p.stdout.strip() for p in lease.nodes.run("hostname")] == lease.nodes.names
        assert lease.alive()
        assert lease.end is not None
        assert 200 < lease.end - time.time() <= 300
        description = json.loads(json.dumps(lease.describe()))
        assert description["job"] == lease.job_id
        assert [n["cluster"] for n in description["nodes"]] == ["labcluster"] * 2
        assert description["nodes"][0]["resources"] == 2
        assert states(oar_lab) == {lease.job_id: "Running"}
    finally:
        lease.release()
    assert not lease.alive()
    assert states(oar_lab) == {}
    lease.release()
    left = oar_lab.run("ls", "/home/alice", user="alice")
    assert left == "", "the job left files in the home directory"


def test_nodes_by_name_cluster_switch_and_property(testbed: OarTestbed) -> None:
    lease = testbed.reserve(
        Request(
            hosts=("node-3", "node-4.lab.example.org"),
            shares=(("labcluster", 2),),
            same_switch=True,
            properties=(("cpu", ">=3"), ("deploy", False)),
            project="lab",
            types=NOOP,
            walltime=60,
        )
    )
    job = job_of(lease)
    lease.release()
    assert lease.nodes.names == ["node-3.lab.example.org", "node-4.lab.example.org"]
    assert job.raw["project"] == "lab"
    assert "cluster = 'labcluster'" in job.raw["wanted_resources"]
    assert "/switch=1/" in job.raw["wanted_resources"]
    assert not lease.alive()


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (Request(nodes=9), "asks for 9 nodes, frontend has 4"),
        (Request(nodes=1, cluster="nosuch"), "asks for cluster 'nosuch', frontend has labcluster"),
        (
            Request(nodes=1, properties=(("nosuch", 1),)),
            "asks for property 'nosuch', frontend has besteffort, cluster, core, cpu, deploy, host, memnode,"
            " network_address, state, switch, type, vlan, wattmeter",
        ),
    ],
)
def test_what_there_is_not_is_known_before_submitting(testbed: OarTestbed, request_: Request, line: str) -> None:
    assert testbed.plan(request_).unmet == (line,)
    with pytest.raises(RequestNotMet):
        testbed.reserve(request_)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-l", "/nodes=9"], "There are not enough resources for your request"),
        (["-l", "/nodes=1", "-p", "nosuch='x'"], 'column "nosuch" does not exist'),
        (["-l", "/nodes=1", "-t", "nosuch"], "[ADMISSION RULE] Error: unknown job type: nosuch"),
        (["-l", "/nodes=1", "-q", "nosuch"], "ERROR : The queue nosuch does not exist"),
        (["-l", "/nodes=x"], "/!\\ Cannot recognize the resource description : nodes=x"),
    ],
)
def test_oars_own_refusals_are_read(testbed: OarTestbed, words: list[str], said: str) -> None:
    submitted = testbed.frontend.submit(["oarsub", *words, "true"])
    assert submitted.job is None
    assert submitted.reasons == (said,)


def test_a_refusal_reaches_the_user(testbed: OarTestbed) -> None:
    with pytest.raises(ReservationFailed, match=r"^frontend: \[ADMISSION RULE\] Error: unknown job type: nosuch$"):
        testbed.reserve(Request(nodes=1, types=("nosuch",)))


def test_an_advance_reservation_from_its_date_to_the_end_of_its_walltime(
    testbed: OarTestbed, eventually: Eventually
) -> None:
    start = float(int(time.time()) + 3)
    lease = testbed.reserve(Request(nodes=1, walltime=6, start=start, types=NOOP))
    try:
        assert time.time() >= start - 1  # SCHEDULER_JOB_SECURITY_TIME: OAR looks a second ahead
        assert job_of(lease).raw["reservation"] == "Scheduled"
        assert start <= lease.start < start + 6
        # OAR shortens a job that it launches late.
        assert lease.end == pytest.approx(start + 6, abs=3)
        assert wait_until_over(lease.frontend, lease.job_id, timeout=40)
        assert time.time() >= start + 4
        assert "WALLTIME" in {event.type for event in job_of(lease).events}
        eventually(lambda: not lease.alive(), timeout=10)
    finally:
        lease.release()


def test_more_time(testbed: OarTestbed, bob: OarTestbed, oar_lab: OarLab, eventually: Eventually) -> None:
    lease = testbed.reserve(Request(nodes=4, walltime=60, types=NOOP))
    try:
        before = lease.end
        assert before is not None
        assert lease.extend(90) == lease.end == before + 90
        with pytest.raises(
            ReservationFailed, match=r"more time: Forbidden: request cannot be updated because the wall"
        ):
            lease.extend(7200)
        # What is planned for somebody else is not ours to have.
        date = bob.frontend.date_text(before + 150)
        reserved = bob.frontend.submit(["oarsub", "-l", "/nodes=4,walltime=0:01:00", "-r", date, "true"])
        assert reserved.job is not None
        assert reserved.reasons == ()
        try:
            with pytest.raises(ReservationFailed, match=r"was given .* of 20 min 00 s"):
                lease.extend(1200)
            assert lease.end == pytest.approx(before + 150, abs=5)
        finally:
            bob.frontend.delete(reserved.job)
        # Somebody deletes the job: the nodes are lost, and to give them back is no error.
        oar_lab.run("oardel", str(lease.job_id), user="alice")
        eventually(lambda: not lease.alive(), timeout=40)
    finally:
        lease.release()


def test_a_best_effort_job_gives_way(testbed: OarTestbed, bob: OarTestbed, eventually: Eventually) -> None:
    weak = testbed.reserve(Request(nodes=4, walltime=300, types=("besteffort", *NOOP)))
    try:
        plan = bob.plan(Request(nodes=4, walltime=60))
        assert plan.start is not None
        assert plan.start < time.time() + 30
        strong = bob.reserve(Request(nodes=4, walltime=60, types=NOOP))
        strong.release()
        eventually(lambda: not weak.alive(), timeout=40)
    finally:
        weak.release()


class TestOccupied:
    """All nodes are somebody else's."""

    def test_the_plan_says_when_they_are_free(self, testbed: OarTestbed, occupied: OarLease) -> None:
        assert testbed.plan(Request(nodes=1, walltime=60)).start == pytest.approx(occupied.end, abs=5)

    def test_a_reservation_that_is_not_possible(self, testbed: OarTestbed, occupied: OarLease) -> None:
        with pytest.raises(ReservationFailed, match=r"^frontend: This reservation could run at \d{4}-\d\d-\d\d "):
            testbed.reserve(Request(nodes=1, walltime=60, start=time.time() + 20))
        with pytest.raises(ReservationFailed, match=r"^frontend: Reservation too old$"):
            testbed.reserve(Request(nodes=1, walltime=60, start=1e9))

    def test_a_job_that_can_not_start_in_time_is_deleted(self, oar_lab: OarLab, occupied: OarLease) -> None:
        with pytest.raises(ReservationFailed, match=r"is Waiting.*; it had to run by now"):
            make(oar_lab, wait="2s").reserve(Request(nodes=1, walltime=60))
        assert states(oar_lab) == {}

    def test_it_stays_somebody_elses(self, testbed: OarTestbed, occupied: OarLease) -> None:
        with pytest.raises(ReservationFailed, match=r"could not be deleted: .*You are not the right user"):
            testbed.frontend.delete(occupied.job_id)
        theirs = OarLease(testbed.frontend, job_of(occupied), occupied.nodes)
        with pytest.raises(ReservationFailed, match=r"Forbidden: job [0-9]+ does not belong to you"):
            theirs.extend(10)
        assert job_of(occupied).state == "Running"


def test_a_frontend_without_a_door(oar_lab: OarLab) -> None:
    closed = Host("127.0.0.1", name="closed", user="alice", port=1, keyfile=oar_lab.host().keyfile)
    testbed = OarTestbed("closed", frontend=closed)
    with pytest.raises(Unreachable, match="closed: oarstat could not be run: "):
        testbed.frontend.run(["oarstat"])


def test_a_host_without_oar(oar_lab: OarLab) -> None:
    frontend = Frontend(oar_lab.host(), "frontend")
    with pytest.raises(ReservationFailed, match="frontend: there is no oarsub-of-2030; --execo-site names a frontend"):
        frontend.run(["oarsub-of-2030"])
