"""The life of a lease: still ours, longer, over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_execo.connectors.host_keys import host_keys
from pytest_execo.errors import ConnectionFailed, InvalidRequest, ReservationFailed, TestbedError
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.oar import OarLease, OarTestbed
from pytest_execo.testbeds.oar.frontend import Unreachable
from tests.unit.testbeds.oar.fake_oar import NOW, FakeOar, full_job


@pytest.fixture
def lease(make: Callable[..., OarTestbed], oar: FakeOar) -> OarLease:
    lease = make().reserve(Request(nodes=2))
    oar.asked.clear()
    return lease


def test_oar_is_asked_every_five_seconds_at_most(lease: OarLease, oar: FakeOar) -> None:
    for _ in range(20):
        assert lease.alive()
        oar.time.sleep(1)
    assert 3 <= oar.count("oarstat -s -j 7") <= 4


@pytest.mark.parametrize(
    ("state", "ours"),
    [
        ("Running", True),
        ("Resuming", True),
        ("Suspended", False),
        ("Finishing", False),
        ("toError", False),
        ("Error", False),
        ("Terminated", False),
    ],
)
def test_the_state_decides(lease: OarLease, oar: FakeOar, state: str, ours: bool) -> None:
    oar.answers["oarstat -s"] = f"7: {state}\n"
    oar.time.sleep(6)
    assert lease.alive() is ours


def test_a_job_that_oar_does_not_know_is_gone(lease: OarLease, oar: FakeOar) -> None:
    oar.answers["oarstat -s"] = ""
    oar.time.sleep(6)
    assert not lease.alive()


def test_what_is_lost_stays_lost(lease: OarLease, oar: FakeOar) -> None:
    oar.answers["oarstat -s"] = ["7: Error\n", "7: Running\n"]
    oar.time.sleep(6)
    assert not lease.alive()
    oar.time.sleep(6)
    assert not lease.alive()


@pytest.mark.parametrize("answer", [Unreachable("cut"), (2, "", "no database\n"), RuntimeError("anything")])
def test_without_an_answer_the_end_decides(lease: OarLease, oar: FakeOar, answer: object) -> None:
    oar.answers["oarstat -s"] = answer
    oar.time.sleep(3500)
    assert lease.alive()
    oar.time.sleep(200)
    assert not lease.alive()


def test_more_time(lease: OarLease, oar: FakeOar) -> None:
    oar.answers["oarwalltime"] = "Accepted: walltime change request accepted for job 7, it will be handled shortly.\n"
    oar.answers["oarstat -f"] = [full_job(), full_job(), full_job(walltime=3690)]
    assert lease.extend(90) == NOW + 3690
    assert "oarwalltime 7 +0:01:30" in oar.asked
    assert (lease.end, lease.walltime) == (NOW + 3690, 3690)


def test_time_that_is_refused(lease: OarLease, oar: FakeOar) -> None:
    oar.answers["oarwalltime"] = (3, "Forbidden: job 7 does not belong to you.\n", "")
    with pytest.raises(
        ReservationFailed, match="job 7 was not given more time: Forbidden: job 7 does not belong to you"
    ):
        lease.extend(90)
    assert lease.end == NOW + 3600


def test_time_that_is_given_in_part(lease: OarLease, oar: FakeOar) -> None:
    oar.answers["oarwalltime"] = "Accepted: …\n"
    oar.answers["oarstat -f"] = [full_job(), full_job(walltime=3668)]
    with pytest.raises(ReservationFailed, match="job 7 was given 1 min 08 s of 30 min 00 s"):
        lease.extend(1800)
    assert lease.end == NOW + 3668


def test_time_that_never_comes(lease: OarLease, oar: FakeOar) -> None:
    oar.answers["oarwalltime"] = "Accepted: …\n"
    with pytest.raises(ReservationFailed, match=r"job 7 was given 0\.0 s of 30 min 00 s"):
        lease.extend(1800)
    assert oar.time.now() - NOW < 120


def test_no_more_time_after_the_end(lease: OarLease, oar: FakeOar) -> None:
    oar.answers["oarstat -f"] = full_job(state="Error")
    with pytest.raises(ReservationFailed, match="job 7 is over"):
        lease.extend(60)
    assert oar.count("oarwalltime") == 0


def test_less_time_is_no_extension(lease: OarLease) -> None:
    with pytest.raises(InvalidRequest, match="extend"):
        lease.extend(-60)


def test_release_deletes_the_job_once(lease: OarLease, oar: FakeOar) -> None:
    lease.release()
    lease.release()
    assert oar.count("oardel 7") == 1
    assert not lease.alive()


def test_release_forgets_the_host_keys(lease: OarLease) -> None:
    node = lease.nodes[0]
    host_keys.check(node, "ssh-ed25519 AAAA")
    with pytest.raises(ConnectionFailed):
        host_keys.check(node, "ssh-ed25519 BBBB")
    lease.release()
    host_keys.check(node, "ssh-ed25519 BBBB")
    host_keys.forget([node])


def test_release_waits_for_the_end(lease: OarLease, oar: FakeOar) -> None:
    oar.answers["oarstat -s"] = ["7: Running\n", "7: Finishing\n", "7: Error\n"]
    lease.release()
    assert oar.count("oarstat -s") == 3


def test_a_job_that_is_over_is_released(lease: OarLease, oar: FakeOar) -> None:
    oar.answers["oardel"] = (6, "", "Cannot frag 7 ; This job was already killed.\n")
    oar.answers["oarstat -s"] = "7: Terminated\n"
    lease.release()


def test_a_job_that_oar_submitted_again_is_deleted_too(lease: OarLease, oar: FakeOar) -> None:
    oar.answers["oarstat -J -u"] = [full_job(8, state="Waiting", resubmit_job_id=7), ""]
    lease.release()
    assert oar.count("oardel 7") == oar.count("oardel 8") == 1


def test_a_cut_frontend_is_tried_again(lease: OarLease, oar: FakeOar) -> None:
    delete = oar.answers["oardel"]
    oar.answers["oardel"] = [Unreachable("cut"), delete]
    lease.release()
    assert oar.count("oardel 7") == 2


def test_a_release_that_fails_says_what_to_do_and_can_be_tried_again(lease: OarLease, oar: FakeOar) -> None:
    delete = oar.answers["oardel"]
    oar.answers["oardel"] = Unreachable("front: cut")
    with pytest.raises(TestbedError, match=r"^front: cut; by hand, on front: oardel 7$"):
        lease.release()
    assert not lease.alive()
    oar.answers["oardel"] = delete
    lease.release()


def test_a_job_that_does_not_end_holds_nobody(lease: OarLease, oar: FakeOar, caplog: pytest.LogCaptureFixture) -> None:
    oar.answers["oarstat -s"] = "7: Finishing\n"
    lease.release()
    assert "job 7 is deleted, and not over yet after 120 s" in caplog.text
    assert oar.time.now() - NOW < 150
