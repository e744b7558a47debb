"""What a collected test asks the testbed for, and which trial it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ..errors import InvalidRequest
from ..testbeds.contract import Request
from ..units import parse_duration
from .nearest import nearest

__all__ = ("REQUEST", "TRIAL", "TrialOf", "request_of", "trial_of")

#: What the item asks the testbed for.
REQUEST: pytest.StashKey[Request] = pytest.StashKey()
#: Which trial the item is.
TRIAL: pytest.StashKey[TrialOf] = pytest.StashKey()

_KEYS = ("nodes", "walltime", "cluster")


@dataclass(frozen=True)
class TrialOf:
    """The identity of an item: of which test, at which point, how often before."""

    id: str
    test: str
    params: dict[str, Any]
    repetition: int
    #: A point of a sweep is done once and for all; any other test runs at each session, as tests do.
    resumable: bool


def request_of(item: pytest.Item) -> Request:
    """Return what the markers of the item ask for; nearer ones win, key by key.

    :raises InvalidRequest: with one line that says where and what would be right.
    """
    wanted: dict[str, Any] = {}
    for mark in item.iter_markers("execo"):
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
    """Return which trial the item is."""
    from ..sweeps import trial_id

    test = "::".join(_names(item))
    mark = item.get_closest_marker("execo_trial")
    point = mark.args[0] if mark is not None else None
    params = dict(point.params) if point is not None else {}
    for name, value in _other_params(item):
        params.setdefault(name, value)
    repetition = point.repetition if point is not None else 0
    return TrialOf(trial_id(test, params, repetition), test, params, repetition, resumable=point is not None)


def _names(item: pytest.Item) -> Iterator[str]:
    """The qualified name of the test: no parameters, so that it stays when display ids change."""
    module = item.getparent(pytest.Module)
    yield module.nodeid if module is not None else item.nodeid.partition("::")[0]
    yield from (node.name for node in item.listchain() if isinstance(node, pytest.Class))
    yield getattr(item, "originalname", None) or item.name


def _other_params(item: pytest.Item) -> Iterator[tuple[str, Any]]:
    """Parameters that pytest.mark.parametrize gave: their value if it is JSON, else a name for it."""
    callspec: Any = getattr(item, "callspec", None)
    for name, value in callspec.params.items() if callspec is not None else ():
        try:
            yield name, json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            # Not the id that pytest shows, which is made of all the parameters; as in there, the place in the list.
            yield name, getattr(value, "__qualname__", None) or f"{name}{callspec.indices.get(name, 0)}"
