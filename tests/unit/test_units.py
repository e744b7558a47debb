from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.units import format_duration, iso_date, parse_duration, parse_size


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2:00:00", 7200), ("0:00:01.5", 1.5), ("25:00:00", 90000), ("1h30m", 5400), ("90m", 5400), ("90min", 5400),
        ("1d", 86400), ("1d2h3m4s", 93784), ("45s", 45), ("10", 10), (" 10 ", 10), (0, 0), (2.5, 2.5),
        (dt.timedelta(hours=1), 3600),
    ],
)  # fmt: skip
def test_durations(value: object, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    ["", "soon", "1:30", "1:60:00", "-5", -1, "1h 30", None, True, float("nan"), float("inf"), [1], "nan", "inf"],
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="write '2:00:00'"):
        parse_duration(value)


@given(st.integers(0, 10**7))
def test_clock_notation_is_read_back(seconds: int) -> None:
    assert parse_duration(f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}") == seconds


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("2GiB", 2 * 1024**3),
        ("32MB", 32 * 10**6),
        ("1.5k", 1500),
        ("1MiB/s", 1024**2),
        ("10", 10),
        (10, 10),
        ("3 B", 3),
    ],
)
def test_sizes(value: object, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize("value", ["", "big", "-1", -1, None, True, float("inf"), "1XB"])
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(ValueError, match="write '2GiB'"):
        parse_size(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12, "12 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (273600, "3 d 4 h")],
)
def test_formatted(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_dates_sort_as_text(one: float, other: float) -> None:
    assert (iso_date(one) <= iso_date(other)) == (round(one, 6) <= round(other, 6)) or abs(one - other) < 2e-6
