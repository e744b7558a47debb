"""Which trial fits into what is left of a lease, and which into none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.leases.fitting import Doing, Fitting
from pytest_execo.leases.holding import Holding

DOING = Doing("trial", "test", '{"n":1}')
#: Another trial of the same setting, and one of another.
AGAIN, OTHER = Doing("again", "test", '{"n":1}'), Doing("other", "test", '{"n":2}')


def left(seconds: float | None) -> Holding:
    """A lease of which so much is left."""
    return cast("Holding", SimpleNamespace(left=seconds))


def knowing(*seconds: float) -> Fitting:
    """What is known after trials that took so long."""
    fitting = Fitting()
    for each in seconds:
        fitting.done(DOING, each)
    return fitting


def test_a_trial_of_which_nothing_is_known_fits_as_long_as_there_is_time() -> None:
    assert Fitting().lacks(DOING, left(0.1)) is None
    assert Fitting().lacks(DOING, left(0.0)) == 0.0
    assert Fitting().lacks(DOING, left(-5.0)) == 0.0


def test_a_lease_without_end_has_room_for_everything() -> None:
    assert knowing(1e9).lacks(DOING, left(None)) is None


@pytest.mark.parametrize(("seconds", "lacks"), [(10.0, None), (9.9, 10.0)])
def test_what_takes_longer_than_is_left_does_not_fit(seconds: float, lacks: float | None) -> None:
    assert knowing(8.0, 10.0).lacks(AGAIN, left(seconds)) == lacks


def test_trials_with_other_parameters_tell_whether_it_fits_and_not_that_it_never_will() -> None:
    fitting = knowing(100.0)
    assert fitting.lacks(OTHER, left(60.0)) == 100.0
    assert fitting.hopeless(OTHER, 60.0) is None
    assert fitting.hopeless(AGAIN, 60.0) == (
        "takes about 1 min 40 s, and a lease lasts 1 min 00 s: ask for more walltime"
    )


def test_what_takes_as_long_as_a_lease_is_not_hopeless() -> None:
    assert knowing(60.0).hopeless(DOING, 60.0) is None
    assert knowing(60.0).hopeless(DOING, None) is None


def test_a_trial_has_two_leases_for_itself() -> None:
    fitting = Fitting()
    fitting.cut(DOING, 50.0, alone=60.0)
    assert fitting.hopeless(DOING, 60.0) is None
    fitting.cut(DOING, 110.0, alone=120.0)
    reason = "a lease of 2 min 00 s was too short for it: ask for more walltime"
    assert fitting.hopeless(DOING, 120.0) == reason
    assert fitting.hopeless(DOING, None) == reason  # more time to be had has not helped either
    assert fitting.hopeless(AGAIN, 120.0) is None


def test_a_trial_that_came_late_on_a_lease_is_not_said_to_be_too_long() -> None:
    fitting = Fitting()
    for _ in range(5):
        fitting.cut(DOING, 50.0, alone=None)
    assert fitting.hopeless(DOING, 60.0) is None
    assert fitting.lacks(DOING, left(60.0)) == 75.0  # half as long again


def test_what_was_done_after_all_is_not_hopeless() -> None:
    fitting = Fitting()
    for _ in range(2):
        fitting.cut(DOING, 50.0, alone=60.0)
    fitting.done(DOING, 55.0)
    assert fitting.hopeless(DOING, 60.0) is None
    assert fitting.lacks(DOING, left(60.0)) is None


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=12), st.floats(0, 1e6), st.floats(0, 1e6))
def test_what_fits_fits_into_more(seconds: list[float], less: float, more: float) -> None:
    fitting = knowing(*seconds)
    less, more = sorted((less, more))
    if fitting.lacks(DOING, left(less)) is None:
        assert fitting.lacks(DOING, left(more)) is None


@settings(max_examples=40)
@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=12), st.floats(0.001, 1e6))
def test_what_is_hopeless_fits_into_no_lease_of_that_length(seconds: list[float], walltime: float) -> None:
    fitting = knowing(*seconds)
    refused: Any = fitting.hopeless(DOING, walltime)
    assert (refused is not None) is (fitting.lacks(DOING, left(walltime)) is not None)
