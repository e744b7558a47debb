"""What a reservation whose process was killed has left in OAR."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pytest_execo.errors import ReservationFailed, TestbedError
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.oar import OarTestbed
from pytest_execo.testbeds.oar.frontend import Unreachable
from tests.unit.testbeds.oar.fake_oar import FakeOar, full_job

Make = Callable[..., OarTestbed]


def listed(*jobs: tuple[int, str | None, str]) -> str:
    """What ``oarstat -J -u`` prints."""
    parts: dict[str, Any] = {}
    for number, name, state in jobs:
        parts |= json.loads(full_job(number, state, name=name))
    return json.dumps(parts)


def test_the_name_is_told_before_the_job_is_there_and_the_number_after(make: Make, oar: FakeOar) -> None:
    told: list[tuple[Mapping[str, Any], int]] = []
    make().reserve(Request(nodes=2), remember=lambda what: told.append((dict(what), oar.count("oarsub"))))
    (line,) = [shlex.split(line) for line in oar.asked if line.startswith("oarsub")]
    name = line[line.index("-n") + 1]
    assert told == [({"name": name}, 0), ({"name": name, "job": 7}, 1)]


def test_when_it_cannot_be_noted_nothing_is_asked_for(make: Make, oar: FakeOar) -> None:
    def full(_: Mapping[str, Any]) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        make().reserve(Request(nodes=2), remember=full)
    assert oar.count("oarsub") == 0


def test_when_the_number_cannot_be_noted_no_job_stays(make: Make, oar: FakeOar) -> None:
    def full(what: Mapping[str, Any]) -> None:
        if "job" in what:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        make().reserve(Request(nodes=2), remember=full)
    assert oar.count("oardel 7") == 1


def test_only_jobs_of_that_name_are_deleted(make: Make, oar: FakeOar) -> None:
    oar.answers["oarstat -J -u"] = listed((7, "pytest-execo-1", "Running"), (8, "pytest-execo-2", "Running"))
    assert make().reclaim({"name": "pytest-execo-1"}) == ["job 7 at front deleted"]
    assert [line for line in oar.asked if line.startswith("oardel")] == ["oardel 7"]


def test_a_number_alone_is_not_enough(make: Make, oar: FakeOar) -> None:
    oar.answers["oarstat -J -u"] = listed((7, "mine", "Running"))
    assert make().reclaim({"name": "pytest-execo-1", "job": 7}) == []
    oar.answers["oarstat -J -u"] = listed((7, None, "Running"))
    assert make().reclaim({"name": "pytest-execo-1", "job": 7}) == ["job 7 at front deleted"]


def test_a_second_time_finds_nothing(make: Make, oar: FakeOar) -> None:
    oar.answers["oarstat -J -u"] = [listed((7, "n", "Running")), ""]
    assert make().reclaim({"name": "n", "job": 7}) == ["job 7 at front deleted"]
    assert make().reclaim({"name": "n", "job": 7}) == []


def test_a_frontend_that_is_away_is_to_be_tried_again(make: Make, oar: FakeOar) -> None:
    oar.answers["oarstat -J -u"] = Unreachable("front: no connection")
    with pytest.raises(ReservationFailed, match="no connection"):
        make().reclaim({"name": "n"})


def test_what_is_of_another_testbed_is_refused(make: Make) -> None:
    with pytest.raises(TestbedError, match="tells of no job"):
        make().reclaim({"directory": "/tmp"})
