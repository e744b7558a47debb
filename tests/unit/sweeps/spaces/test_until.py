"""When a measurement is precise enough."""

from __future__ import annotations

import math
import pickle
import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_execo.errors import InvalidInput
from pytest_execo.sweeps.spaces.until import Until

VALUES = st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), min_size=2, max_size=12)
RULE = Until("duration", relative=0.05)


@pytest.mark.slow
@given(VALUES, st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_the_interval_is_that_of_scipy(values: list[float], confidence: float) -> None:
    wanted = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values)
    assert Until("x", relative=1, confidence=confidence).interval(values) == pytest.approx(wanted, rel=1e-6, abs=1e-6)


@pytest.mark.slow
@given(VALUES, st.sampled_from([0.01, 0.1, 1]), st.integers(0, 20), st.booleans())
def test_it_needs_more_while_the_interval_is_too_wide(
    values: list[float], width: float, failed: int, absolute: bool
) -> None:
    rule = Until("x", absolute=width, at_most=15) if absolute else Until("x", relative=width, at_most=15)
    mean = math.fsum(values) / len(values)
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    goal = width if absolute else width * abs(mean)
    if abs(half - goal) <= 1e-6 * (half + goal) or (mean == 0 and not absolute):
        return
    wanted = len(values) + failed < 15 and (len(values) < 3 or half > goal)
    assert rule.needs_more(values, len(values) + failed) == wanted


def test_an_interval_by_hand() -> None:
    # Mean 10, standard deviation 1, t for 95 % and 2 degrees of freedom: 4.3027 (any textbook).
    assert RULE.interval([9, 10, 11]) == pytest.approx(4.30265273 / math.sqrt(3))


def test_failures_count_toward_the_most_and_not_as_values() -> None:
    rule = Until("x", relative=0.05, at_least=2, at_most=5)
    assert rule.needs_more([], 4)
    assert not rule.needs_more([], 5)
    assert rule.needs_more([1.0], 4)
    assert not rule.needs_more([1.0, 1.0], 2)


def test_equal_values_are_precise_from_the_least_on() -> None:
    rule = Until("x", relative=0.05, at_least=4)
    assert [rule.needs_more([3.3] * n, n) for n in range(6)] == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([-1.0, 0.0, 1.0], r"x: 0 ± 2\.5 from 3 values; never precise, .* a mean of 0: use absolute="),
        ([0.0, 0.0, 0.0], r"never precise, .* use absolute="),
        ([1.0, math.nan, 1.0], "never precise, as one of 3 values is not finite"),
        ([1.0, math.inf, 1.0], "never precise, as one of 3 values is not finite"),
        ([1.7e308, 1.7e308, 1.7e308], "never precise, .* or too large"),
        ([-1e300, 1e300, 5.0], "never precise, .* or too large"),
    ],
)
def test_what_is_never_precise_says_so(values: list[float], why: str) -> None:
    rule = Until("x", relative=0.5, at_most=4)
    assert rule.needs_more(values, 3)
    assert not rule.needs_more(values, 4)
    report = rule.report(values)
    assert re.search(why, report), report


def test_an_absolute_width_takes_a_mean_of_0() -> None:
    rule = Until("x", absolute=0.1)
    assert not rule.needs_more([-0.01, 0.0, 0.01], 3)
    assert rule.report([-0.01, 0.0, 0.01]) == "x: 0 ± 0.025 from 3 values"


def test_too_few_values_have_no_interval() -> None:
    assert RULE.interval([]) == RULE.interval([1.0]) == math.inf
    assert RULE.report([1.0]) == "duration: 1 value; two are needed for an interval"


def test_it_is_described_in_words() -> None:
    assert RULE.describe() == (
        "until the 95 % confidence interval of duration is at most ± 5 % of its mean, 3 to 30 times"
    )
    assert "at most ± 0.002," in Until("delay", absolute=0.002).describe()
    assert RULE.report([10.0, 12.0, 11.0]) == "duration: 11 ± 2.5 (22.6 %) from 3 values"


@pytest.mark.parametrize(
    ("measurements", "value"),
    [
        ({"duration": 2}, 2.0),
        ({"duration": 2.5, "other": 1}, 2.5),
        ({"duration": "Infinity"}, math.inf),
        ({"duration": 10**400}, math.inf),
        ({"duration": -(10**400)}, -math.inf),
        ({"duration": True}, None),
        ({"duration": "2"}, None),
        ({"duration": [2]}, None),
        ({"duration": None}, None),
        ({}, None),
    ],
)
def test_the_value_of_a_trial(measurements: dict[str, Any], value: float | None) -> None:
    assert RULE.value(measurements) == value


def test_nan_in_a_record_is_a_value_that_is_not_finite() -> None:
    value = RULE.value({"duration": "NaN"})
    assert value is not None
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"measurement": ""}, r"Until\(''\): write the name of a measurement"),
        ({"measurement": 3}, r"Until\(3\): write the name of a measurement"),
        ({"relative": None}, "give relative= or absolute="),
        ({"absolute": 1}, "give relative= or absolute="),
        ({"relative": 0}, "relative is 0; write a number above 0"),
        ({"relative": "5%"}, "relative is '5%'; write a number above 0"),
        ({"relative": None, "absolute": math.inf}, "absolute is inf; write a number above 0"),
        ({"relative": math.nan}, "relative is nan"),
        ({"relative": True}, "relative is True"),
        ({"confidence": 95}, "confidence is 95; write a number between 0 and 1, as 0.95"),
        ({"confidence": None}, "confidence is None"),
        ({"at_least": 1}, "at_least is 1; write a whole number from 2"),
        ({"at_most": 2.5}, "at_most is 2.5; write a whole number from 2"),
        ({"at_least": True}, "at_least is True"),
        ({"at_least": 5, "at_most": 4}, "at_least is 5, more than at_most, which is 4"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Until(**{"measurement": "duration", "relative": 0.05, **given})


def test_a_missing_scipy_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match=r"Until\(\) needs scipy: pip install 'pytest-execo\[design\]'"):
        Until("duration", relative=0.05)


def test_a_rule_goes_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(RULE)) == RULE
