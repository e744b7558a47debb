"""Laws of spaces, over expressions that nest whatever makes a space of spaces.

Each expression is made twice: as a space, and as a *model*, which lists the settings of each repetition in order.
"""

from __future__ import annotations

import contextlib
import inspect
import pickle
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_execo.errors import InvalidSpace
from pytest_execo.sweeps import Space, canonical_json, trial_id
from pytest_execo.sweeps.spaces import parts
from pytest_execo.sweeps.spaces.levels import combinations, permutations, tuples

pytestmark = pytest.mark.slow

Setting = dict[str, Any]
MOST = 100  # points; an expression that would have more is not made
FEW = 4  # cells that may be listed, where the constraints are to be too large for it

atoms = (
    st.integers(-2, 2)
    | st.sampled_from(["", "1", "a", "b-c", "é", "true", "x" * 50])
    | st.booleans()
    | st.none()
    | st.floats(-1, 1, width=16)
    | st.lists(st.integers(0, 1), max_size=2)
)
levels = st.lists(atoms, min_size=1, max_size=3, unique_by=canonical_json)
names = st.sampled_from("abcdefgh")
lazy_levels = st.sampled_from(
    [permutations("xyz"), permutations(range(4), 1), combinations([1, 2, 3], 2), tuples("p", 2)]
)


@dataclass
class Case:
    space: Space
    model: list[list[Setting]]
    how: str = field(default="", compare=False)


def keys(some: Iterable[Setting]) -> list[str]:
    return [canonical_json(setting) for setting in some]


def product(*factors: tuple[str, Iterable[Any]]) -> list[Setting]:
    found: list[Setting] = [{}]
    for name, some in factors:
        found = [{**setting, name: level} for setting in found for level in some]
    return found


@st.composite
def full_factorials(draw: st.DrawFn) -> Case:
    factors = draw(st.dictionaries(names, levels | lazy_levels, max_size=2))
    repeat = draw(st.integers(1, 2))
    return Case(Space(factors, repeat=repeat), [product(*factors.items())] * repeat, f"Space({factors}, {repeat})")


@st.composite
def conditionals(draw: st.DrawFn) -> Case:
    branches = draw(
        st.dictionaries(
            st.sampled_from(["p", "q", 3]), st.dictionaries(st.sampled_from("cde"), levels, max_size=2), min_size=1
        )
    )
    space = Space(a=[0, 1], b=branches)
    return Case(
        space,
        [
            [
                {"a": a, "b": branch, **below}
                for a in (0, 1)
                for branch, factors in branches.items()
                for below in product(*factors.items())
            ]
        ],
        f"Space(a=[0, 1], b={branches})",
    )


@st.composite
def lists(draw: st.DrawFn) -> Case:
    rows = draw(st.lists(st.dictionaries(names, atoms, max_size=3), min_size=1, max_size=4, unique_by=canonical_json))
    return Case(Space.of(rows), [rows], f"Space.of({rows})")


def filtered(looks_at: tuple[str, ...], salt: int, of: int) -> Callable[..., bool]:
    def test(**params: Any) -> bool:
        text = canonical_json({name: params[name] for name in looks_at})
        return (zlib.crc32(text.encode()) + salt) % of > 0

    some = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in looks_at]
    test.__signature__ = inspect.Signature(some)  # type: ignore[attr-defined]
    return test


def refused(make: Callable[[], Case], otherwise: Case, refusal: str) -> Case:
    """What ``make`` makes; what there was before where that is refused, as it may be."""
    with contextlib.suppress(InvalidSpace):
        return make()
    with pytest.raises(InvalidSpace, match=f"^({refusal})"):
        make()
    return otherwise


def by_repetition(space: Space, repetitions: int) -> list[list[Setting]]:
    found: list[list[Setting]] = [[] for _ in range(repetitions)]
    for point in space:
        found[point.repetition].append(dict(point.params))
    return found


def checked(case: Case, in_order: bool) -> Case:
    """Iterate over the space; constraints that are too large to be listed may move the factors they look at."""
    found = by_repetition(case.space, len(case.model))
    if in_order:
        assert list(map(keys, found)) == list(map(keys, case.model)), case.how
    else:
        assert [sorted(keys(some)) for some in found] == [sorted(keys(some)) for some in case.model], case.how
    return Case(case.space, found, case.how)


def made(children: st.SearchStrategy[Case], in_order: bool) -> st.SearchStrategy[Case]:
    @st.composite
    def one_more(draw: st.DrawFn) -> Case:
        one = draw(children)
        kind = draw(st.sampled_from(sorted(KINDS)))
        case = KINDS[kind](draw, one, children)
        case = case if sum(map(len, case.model)) <= MOST else one
        return case if case is one else checked(case, in_order)

    return one_more()


Children = st.SearchStrategy[Case]


