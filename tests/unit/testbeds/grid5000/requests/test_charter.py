"""Days, nights and holidays, whatever the zone of the machine is."""

from __future__ import annotations

import datetime as dt
import time
import zoneinfo
from collections.abc import Iterator

import pytest

from pytest_execo.testbeds import Request
from pytest_execo.testbeds.grid5000.reference import Reference
from pytest_execo.testbeds.grid5000.requests import forbidden, next_period, over_quota
from pytest_execo.testbeds.grid5000.requests.charter import holidays, is_day

PARIS = zoneinfo.ZoneInfo("Europe/Paris")


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"], autouse=True)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the machine live elsewhere: execo's days move with it."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def paris(text: str) -> float:
    """Return the Unix date of a time in Paris."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp()


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-23 08:59", False),
        ("2026-11-23 09:00", True),
        ("2026-11-23 18:59", True),
        ("2026-11-23 19:00", False),
        ("2026-11-22 12:00", False),  # a Sunday
        ("2026-11-11 12:00", False),  # Armistice
        ("2026-07-14 12:00", False),
        ("2026-07-15 12:00", True),
    ],
)
def test_days(text: str, day: bool) -> None:
    assert is_day(paris(text)) is day


def test_holidays_that_move() -> None:
    assert {dt.date(2026, 4, 6), dt.date(2026, 5, 14), dt.date(2026, 5, 25)} <= holidays(2026)
    assert {dt.date(2024, 4, 1), dt.date(2024, 5, 9), dt.date(2024, 5, 20)} <= holidays(2024)
    assert len(holidays(2026)) == 11


def test_the_next_day() -> None:
    friday_night, monday = paris("2026-11-20 19:00"), paris("2026-11-23 09:00")
    assert next_period(friday_night, monday) is None
    assert next_period(friday_night, monday + 60) == (monday, monday + 60)
    assert next_period(monday + 60, monday + 20 * 3600) == (monday + 60, paris("2026-11-23 19:00"))


@pytest.mark.parametrize(
    ("types", "start", "end", "words"),
    [
        (("night",), "2026-11-23 19:00", "2026-11-24 09:00", None),
        (
            ("night",),
            "2026-11-23 19:00",
            "2026-11-24 09:01",
            "must not run by day, and it would from Tue 2026-11-24 09:00",
        ),
        (("night",), "2026-11-20 19:00", "2026-11-23 09:00", None),  # a whole week-end
        (("day",), "2026-11-23 09:00", "2026-11-23 19:00", None),
        (("day",), "2026-11-23 18:00", "2026-11-23 19:01", "must lie in one working day"),
        ((), "2026-11-23 18:00", "2026-11-24 19:01", None),
    ],
)
def test_jobs_of_day_and_night(types: tuple[str, ...], start: str, end: str, words: str | None) -> None:
    reason = forbidden(Request(types=types), paris(start), paris(end))
    assert reason is None if words is None else reason is not None and words in reason


@pytest.mark.parametrize(
    ("request_", "nodes", "start", "end", "lines"),
    [
        # Six nodes of twelve cores: 144 core hours by day.
        (Request(), {"taurus": 6}, "2026-11-23 09:00", "2026-11-23 11:00", []),
        (
            Request(),
            {"taurus": 6},
            "2026-11-23 09:00",
            "2026-11-23 11:30",
            [
                "uses 180 core hours of taurus by day on Mon 2026-11-23; the usage policy grants 144, "
                "2 hours of the whole cluster"
            ],
        ),
        (Request(), {"taurus": 1}, "2026-11-23 08:00", "2026-11-23 20:00", []),
        (Request(), {"taurus": 6}, "2026-11-23 19:00", "2026-11-24 11:00", []),
        (Request(), {"taurus": 6}, "2026-11-20 19:00", "2026-11-23 09:00", []),
        (Request(types=("besteffort",)), {"taurus": 6}, "2026-11-23 09:00", "2026-11-23 19:00", []),
        (Request(cluster="paradoxe"), {"paradoxe": 5}, "2026-11-23 09:00", "2026-11-23 19:00", []),
    ],
)
def test_the_quota_of_a_day(
    request_: Request, nodes: dict[str, int], start: str, end: str, lines: list[str], reference: Reference
) -> None:
    assert over_quota(request_, reference, nodes, paris(start), paris(end)) == lines


def test_each_day_and_cluster_has_its_own_quota(reference: Reference) -> None:
    friday, tuesday = paris("2026-11-20 12:00"), paris("2026-11-24 12:00")
    lines = over_quota(Request(), reference, {"taurus": 6, "nova": 1, "gros": 6}, friday, tuesday)
    assert [(line.split()[5], line.split(";")[0].split()[-2]) for line in lines] == [
        (cluster, day) for cluster in ("taurus", "nova", "gros") for day in ("Fri", "Mon", "Tue")
        if cluster != "nova" or day == "Mon"
    ]  # fmt: skip
