from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.testbeds.grid5000.client.retrying import Failure, Retrying, Stage, retry_after

METHODS = ("GET", "PUT", "DELETE", "POST")


def again(method: str, stage: Stage, status: int | None = None) -> bool:
    return Retrying().pause(method, Failure(stage, "", status), 1, 0) is not None


@pytest.mark.parametrize(
    ("stage", "status", "methods"),
    [
        (Stage.UNREACHED, None, METHODS),
        (Stage.BROKEN, None, ("GET", "PUT", "DELETE")),
        (Stage.ANSWERED, 429, ("GET", "PUT", "DELETE")),
        (Stage.ANSWERED, 502, ("GET", "PUT", "DELETE")),
        (Stage.ANSWERED, 503, ("GET", "PUT", "DELETE")),
        (Stage.ANSWERED, 504, ("GET", "PUT", "DELETE")),
        (Stage.ANSWERED, 500, ("GET",)),
        (Stage.LATE, None, ("GET",)),
        (Stage.GARBLED, 200, ("GET",)),
        (Stage.ANSWERED, 400, ()),
        (Stage.ANSWERED, 401, ()),
        (Stage.ANSWERED, 403, ()),
        (Stage.ANSWERED, 404, ()),
        (Stage.ANSWERED, 501, ()),
        (Stage.FINAL, None, ()),
    ],
)
def test_only_what_is_safe_is_repeated(stage: Stage, status: int | None, methods: tuple[str, ...]) -> None:
    assert tuple(method for method in METHODS if again(method, stage, status)) == methods


def test_five_times_and_slower_each_time() -> None:
    retrying = Retrying(seed=1)
    pauses = [retrying.pause("GET", Failure(Stage.UNREACHED, ""), attempt, 0) for attempt in range(1, 7)]
    assert pauses[5] is None
    for pause, longest in zip(pauses, (0.5, 1, 2, 4, 8), strict=False):
        assert pause is not None
        assert longest / 2 <= pause <= longest


def test_not_for_ever() -> None:
    assert Retrying(patience=10).pause("GET", Failure(Stage.LATE, ""), 2, 31) is None


def test_the_server_says_when() -> None:
    retrying = Retrying(seed=1)
    assert retrying.pause("GET", Failure(Stage.ANSWERED, "", 503, after=17), 1, 0) == 17
    assert retrying.pause("GET", Failure(Stage.ANSWERED, "", 503, after=0), 1, 0) == pytest.approx(0.38, abs=0.13)
    assert retrying.pause("GET", Failure(Stage.ANSWERED, "", 503, after=121), 1, 0) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("7", 7),
        ("soon", None),
        ("", None),
        ("-3", None),
        ("Thu, 01 Jan 1970 00:20:00 GMT", 200),
        ("Thu, 01 Jan 1970 00:20:00 -0000", 200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, 1000) == seconds


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_retry_after_may_be_nonsense(text: str) -> None:
    found = retry_after(text, 1000)
    assert found is None or found >= 0
