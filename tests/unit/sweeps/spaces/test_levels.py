"""What may be a level: values that have one faithful JSON, and levels that are computed."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import math
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.errors import InvalidSpace
from pytest_execo.sweeps import Level, Levels, Space, geom, igeom, linspace, permutations, tuples
from pytest_execo.sweeps.spaces.levels import combinations


class Plain(enum.Enum):
    LIVE = 1
    COLD = 2


class Number(enum.IntEnum):
    ONE = 1


class Text(enum.StrEnum):
    LIVE = "live"


class Ratio(float, enum.Enum):
    HALF = 0.5


@dataclasses.dataclass(frozen=True)
class Disk:
    size: str
    path: PurePosixPath


@dataclasses.dataclass(frozen=True)
class Machine:
    disks: tuple[Disk, ...]
    kind: Plain = Plain.LIVE


@dataclasses.dataclass
class Changing:
    size: int = 1


class Quantity:
    """What pint's quantities look like from outside."""

    def __init__(self, magnitude: float, units: str) -> None:
        self.magnitude, self.units = magnitude, units

    def __format__(self, spec: str) -> str:
        assert spec == "~D"
        return f"{self.magnitude} {self.units}"


@pytest.mark.parametrize(
    ("level", "param", "label"),
    [
        ("2GiB", "2GiB", "x:2GiB"),
        (2.0, 2.0, "x:2.0"),
        (None, None, "x:null"),
        ({"b": [1], "a": True}, {"b": [1], "a": True}, None),
        (Plain.LIVE, "LIVE", "x:LIVE"),
        (Number.ONE, 1, "x:1"),
        (Text.LIVE, "live", "x:live"),
        (Ratio.HALF, 0.5, "x:0.5"),
        (PurePosixPath("/a/b"), "/a/b", None),
        (PureWindowsPath("a\\b"), "a/b", None),
        (Path("images"), "images", "x:images"),
        (Disk("2GiB", PurePosixPath("/data")), {"Disk": {"size": "2GiB", "path": "/data"}}, None),
        (
            Machine((Disk("1", PurePosixPath("/data")),)),
            {"Machine": {"disks": [{"Disk": {"size": "1", "path": "/data"}}], "kind": "LIVE"}},
            None,
        ),
        (Quantity(2, "GiB"), "2 GiB", None),
        (np.float64(0.5), 0.5, "x:0.5"),
        (np.int32(3), 3, "x:3"),
        (np.bool_(True), True, "x:true"),
        (Level(object(), "an object"), "an object", None),
    ],
)
def test_a_level_is_recorded_as_json_and_given_as_it_is(level: Any, param: Any, label: str | None) -> None:
    point = Space(x=[level]).point(0)
    assert point.params == {"x": param}
    assert type(point.params["x"]) is type(param)
    given_value = level.value if isinstance(level, Level) else level
    assert point.values["x"] is given_value or point.values["x"] == given_value
    assert label is None or point.label == label


