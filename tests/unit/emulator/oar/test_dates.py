"""Dates in the time of the site, whatever the machine's own time is; days and nights."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.emulator.oar.dates import day_window, night_window, read_reservation, text_of

PARIS = ZoneInfo("Europe/Paris")


def at(text: str) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp()


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2027-01-15 10:00:00", "2027-01-15 10:00:00", None),
        ("2027-01-15 10:00:00, 2027-01-15 12:30:00", "2027-01-15 10:00:00", "2027-01-15 12:30:00"),
        ("2027-07-15 10:00:00", "2027-07-15 10:00:00", None),
        ("now", "2027-01-15 09:00:00", None),
        ("19", "2027-01-15 19:00:00", None),
        ("19:30", "2027-01-15 19:30:00", None),
        ("19:30:15", "2027-01-15 19:30:15", None),
    ],
)
def test_dates_of_reservations(text: str, start: str, end: str | None) -> None:
    assert read_reservation(text, at("2027-01-15 09:00:00") + 0.5) == (at(start), end and at(end))


@pytest.mark.parametrize(
    "text", ["soon", "2027-13-01 10:00:00", "2027-01-15", "25", "1:2:3:4", "10:99", "", "2027-01-15 10:00:00,"]
)
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match="is no date of a reservation"):
        read_reservation(text, at("2027-01-15 09:00:00"))


@given(st.integers(1_500_000_000, 2_000_000_000))
def test_a_date_is_read_as_it_is_written(date: int) -> None:
    read, _ = read_reservation(text_of(date), 0)
    assert read == date or text_of(read) == text_of(date)  # an hour in October is there twice


@pytest.mark.parametrize(
    ("start", "hours", "day", "night"),
    [
        ("2027-01-15 08:00:00", 2, "2027-01-15 09:00:00", "2027-01-15 19:00:00"),  # a Friday
        ("2027-01-15 10:00:00", 9, "2027-01-15 10:00:00", "2027-01-15 19:00:00"),
        ("2027-01-15 10:00:01", 9, "2027-01-18 09:00:00", "2027-01-15 19:00:00"),
        ("2027-01-16 12:00:00", 2, "2027-01-18 09:00:00", "2027-01-16 12:00:00"),
        ("2027-01-13 08:00:00", 1, "2027-01-13 09:00:00", "2027-01-13 08:00:00"),
        ("2027-01-13 08:00:00", 2, "2027-01-13 09:00:00", "2027-01-13 19:00:00"),
        ("2027-01-13 12:00:00", 20, None, "2027-01-15 19:00:00"),  # no night is as long, a week-end is
        ("2027-01-13 12:00:00", 62, None, "2027-01-15 19:00:00"),
        ("2027-01-13 12:00:00", 63, None, None),
        ("2027-03-27 12:00:00", 44, None, "2027-03-27 12:00:00"),  # an hour of that Sunday is missing
        ("2027-03-27 12:00:00", 44.5, None, "2027-04-02 19:00:00"),
    ],
)
def test_days_and_nights(start: str, hours: float, day: str | None, night: str | None) -> None:
    assert day_window(at(start), hours * 3600) == (day and at(day))
    assert night_window(at(start), hours * 3600) == (night and at(night))
