"""What a collected test asks the testbed for, and which trial it is."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ..engine.trial_of import TrialOf
from ..errors import InvalidRequest
from ..sweeps import Point, canonical_json, trial_id
from ..testbeds.contract import Request
from ..testbeds.needs import request_of
from .generation import Swept, swept
from .usage import uses_nodes

__all__ = ("REQUEST", "TRIAL", "About", "Reader", "located", "test_name", "trial_at")

#: What the item asks the testbed for.
REQUEST: pytest.StashKey[Request] = pytest.StashKey()
#: Which trial the item is.
TRIAL: pytest.StashKey[TrialOf] = pytest.StashKey()


@dataclass(frozen=True, slots=True)
class About:
    """What all items of one test function have in common."""

    #: The qualified name of the test: no parameters, so that it stays when display ids change.
    name: str
    #: Whether it needs nodes reserved.
    uses_nodes: bool
    sweep: Swept | None


class Reader:
    """Reads collected items. What the many of a sweep have in common is read once."""

    def __init__(self) -> None:
        self._requests: dict[tuple[int, ...], Request] = {}
        self._tests: dict[tuple[int, str], About] = {}

    def about(self, item: pytest.Item) -> About:
        """Return what is true of all items of the test."""
        key = id(item.parent), getattr(item, "originalname", None) or item.name
        found = self._tests.get(key)
        if found is None:
            number = swept(item)
            sweep = number[0] if number is not None else None
            found = self._tests[key] = About(test_name(item), uses_nodes(item), sweep)
        return found

    def request(self, item: pytest.Item) -> tuple[Request, bool]:
        """Return what the markers of the item ask for, nearer ones win, key by key; and whether there is any.

        :raises InvalidRequest: with one line that says where and what would be right.
        """
        marks = list(item.iter_markers("execo"))
        key = tuple(map(id, marks))  # the marks live as long as the items
        if key not in self._requests:
            self._requests[key] = _request(item, marks)
        return self._requests[key], bool(marks)

    def trial(self, item: pytest.Item) -> TrialOf:
        """Return which trial the item is. A slot of a search has no parameters so far, and a name for the slot."""
        about = self.about(item)
        if about.sweep is None:
            params = canonical_json(dict(_other_params(item, ())))
            identity = trial_id(about.name, json.loads(params), 0)
            return TrialOf(identity, about.name, params, 0, resumable=False)
        number = about.sweep.number(item)
        if not about.sweep.points:
            return TrialOf(f"slot {number} of {about.name}", about.name, "{}", 0, resumable=True)
        return trial_at(item, about.name, about.sweep, about.sweep.points[number])


def _request(item: pytest.Item, marks: list[pytest.Mark]) -> Request:
    wanted: dict[str, Any] = {}
    for mark in marks:
        for key, value in mark.kwargs.items():
            wanted.setdefault(key, value)
        if mark.args:
            raise InvalidRequest(
                located(item, f"@pytest.mark.execo({mark.args[0]!r}): write a keyword, nodes=2 for instance")
            )
    try:
        return request_of(wanted)
    except InvalidRequest as error:
        raise InvalidRequest(located(item, str(error))) from None


def located(item: pytest.Item, message: str) -> str:
    """Return a message that begins with the place of a test."""
    path, line, _ = item.location
    return f"{path}:{(line or 0) + 1}: {message}"


def trial_at(item: pytest.Item, test: str, sweep: Swept, point: Point) -> TrialOf:
    """Return the trial of ``item`` at a point."""
    params = point.params_json
    if len(item.callspec.params) > len(sweep.names):  # type: ignore[attr-defined]
        params = canonical_json({**dict(_other_params(item, sweep.names)), **point.params})
    # As trial_id() would say, from the text that is there already: this runs for 100 000 items.
    text = f"[{_quoted(test)},{params},{point.repetition}]"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return TrialOf(digest, test, params, point.repetition, resumable=True)


@functools.lru_cache
def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def test_name(item: pytest.Item) -> str:
    """The qualified name of the test: no parameters, so that it stays when display ids change."""
    module = item.getparent(pytest.Module)
    names = [module.nodeid if module is not None else item.nodeid.partition("::")[0]]
    names += [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    return "::".join([*names, getattr(item, "originalname", None) or item.name])


def _other_params(item: pytest.Item, ours: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Parameters that pytest.mark.parametrize gave: their value if it is JSON, else a name for it."""
    callspec: Any = getattr(item, "callspec", None)
    for name, value in callspec.params.items() if callspec is not None else ():
        if name in ours:
            continue
        try:
            yield name, json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            # Not the id that pytest shows, which is made of all the parameters; as in there, the place in the list.
            yield name, getattr(value, "__qualname__", None) or f"{name}{callspec.indices.get(name, 0)}"
