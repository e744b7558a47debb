"""What a collected test asks the testbed for, and which trial it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ..errors import InvalidRequest
from ..sweeps import Planned, Point, canonical_json, trial_id
from ..testbeds.contract import Request
from ..units import parse_duration
from .generation import swept
from .nearest import nearest

__all__ = ("REQUEST", "TRIAL", "Requests", "TrialOf", "test_name", "trial_at", "trial_of")

#: What the item asks the testbed for.
REQUEST: pytest.StashKey[Request] = pytest.StashKey()
#: Which trial the item is.
TRIAL: pytest.StashKey[TrialOf] = pytest.StashKey()

_KEYS = ("nodes", "walltime", "cluster")


@dataclass(frozen=True, slots=True)
class TrialOf:
    """The identity of an item: of which test, at which point, how often before."""

    id: str
    test: str
    #: The parameters as canonical JSON.
    params_json: str
    repetition: int
    #: A point of a sweep is done once and for all; any other test runs at each session, as tests do.
    resumable: bool

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as they stand in records."""
        params: dict[str, Any] = json.loads(self.params_json)
        return params

    def planned(self) -> Planned:
        """The trial as the checkpoint knows it."""
        return Planned(self.id, self.test, self.params_json, self.repetition)


class Requests:
    """Reads the marker ``execo`` of items. Items with the same marks, the many of a sweep, share the reading."""

    def __init__(self) -> None:
        self._read: dict[tuple[int, ...], Request] = {}

    def of(self, item: pytest.Item) -> Request:
        """Return what the markers of the item ask for; nearer ones win, key by key.

        :raises InvalidRequest: with one line that says where and what would be right.
        """
        marks = list(item.iter_markers("execo"))
        key = tuple(map(id, marks))  # the marks live as long as the items
        if key not in self._read:
            self._read[key] = _request(item, marks)
        return self._read[key]


def _request(item: pytest.Item, marks: list[pytest.Mark]) -> Request:
    wanted: dict[str, Any] = {}
    for mark in marks:
        for key, value in mark.kwargs.items():
            wanted.setdefault(key, value)
        if mark.args:
            raise InvalidRequest(
                _at(item, f"@pytest.mark.execo({mark.args[0]!r}): write a keyword, nodes=2 for instance")
            )
    try:
        return Request(**{key: _checked(key, value) for key, value in wanted.items() if value is not None})
    except InvalidRequest as error:
        raise InvalidRequest(_at(item, str(error))) from None


def _checked(key: str, value: Any) -> Any:
    shown = f"@pytest.mark.execo({key}={value!r})"
    if key not in _KEYS:
        raise InvalidRequest(f"{shown}: unknown key{nearest(key, _KEYS)}")
    if key == "nodes" and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise InvalidRequest(f"{shown}: write a number of nodes, 1 or more")
    if key == "cluster" and (not isinstance(value, str) or not value):
        raise InvalidRequest(f"{shown}: write the name of a cluster")
    if key == "walltime":
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            raise InvalidRequest(f"{shown}: {error}") from None
        if seconds <= 0:
            raise InvalidRequest(f"{shown}: write a duration longer than 0")
        return seconds
    return value


def _at(item: pytest.Item, message: str) -> str:
    path, line, _ = item.location
    return f"{path}:{(line or 0) + 1}: {message}"


def trial_of(item: pytest.Item) -> TrialOf:
    """Return which trial the item is. For a slot of a search, which has no parameters so far, a name for the slot."""
    found = swept(item)
    test = test_name(item)
    if found is None:
        params = canonical_json(dict(_other_params(item)))
        return TrialOf(trial_id(test, json.loads(params), 0), test, params, 0, resumable=False)
    sweep, number = found
    if not sweep.points:
        return TrialOf(f"slot {number} of {test}", test, "{}", 0, resumable=True)
    return trial_at(item, test, sweep.points[number])


def trial_at(item: pytest.Item, test: str, point: Point) -> TrialOf:
    """Return the trial of ``item`` at a point."""
    others = {name: value for name, value in _other_params(item) if name not in point.values}
    params = canonical_json({**others, **point.params}) if others else point.params_json
    # As trial_id() would say, from the text that is there already: this runs for 100 000 items.
    text = f"[{json.dumps(test, ensure_ascii=False)},{params},{point.repetition}]"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return TrialOf(digest, test, params, point.repetition, resumable=True)


def test_name(item: pytest.Item) -> str:
    """The qualified name of the test: no parameters, so that it stays when display ids change."""
    module = item.getparent(pytest.Module)
    names = [module.nodeid if module is not None else item.nodeid.partition("::")[0]]
    names += [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    return "::".join([*names, getattr(item, "originalname", None) or item.name])


def _other_params(item: pytest.Item) -> Iterator[tuple[str, Any]]:
    """Parameters that pytest.mark.parametrize gave: their value if it is JSON, else a name for it."""
    callspec: Any = getattr(item, "callspec", None)
    found = swept(item)
    ours = found[0].names if found is not None else ()
    if callspec is None or len(callspec.params) == len(ours):
        return
    for name, value in callspec.params.items():
        if name in ours:
            continue
        try:
            yield name, json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            # Not the id that pytest shows, which is made of all the parameters; as in there, the place in the list.
            yield name, getattr(value, "__qualname__", None) or f"{name}{callspec.indices.get(name, 0)}"