def multiplied(draw: st.DrawFn, one: Case, children: Children) -> Case:
    two = draw(children)
    if set(one.space.names) & set(two.space.names):
        return one
    # Repetitions of one order stand together: those of a shuffled space have several.
    pairs = (
        [(some, others) for others in two.model for some in one.model]
        if all(some == one.model[0] for some in one.model)
        else [(some, others) for some in one.model for others in two.model]
    )
    model = [[{**a, **b} for a in some for b in others] for some, others in pairs]
    return refused(
        lambda: Case(one.space * two.space, model, f"({one.how}) * ({two.how})"), one, "product: both spaces have"
    )


def united(draw: st.DrawFn, one: Case, children: Children) -> Case:
    two = draw(children)
    model = []
    for repetition in range(max(len(one.model), len(two.model))):
        some = one.model[repetition] if repetition < len(one.model) else []
        others = two.model[repetition] if repetition < len(two.model) else []
        known = set(keys(some))
        model.append([*some, *(setting for setting in others if canonical_json(setting) not in known)])
    return Case(one.space | two.space, model, f"({one.how}) | ({two.how})")


def zipped(draw: st.DrawFn, one: Case, children: Children) -> Case:
    two = draw(children)
    if set(one.space.names) & set(two.space.names):
        return one
    model = [[{**a, **b} for a, b in zip(some, others, strict=False)] for some in one.model for others in two.model]
    how = f"({one.how}) zip ({two.how})"
    return refused(lambda: Case(one.space.zip(two.space), model, how), one, r"zip: \w|how many settings meet")


def constrained(draw: st.DrawFn, one: Case, _: Children) -> Case:
    if not one.space.names:
        return one
    looks_at = tuple(draw(st.lists(st.sampled_from(one.space.names), min_size=1, max_size=2, unique=True)))
    salt, of = draw(st.integers(0, 9)), draw(st.integers(1, 4))
    test = filtered(looks_at, salt, of)
    model = [[s for s in some if test(**{name: s.get(name) for name in looks_at})] for some in one.model]
    return Case(one.space.where(test), model, f"({one.how}).where({looks_at}, {salt}, {of})")


def repeated(draw: st.DrawFn, one: Case, _: Children) -> Case:
    return Case(one.space.repeat(2), [some for some in one.model for _ in range(2)], f"({one.how}).repeat(2)")


def put_below(draw: st.DrawFn, one: Case, _: Children) -> Case:
    if len(one.model) > 1 or "z" in one.space.names:
        return one
    space = Space(z={1: one.space, 2: {}})
    return Case(space, [[{"z": 1, **setting} for setting in one.model[0]] + [{"z": 2}]], f"z=1: {one.how}; z=2")


def chosen(case: Case, space: Space, how: str) -> Case:
    """Some settings, in the order in which ``space`` has them, each as often as it was before."""
    settings = by_repetition(space, len(case.model))[0]
    model = [[s for s in settings if canonical_json(s) in set(keys(some))] for some in case.model]
    while len(model) > 1 and not model[-1]:
        model.pop()
    return Case(space, model, f"({case.how}).{how}")


def sampled(draw: st.DrawFn, one: Case, _: Children) -> Case:
    if not one.model[0]:
        return one
    count = draw(st.integers(1, len(one.model[0])))
    seed = draw(st.integers(0, 3) | st.text(max_size=2))
    sample = chosen(one, one.space.sample(count, seed=seed), f"sample({count}, seed={seed!r})")
    drawn = keys(sample.model[0])
    assert len(drawn) == len(set(drawn)) == count
    assert set(drawn) <= set(keys(one.model[0]))
    again = one.space.sample(count, seed=seed)
    assert again == sample.space
    assert list(again) == list(sample.space)
    every = one.space.sample(len(one.model[0]), seed=seed)
    assert keys(by_repetition(every, len(one.model))[0])[:count] == drawn, "a larger sample begins with the smaller one"
    return sample


def picked(draw: st.DrawFn, one: Case, _: Children) -> Case:
    if not one.model[0]:
        return one
    numbers = draw(st.lists(st.integers(0, len(one.model[0]) - 1), min_size=1, max_size=6, unique=True))

    def make() -> Case:
        pick = chosen(one, one.space.pick(numbers), f"pick({numbers})")
        assert pick.model[0] == [one.space.point(number).params for number in numbers]
        return pick

    return refused(make, one, "how many settings meet")


def shuffled(draw: st.DrawFn, one: Case, _: Children) -> Case:
    blocks = draw(st.lists(st.sampled_from(one.space.names), max_size=2)) if one.space.names else []

    def make() -> Case:
        space = one.space.shuffled(7, blocks=blocks)
        return Case(space, by_repetition(space, len(one.model)), f"({one.how}).shuffled(7, {blocks})")

    case = refused(make, one, "shuffled: there are too many")
    for some, others in zip(case.model, one.model, strict=True):
        assert sorted(keys(some)) == sorted(keys(others)), "each repetition is a permutation"
        of_blocks = [canonical_json({name: s[name] for name in blocks if name in s}) for s in some]
        starts = [place for place, block in enumerate(of_blocks) if place == 0 or block != of_blocks[place - 1]]
        assert case is one or len(starts) == len(set(of_blocks)), "blocks stay together"
    return case


