from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.testbeds.grid5000.client import Polling


def test_pauses_grow_from_5_to_150_seconds() -> None:
    polling = Polling(seed=1)
    pauses = [polling.delay(0) for _ in range(30)]
    assert 4 <= pauses[0] <= 5
    assert all(pause <= 150 for pause in pauses)
    assert all(pause >= 120 for pause in pauses[-10:])


def test_the_predicted_start_is_not_slept_through() -> None:
    polling = Polling(seed=1)
    for _ in range(30):
        polling.delay(0)
    assert 20 <= polling.delay(1000, 1020) <= 23


def test_once_the_predicted_start_has_passed_pauses_begin_short_again() -> None:
    polling = Polling(seed=1)
    for _ in range(30):
        polling.delay(0, 1000)
    pauses = [polling.delay(1000 + number, 1000) for number in range(8)]
    assert pauses[0] <= 5
    assert pauses[7] >= 50  # and grow as before


def test_an_emulator_that_runs_60_times_faster_is_asked_60_times_more_often() -> None:
    slow, fast = Polling(seed=3), Polling(seed=3, speed=60)
    for now in range(20):
        assert fast.delay(now, 1000) == pytest.approx(slow.delay(now, 1000) / 60)


def test_the_pause_is_never_nothing() -> None:
    assert Polling(speed=1e9).delay(0, 0) > 0.01


def test_reset_begins_again() -> None:
    polling = Polling(seed=1)
    for _ in range(30):
        polling.delay(0)
    polling.reset()
    assert polling.delay(0) <= 5


def test_the_seed_decides() -> None:
    def pauses(seed: int) -> list[float]:
        polling = Polling(seed=seed)
        return [polling.delay(0) for _ in range(5)]

    assert pauses(1) == pauses(1) != pauses(2)


@pytest.mark.parametrize("wrong", [{"first": 0}, {"speed": 0}, {"growth": 0.5}, {"first": 10, "longest": 5}])
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="write 0 < first"):
        Polling(**wrong)  # type: ignore[arg-type]


@settings(max_examples=50)
@given(
    st.lists(st.one_of(st.none(), st.floats(0, 5000)), min_size=1, max_size=40),
    st.integers(0, 100),
)
def test_every_pause_is_short_enough(forecasts: list[float | None], seed: int) -> None:
    polling, now = Polling(seed=seed), 0.0
    for predicted in forecasts:
        pause = polling.delay(now, predicted)
        assert 0 < pause <= 150
        if predicted is not None and predicted > now:
            assert now + pause <= predicted + 3
        now += pause
