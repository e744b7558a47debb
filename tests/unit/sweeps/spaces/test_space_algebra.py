"""What can be made of spaces, case by case; the laws are in test_space_laws.py."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.errors import InvalidSpace
from pytest_execo.sweeps import Level, Space, permutations
from pytest_execo.sweeps.spaces import parts


def params(space: Space) -> list[dict[str, Any]]:
    return [dict(point.params) for point in space]


def test_factors_below_a_level_as_in_execo() -> None:
    space = Space(x=[1, 2], y={"p": {"k": [3]}, "q": {}})
    assert params(space) == [
        {"x": 1, "y": "p", "k": 3},
        {"x": 1, "y": "q"},
        {"x": 2, "y": "p", "k": 3},
        {"x": 2, "y": "q"},
    ]
    assert space.names == ("x", "y", "k")
    assert [point.label for point in space][:2] == ["x:1-y:p-k:3", "x:1-y:q"]


def test_levels_with_factors_below_may_be_named_and_nested() -> None:
    space = Space(f={Level(len, "length"): Space(g={"a": {"h": [1, 2]}}), Level(max, "most"): {"h": [2, 3]}})
    assert params(space) == [
        {"f": "length", "g": "a", "h": 1},
        {"f": "length", "g": "a", "h": 2},
        {"f": "most", "h": 2},
        {"f": "most", "h": 3},
    ]
    assert space.point(3).values == {"f": max, "h": 3}
    assert space.factors["h"] == (1, 2, 3)
    assert space.describe()["factors"] == {"f": 2, "g": 1, "h": 3}


def test_a_point_has_as_many_repetitions_as_in_the_space_where_it_has_most() -> None:
    space = Space(x=[1, 2], repeat=1) | Space(x=[2, 3], repeat=3)
    assert [(p.params["x"], p.repetition) for p in space] == [(1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (2, 2), (3, 2)]
    assert len(space) == 7
    assert space.repetitions == 3
    assert len(space * Space(y=[1, 2], repeat=2)) == 28


def test_levels_that_read_the_same_are_told_apart_in_a_union() -> None:
    labels = [point.label for point in Space(x=[1, 2]) | Space(x=["1"])]
    assert labels[1] == "x:2"
    assert len({*labels}) == 3
    assert all(label.startswith("x:1:") for label in (labels[0], labels[2]))


def test_a_constraint_sees_what_a_test_gets_and_absent_factors() -> None:
    space = Space(f=[Level(len, "length"), Level(max, "most")], y={1: {"k": [1, 2]}, 2: {}})
    seen = []

    def look(f: Any, k: Any = "none") -> bool:
        seen.append((f, k))
        return f is max

    assert len(space.where(look)) == 3
    assert set(seen) == {(len, 1), (len, 2), (len, "none"), (max, 1), (max, 2), (max, "none")}
    assert params(space.where(lambda k: k is None)) == [{"f": "length", "y": 2}, {"f": "most", "y": 2}]
    assert len(space.where(lambda **all_of_them: all_of_them["k"] == 1)) == 2
    assert len(space.where(lambda y: y == 1, lambda k: k == 2)) == 2
    assert Space(x=[1, 2], where=[lambda x: x > 0, lambda x: x > 1]).size == 1


def test_a_constraint_on_a_union_may_look_at_a_factor_that_one_side_lacks() -> None:
    space = (Space(x=[1, 2]) | Space(y=[1, 2], repeat=2)).where(lambda x: x != 1)
    assert [(dict(p.params), p.repetition) for p in space] == [
        ({"x": 2}, 0),
        ({"y": 1}, 0),
        ({"y": 2}, 0),
        ({"y": 1}, 1),
        ({"y": 2}, 1),
    ]


def test_factors_move_together_only_where_the_constraint_can_not_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_LISTED", 4)
    space = Space(a=[1, 2], b=[1, 2], c=[1, 2], where=lambda a, c: a >= c)
    assert space.names == ("a", "c", "b")
    assert params(space)[:3] == [{"a": 1, "c": 1, "b": 1}, {"a": 1, "c": 1, "b": 2}, {"a": 2, "c": 1, "b": 1}]
    assert len(space) == 6


def _fails(x: int) -> bool:
    raise ValueError(f"no\n{x}")


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        (3, "where is 3; write a function of factors: where=lambda memory, vms: …"),
        (_fails, "where=_fails: ValueError: no 1; at x=1"),
        (lambda y: True, "where=<lambda>: no factor 'y'; there are x"),
        (lambda: True, "where=<lambda>: it looks at no factor; there are x"),
        (lambda n=3: True, "where=<lambda>: it looks at no factor; there are x"),
        (lambda *x: True, "where=<lambda>: argument 'x' has to be the name of a factor"),
        (lambda x, /: True, "where=<lambda>: argument 'x' has to be the name of a factor"),
    ],
)
def test_a_wrong_constraint_is_named_in_one_line(predicate: Any, message: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        len(Space(x=[1, 2]).where(predicate))
    assert str(caught.value) == message


def test_zip_pairs_settings_and_multiplies_repetitions() -> None:
    space = Space(a=[1, 2], repeat=2).zip(Space(b=["x", "y"], repeat=3))
    assert params(space)[:2] == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert len(space) == 12
    assert space.axes == (2,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Space(a=[1]).zip(Space(b=[1, 2])), "zip: 1 settings with 2; they have to be as many"),
        (lambda: Space(a=[1]).zip(Space(a=[2])), "factor 'a' is given twice; give it once"),
        (lambda: Space(a=[1]).zip([1]), "zip([1]): give a space"),  # type: ignore[arg-type]
        (
            lambda: Space(a=[1, 2], repeat=2).shuffled(1).zip(Space(b=[1, 2])),
            "zip: a space has repetitions that differ, or is shuffled; zip first, repeat and shuffle then",
        ),
        (lambda: Space(a=[1, 2]).pick([0, 0]), "pick: a number is given twice; repeat() runs a setting again"),
        (lambda: Space(a=[1, 2]).pick([2]), "pick: no setting 2 in a space of 2"),
        (lambda: Space(a=[1, 2], b=[1]).at([2, 0]), "at([2, 0]): write a number below each of [2, 1]"),
        (lambda: Space.of([]), "the list has no setting; give at least one"),
        (lambda: Space.of([3]), "setting 0 is 3; write a mapping from factor to level"),  # type: ignore[list-item]
        (
            lambda: Space.of([{"a": 1}, {"b": 1}, {"a": 1}]),
            "setting 2 is the same as setting 0; list it once, and repeat the whole",
        ),
        (
            lambda: Space.of([{"a b": 1}]),
            "setting 0: 'a b': factor 'a b' can't be an argument of a test function; name it like a Python variable",
        ),
    ],
)
def test_what_can_not_be_made_is_said_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        make()
    assert str(caught.value) == message


def test_places_on_the_axes_are_numbers_of_settings() -> None:
    space = Space(a=[1, 2, 3], b=["x", "y"], repeat=5)
    assert space.axes == (3, 2)
    assert dict(space.point(space.at([2, 1])).params) == {"a": 3, "b": "y"}
    picked = space.pick([5, 0], note={"design": "mine"})
    assert len(picked) == 10
    assert picked.describe() == {
        "size": 10,
        "factors": {"a": 3, "b": 2},
        "repetitions": 5,
        "made": [{"design": "mine"}],
    }


def test_how_a_space_was_made_is_described() -> None:
    space = Space(x=range(5), repeat=2).sample(3, seed="s").shuffled(7, blocks=["x"])
    assert space.describe()["made"] == [{"sample": 3, "seed": "s"}, {"shuffled": 7, "blocks": ["x"]}]


def test_a_space_of_lists_and_unions_survives_pickling() -> None:
    space = (Space(a=[1, 2], b={1: {"c": [1]}}) | Space(a=[2, 3])) * Space.of([{"d": 1}, {"e": 2}])
    copy = pickle.loads(pickle.dumps(space.sample(3, seed=1)))
    assert list(copy) == list(space.sample(3, seed=1))


def test_the_empty_product_and_the_empty_filter() -> None:
    nothing = Space(x=[1, 2]).where(lambda x: False)
    assert (len(nothing), list(nothing), nothing.axes) == (0, [], (0,))
    assert len(nothing * Space(y=[1])) == len(nothing.zip(Space(y=[1]).where(lambda y: False))) == 0
    assert params(nothing | Space(x=[2])) == [{"x": 2}]
    with pytest.raises(IndexError):
        nothing.point(0)
    with pytest.raises(InvalidSpace, match="of a space of 0 settings"):
        nothing.sample(1, seed=1)


def test_levels_that_are_computed_in_two_branches_are_counted_not_listed() -> None:
    space = Space(a={1: {"o": permutations(range(96))}, 2: {"o": permutations(range(95))}})
    assert space.describe()["factors"]["o"] > 9 * 10**149
    assert space.factors["o"][1] == [*range(94), 95, 94]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_csv_file_has_a_setting_on_each_line(tmp_path: Path) -> None:
    file = write(tmp_path / "s.csv", '\ufeffa, b,c\n1,2GiB,\n\n1.5,true,NaN\n"x, y",null,1e999\n,"[1]",007\n')
    assert params(Space.read(file)) == [
        {"a": 1, "b": "2GiB"},
        {"a": 1.5, "b": True, "c": "NaN"},
        {"a": "x, y", "b": None, "c": "1e999"},
        {"b": "[1]", "c": "007"},
    ]


def test_a_json_file_has_a_list_of_objects(tmp_path: Path) -> None:
    settings = [{"a": [1, 2]}, {"b": {"c": None}}]
    assert params(Space.read(write(tmp_path / "s.json", json.dumps(settings)))) == settings


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("s.csv", "", "s.csv: no setting; the first line has the factors, the others a setting each"),
        ("s.csv", "a\n", "s.csv: no setting; the first line has the factors, the others a setting each"),
        ("s.csv", "a,a\n1,2\n", "s.csv:1: two columns have one name"),
        ("s.csv", "a,b\n1,2\n1\n", "s.csv:3: 1 cells below 2 factors"),
        ("s.csv", 'a\n"1\n', "s.csv:2: not CSV: unexpected end of data"),
        ("s.csv", "a\n1\n2\n1\n", "s.csv:4 is the same as {dir}/s.csv:2; list it once, and repeat the whole"),
        (
            "s.csv",
            "a b\n1\n",
            "s.csv:1: factor 'a b' can't be an argument of a test function; name it like a Python variable",
        ),
        ("s.json", "[1", "s.json: not JSON: Expecting ',' delimiter: line 1 column 3 (char 2)"),
        ("s.json", '{"a": 1}', "s.json: {{'a': 1}}; write a list of objects"),
        ("s.json", "[1]", "s.json: object 0 is 1; write a mapping from factor to level"),
        ("s.json", '[{"a": NaN}]', "s.json: object 0: 'a': nan, which is not JSON"),
        ("s.txt", "", "s.txt: not known what it holds; name it .csv or .json"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        Space.read(write(tmp_path / name, text))
    assert str(caught.value) == f"{tmp_path}/{message.format(dir=tmp_path)}"


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpace, match=r"missing\.csv: can't be read: No such file or directory$"):
        Space.read(tmp_path / "missing.csv")
    (tmp_path / "s.csv").write_bytes(b"a\n\xff\n")
    with pytest.raises(InvalidSpace, match=r"s\.csv: not UTF-8 at byte 2$"):
        Space.read(tmp_path / "s.csv")
