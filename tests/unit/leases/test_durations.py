"""How long trials take: what is expected, what fits, what a group will take."""

from __future__ import annotations

import math
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.leases.durations import Durations, Expected

seconds = st.floats(min_value=0, max_value=1e6)


def _learned(*pairs: tuple[str, float]) -> Durations:
    durations = Durations()
    for params, took in pairs:
        durations.learn("t", params, took)
    return durations


def test_nothing_is_known_at_first() -> None:
    durations = Durations()
    assert durations.expected("t", "a") is None
    assert durations.group([("t", "a")]) is None
    assert durations.group([]) is None


@given(st.lists(seconds, min_size=1, max_size=15))
def test_of_the_same_setting_the_longest_of_the_last_ten(took: list[float]) -> None:
    durations = _learned(*(("a", each) for each in took))
    durations.learn("t", "b", 1e9)
    assert durations.expected("t", "a") == Expected(max(took[-10:]), exact=True)


@settings(max_examples=30)
@given(st.lists(seconds, min_size=1, max_size=250))
def test_of_other_settings_what_nine_of_ten_do_not_exceed(took: list[float]) -> None:
    durations = _learned(*((str(number), each) for number, each in enumerate(took)))
    found = durations.expected("t", "new")
    assert found is not None
    assert not found.exact
    last = took[-200:]
    assert sum(each <= found.seconds for each in last) >= 0.9 * len(last)
    assert sum(each < found.seconds for each in last) < 0.9 * len(last)
    assert found.seconds in last


def test_another_test_says_nothing() -> None:
    assert _learned(("a", 3.0)).expected("other", "a") is None


@given(seconds, seconds, seconds)
def test_what_was_cut_off_takes_longer(took: float, other: float, cut: float) -> None:
    durations = _learned(("a", took), ("b", other))
    for params in ("a", "c"):
        before = durations.expected("t", params)
        durations.cut("t", params, cut)
        after = durations.expected("t", params)
        assert before is not None
        assert after == Expected(max(before.seconds, 1.5 * cut), before.exact)
    durations.learn("t", "a", took)
    assert durations.expected("t", "a") == Expected(took, exact=True)


def test_only_cut_off() -> None:
    durations = Durations()
    durations.cut("t", "a", 10.0)
    durations.cut("t", "a", 8.0)
    assert durations.expected("t", "a") == Expected(15.0, exact=False)
    assert durations.expected("t", "b") is None
    assert not durations.fits("t", "a", 14.0, margin=0)


@given(seconds, seconds, seconds)
def test_what_fits_ends_before_the_margin(took: float, left: float, margin: float) -> None:
    durations = _learned(("a", took))
    assert durations.fits("t", "a", left, margin=margin) == (left > margin and took <= left - margin)


def test_what_is_not_known_is_tried_while_there_is_time() -> None:
    durations = Durations()
    assert durations.fits("t", "a", 10.0, margin=9.0)
    assert not durations.fits("t", "a", 10.0, margin=10.0)


def test_a_group_takes_the_sum_and_what_is_unknown_the_mean() -> None:
    durations = _learned(("a", 2.0), ("b", 6.0))
    assert durations.group([("t", "a"), ("t", "a"), ("t", "b")]) == 10.0
    assert durations.group([("t", "a"), ("t", "b"), ("new", "x"), ("new", "y")]) == 16.0
    assert durations.group([("new", "x")]) is None


@pytest.mark.parametrize("took", [-1.0, math.nan, math.inf])
def test_what_is_no_duration_is_left_out(took: float) -> None:
    durations = _learned(("a", took))
    durations.cut("t", "a", took)
    assert durations.expected("t", "a") is None


def test_many_threads_learn_at_once() -> None:
    durations = Durations()

    def learn(number: int) -> None:
        for each in range(200):
            durations.learn("t", f"{number}/{each}", float(each))
            durations.expected("t", "new")

    threads = [threading.Thread(target=learn, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert durations.group([("t", f"{number}/7") for number in range(4)]) == 28.0


@pytest.mark.slow
def test_the_hundred_thousandth_trial_is_as_fast_as_the_first() -> None:
    """Counted in the work that is kept, not in time: nothing that a question goes through grows."""
    durations = Durations()
    for number in range(100_000):
        durations.learn("t", str(number), float(number))
    test = durations._tests["t"]
    assert len(test._sorted) == len(test._last) == 200
    assert test._sorted == sorted(test._last)
    found = durations.expected("t", "new")
    assert found == Expected(99_979.0, exact=False)
