from __future__ import annotations

import enum
import itertools
import pickle
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.errors import InvalidSpace
from pytest_execo.sweeps import Level, Point, Space, canonical_json
from pytest_execo.sweeps.spaces import factors

levels = st.lists(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.lists(st.integers(), max_size=2),
    min_size=1,
    max_size=5,
    unique_by=canonical_json,
)
names = st.sampled_from(["a", "b", "memory", "x_1", "é", "long_name_" * 5])
spaces = st.builds(
    lambda factors, repeat: Space(factors, repeat=repeat), st.dictionaries(names, levels, max_size=3), st.integers(1, 3)
)


@pytest.mark.slow
@given(spaces)
def test_a_space_survives_pickling(given_space: Space) -> None:
    copy = pickle.loads(pickle.dumps(given_space))
    assert copy == given_space
    assert hash(copy) == hash(given_space)
    assert list(copy) == list(given_space)


def test_the_last_factor_varies_fastest_and_the_repetition_slowest() -> None:
    points = list(Space(a=[1, 2], b=["x", "y"], repeat=2))
    assert [(point.repetition, *point.params.values()) for point in points] == [
        (repetition, a, b) for repetition in range(2) for a in (1, 2) for b in ("x", "y")
    ]


def test_labels_read_well() -> None:
    assert Space(memory=["2GiB"], dirty=[25], repeat=4).point(3).label == "memory:2GiB-dirty:25-r3"
    assert Space(memory=["2GiB"], dirty=[25]).point(0).label == "memory:2GiB-dirty:25"
    assert Space().point(0).label == "only"


def test_labels_that_imitate_one_another_are_told_apart() -> None:
    imitation = Space(x=["a-y=b", "a"], y=["c", "b-y=c"])
    assert len({point.label for point in imitation}) == 4
    assert len({point.label for point in Space(x=[1, "1", 1.0, "1.0", True, "true", None, "null"])}) == 8


def test_the_empty_space_has_one_point() -> None:
    assert len(Space()) == 1
    assert list(Space()) == [Point({}, {}, 0, "only")]


def test_a_vast_space_is_not_listed() -> None:
    vast = Space({f"f{number}": range(10) for number in range(149)}, repeat=10)
    assert vast.size == 10**150
    assert bool(vast)
    last = vast.point(10**150 - 1)
    assert vast.index(last) == 10**150 - 1
    assert len(last.label) <= 200
    with pytest.raises(OverflowError):
        len(vast)
    assert [point.params["f148"] for point in itertools.islice(vast, 3)] == [0, 1, 2]


@pytest.mark.parametrize("index", [-1, 4])
def test_a_number_past_the_end_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError, match=f"point {index} of a space of 4"):
        Space(a=[1, 2], repeat=2).point(index)


def test_a_point_of_another_space_has_no_number() -> None:
    point = Space(a=[1]).point(0)
    for other in (Space(a=[1.0]), Space(b=[1]), Space(), Space(a=[True])):
        assert point not in other
        with pytest.raises(InvalidSpace, match="is not in"):
            other.index(point)


def test_a_test_that_changes_its_parameter_changes_no_other_trial() -> None:
    mine = [[1, 2], {"deep": [3]}]
    changed = Space(x=mine, y=[0, 1])
    mine[0].append(9)  # type: ignore[attr-defined]
    point = changed.point(0)
    point.values["x"].append("changed")
    point.params["x"].append("changed")  # type: ignore[union-attr]
    changed.factors["x"][0].append("changed")
    assert point.values["x"] == point.params["x"] == changed.point(1).values["x"] == [1, 2]
    assert changed.index(point) == 0


def test_a_point_is_immutable() -> None:
    point = Space(a=[1]).point(0)
    with pytest.raises(AttributeError, match="label"):
        point.label = "b"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="label"):
        del point.label  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(point)) == point


def test_a_named_level_gives_its_value_and_is_recorded_by_its_id() -> None:
    point = Space(kernel=[Level(len, "length"), Level(max, "most")]).point(1)
    assert point.values == {"kernel": max}
    assert point.params == {"kernel": "most"}
    assert point.label == "kernel:most"


def test_named_levels_of_containers_are_copied_and_objects_are_shared() -> None:
    shared = object()
    config = Space(config=[Level({"of": shared, "list": []}, "a")]).point(0)
    config.values["config"]["list"].append(1)
    assert config.values["config"] == {"of": shared, "list": []}


def test_what_pytest_param_makes_is_a_named_level() -> None:
    point = Space(f=[pytest.param(len, id="length"), pytest.param(3)]).point(0)
    assert point.params == {"f": "length"}
    assert point.values == {"f": len}
    assert Space(f=[pytest.param(3)]).point(0).params == {"f": 3}


class Kind(enum.StrEnum):
    LIVE = "live"
    COLD = "cold"


def test_enumerations_and_numpy_stand_as_their_values() -> None:
    assert [point.params["kind"] for point in Space(kind=Kind)] == ["live", "cold"]
    assert Space(kind=Kind).point(0).values["kind"] is Kind.LIVE
    assert [point.params["x"] for point in Space(x=np.linspace(0, 1, 3))] == [0.0, 0.5, 1.0]
    assert [point.params["x"] for point in Space(x=np.arange(2))] == [0, 1]


