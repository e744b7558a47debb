"""Combinations as plain mappings, and execo's way of writing factors."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.errors import InvalidSpace
from pytest_execo.sweeps import Level, Space
from pytest_execo.sweeps.sweeper.combinations import (
    Combinations,
    combination,
    combinations_of,
    shuffled,
    sweep_combinations,
)

LEVEL = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "1", "a"]) | st.lists(st.integers())


def test_it_looks_like_a_dict() -> None:
    comb = combination({"x": 1, "y": ["a"]})
    assert (comb["x"], comb.get("z"), list(comb), len(comb), "y" in comb) == (1, None, ["x", "y"], 2, True)
    assert dict(comb) == {"x": 1, "y": ["a"]}
    assert repr(comb) == "{'x': 1, 'y': ['a']}"
    assert {comb: "a key"}[combination({"y": ["a"], "x": 1})] == "a key"
    assert pickle.loads(pickle.dumps(comb)) == comb


def test_it_is_immutable() -> None:
    levels = {"x": [1]}
    comb = combination(levels)
    levels["x"].append(2)
    comb["x"].append(3)
    assert comb == {"x": [1]}
    with pytest.raises(TypeError):
        comb["x"] = 2  # type: ignore[index]
    with pytest.raises(AttributeError, match="immutable"):
        comb.text = ""
    with pytest.raises(AttributeError, match="immutable"):
        del comb.text


@pytest.mark.slow
@given(one=st.dictionaries(st.sampled_from("xyz"), LEVEL), other=st.dictionaries(st.sampled_from("xyz"), LEVEL))
def test_equal_is_what_has_equal_levels(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert combination(one) == one
    assert one == combination(one)
    same = combination(one) == combination(other)
    assert same == (combination(one) == other) == (one == combination(other))
    assert not same or hash(combination(one)) == hash(combination(other))


def test_levels_that_python_takes_for_one_are_several() -> None:
    assert len({combination({"x": level}) for level in (1, 1.0, True, "1", "true")}) == 5
    assert combination({"x": 1}) != {"x": True}
    assert combination({"x": (1, 2)}) == {"x": [1, 2]}
    assert combination({"x": 1}) != {"x": object()}
    assert combination({"x": 1}) != 1


def test_repetitions_are_different_and_look_the_same() -> None:
    first, second = combinations_of(Space(x=[1], repeat=2))
    assert (first.repetition, second.repetition) == (0, 1)
    assert dict(first) == dict(second)
    assert first != second
    assert first == {"x": 1}
    assert second != {"x": 1}


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ({"x": object()}, "name it: Level"),
        ({1: 2}, "factor 1 of combination {1: 2} is not text"),
        ({"x": float("nan")}, "nan"),
        (5, "a combination is 5, not a mapping"),
    ],
)
def test_what_is_no_combination_is_refused_in_one_line(levels: Any, words: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        combination(levels)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_named_level_is_its_value_and_known_by_its_name() -> None:
    def build() -> None: ...

    comb = combination({"build": Level(build, "gcc-12")})
    assert comb["build"] is build
    assert comb.text == '{"build":"gcc-12"}'


def test_a_set_of_combinations() -> None:
    combs = Combinations([{"x": 2}, {"x": 1}, {"x": 2}])
    assert list(combs) == [{"x": 2}, {"x": 1}]
    assert {"x": 1} in combs
    assert combination({"x": 1}) in combs
    assert {"x": True} not in combs
    assert {"x": object()} not in combs
    assert 1 not in combs
    assert list(combs - Combinations([{"x": 2}])) == [{"x": 1}]
    assert combs == Combinations([{"x": 1}, {"x": 2}])
    assert repr(Combinations()) == "<0 combinations>"
    assert (
        repr(Combinations({"x": i} for i in range(5))) == "<5 combinations: {'x': 0}, {'x': 1}, {'x': 2}, and 2 more>"
    )


# execo's sweep()


def test_conditional_factors() -> None:
    # The example of execo's documentation, and what execo gives for it.
    assert sweep_combinations({"x": [1, 2], "y": {"p": {"k": [3]}, "q": {}}}) == [
        {"x": 1, "y": "p", "k": 3},
        {"x": 1, "y": "q"},
        {"x": 2, "y": "p", "k": 3},
        {"x": 2, "y": "q"},
    ]
    nested = sweep_combinations({"a": {"b": {"c": {"d": {"e": [1, 2]}, "f": {}}}}, "g h": [1]})
    assert nested == [
        {"a": "b", "c": "d", "e": 1, "g h": 1},
        {"a": "b", "c": "d", "e": 2, "g h": 1},
        {"a": "b", "c": "f", "g h": 1},
    ]


@pytest.mark.slow
@given(
    factors=st.dictionaries(
        st.sampled_from(["x", "y", "not a name", "ü"]), st.lists(st.integers(), min_size=1, max_size=4, unique=True)
    )
)
def test_plain_factors_are_their_product(factors: dict[str, list[int]]) -> None:
    rows = itertools.product(*factors.values())
    assert sweep_combinations(factors) == [dict(zip(factors, row, strict=True)) for row in rows]


def test_levels_may_be_any_iterable() -> None:
    assert sweep_combinations({"x": range(2), "y": (c for c in "ab")}) == [
        {"x": 0, "y": "a"}, {"x": 0, "y": "b"}, {"x": 1, "y": "a"}, {"x": 1, "y": "b"},
    ]  # fmt: skip
    assert sweep_combinations({}) == [{}]
    assert len(sweep_combinations({"x": [1, 1, 1.0]})) == 2


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"x": []}, "factor 'x' has no level"),
        ({"x": {"a": {"y": []}}}, "factor 'y' has no level"),
        ({"x": "ab"}, "write ['ab']"),
        ({"x": 5}, "write [5]"),
        ({"x": {"a": [1]}}, "not a dict of factors"),
        ({"x": {"a": {"y": [1]}}, "y": [2]}, "a factor is twice"),
        ({1: [2]}, "factor 1 is not text"),
        ({"x": [object()]}, "name it"),
        (5, "give a Space, a dict of factors, or a list"),
        ("ab", "give a Space, a dict of factors, or a list"),
        ([1], "not a mapping"),
        (Space({f"x{number}": range(10) for number in range(8)}), "sample it"),
    ],
)
def test_what_is_no_sweep_is_refused_in_one_line(parameters: Any, words: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        combinations_of(parameters)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_execo.sweeps.sweeper.combinations.MAX_COMBINATIONS", 100)
    sweeps: list[Any] = [
        ({"x": i} for i in itertools.count()),
        {"x": itertools.count()},
        {"x": range(11), "y": range(11)},
    ]
    for sweep in sweeps:
        with pytest.raises(InvalidSpace, match="100"):
            combinations_of(sweep)


def test_a_space_gives_its_points() -> None:
    combs = combinations_of(Space(x=[1, 2], y=["a"], repeat=2))
    assert [(dict(comb), comb.repetition) for comb in combs] == [
        ({"x": 1, "y": "a"}, 0), ({"x": 2, "y": "a"}, 0), ({"x": 1, "y": "a"}, 1), ({"x": 2, "y": "a"}, 1),
    ]  # fmt: skip
    for comb, mapping in zip(combs, [{"y": "a", "x": 1}, {"x": 2, "y": "a"}], strict=False):
        assert combination(mapping) == comb


def test_a_random_order_is_a_permutation_that_more_combinations_do_not_change() -> None:
    combs = combinations_of(Space(x=range(50), repeat=2))
    drawn = shuffled(combs, 1)
    assert set(drawn) == set(combs)
    assert drawn != combs
    assert drawn == shuffled(reversed(combs), 1)
    assert drawn != shuffled(combs, 2)
    assert [comb.repetition for comb in drawn] == [0] * 50 + [1] * 50
    more = shuffled(combinations_of(Space(x=range(80), repeat=2)), 1)
    assert [comb for comb in more if comb in set(combs)] == drawn


def test_a_combination_is_typed_as_a_mapping() -> None:
    assert isinstance(combination({}), Mapping)