KINDS: dict[str, Callable[[st.DrawFn, Case, Children], Case]] = {
    "*": multiplied,
    "below": put_below,
    "pick": picked,
    "repeat": repeated,
    "sample": sampled,
    "shuffled": shuffled,
    "where": constrained,
    "zip": zipped,
    "|": united,
}

leaves = full_factorials() | conditionals() | lists()
# A first step on each leaf already: a space as it is written is not worth many examples.
cases = st.recursive(made(leaves, True), lambda children: made(children, True), max_leaves=3)
cases_unlisted = st.recursive(made(leaves, False), lambda children: made(children, False), max_leaves=3)
laws = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)


@laws
@given(cases)
def test_points_and_numbers_belong_together(case: Case) -> None:
    points = list(case.space)
    assert case.space.size == len(case.space) == len(points) == sum(map(len, case.model))
    assert [case.space.point(number) for number in range(len(points))] == points
    assert [case.space.index(point) for point in points] == list(range(len(points)))
    assert all(point in case.space for point in points)
    assert len(set(points)) == len(points)
    assert case.space.repetitions == len(case.model)
    assert set(case.space.factors) == set(case.space.names) >= {name for point in points for name in point.params}
    for point in points:
        assert point.params_json == canonical_json(point.params)
        assert list(point.params) == list(point.values)
        assert case.space.find(point.params_json, point.repetition) == point


@laws
@given(cases)
def test_labels_are_unique_short_and_safe(case: Case) -> None:
    labels = [point.label for point in case.space]
    assert len(set(labels)) == len(labels), case.how
    for label in labels:
        assert re.fullmatch(r"[A-Za-z0-9_.+:-]{1,200}", label)


@laws
@given(cases, cases)
def test_a_point_is_in_a_space_when_its_parameters_are(one: Case, two: Case) -> None:
    known = {(key, repetition) for repetition, some in enumerate(two.model) for key in keys(some)}
    for point in one.space:
        inside = (point.params_json, point.repetition) in known
        assert (point in two.space) is inside
        if not inside:
            with pytest.raises(InvalidSpace, match="is not in"):
                two.space.index(point)


@laws
@given(cases)
def test_points_survive_pickling_and_describe_is_json(case: Case) -> None:
    points = list(case.space)
    copies = pickle.loads(pickle.dumps(points))
    assert copies == points
    assert [(p.label, p.params_json, p.values) for p in copies] == [(p.label, p.params_json, p.values) for p in points]
    described = case.space.describe()
    assert canonical_json(described)
    assert described["size"] == len(points)
    assert "\n" not in repr(case.space)


@laws
@given(cases)
def test_a_space_is_equal_to_itself(case: Case) -> None:
    assert case.space == case.space.where()
    assert hash(case.space) == hash(case.space.where())
    assert case.space | case.space == case.space
    assert case.space != case.space.repeat(2)


@laws
@given(st.dictionaries(names, levels, min_size=2, max_size=4), st.randoms(use_true_random=False), st.integers(1, 2))
def test_trials_are_the_same_whatever_the_order_of_the_factors(
    factors: dict[str, list[Any]], random: Any, repeat: int
) -> None:
    order = list(factors)
    random.shuffle(order)
    one, two = Space(factors, repeat=repeat), Space({name: factors[name] for name in order}, repeat=repeat)

    def ids(space: Space) -> set[str]:
        return {trial_id("t", point.params, point.repetition) for point in space}

    assert ids(one) == ids(two)
    assert len(ids(one)) == len(one)


@laws
@given(st.data())
def test_constraints_too_large_to_be_listed_mean_the_same(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MAX_LISTED", FEW)
        case = data.draw(cases_unlisted)
        points = list(iter(case.space))  # without a question for the length
        assert len(set(points)) == len(points)
        assert all(point in case.space for point in points)
        size = None
        with contextlib.suppress(InvalidSpace):
            size = case.space.size
        if size is None:
            with pytest.raises(InvalidSpace, match=r"^how many settings meet"):
                len(case.space)
            return
        assert size == len(points)
        assert [case.space.index(point) for point in points] == list(range(size))
        assert [case.space.point(number) for number in range(size)] == points


@laws
@given(st.data(), st.booleans())
def test_the_strategy_draws_points_of_the_space(data: st.DataObject, listed: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if not listed:
            patch.setattr(parts, "MAX_LISTED", FEW)
        case = data.draw(cases if listed else cases_unlisted)
        if not case.model[0]:
            return
        point = data.draw(case.space.strategy())
        assert point.repetition == 0
        assert point in case.space
        assert point.params_json in keys(case.model[0])
