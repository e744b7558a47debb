"""Searches: what is asked, and that interruptions and the order of results change nothing."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.errors import InvalidInput, InvalidSpace
from pytest_execo.sweeps import Point, Space
from pytest_execo.sweeps.spaces.levels import tuples
from pytest_execo.sweeps.spaces.search import Bisect, Repeats, Result, Search, Until

Run = Callable[[Point], Result]

SPACE = Space(noise=[0, 1, 5, 50], mean=[20, 0])
RULE = Until("duration", relative=0.1, at_least=3, at_most=8)


def experiment(point: Point) -> Result:
    """A noisy measurement, the same whenever this trial is run; some fail, some are skipped, some measure nothing."""
    draws = random.Random(f"{point.params_json} {point.repetition}")
    outcome = draws.choice(["passed"] * 8 + ["failed", "skipped"])
    value = point.params["mean"] + point.params["noise"] * draws.uniform(-1, 1)
    return Result(outcome, {"duration": value} if draws.random() < 0.9 else {})


def one_by_one(search: Search, run: Run) -> list[tuple[Point, Result]]:
    found: list[tuple[Point, Result]] = []
    while (point := search.ask()) is not None:
        found.append((point, run(point)))
        search.tell(*found[-1])
    return found


def at_once(search: Search, run: Run, draw: Callable[[int], int], width: int) -> list[tuple[Point, Result]]:
    """Keep up to ``width`` points outstanding, and end them in the drawn order."""
    found: list[tuple[Point, Result]] = []
    running: list[Point] = []
    while True:
        while len(running) < width and (point := search.ask()) is not None:
            running.append(point)
        if not running:
            return found
        point = running.pop(draw(len(running)))
        found.append((point, run(point)))
        search.tell(*found[-1])


def trials(found: list[tuple[Point, Result]]) -> list[tuple[str, int]]:
    return [(point.params_json, point.repetition) for point, _ in found]


# repeats


def test_all_settings_come_once_before_any_comes_again() -> None:
    found = one_by_one(Repeats(SPACE, RULE), experiment)
    repetitions = [point.repetition for point, _ in found]
    assert repetitions == sorted(repetitions)
    assert [point for point, _ in found][: SPACE.size] == list(SPACE.repeat(RULE.at_most))[: SPACE.size]


def test_each_setting_stops_when_the_rule_says_so() -> None:
    search = Repeats(SPACE, RULE)
    done: Counter[str] = Counter()
    values: dict[str, list[float]] = {}
    for point, result in one_by_one(search, experiment):
        assert RULE.needs_more(values.get(point.params_json, []), done[point.params_json])
        assert point.repetition == done[point.params_json]
        done[point.params_json] += 1
        if result.outcome == "passed" and "duration" in result.measurements:
            values.setdefault(point.params_json, []).append(result.measurements["duration"])
    for point in SPACE:
        assert not RULE.needs_more(values.get(point.params_json, []), done[point.params_json])
        assert search.values(point) == values.get(point.params_json, [])
    assert max(done.values()) == RULE.at_most
    assert min(done.values()) == RULE.at_least
    assert search.done


@pytest.mark.slow
@given(st.data(), st.integers(1, 12))
def test_the_same_trials_are_run_however_many_run_at_a_time(data: Any, width: int) -> None:
    search = Repeats(SPACE, RULE)
    found = at_once(search, experiment, lambda count: data.draw(st.integers(0, count - 1)), width)
    assert search.done
    assert len(set(trials(found))) == len(found)
    assert set(trials(found)) == set(trials(one_by_one(Repeats(SPACE, RULE), experiment)))


@pytest.mark.slow
@given(st.data(), st.integers(1, 6))
def test_an_interruption_changes_nothing(data: Any, width: int) -> None:
    def draw(count: int) -> int:
        return data.draw(st.integers(0, count - 1))  # type: ignore[no-any-return]

    recorded = at_once(Repeats(SPACE, RULE), experiment, draw, width)
    recorded = recorded[: draw(len(recorded) + 1)]
    resumed = Repeats(SPACE, RULE)
    for point, result in recorded:
        resumed.tell(point, result)
    found = [*recorded, *at_once(resumed, experiment, draw, width)]
    assert len(set(trials(found))) == len(found)
    assert set(trials(found)) == set(trials(one_by_one(Repeats(SPACE, RULE), experiment)))


@pytest.mark.slow
def test_one_by_one_the_order_is_kept_too() -> None:
    whole = one_by_one(Repeats(SPACE, RULE), experiment)
    for stop in range(len(whole) + 1):
        resumed = Repeats(SPACE, RULE)
        for point, result in whole[:stop]:
            resumed.tell(point, result)
        assert trials(one_by_one(resumed, experiment)) == trials(whole[stop:])


def test_none_means_to_wait_while_a_result_may_still_decide() -> None:
    search = Repeats(Space(x=[1]), Until("duration", relative=0.1, at_least=2, at_most=3))
    first, second = search.ask(), search.ask()
    assert first is not None
    assert second is not None
    assert (first.repetition, second.repetition) == (0, 1)
    assert search.ask() is None
    assert not search.done
    search.tell(second, Result("passed", {"duration": 1.0}))
    assert search.ask() is None
    search.tell(first, Result("passed", {"duration": 2.0}))
    third = search.ask()
    assert third is not None
    assert third.repetition == 2
    assert not search.done
    search.tell(third, Result("failed"))
    assert search.ask() is None
    assert search.done


def test_what_is_pending_is_asked_again_before_what_comes_later() -> None:
    search = Repeats(Space(x=[1, 2, 3]), RULE)
    first, second = search.ask(), search.ask()
    assert first is not None
    assert second is not None
    search.tell(second, Result("passed", {"duration": 1}))
    search.tell(first, Result("pending"))
    assert search.ask() == first


def test_values_come_by_repetition_whatever_ended_first() -> None:
    search = Repeats(Space(x=[1]), RULE)
    points = [search.ask() for _ in range(3)]
    for point in reversed(points):
        assert point is not None
        search.tell(point, Result("passed", {"duration": point.repetition}))
    assert search.values(Space(x=[1]).point(0)) == [0.0, 1.0, 2.0]


def test_the_last_result_of_a_point_counts() -> None:
    search = Repeats(Space(x=[1]), Until("duration", relative=0.1, at_least=2, at_most=9))
    for repetition in (0, 1):
        point = search.ask()
        assert point is not None
        assert point.repetition == repetition
        search.tell(point, Result("failed"))
    assert not search.done
    for point in Space(x=[1]).repeat(2):
        search.tell(point, Result("passed", {"duration": 7}))
    assert search.done
    assert search.values(point) == [7.0, 7.0]


def test_repetitions_beyond_the_rule_and_gaps_are_understood() -> None:
    # Recorded under a rule that allowed more, and by processes of which some were killed.
    search = Repeats(Space(x=[1]), Until("duration", relative=0.1, at_least=3, at_most=4))
    points = Space(x=[1]).repeat(9)
    search.tell(points.point(8), Result("passed", {"duration": 1}))
    search.tell(points.point(1), Result("passed", {"duration": 100}))
    assert [point.repetition for point, _ in one_by_one(search, lambda _: Result("failed"))] == [0, 2]
    assert search.done


def test_points_of_other_levels_are_passed_over() -> None:
    search = Repeats(Space(x=[1]), RULE)
    search.tell(Space(x=[2]).point(0), Result("passed", {"duration": 1}))
    assert search.values(Space(x=[2]).point(0)) == []
    point = search.ask()
    assert point is not None
    assert point.params == {"x": 1}


def test_a_space_of_any_size_can_be_begun() -> None:
    search = Repeats(Space({f"f{number}": range(10) for number in range(40)}), RULE)
    found = [search.ask() for _ in range(5)]
    assert [None if point is None else point.params["f39"] for point in found] == [0, 1, 2, 3, 4]


def test_a_space_that_repeats_is_refused() -> None:
    with pytest.raises(InvalidSpace, match="Repeats: <Space x:2 repeat=3> repeats; leave that to 'until the 95 %"):
        Repeats(Space(x=[1, 2], repeat=3), RULE)


# bisection


def fails_from(boundary: int) -> Run:
    return lambda point: Result(
        "failed" if point.params["rate"] >= boundary else "passed", {"rate": point.params["rate"]}
    )


@pytest.mark.slow
@given(st.integers(1, 200), st.data())
def test_the_boundary_is_found_in_few_trials(n: int, data: Any) -> None:
    boundary = data.draw(st.integers(0, n))
    search = Bisect(Space(rate=range(n)), "rate")
    found = one_by_one(search, fails_from(boundary))
    assert len(found) <= math.ceil(math.log2(n + 1)) <= math.ceil(math.log2(n)) + 1
    assert search.done
    assert search.monotone
    assert (n if search.boundary is None else search.boundary.params["rate"]) == boundary


@pytest.mark.slow
def test_a_factor_of_any_number_of_levels() -> None:
    boundary = [7, *[3] * 99]
    search = Bisect(Space(rate=tuples(range(10), 100)), "rate")
    found = one_by_one(search, lambda point: Result("failed" if point.params["rate"] >= boundary else "passed"))
    assert len(found) <= 333  # log₂ 10¹⁰⁰ = 332.2
    assert search.boundary is not None
    assert search.boundary.params == {"rate": boundary}


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 7), st.data())
def test_several_at_a_time_find_the_same_boundary(n: int, width: int, data: Any) -> None:
    boundary = data.draw(st.integers(0, n))
    search = Bisect(Space(rate=range(n)), "rate")
    found = at_once(search, fails_from(boundary), lambda count: data.draw(st.integers(0, count - 1)), width)
    assert len(set(trials(found))) == len(found)
    assert search.done
    assert (n if search.boundary is None else search.boundary.params["rate"]) == boundary


def test_an_interrupted_bisection_goes_on() -> None:
    space = Space(rate=range(1000))
    whole = one_by_one(Bisect(space, "rate"), fails_from(421))
    for stop in range(len(whole) + 1):
        resumed = Bisect(space, "rate")
        for point, result in whole[:stop]:
            resumed.tell(point, result)
        assert resumed.done == (stop == len(whole))
        assert trials(one_by_one(resumed, fails_from(421))) == trials(whole[stop:])


@pytest.mark.slow
@given(st.integers(1, 40), st.sets(st.integers(0, 40)), st.data())
def test_what_is_skipped_counts_neither_way(n: int, skipped: set[int], data: Any) -> None:
    boundary = data.draw(st.integers(0, n))
    run = fails_from(boundary)
    search = Bisect(Space(rate=range(n)), "rate")
    one_by_one(search, lambda point: Result("skipped") if point.params["rate"] in skipped else run(point))
    assert search.done
    known = [rate for rate in range(n) if rate not in skipped and rate >= boundary]
    assert (None if search.boundary is None else search.boundary.params["rate"]) == (known[0] if known else None)


def test_what_counts_as_failure_can_be_said() -> None:
    search = Bisect(Space(rate=range(100)), "rate", fails=lambda result: result.measurements["rate"] > 40)
    one_by_one(search, fails_from(90))
    assert search.boundary is not None
    assert search.boundary.params["rate"] == 41


def test_what_is_not_monotone_is_told() -> None:
    space = Space(rate=range(10))
    search = Bisect(space, "rate")
    search.tell(space.point(3), Result("failed"))
    assert search.monotone
    search.tell(space.point(7), Result("passed"))
    assert not search.monotone
    one_by_one(search, fails_from(2))
    assert search.boundary == space.point(2)
    # The failures were a glitch: run again, it passed.
    search.tell(space.point(2), Result("passed"))
    search.tell(space.point(3), Result("passed"))
    assert search.monotone
    assert not search.done
    one_by_one(search, fails_from(8))
    assert search.boundary == space.point(8)


def test_a_pending_point_and_one_of_other_levels() -> None:
    search = Bisect(Space(rate=range(3)), "rate")
    point = search.ask()
    assert point is not None
    search.tell(Space(rate=[77]).point(0), Result("failed"))
    search.tell(point, Result("pending"))
    assert search.boundary is None
    assert not search.done
    assert search.ask() == point


def test_it_waits_while_all_that_is_open_is_outstanding() -> None:
    search = Bisect(Space(rate=range(2)), "rate")
    points = [search.ask(), search.ask()]
    assert search.ask() is None
    assert not search.done
    assert points[0] is not None
    # Its failure decides: what is outstanding above it does not matter any more.
    search.tell(points[0], Result("failed"))
    assert search.done


def test_factors_that_vary_with_it_or_not_at_all() -> None:
    space = Space(rate=range(50)).zip(Space(name=[f"r{rate}" for rate in range(50)])) * Space(fixed=["x"])
    search = Bisect(space, "rate")
    one_by_one(search, fails_from(30))
    assert search.boundary is not None
    assert search.boundary.params == {"rate": 30, "name": "r30", "fixed": "x"}


@pytest.mark.parametrize(
    ("space", "factor", "said"),
    [
        (Space(rate=[1, 2]), "size", "Bisect: no factor 'size' in <Space rate:2>"),
        (Space(rate=[1, 2], size=[1, 2]), "rate", "has more points than 'rate' has levels; fix the other factors"),
        (Space(rate=[1, 2], repeat=2), "rate", "<Space rate:2 repeat=2> repeats; one trial at each point"),
    ],
)
def test_spaces_that_can_not_be_bisected(space: Space, factor: str, said: str) -> None:
    with pytest.raises(InvalidSpace, match=said):
        Bisect(space, factor)


def test_an_outcome_is_one_of_four() -> None:
    with pytest.raises(InvalidInput, match="outcome is 'ok'; write one of 'passed', 'failed', 'skipped', 'pending'"):
        Result("ok")
