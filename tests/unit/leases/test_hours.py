"""Nights and week-ends: what they are, and where a lease of a length has room."""

from __future__ import annotations

import datetime as dt
import math
import time
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.leases.hours import Hours
from pytest_execo.testbeds.grid5000.requests.charter import is_day, next_period

PARIS = zoneinfo.ZoneInfo("Europe/Paris")
HOUR = 3600.0
ANY, NIGHTS = Hours.ANY, Hours.NIGHTS
dates = st.floats(min_value=dt.datetime(2020, 1, 1).timestamp(), max_value=dt.datetime(2040, 1, 1).timestamp())
walltimes = st.floats(min_value=0, max_value=60 * HOUR)


def date(text: str) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp()


@pytest.mark.parametrize(("text", "hours"), [("any", ANY), ("nights", NIGHTS), (" Nights ", NIGHTS)])
def test_as_users_write_it(text: str, hours: Hours) -> None:
    assert Hours.parse(text) is hours


@pytest.mark.parametrize("text", ["", "night", "weekends", "NIGHTS,any"])
def test_what_would_be_right_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="are no hours for leases; write 'any' or 'nights'") as raised:
        Hours.parse(text)
    assert str(raised.value).startswith(repr(text))


@pytest.mark.parametrize(
    ("now", "hours", "opens"),
    [
        ("2026-11-23 03:00", 6, "2026-11-23 03:00"),  # Monday, before the day
        ("2026-11-23 03:00", 7, "2026-11-23 19:00"),
        ("2026-11-23 09:00", 1, "2026-11-23 19:00"),
        ("2026-11-23 12:00", 14, "2026-11-23 19:00"),
        ("2026-11-23 12:00", 15, "2026-11-27 19:00"),  # no night is that long, the week-end is
        ("2026-11-27 18:59:59", 62, "2026-11-27 19:00"),
        ("2026-11-28 12:00", 45, "2026-11-28 12:00"),
        ("2026-11-28 12:00", 46, "2026-12-04 19:00"),  # the next week-end
    ],
)
def test_nights_and_week_ends(now: str, hours: float, opens: str) -> None:
    assert NIGHTS.opens(date(now), hours * HOUR) == date(opens)


def test_holidays_make_week_ends_longer() -> None:
    # Christmas 2026 is a Friday.
    assert NIGHTS.opens(date("2026-12-21 12:00"), 80 * HOUR) == date("2026-12-24 19:00")
    assert NIGHTS.closes(date("2026-12-24 20:00")) == date("2026-12-28 09:00")
    # All Saints' Day 2027 is a Monday.
    assert NIGHTS.closes(date("2027-10-30 12:00")) == date("2027-11-02 09:00")


@pytest.mark.parametrize(("evening", "length"), [("2026-03-28 19:00", 37), ("2026-10-24 19:00", 39)])
def test_when_the_clocks_change_hours_are_what_they_are(evening: str, length: int) -> None:
    start = date(evening)
    assert NIGHTS.closes(start) - start == length * HOUR
    assert NIGHTS.opens(start, length * HOUR) == start
    assert NIGHTS.opens(start, length * HOUR + 1) > start


def test_without_end_the_start_counts() -> None:
    assert NIGHTS.opens(date("2026-11-23 12:00"), None) == date("2026-11-23 19:00")
    assert NIGHTS.opens(date("2026-11-23 08:59"), None) == date("2026-11-23 08:59")


def test_longer_than_any_week_end() -> None:
    with pytest.raises(ValueError, match="no night or week-end") as raised:
        NIGHTS.opens(date("2026-11-23 12:00"), 168 * HOUR)
    # Four nights, and the hour that is there twice: All Saints' Day 2027.
    assert str(raised.value) == (
        "a walltime of 7 d 0 h lies in no night or week-end; the longest within a year is 3 d 15 h"
    )
    assert NIGHTS.opens(date("2026-11-23 12:00"), 87 * HOUR) == date("2027-10-29 19:00")
    assert NIGHTS.opens(date("2026-11-23 12:00"), 86 * HOUR) == date("2026-12-24 19:00")


@pytest.mark.parametrize("walltime", [-1.0, math.nan])
@pytest.mark.parametrize("hours", list(Hours))
def test_what_is_no_walltime(hours: Hours, walltime: float) -> None:
    with pytest.raises(ValueError, match="is none"):
        hours.opens(0.0, walltime)


@given(dates, walltimes)
def test_any_hour_is_now(now: float, walltime: float) -> None:
    assert ANY.opens(now, walltime) == now
    assert ANY.opens(now, None) == now
    assert ANY.closes(now) == math.inf


@settings(max_examples=50, deadline=None)
@given(dates, walltimes)
def test_a_lease_lies_in_one_night(now: float, walltime: float) -> None:
    start = NIGHTS.opens(now, walltime)
    assert start >= now
    assert not is_day(start)
    assert next_period(start, start + walltime) is None or walltime == 0
    assert start + walltime <= NIGHTS.closes(start)
    assert NIGHTS.opens(start, walltime) == start


@settings(max_examples=50, deadline=None)
@given(dates, walltimes, st.floats(min_value=0, max_value=1, exclude_max=True))
def test_no_earlier_date_would_do(now: float, walltime: float, share: float) -> None:
    start = NIGHTS.opens(now, walltime)
    earlier = now + share * (start - now)
    if earlier < start:
        assert is_day(earlier) or earlier + walltime > NIGHTS.closes(earlier)


@settings(max_examples=50, deadline=None)
@given(dates, walltimes, walltimes, st.floats(min_value=0, max_value=1e6))
def test_neither_waiting_nor_asking_for_more_makes_it_sooner(now: float, one: float, other: float, wait: float) -> None:
    less, more = sorted((one, other))
    assert NIGHTS.opens(now, less) <= NIGHTS.opens(now, more)
    assert NIGHTS.opens(now, less) <= NIGHTS.opens(now + wait, less)


@settings(max_examples=50, deadline=None)
@given(dates)
def test_a_night_closes_when_the_day_begins(now: float) -> None:
    end = NIGHTS.closes(now)
    if is_day(now):
        assert end == now
    else:
        assert end > now
        assert is_day(end)
        assert not is_day(end - 1)


def test_the_zone_of_this_machine_has_no_part_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = date("2026-11-23 12:00")
    found = set()
    for zone in ("UTC", "Pacific/Auckland", "America/Los_Angeles"):
        with monkeypatch.context() as there:
            there.setenv("TZ", zone)
            time.tzset()
            found.add(NIGHTS.opens(now, HOUR))
    time.tzset()
    assert found == {date("2026-11-23 19:00")}
