"""One fault: what, whom, when, how often; as text and as JSON."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidRequest

__all__ = ("API_ANSWERS", "KINDS", "Fault", "read_fault", "read_faults")

#: How the API may answer badly.
API_ANSWERS: tuple[str, ...] = ("500", "502", "503", "timeout", "garbage", "slow", "drop")
#: What can go wrong, with an example of each as text.
KINDS: dict[str, str] = {
    "node-dies": "node-dies=taurus-1:at=+60",
    "deployment-ko": "deployment-ko=taurus-1+taurus-2:times=1",
    "deployment-stuck": "deployment-stuck=1",
    "deployment-canceled": "deployment-canceled=1:seconds=60",
    "job-killed": "job-killed=any:at=+60",
    "reservation-refused": "reservation-refused=1",
    "api": "api=503:times=3",
    "frontend-unreachable": "frontend-unreachable=lyon:for=60",
}
_TIMED = ("node-dies", "job-killed")
# In words of those who write text and JSON → the field here.
_WORDS = {"for": "during", "for_seconds": "during", "tries": "times", "after": "seconds", "status": "answer"}
# Real seconds: a time-out longer than any client waits, a slowness that one notices.
_REAL_SECONDS = {"timeout": 60.0, "slow": 2.0}
_ANY = ("", "any", "*")


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    :param kind: a word of :data:`KINDS`.
    :param answer: of ``api``: one of :data:`API_ANSWERS`.
    :param path: of ``api``: a regular expression that is searched in the path; empty: all requests.
    :param nodes: short or full names; none: any that fits.
    :param count: of ``deployment-ko``: the first so many nodes of a deployment, instead of ``nodes``.
    :param job: of ``job-killed``; ``None``: the first that runs.
    :param site: of ``frontend-unreachable``; ``None``: all.
    :param at: from which date: a Unix date, or ``"+60"``: so many seconds after the fault was injected.
    :param during: for how many emulated seconds; ``None``: until it has happened ``times`` times.
    :param times: how often; ``None``: once, or without end where ``during`` limits it.
    :param seconds: ``deployment-canceled``: emulated seconds after its start; ``api``: real seconds of ``slow`` and
        ``timeout``.
    :param done: of ``api``: the request is carried out all the same, only its answer is lost.
    """

    kind: str
    answer: str = ""
    path: str = ""
    nodes: tuple[str, ...] = ()
    count: int | None = None
    job: int | None = None
    site: str | None = None
    at: float | str = "+0"
    during: float | None = None
    times: int | None = None
    seconds: float | None = None
    done: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidRequest(f"fault {self.kind!r} is not known; write one of {', '.join(KINDS)}")
        if self.kind == "api" and self.answer not in API_ANSWERS:
            raise InvalidRequest(f"fault api={self.answer}: write one of {', '.join(API_ANSWERS)}")
        if self.kind == "deployment-ko" and not self.nodes and not self.count:
            raise InvalidRequest("fault deployment-ko: name the nodes, or how many: deployment-ko=2")
        for name in ("during", "times", "seconds", "count"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InvalidRequest(f"fault {self.kind}: {name} is {value!r}; write a number that is not negative")
        try:
            re.compile(self.path)
        except re.error as error:
            raise InvalidRequest(f"fault {self.kind}: path {self.path!r} is no regular expression: {error}") from None
        self.date(0.0)  # an error now is better than one at its date
        if self.seconds is None:
            seconds = 60.0 if self.kind == "deployment-canceled" else _REAL_SECONDS.get(self.answer)
            object.__setattr__(self, "seconds", seconds)

    @property
    def is_timed(self) -> bool:
        """Whether it happens at a date of its own, not to something that is asked or begins."""
        return self.kind in _TIMED

    @property
    def how_often(self) -> int | None:
        """How many times it happens; ``None``: as often as it can while it lasts."""
        return 1 if self.times is None and self.during is None else self.times

    def date(self, origin: float) -> float:
        """Return its date, where relative ones count from ``origin``. :raises InvalidRequest: when it has none."""
        text = str(self.at)
        try:
            date = float(text) + (origin if text.startswith("+") else 0.0)
        except ValueError:
            date = math.nan
        if not math.isfinite(date):
            raise InvalidRequest(f"fault {self.kind}: at={self.at}: write a Unix date, or +60 for in 60 seconds")
        return date

    def concerns(self, path: str) -> bool:
        """Tell whether an ``api`` fault is about this path."""
        return re.search(self.path, path) is not None

    def hit(self, nodes: Sequence[str]) -> list[str]:
        """Return which of ``nodes`` (full names) it befalls."""
        if self.count is not None:
            return list(nodes[: self.count])
        return [node for node in nodes if node in self.nodes or node.partition(".")[0] in self.nodes]

    def to_json(self) -> dict[str, Any]:
        """Return what :func:`read_fault` reads."""
        data = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        data["nodes"] = list(self.nodes) or None
        return {key: value for key, value in data.items() if value not in (None, "", False)}


def read_faults(text: str) -> list[Fault]:
    """Read faults as text: ``KIND=WHAT:KEY=VALUE:…``, with commas between them.

    A regular expression with a comma or colon in it has to come as JSON.

    :raises InvalidRequest: with the part that can't be understood, and an example.
    """
    return [_read_text(part.strip()) for part in text.split(",") if part.strip()]


def _read_text(text: str) -> Fault:
    head, *rest = text.split(":")
    kind, _, what = head.partition("=")
    data: dict[str, Any] = {"kind": kind, **_what(kind, what.strip())}
    for entry in rest:
        key, equal, value = entry.partition("=")
        if not equal:
            example = KINDS.get(kind, KINDS["api"])
            raise InvalidRequest(f"fault {text!r}: {entry!r} is not KEY=VALUE; right would be {example}")
        data[key.strip()] = value.strip()
    return read_fault(data)


def _what(kind: str, what: str) -> dict[str, Any]:
    """Return the fields that a value after the kind stands for."""
    if kind == "api":
        return {"answer": what}
    if what in _ANY:
        return {}
    if kind == "deployment-ko" and what.isdecimal():
        return {"count": what}
    if kind in ("node-dies", "deployment-ko"):
        return {"nodes": what.split("+")}
    field = {"job-killed": "job", "frontend-unreachable": "site"}.get(kind, "times")
    return {field: what}


def read_fault(data: object) -> Fault:
    """Read a fault from JSON: an object with ``kind`` and what else there is to say.

    :raises InvalidRequest: with the field that is wrong.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("kind"), str):
        raise InvalidRequest('a fault is an object with a kind, as in {"kind": "api", "answer": "503", "times": 3}')
    kind = data["kind"]
    fields = {field.name for field in dataclasses.fields(Fault)}
    given: dict[str, Any] = {}
    for word, value in data.items():
        name = _WORDS.get(str(word), str(word))
        if name == "node":
            name, value = "nodes", [value]
        if name not in fields:
            known = ", ".join(sorted(fields | {"for"}))
            raise InvalidRequest(f"fault {kind}: {word!r} is not known; write one of {known}")
        if value is not None:
            given[name] = _value(kind, name, value)
    if kind == "frontend-unreachable":
        given.setdefault("during", 60.0)
    return Fault(**given)


def _value(kind: str, name: str, value: Any) -> Any:
    try:
        if name == "nodes":
            names = [value] if isinstance(value, str) else list(value)
            return tuple(str(node) for node in names)
        if name in ("times", "count", "job"):
            return int(value)
        if name in ("during", "seconds"):
            return float(value)
        if name == "done":
            return value if isinstance(value, bool) else {"yes": True, "no": False}[str(value)]
        return value if name == "at" and isinstance(value, float | int) else str(value)
    except (TypeError, ValueError, KeyError, OverflowError):
        raise InvalidRequest(
            f"fault {kind}: {name} is {value!r}; an example: {KINDS.get(kind, KINDS['api'])}"
        ) from None
