"""Clocks that run faster, or only when told."""

from __future__ import annotations

import math

import pytest

from pytest_execo.emulator.clock import ManualClock, RunningClock, SteppedClock


def test_a_running_clock_is_faster_by_its_speed() -> None:
    clock = RunningClock(3600.0, start=1_000_000.0)
    first, second = clock.now(), clock.now()
    assert 1_000_000.0 <= first <= second < 1_000_000.0 + 36_000
    assert clock.real_seconds(7200) == 2


@pytest.mark.parametrize("speed", [0, -1, math.nan, math.inf])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        RunningClock(speed)


def test_a_manual_clock_stands_until_it_is_advanced() -> None:
    clock = ManualClock(start=100)
    assert (clock.now(), clock.advance(5), clock.now()) == (100, 105, 105)
    assert clock.real_seconds(1) == math.inf
    for wrong in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="not negative"):
            clock.advance(wrong)


def test_a_stepped_clock_does_not_go_back() -> None:
    clock = SteppedClock(10)
    clock.step_to(20)
    clock.step_to(15)
    assert clock.now() == 20
