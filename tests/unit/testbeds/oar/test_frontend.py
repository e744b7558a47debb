"""Questions to a frontend: answered, not answered, answered with something else."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from pytest_execo.errors import ReservationFailed
from pytest_execo.testbeds.oar.frontend import Frontend, Unreachable
from tests.unit.testbeds.oar.fake_oar import FakeClock, FakeOar


def test_a_question_that_changes_nothing_is_asked_again(oar: FakeOar) -> None:
    oar.answers["oarstat -s"] = [Unreachable("cut"), Unreachable("cut"), "7: Running\n"]
    assert oar.state(7) == "Running"
    assert oar.time.slept == [1.0, 5.0]


def test_but_not_for_ever(oar: FakeOar) -> None:
    oar.answers["oarstat -s"] = Unreachable("cut")
    with pytest.raises(Unreachable):
        oar.state(7)
    assert oar.count("oarstat") == 3


def test_what_failed_is_not_asked_again(oar: FakeOar) -> None:
    oar.answers["oarstat -s"] = (2, "", "Cannot connect to the database\n")
    with pytest.raises(ReservationFailed, match=r"^front: oarstat: Cannot connect to the database$"):
        oar.state(7)
    assert oar.count("oarstat") == 1


def test_what_is_not_oars_is_said(oar: FakeOar) -> None:
    oar.answers["oarstat -J -u"] = "Welcome!\n"
    with pytest.raises(ReservationFailed, match=r"front: oarstat printed what is not OAR 2\.5's"):
        oar.own_jobs()


@pytest.mark.parametrize(
    "answer",
    [
        "Deleting the job = 7 ...REGISTERED.\n",
        (6, "Deleting the job = 7 ...ERROR.\n", "Cannot frag 7 ; This job was already killed.\n"),
    ],
)
def test_deleting(oar: FakeOar, answer: object) -> None:
    oar.answers["oardel"] = answer
    oar.delete(7)
    assert oar.asked == ["oardel 7"]


@pytest.mark.parametrize("state", ["7: Error\n", "7: Terminated\n", ""])
def test_what_is_gone_is_deleted(oar: FakeOar, state: str) -> None:
    oar.answers |= {"oardel": (1, "", "Cannot frag 7 ; You are not the right user.\n"), "oarstat -s": state}
    oar.delete(7)


def test_somebody_elses_job_is_not(oar: FakeOar) -> None:
    oar.answers["oardel"] = (1, "Deleting the job = 7 ...ERROR.\n", "Cannot frag 7 ; You are not the right user.\n")
    with pytest.raises(
        ReservationFailed, match="job 7 could not be deleted: Cannot frag 7 ; You are not the right user"
    ):
        oar.delete(7)


def test_a_date_is_the_frontends(oar: FakeOar) -> None:
    assert oar.date_text(1_795_397_240.9) == "2026-11-23 01:27:20"
    assert oar.asked[0] == "date -d @1795397240 '+%Y-%m-%d %H:%M:%S'"


class TestThisMachine:
    """Real processes, on the frontend that this machine would be."""

    @pytest.fixture
    def here(self) -> Frontend:
        return Frontend(None, "local", FakeClock())

    @pytest.mark.slow
    def test_an_answer(self, here: Frontend) -> None:
        answer = here.run([sys.executable, "-c", "import sys; print('out'); sys.exit('err')"])
        assert (answer.stdout, answer.stderr, answer.exit_code) == ("out\n", "err\n", 1)
        assert answer.said() == "err; out"

    def test_no_oar(self, here: Frontend) -> None:
        with pytest.raises(ReservationFailed, match="local: there is no oarsub-that-is-not-there"):
            here.run(["oarsub-that-is-not-there"])

    def test_no_end(self, here: Frontend) -> None:
        with pytest.raises(Unreachable, match=r"local: no end of sleep 60 within 0\.05 s"):
            here.run(["sleep", "60"], timeout=0.05)

    def test_words_stay_words(self, here: Frontend) -> None:
        assert here.run(["printf", "%s.", "a b", "it's", "$HOME"]).stdout == "a b.it's.$HOME."

    def test_a_frontend_that_does_not_answer(self) -> None:
        from pytest_execo import Host

        closed = Host("127.0.0.1", name="closed", user="nobody", port=1, keyfile="/nonexistent", host_key="accept-new")
        with pytest.raises(Unreachable, match="there: oarstat could not be run: "):
            Frontend(dataclasses.replace(closed), "there").run(["oarstat"])
