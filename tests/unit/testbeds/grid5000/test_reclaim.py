"""Jobs that a killed process has left at Grid'5000: found by their name, and by nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_execo.errors import ApiError, TestbedError
from pytest_execo.testbeds.grid5000 import testbed as module
from pytest_execo.testbeds.grid5000.answers import Job
from pytest_execo.testbeds.grid5000.testbed import Grid5000Testbed


class FakeClient:
    """An API with jobs."""

    user = "alice"
    uri = "https://api.example.org"

    def __init__(self) -> None:
        self.found: list[Job] = []
        self.away: set[str] = set()
        self.asked = 0
        #: A job that can be seen only from this question on.
        self.late: tuple[int, Job] | None = None

    def jobs(self, site: str, *, name: str, user: str, state: Any) -> Iterator[Job]:
        assert user == "alice"
        self.asked += 1
        if site in self.away:
            raise ApiError("GET", f"{self.uri}/{site}", 404, "no such site")
        if self.late is not None and self.asked >= self.late[0]:
            self.found.append(self.late[1])
            self.late = None
        # A server that does not know the filter answers with all.
        return iter([job for job in self.found if job.site == site and job.state in state])

    def delete_job(self, site: str, job_id: int) -> None:
        self.found = [job for job in self.found if (job.site, job.id) != (site, job_id)]

    def close(self) -> None:
        pass


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def testbed(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> Grid5000Testbed:
    monkeypatch.setattr(Grid5000Testbed, "client", client)
    return Grid5000Testbed("lyon")


def remains(**changes: Any) -> dict[str, Any]:
    return {"name": "pytest-execo-1", "sites": ["lyon"], "asked_at": time.time(), "jobs": {"lyon": 1}, **changes}


def test_jobs_of_the_name_that_are_not_over(testbed: Grid5000Testbed, client: FakeClient) -> None:
    client.found = [
        Job("lyon", 1, "running", name="pytest-execo-1"),
        Job("lyon", 2, "running", name="pytest-execo-2"),
        Job("nancy", 3, "waiting", name="pytest-execo-1"),
        Job("lyon", 4, "terminated", name="pytest-execo-1"),
    ]
    there = remains(sites=["lyon", "nancy"], jobs={})
    assert testbed.reclaim(there) == ["job 1 at lyon deleted", "job 3 at nancy deleted"]
    assert testbed.reclaim(there) == []
    assert [job.id for job in client.found] == [2, 4]


def test_of_jobs_with_a_given_name_only_those_with_our_mark(testbed: Grid5000Testbed, client: FakeClient) -> None:
    client.found = [
        Job("lyon", 1, "running", name="mine", command="sleep 9 # pytest-execo-1"),
        Job("lyon", 2, "running", name="mine", command="sleep 9 # pytest-execo-2"),
    ]
    assert testbed.reclaim(remains(name="mine", mark="pytest-execo-1")) == ["job 1 at lyon deleted"]
    assert [job.id for job in client.found] == [2]


def test_a_job_that_was_being_submitted_is_looked_for_again(
    testbed: Grid5000Testbed, client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(module.time, "time", lambda: now[0])
    monkeypatch.setattr(module.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    client.late = (3, Job("lyon", 5, "waiting", name="pytest-execo-1"))
    killed = {key: value for key, value in remains(asked_at=999.0).items() if key != "jobs"}
    assert testbed.reclaim(killed) == ["job 5 at lyon deleted"]
    assert now[0] == 1002.0
    # None comes: there is an end to it.
    assert testbed.reclaim(killed) == []
    assert 1014.0 <= now[0] < 1016.0
    asked = client.asked
    assert testbed.reclaim(killed) == []
    assert client.asked == asked + 1


def test_one_site_that_is_away_does_not_save_the_jobs_of_another(testbed: Grid5000Testbed, client: FakeClient) -> None:
    client.away = {"lyon"}
    client.found = [Job("nancy", 3, "running", name="pytest-execo-1")]
    with pytest.raises(TestbedError, match="no such site") as raised:
        testbed.reclaim(remains(sites=["lyon", "nancy"]))
    assert raised.value.__notes__ == ["job 3 at nancy deleted"]
    assert client.found == []


@pytest.mark.parametrize("wrong", [{}, {"sites": 1, "name": "n"}, {"directory": "/tmp"}, {"sites": ["lyon"]}])
def test_what_is_of_another_testbed_is_refused(testbed: Grid5000Testbed, wrong: dict[str, Any]) -> None:
    with pytest.raises(TestbedError, match="tells of no jobs"):
        testbed.reclaim(wrong)
