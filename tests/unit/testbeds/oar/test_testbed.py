"""From a request to a lease, and all the ways in which there is none."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest

from pytest_execo.errors import InvalidRequest, RequestNotMet, ReservationFailed
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.oar import OarTestbed
from pytest_execo.testbeds.oar.frontend import Unreachable
from tests.unit.testbeds.oar.fake_oar import NOW, FakeOar, full_job, gantt, planned

Make = Callable[..., OarTestbed]


@pytest.mark.parametrize("site", ["frontend", "frontend.lyon.example.org", "10.0.0.1", "local", "[::1]", "a-b_c"])
def test_any_frontend_is_a_site(site: str) -> None:
    assert OarTestbed.has(site)


@pytest.mark.parametrize("site", ["", "-oProxyCommand=id", "a b", "a;b", "a\n"])
def test_what_no_host_is_called_is_none(site: str) -> None:
    assert not OarTestbed.has(site)


def test_the_frontend_is_reached_as_the_options_say() -> None:
    host = OarTestbed("front", options={"user": "alice", "keyfile": "/key"}).frontend.host
    assert host is not None
    assert (host.address, host.user, host.keyfile, host.host_key) == ("front", "alice", "/key", None)
    assert OarTestbed("local").frontend.host is None


@pytest.mark.parametrize(("name", "value"), [("host-key", "no"), ("wait", "soon")])
def test_options_are_checked(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"--execo-option={name}={value}: "):
        OarTestbed("front", options={name: value})


def test_nodes_are_reached_by_their_names_in_oar(oar: FakeOar) -> None:
    testbed = OarTestbed("front", options={"user": "alice", "host-key": "accept-new"})
    testbed.frontend = oar
    node = testbed.reserve(Request(nodes=2)).nodes[0]
    assert (node.address, node.name, node.user, node.host_key) == ("node-1.lab", "node-1.lab", "alice", "accept-new")


def test_a_plan_has_no_effect(make: Make, oar: FakeOar) -> None:
    oar.answers["oarstat -J -g"] = gantt([planned(1, -60, 300, 1, 2)])
    plan = make().plan(Request(nodes=4, walltime=60, monitor=""))
    assert (plan.nodes, plan.start, plan.walltime, plan.unmet) == (4, NOW + 300, 60, ())
    assert plan.notes == ("monitor= has no meaning here: OAR measures nothing",)
    assert oar.count("oarstat -J -g") == len(oar.asked) == 1


def test_what_is_not_said_is_the_testbeds_default(make: Make) -> None:
    assert make().plan(Request()).nodes == 1
    assert make(nodes=3).plan(Request()).nodes == 3
    assert make().plan(Request()).walltime == 3600
    assert make().plan(Request(hosts=("node-1", "node-2"))).nodes == 2


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (Request(environment="debian12-min"), "asks for environment 'debian12-min', which OAR alone does not give"),
        (Request(vlan="kavlan"), "asks for a VLAN, which OAR alone does not give"),
        (Request(subnets=(("slash_22", 1),)), "asks for subnets, which OAR alone does not give"),
        (Request(disks=True), "asks for disks, which OAR alone does not give"),
        (Request(nodes=-1), "asks for -1 nodes, a lease has at least 1"),
        (Request(walltime=0.0), "asks for 0 s, a job of OAR's has at least 1 s"),
        (Request(nodes=5), "asks for 5 nodes, front has 4"),
    ],
)
def test_what_oar_has_not_is_not_submitted(make: Make, oar: FakeOar, request_: Request, line: str) -> None:
    assert make().plan(request_).unmet == (line,)
    with pytest.raises(RequestNotMet) as caught:
        make().reserve(request_)
    assert caught.value.reasons == (line,)
    assert oar.count("oarsub") == 0


def test_a_lease_has_the_jobs_nodes(make: Make, oar: FakeOar) -> None:
    lease = make().reserve(Request(nodes=2, hosts=("node-1", "node-2.lab"), walltime=3600))
    assert lease.nodes.names == ["node-1.lab", "node-2.lab"]
    assert [node.address for node in lease.nodes] == ["at-node-1.lab", "at-node-2.lab"]
    assert lease.end == NOW + 3600
    assert lease.alive()
    (line,) = (line for line in oar.asked if line.startswith("oarsub"))
    assert "{network_address in ('node-1.lab', 'node-2.lab')}/nodes=2,walltime=1:00:00" in shlex.split(line)
    assert lease.describe() == {
        "testbed": "oar",
        "frontend": "front",
        "job": 7,
        "start": NOW,
        "walltime": 3600,
        "end": NOW + 3600,
        "nodes": [
            {"name": "node-1.lab", "cluster": "big", "cpu": "1", "network_address": "node-1.lab", "resources": 2},
            {
                "name": "node-2.lab",
                "cluster": "big",
                "core": "3",
                "cpu": "2",
                "network_address": "node-2.lab",
                "resources": 1,
            },
        ],
    }


def test_what_oar_refuses_is_said_in_its_words(make: Make, oar: FakeOar) -> None:
    oar.answers["oarsub"] = (8, "OAR_JOB_ID=-5\n", "There are not enough resources for your request\n")
    with pytest.raises(ReservationFailed, match=r"^front: There are not enough resources for your request$"):
        make().reserve(Request(nodes=2))
    assert oar.count("oardel") == 0


def test_an_advance_reservation_has_the_frontends_date(make: Make, oar: FakeOar) -> None:
    start = NOW + 7200
    plan = make().plan(Request(nodes=1, start=start))
    assert plan.start == start
    make().reserve(Request(nodes=1, start=start))
    (line,) = (line for line in oar.asked if line.startswith("oarsub"))
    words = shlex.split(line)
    assert words[words.index("-r") + 1] == "2026-11-23 01:27:20"


def test_a_reservation_that_is_not_valid_says_when_it_would_be(make: Make, oar: FakeOar) -> None:
    said = "OAR_JOB_ID=4\nReservation not valid --> KO (This reservation could run at 2026-11-23 01:32:22)\n"
    oar.answers["oarsub"] = (10, said, "")
    with pytest.raises(ReservationFailed, match="front: This reservation could run at 2026-11-23 01:32:22"):
        make().reserve(Request(nodes=1, start=NOW + 60))
    assert oar.count("oarstat -f") == 0


def test_a_reservation_may_be_late_by_a_quarter_of_an_hour(make: Make, oar: FakeOar) -> None:
    oar.answers["oarstat -f"] = full_job(state="Waiting", scheduledStart=int(NOW + 7200))
    with pytest.raises(ReservationFailed, match="it had to run by now"):
        make().reserve(Request(nodes=1, start=NOW + 7200))
    assert NOW + 7200 + 900 <= oar.time.now() < NOW + 7200 + 1100
    assert oar.count("oardel 7") == 1


def test_a_job_that_does_not_start_is_deleted(make: Make, oar: FakeOar) -> None:
    oar.answers["oarstat -f"] = full_job(state="Waiting", scheduledStart=None)
    with pytest.raises(ReservationFailed, match="is Waiting"):
        make(options={"wait": "10m"}).reserve(Request(nodes=1))
    assert oar.count("oardel 7") == 1
    assert 600 <= oar.time.now() - NOW < 700


@pytest.mark.parametrize("question", ["oarstat -f", "oarstat -p"])
def test_no_job_stays_behind_when_somebody_interrupts(make: Make, oar: FakeOar, question: str) -> None:
    oar.answers[question] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        make().reserve(Request(nodes=1))
    assert oar.count("oardel 7") == 1


def test_a_job_that_can_not_be_deleted_is_named_in_the_error(make: Make, oar: FakeOar) -> None:
    oar.answers |= {"oarstat -f": "", "oardel": Unreachable("front: cut")}
    with pytest.raises(ReservationFailed, match="does not know job 7") as caught:
        make().reserve(Request(nodes=1))
    assert caught.value.__notes__ == ["front: cut; by hand, on front: oardel 7"]


def test_a_job_whose_number_was_lost_on_the_way_is_found_by_its_name(make: Make, oar: FakeOar) -> None:
    names = []

    def lost(words: list[str]) -> str:
        names.append(words[words.index("-n") + 1])
        raise Unreachable("front: connection lost")

    oar.answers |= {
        "oarsub": lost,
        "oarstat -J -u": lambda words: full_job(9, state="Waiting", name=names[0]),
        "oarstat -f": full_job(9),
    }
    assert make().reserve(Request(nodes=2)).job_id == 9
    assert len(names) == 1, "submitted twice"


def test_and_when_there_is_none_it_is_said(make: Make, oar: FakeOar) -> None:
    oar.answers["oarsub"] = Unreachable("front: connection lost")
    oar.answers["oarstat -J -u"] = full_job(9, name="somebody's")
    with pytest.raises(ReservationFailed, match="connection lost"):
        make().reserve(Request(nodes=2))
    assert oar.count("oardel") == 0


def test_an_interrupted_submission_is_undone(make: Make, oar: FakeOar) -> None:
    names = []

    def interrupted(words: list[str]) -> str:
        names.append(words[words.index("-n") + 1])
        raise KeyboardInterrupt

    oar.answers |= {"oarsub": interrupted, "oarstat -J -u": lambda words: full_job(9, name=names[0])}
    with pytest.raises(KeyboardInterrupt):
        make().reserve(Request(nodes=2))
    assert oar.count("oardel 9") == 1


def test_a_frontend_without_oar_is_an_error_of_the_plan(make: Make, oar: FakeOar) -> None:
    oar.answers["oarstat -J -g"] = ReservationFailed("front: there is no oarstat")
    with pytest.raises(ReservationFailed, match="there is no oarstat"):
        make().plan(Request(nodes=1))
