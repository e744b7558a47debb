from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.errors import InvalidSpace
from pytest_execo.sweeps import Space
from pytest_execo.sweeps.spaces import factors
from pytest_execo.sweeps.spaces.levels import Numbers


def test_a_long_range_is_not_listed() -> None:
    space = Space(seed=range(10**30), x=[1, 2])
    assert space.size == 2 * 10**30
    last = space.point(space.size - 1)
    assert last.params == {"seed": 10**30 - 1, "x": 2}
    assert last.label == f"seed:{10**30 - 1}-x:2"
    assert space.index(last) == space.size - 1
    assert len(space.sample(5, seed=1)) == 5
    assert space.where(lambda x: x == 1).size == 10**30


@pytest.mark.parametrize("stop", [factors.LISTED_RANGE, factors.LISTED_RANGE + 1])
def test_the_length_of_a_range_changes_nothing_but_what_it_costs(stop: int) -> None:
    space = Space(x=range(stop))
    assert len(space) == stop
    point = space.point(stop - 1)
    assert (point.label, point.params_json) == (f"x:{stop - 1}", f'{{"x":{stop - 1}}}')
    assert Space(x=[True]).point(0) not in space
    assert Space(x=[1.0]).point(0) not in space


@pytest.mark.slow
@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-7, 7).filter(bool))
def test_numbers_are_those_of_the_range(start: int, stop: int, step: int) -> None:
    some = range(start, stop, step)
    numbers = Numbers(some)
    assert list(numbers) == list(some)
    assert numbers.size == len(some)
    assert [numbers.number(one) for one in some] == list(range(len(some)))
    assert numbers.number(stop) is None


@pytest.mark.parametrize("awkward", ["\u2028", "\x0b", "\x0c", "\x85"])
def test_only_a_line_break_ends_a_line_of_csv(tmp_path: Path, awkward: str) -> None:
    file = tmp_path / "s.csv"
    file.write_text(f"a,b\r\nx{awkward}y,1\r\n", encoding="utf-8", newline="")
    assert [dict(point.params) for point in Space.read(file)] == [{"a": f"x{awkward}y", "b": 1}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deep; write a list of objects"),
        ('[{"a": 1, "a": 2}]', "not JSON: 'a' is twice in one object"),
    ],
)
def test_json_that_python_would_take_or_die_of_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "s.json"
    file.write_text(text)
    with pytest.raises(InvalidSpace) as caught:
        Space.read(file)
    assert str(caught.value) == f"{file}: {message}"


@pytest.mark.parametrize("where", [3, "x", ["x"]])
def test_a_constraint_that_is_no_function_is_refused(where: Any) -> None:
    with pytest.raises(InvalidSpace, match=r"^where is .*; write a function of factors"):
        Space(x=[1], where=where)


def test_blocks_are_a_list() -> None:
    with pytest.raises(InvalidSpace, match=r"^blocks is 'x'; write a list of factors: blocks=\['x'\]$"):
        Space(x=[1]).shuffled(1, blocks="x")