def test_a_quantity_of_pint_is_a_short_text() -> None:
    pint = pytest.importorskip("pint")
    units = pint.UnitRegistry()
    units.formatter.default_format = "P"  # what somebody likes to read must not change identities
    size, rate = units.Quantity(2, "gibibyte"), units.Quantity(32, "megabyte/second")
    point = Space(size=[size], rate=[rate]).point(0)
    assert point.params == {"size": "2 GiB", "rate": "32 MB / s"}
    assert point.values["size"] == size


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        (Changing(), "Changing(size=1), a dataclass that may change; make it frozen=True"),
        ((1, Changing(2)), "(1, Changing(size=2)): Changing(size=2), a dataclass that may change; make it frozen=True"),
        (math.nan, "nan, which is not JSON"),
        (np.array([1, math.inf]), "array([ 1., inf]): inf, which is not JSON"),
        (b"x", "b'x', which is not JSON"),
        ({1, 2}, "{1, 2}, which is not JSON"),
    ],
)
def test_a_level_without_faithful_json_is_refused_in_one_line(level: Any, reason: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        Space(x=["fine", level])
    assert str(caught.value) == (
        f'level 1 of factor \'x\' is {reason}; name it: pytest.param(value, id="a-name") or Level(value, "a-name")'
    )


computed = st.one_of(
    st.builds(lambda n: (permutations(range(n)), itertools.permutations(range(n))), st.integers(0, 5)),
    st.builds(
        lambda n, k: (permutations(range(n), k), itertools.permutations(range(n), k)),
        st.integers(0, 5),
        st.integers(0, 6),
    ),
    st.builds(
        lambda n, k: (combinations(range(n), k), itertools.combinations(range(n), k)),
        st.integers(0, 6),
        st.integers(0, 7),
    ),
    st.builds(
        lambda n, k: (tuples(range(n), k), itertools.product(range(n), repeat=k)), st.integers(0, 4), st.integers(0, 3)
    ),
)


@pytest.mark.slow
@given(computed)
def test_computed_levels_are_those_of_itertools_in_their_order(pair: tuple[Levels, Any]) -> None:
    levels, listed = pair
    wanted = [list(one) for one in listed]
    assert list(levels) == wanted
    assert levels.size == len(levels) == len(wanted)
    assert [levels.number(one) for one in wanted] == list(range(len(wanted)))
    assert levels.number([9] * levels.length) is None or levels.length == 0
    assert levels.number("no list") is levels.number([0] * (levels.length + 1)) is None


@pytest.mark.slow
@given(st.integers(0, math.factorial(96) - 1))
def test_the_orders_of_96_machines_have_numbers(number: int) -> None:
    levels = permutations(range(96))
    assert levels.number(levels[number]) == number


def test_items_may_be_named_and_are_not_shared() -> None:
    space = Space(order=permutations([Level(len, "length"), [1]]))
    assert space.point(0).params == {"order": ["length", [1]]}
    point = space.point(1)
    assert point.values == {"order": [[1], len]}
    point.values["order"][0].append(2)
    assert space.point(1).values == point.values == {"order": [[1], len]}
    assert space.index(point) == 1
    assert repr(permutations("abc")) == "<Permutations of 3 items, 3 at a time>"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: permutations([1, 1]), "permutations(): two of the 2 items are the same"),
        (lambda: combinations([1], -1), "length is -1; write a whole number from 0"),
        (lambda: tuples([1], True), "length is True; write a whole number from 0"),
        (
            lambda: tuples([object], 2),
            "tuples(): an item is <class 'object'>, which is not JSON; name it: Level(item, 'a-name')",
        ),
        (
            lambda: Space(x=combinations([1], 2)),
            "factor 'x' has no level; give it at least one, or leave the factor out",
        ),
        (lambda: linspace(0, math.inf, 3), "linspace(0, inf, …): write two numbers"),
        (lambda: geom(0, 1, 3), "geom(0, 1, …): a ratio leads from one to the other only if both have one sign"),
        (lambda: igeom(1, 2, 0), "geom(…, steps=0): write a whole number from 1"),
    ],
)
def test_wrong_computed_levels_are_named_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize("number", [-1, 6])
def test_a_level_past_the_end_is_an_index_error(number: int) -> None:
    with pytest.raises(IndexError, match=f"level {number} of 6"):
        permutations("abc")[number]


def test_progressions_have_exact_ends() -> None:
    assert igeom(1, 20, 5) == [1, 2, 4, 9, 20]
    assert geom(1, 100, 3) == [1.0, 10.0, 100.0]
    assert linspace(0, 1, 5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert linspace(3, 9, 1) == geom(3, 9, 1) == [3.0]
    assert linspace(5, 1, 3) == [5.0, 3.0, 1.0]


@given(st.floats(0.001, 1000), st.floats(0.001, 1000), st.integers(2, 20))
def test_progressions_go_from_start_to_stop(start: float, stop: float, steps: int) -> None:
    for levels in (geom(start, stop, steps), linspace(start, stop, steps)):
        assert len(levels) == steps
        assert (levels[0], levels[-1]) == (start, stop)
        assert levels == sorted(levels, reverse=start > stop) or math.isclose(start, stop)
