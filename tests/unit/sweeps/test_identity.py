from __future__ import annotations

import enum
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.sweeps import canonical_json, trial_id

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


class Size(enum.IntEnum):
    SMALL = 1


class Kind(enum.StrEnum):
    LIVE = "live"


@pytest.mark.slow
@given(json_values)
def test_canonical_text_reads_back(value: Any) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@pytest.mark.slow
@given(st.dictionaries(st.text(max_size=5), scalars, min_size=2, max_size=6), st.randoms())
def test_identity_does_not_depend_on_order(params: dict[str, Any], random: Any) -> None:
    names = list(params)
    random.shuffle(names)
    assert trial_id("t", {name: params[name] for name in names}, 0) == trial_id("t", params, 0)


def test_identity_is_what_it_was_in_the_first_release() -> None:
    # Records of campaigns on disk carry it; it may never change.
    params: dict[str, Any] = {"memory": "2GiB", "dirty": 25, "ratio": 0.5, "zone": None, "nodes": [1, True]}
    assert trial_id("tests/test_a.py::test_b", params, 3) == "7a86208098cdcb7f"


def test_identity_tells_test_params_and_repetition_apart() -> None:
    assert len({trial_id("t", {}, 0), trial_id("u", {}, 0), trial_id("t", {"a": 1}, 0), trial_id("t", {}, 1)}) == 4


def test_numbers_texts_and_booleans_are_different() -> None:
    assert len({canonical_json(value) for value in (1, 1.0, True, "1", None, "None", "true")}) == 7


def test_subclasses_stand_as_their_values() -> None:
    assert canonical_json([Size.SMALL, Kind.LIVE, (1, 2)]) == '[1,"live",[1,2]]'


def test_text_is_kept_as_it_is() -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    assert canonical_json(composed) == '"\u00e9"'
    assert canonical_json(composed) != canonical_json(decomposed)
    assert len(trial_id("t", {"name": "\udcff"}, 0)) == 16


def _loop() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "nan"),
        ([math.inf], "inf"),
        ({"a": [object()]}, "object object"),
        ({1: 2}, "key 1"),
        ({1, 2}, "{1, 2}"),
        (b"x", "b'x'"),
        (_loop(), "nested"),
        pytest.param(10**5000, "too large", id="huge"),
    ],
)
def test_what_is_not_json_is_refused_by_name(value: object, reason: str) -> None:
    with pytest.raises(ValueError, match=r"not JSON|not a str|nested|too large") as caught:
        canonical_json(value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
