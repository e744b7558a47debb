"""Designs over a space: what each promises about its settings."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_execo.errors import InvalidSpace
from pytest_execo.sweeps import Space
from pytest_execo.sweeps.spaces.designs import (
    box_behnken,
    fractional_factorial,
    latin_hypercube,
    plackett_burman,
    sobol,
    subset_design,
)
from pytest_execo.sweeps.spaces.levels import tuples

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=4)


def grid(*sizes: int, repeat: int = 1) -> Space:
    return Space({f"f{axis}": range(size) for axis, size in enumerate(sizes)}, repeat=repeat)


def places(space: Space) -> list[tuple[int, ...]]:
    return [tuple(point.params.values()) for point in space if not point.repetition]


def coded(space: Space, low: Any = 0) -> list[tuple[int, ...]]:
    """The settings of a two-level design, as -1 and 1."""
    return [tuple(-1 if place == low else 1 for place in row) for row in places(space)]


def dot(one: list[int], two: list[int]) -> int:
    return sum(a * b for a, b in zip(one, two, strict=True))


# latin hypercubes


@pytest.mark.slow
@given(SIZES, st.data(), st.integers(0, 5))
def test_a_latin_hypercube_has_each_level_as_often_as_any_other(sizes: list[int], data: Any, seed: int) -> None:
    n = data.draw(st.integers(1, max(1, math.prod(sizes) // 2)))
    rows = places(latin_hypercube(grid(*sizes), n, seed=seed))
    assert len(rows) == len(set(rows)) == n
    for size, column in zip(sizes, zip(*rows, strict=True), strict=True):
        times = Counter(column)
        assert {times[place] for place in range(size)} <= {n // size, math.ceil(n / size)}


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.integers(2, 4), min_size=1, max_size=3), st.integers(0, 3))
def test_nearly_all_settings_are_found_or_refused(sizes: list[int], seed: int) -> None:
    n = math.prod(sizes)
    assert sorted(places(latin_hypercube(grid(*sizes), n, seed=seed))) == list(itertools.product(*map(range, sizes)))


@pytest.mark.slow
def test_the_levels_of_a_latin_hypercube_are_all_as_likely() -> None:
    # 3 levels in 4 settings, 5 in 4, 11 in 4: rounding must not favour the first, nor the last.
    for size in (3, 5, 11):
        times = Counter(
            place for seed in range(300) for (place, _) in places(latin_hypercube(grid(size, 16), 4, seed=seed))
        )
        expected = 1200 / size
        assert all(abs(times[place] - expected) < 5 * math.sqrt(expected) for place in range(size)), (size, times)


@pytest.mark.parametrize("design", [latin_hypercube, sobol])
def test_an_axis_may_be_larger_than_any_float(design: Callable[..., Space]) -> None:
    space = design(Space(digits=tuples(range(10), 200), b=[1, 2]), 8, seed=1)
    rows = [digits for digits, _ in places(space)]
    assert sorted(int("".join(map(str, digits[:20]))) * 8 // 10**20 for digits in rows) == list(range(8))
    # All digits are random, not only those that a float has: rows agree in no more of the last ones than chance has.
    assert all(sum(map(int.__eq__, one[-100:], two[-100:])) < 40 for one, two in itertools.combinations(rows, 2))


@pytest.mark.parametrize("design", [latin_hypercube, sobol])
def test_a_design_follows_from_its_seed(design: Callable[..., Space]) -> None:
    space = grid(50, 50, 50)
    assert design(space, 20, seed=7) == design(space, 20, seed=7)
    seeds: list[int | str] = [7, 8, "7", "a text", 10**40]
    assert len({design(space, 20, seed=seed) for seed in seeds}) == len(seeds)


def test_the_points_of_a_seed_are_pinned() -> None:
    # Another version of numpy or scipy may change them; nothing else may.
    assert places(latin_hypercube(grid(10, 1000, 3), 3, seed=7)) == LATIN
    assert places(sobol(grid(10, 1000, 3), 3, seed=7)) == SOBOL


LATIN = [(8, 489, 0), (4, 678, 1), (0, 198, 2)]
SOBOL = [(1, 463, 1), (9, 594, 2), (5, 116, 0)]


def test_a_design_says_how_it_was_made() -> None:
    made = latin_hypercube(grid(4, 5), 3, seed=7).describe()["made"]
    assert [{**note, "library": note["library"].split()[0]} for note in made] == [
        {"design": "latin hypercube", "n": 3, "seed": 7, "library": "scipy"}
    ]
    assert sobol(grid(4, 5), 3, seed="s").describe()["made"][0]["seed"] == "s"
    assert plackett_burman(grid(4, 5)).describe()["made"][0]["design"] == "plackett burman"
    assert fractional_factorial(grid(2, 2), "a b").describe()["made"][0]["generators"] == "a b"
    assert subset_design(grid(3, 3), 3).describe()["made"][0]["reduction"] == 3
    assert box_behnken(grid(3, 3, 3)).describe()["made"][0]["library"].startswith("pydoe ")


def test_the_settings_of_a_design_are_repeated() -> None:
    design = latin_hypercube(grid(5, 5, repeat=3), 4, seed=1)
    assert (design.size, design.repetitions) == (12, 3)
    assert plackett_burman(grid(2, 2, 2, repeat=3)).size == 12


# sobol


@pytest.mark.slow
@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(0, 4), st.integers(0, 5))
def test_a_power_of_two_of_sobol_points_is_balanced(powers: list[int], power: int, seed: int) -> None:
    # One long axis more, so that no setting is met twice and the design is the plain sequence.
    n = 2**power
    space = Space(long=tuples((0, 1), 40)) * grid(*(2**one for one in powers))
    rows = [(int("".join(map(str, bits)), 2), *rest) for bits, *rest in places(sobol(space, n, seed=seed))]
    assert len(set(rows)) == n
    for size, column in zip([2**40, *(2**one for one in powers)], zip(*rows, strict=True), strict=True):
        assert set(Counter(place * min(n, size) // size for place in column).values()) == {max(1, n // size)}


@pytest.mark.slow
@given(SIZES, st.data(), st.integers(0, 5))
def test_a_longer_sobol_design_begins_with_the_shorter_one(sizes: list[int], data: Any, seed: int) -> None:
    space = grid(*sizes)
    longer = data.draw(st.integers(1, math.prod(sizes)))
    shorter = data.draw(st.integers(1, longer))
    rows = places(sobol(space, longer, seed=seed))
    assert len(rows) == len(set(rows)) == longer
    assert places(sobol(space, shorter, seed=seed)) == rows[:shorter]


def test_sobol_goes_on_beyond_its_first_points() -> None:
    # 1000 points fall into 100 settings: a single batch of 64 would not do.
    assert len(places(sobol(grid(10, 10), 100, seed=1))) == 100


def test_sobol_refuses_more_axes_than_it_has() -> None:
    with pytest.raises(InvalidSpace, match="the sequence has 21201 axes, the space 21202"):
        sobol(_Axes(21202), 2, seed=1)  # type: ignore[arg-type]


# what both refuse


@pytest.mark.parametrize("design", [latin_hypercube, sobol])
@pytest.mark.parametrize(
    ("n", "seed", "said"),
    [
        (0, 1, r"\(0\): write how many, a whole number from 1"),
        (True, 1, r"\(True\): write how many"),
        (1.5, 1, r"\(1.5\): write how many"),
        (7, 1, r"\(7\) of a space with fewer settings: 6"),
        (2, 1.5, "seed is 1.5; write a whole number or a text"),
    ],
)
def test_bad_numbers_and_seeds(design: Callable[..., Space], n: Any, seed: Any, said: str) -> None:
    with pytest.raises(InvalidSpace, match=said):
        design(grid(2, 3, repeat=2), n, seed=seed)


@pytest.mark.parametrize("design", [latin_hypercube, sobol])
def test_a_space_of_one_setting(design: Callable[..., Space]) -> None:
    assert places(design(grid(1, 1), 1, seed=1)) == [(0, 0)]
    assert design(Space(), 1, seed=1).size == 1


def test_a_latin_hypercube_that_is_not_to_be_found_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_execo.sweeps.spaces import space_filling

    monkeypatch.setattr(space_filling, "_moved_apart", lambda rows, draws: False)
    with pytest.raises(InvalidSpace, match=r"no 5 different settings of 6 found that are balanced; use sample\(\)"):
        latin_hypercube(grid(2, 3), 5, seed=1)


def test_joined_factors_are_one_axis() -> None:
    # A zip is one axis: its levels stay together.
    space = Space(a=range(6)).zip(Space(b=range(6))) * Space(c=range(6))
    assert space.axes == (6, 6)
    rows = places(latin_hypercube(space, 6, seed=1))
    assert all(a == b for a, b, _ in rows)
    assert sorted(c for _, _, c in rows) == list(range(6))


def test_a_constraint_holds_in_a_design() -> None:
    space = grid(6, 6, 6).where(lambda f0, f1: f0 < f1)
    assert all(row[0] < row[1] for row in places(latin_hypercube(space, 15, seed=1)))


# plackett burman


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60))
def test_plackett_burman_is_orthogonal_and_balanced(factors: int) -> None:
    rows = coded(plackett_burman(grid(*[3] * factors)))
    assert len(rows) == len(set(rows))
    assert len(rows) % 4 == 0
    assert factors < len(rows) <= 2 * factors + 4
    columns = [list(column) for column in zip(*rows, strict=True)]
    assert all(sum(column) == 0 for column in columns)
    assert all(dot(one, two) == 0 for one, two in itertools.combinations(columns, 2))


@pytest.mark.parametrize(
    ("factors", "runs"), [(1, 2), (2, 4), (3, 4), (4, 8), (7, 8), (8, 12), (11, 12), (16, 20), (24, 32), (36, 40)]
)
def test_how_many_settings_plackett_burman_takes(factors: int, runs: int) -> None:
    assert plackett_burman(grid(*[2] * factors)).size == runs


def test_plackett_burman_takes_first_and_last_levels_and_leaves_the_rest() -> None:
    space = Space(a=[1, 2, 3], b=["only"], c=tuples(range(10), 30), d=["x", "y"])
    rows = places(plackett_burman(space))
    assert len(rows) == 4
    assert {(a, b, d) for a, b, _, d in rows} <= {(a, "only", d) for a in (1, 3) for d in ("x", "y")}
    assert {"".join(map(str, c)) for _, _, c, _ in rows} == {"0" * 30, "9" * 30}


def test_plackett_burman_needs_a_factor_of_two_levels() -> None:
    with pytest.raises(InvalidSpace, match=r"plackett_burman: no factor of <Space f0:1 \* f1:1> has two levels"):
        plackett_burman(grid(1, 1))


# fractional factorials


@pytest.mark.parametrize(
    "generators",
    ["a b ab", "a b c -abc", "b a c -bc", "x Y -z +xyz", "A b ab", "p q pq r -pr qr pqr", "-a b", "ab b a"],
)
def test_each_word_of_a_fractional_factorial_holds(generators: str) -> None:
    words = generators.lower().split()
    rows = coded(fractional_factorial(grid(*[3] * len(words)), generators))
    letters = [word[-1] for word in words if len(word.lstrip("+-")) == 1]
    assert len(rows) == len(set(rows)) == 2 ** len(letters)
    for row in rows:
        # The sign before a single letter is that of the factor, not that of the letter in products.
        signs = {
            w[-1]: -code if w[0] == "-" else code for w, code in zip(words, row, strict=True) if w.strip("+-")[1:] == ""
        }
        for word, code in zip(words, row, strict=True):
            wanted = math.prod(signs[letter] for letter in word.strip("+-"))
            assert code == (-wanted if word[0] == "-" else wanted), (word, row)


def test_a_word_is_for_a_factor_with_a_choice() -> None:
    rows = places(fractional_factorial(Space(a=[1, 2], fixed=[0], b=[1, 2], c=[1, 2]), "a b ab"))
    assert sorted(rows) == [(1, 0, 1, 2), (1, 0, 2, 1), (2, 0, 1, 1), (2, 0, 2, 2)]


@pytest.mark.parametrize(
    ("generators", "said"),
    [
        ("a b", "2 words for 3 factors of two levels or more; write one for each"),
        ("a b c d", "4 words for 3 factors"),
        ("", "write one word for each factor, as in 'a b c abc'"),
        (None, "write one word for each factor"),
        ("a b -", "'-' is no word"),
        ("a b a+b", r"'a\+b' is no word"),
        ("a b é", "'é' is no word"),
        ("a b 1", "'1' is no word"),
        ("a b --ab", "'--ab' is no word"),
        ("a b aab", "'aab' is no word; write different letters"),
        ("a b cd", "'cd' has a letter that is no word of its own: 'c'"),
        ("a b a", "'a' and 'a' would always vary together"),
        ("a b -a", "'a' and '-a' would always vary together"),
        ("a ab -ba", "'ab' has a letter that is no word of its own: 'b'"),
        (" ".join("abcdefghijklmnopq"), "17 letters make 131072 settings; 16 are the most"),
    ],
)
def test_generators_that_are_refused(generators: Any, said: str) -> None:
    with pytest.raises(InvalidSpace, match=f"fractional_factorial.*{said}") as caught:
        fractional_factorial(grid(2, 2, 2), generators)
    assert "\n" not in str(caught.value)


# subset designs


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=4), st.integers(2, 5))
def test_a_subset_design_has_every_level_of_every_factor(sizes: list[int], reduction: int) -> None:
    try:
        rows = places(subset_design(grid(*sizes), reduction))
    except InvalidSpace as error:
        assume("fewer than two factors" not in str(error))
        assert "too large" in str(error)  # noqa: PT017
        assert reduction > min(size for size in sizes if size > 1)
        return
    assert len(rows) == len(set(rows)) < math.prod(sizes)
    assert [len(set(column)) for column in zip(*rows, strict=True)] == sizes


def test_a_subset_design_takes_the_part_that_it_was_asked_for() -> None:
    rows = places(subset_design(grid(3, 3, 1, 3, 3), 3))
    assert len(rows) == 27
    # A third of 81, and any two factors meet in all combinations equally often.
    for one, two in itertools.combinations([0, 1, 3, 4], 2):
        assert set(Counter((row[one], row[two]) for row in rows).values()) == {3}


@pytest.mark.parametrize(
    ("sizes", "reduction", "said"),
    [
        ((3, 3), 1, r"subset_design\(1\): write one of how many"),
        ((3, 3), 2.0, r"subset_design\(2.0\): write one of how many"),
        ((3, 1), 2, "fewer than two factors of two levels or more"),
        ((2, 3), 4, "too large, no factor has more than 3 levels"),
        ((5, 2), 4, "too large, only 3 of the 5 levels of a factor would come"),
        ((2,) * 21, 2, "more than 2000000 settings to list; use sample"),
        ((3000, 3000), 2, "more than 2000000 settings to list; use sample"),
    ],
)
def test_reductions_that_are_refused(sizes: tuple[int, ...], reduction: Any, said: str) -> None:
    with pytest.raises(InvalidSpace, match=said):
        subset_design(grid(*sizes), reduction)


# box behnken


@pytest.mark.parametrize(("factors", "size"), [(3, 5), (4, 3), (7, 4)])
def test_box_behnken_has_all_pairs_at_their_ends_and_one_middle(factors: int, size: int) -> None:
    middle = (size - 1) // 2
    rows = places(box_behnken(grid(*[size] * factors)))
    ends = Counter(tuple((axis, place) for axis, place in enumerate(row) if place != middle) for row in rows)
    wanted = {
        ((one, a), (two, b))
        for one, two in itertools.combinations(range(factors), 2)
        for a in (0, size - 1)
        for b in (0, size - 1)
    }
    assert ends == Counter([*wanted, ()])


@pytest.mark.parametrize(
    ("sizes", "said"), [((3, 3, 1), "fewer than three factors"), ((3, 2, 3), "a factor of .* has two levels")]
)
def test_what_box_behnken_refuses(sizes: tuple[int, ...], said: str) -> None:
    with pytest.raises(InvalidSpace, match=f"box_behnken: .*{said}"):
        box_behnken(grid(*sizes))


# the libraries


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("scipy.stats.qmc", lambda space: latin_hypercube(space, 2, seed=1), r"latin_hypercube\(\) needs scipy"),
        ("scipy.stats.qmc", lambda space: sobol(space, 2, seed=1), r"sobol\(\) needs scipy"),
        ("pydoe", plackett_burman, r"plackett_burman\(\) needs pydoe"),
        ("pydoe", lambda space: fractional_factorial(space, "a b c"), r"fractional_factorial\(\) needs pydoe"),
        ("pydoe", lambda space: subset_design(space, 2), r"subset_design\(\) needs pydoe"),
        ("pydoe", box_behnken, r"box_behnken\(\) needs pydoe"),
    ],
)
def test_a_library_that_is_missing(
    name: str, make: Callable[[Space], Space], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=said + r": pip install 'pytest-execo\[design\]'"):
        make(grid(3, 3, 3))


@pytest.mark.slow
def test_no_library_is_loaded_before_it_is_used() -> None:
    rooms = "pytest_execo.sweeps.spaces.designs, pytest_execo.sweeps.spaces.search"
    code = f"import sys, {rooms}; print({{'numpy', 'scipy', 'pydoe'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_methods_of_a_space_are_these() -> None:
    space = grid(4, 5, 6)
    assert space.latin_hypercube(3, seed=1) == latin_hypercube(space, 3, seed=1)
    assert space.sobol(3, seed=1) == sobol(space, 3, seed=1)
    assert space.plackett_burman() == plackett_burman(space)


class _Axes:
    """A space of many axes, without the factors."""

    def __init__(self, count: int) -> None:
        self.axes = (2,) * count