def test_generators_and_ranges_are_levels() -> None:
    assert Space(a=(number for number in range(3)), b=range(2)) == Space(a=[0, 1, 2], b=(0, 1))


def test_equality_is_of_factors_in_order_levels_and_repetitions() -> None:
    base = Space(a=[1, 2], b=[3])
    assert base == Space({"a": [1, 2], "b": [3]})
    for other in (
        Space(b=[3], a=[1, 2]),
        Space(a=[2, 1], b=[3]),
        Space(a=[1.0, 2], b=[3]),
        Space(a=[1, 2], b=[3], repeat=2),
    ):
        assert base != other
    assert repr(Space(a=[1, 2], repeat=3)) == "<Space a:2 repeat=3>"


class Opaque:
    def __repr__(self) -> str:
        return "<Opaque\n line two>"


@pytest.mark.parametrize(
    ("factors", "repeat", "message"),
    [
        ({"x": []}, 1, "factor 'x' has no level; give it at least one, or leave the factor out"),
        ({"x": 3}, 1, "factor 'x' is 3, not levels; write [3]"),
        ({"x": None}, 1, "factor 'x' is None, not levels; write [None]"),
        ({"x": Level(1, "a")}, 1, "factor 'x' is Level(value=1, id='a'), not levels; write [Level(value=1, id='a')]"),
        ({"x": np.array(3)}, 1, "factor 'x' is array(3), not levels; write [array(3)]"),
        ({"x": "abc"}, 1, "factor 'x' is 'abc', one level rather than several; write ['abc']"),
        ({"x": b"abc"}, 1, "factor 'x' is b'abc', one level rather than several; write [b'abc']"),
        ({"x": {1: 2}}, 1, "factor 'x': below 1 is 2; write the factors of that level, {} for none"),
        ({"x": {}}, 1, "factor 'x' has no level; give it at least one, or leave the factor out"),
        ({"x": {1: {"x": [1]}}}, 1, "factor 'x' is given again below one of its own levels"),
        ({"x": {1: Space(y=[1], repeat=2)}}, 1, "factor 'x': the space below 1 repeats; repeat the whole"),
        ({"x": {1: {"y": [1]}}, "y": [2]}, 1, "factor 'y' is given twice; give it once"),
        ({"x": {1}}, 1, "factor 'x' is a set, which has no stable order; write a sorted list of levels"),
        ({"x": range(5, 5)}, 1, "factor 'x' has no level; give it at least one, or leave the factor out"),
        ({"x": range(10**8, 0)}, 1, "factor 'x' has no level; give it at least one, or leave the factor out"),
        ({"a b": [1]}, 1, "factor 'a b' can't be an argument of a test function; name it like a Python variable"),
        ({"lambda": [1]}, 1, "factor 'lambda' can't be an argument of a test function; name it like a Python variable"),
        ({1: [1]}, 1, "factor 1 can't be an argument of a test function; name it like a Python variable"),
        ({"x": [1, 2, 1]}, 1, "levels 0 and 2 of factor 'x' are the same, 1; give it once"),
        ({"x": [(1, 2), [1, 2]]}, 1, "levels 0 and 1 of factor 'x' are the same, [1, 2]; give it once"),
        ({"x": [Level(1, "a"), "a"]}, 1, "levels 0 and 1 of factor 'x' are the same, 'a'; give it once"),
        (
            {"x": [Level(1, "a"), Level(2, "a")]},
            1,
            "levels 0 and 1 of factor 'x' have the same id 'a'; give each its own",
        ),
        ({"x": [1]}, 0, "repeat is 0; write a whole number from 1"),
        ({"x": [1]}, True, "repeat is True; write a whole number from 1"),
        ({"x": [1]}, 1.5, "repeat is 1.5; write a whole number from 1"),
        ([1], 1, "factors are [1], not a mapping; write Space(x=[1, 2]) or {'x': [1, 2]}"),
    ],
)
def test_a_wrong_space_is_refused_in_one_line(factors: Any, repeat: Any, message: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        Space(factors, repeat=repeat)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (Opaque(), "<Opaque line two>, which is not JSON"),
        ([float("nan")], "[nan]: nan, which is not JSON"),
        (float("inf"), "inf, which is not JSON"),
        ({"a": {2: 3}}, "{'a': {2: 3}}: a mapping with the key 2, which is not a str"),
    ],
)
def test_a_level_that_is_not_json_is_named_with_the_repair(level: object, shown: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        Space(kernel=[1, 2, level])
    assert str(caught.value) == (
        f'level 2 of factor \'kernel\' is {shown}; name it: pytest.param(value, id="a-name") or Level(value, "a-name")'
    )


def test_a_factor_given_twice_is_refused() -> None:
    with pytest.raises(InvalidSpace, match="factor 'x' is given twice"):
        Space({"x": [1]}, x=[2])
    with pytest.raises(InvalidSpace, match="factor 'x' is given twice"):
        Space(x=[1]) * Space(x=[2])


@pytest.mark.parametrize("name", ["", 3, None])
def test_a_level_has_a_name(name: Any) -> None:
    with pytest.raises(InvalidSpace, match="id of a Level"):
        Level(object(), name)


def test_an_iterator_without_end_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "MAX_LEVELS", 1000)
    endless: Iterable[int] = itertools.count()
    with pytest.raises(InvalidSpace, match="factor 'x' has more than 1000 levels"):
        Space(x=endless)
