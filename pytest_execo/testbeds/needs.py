"""What people ask for, keyword by keyword, as a request: the keywords of the marker ``execo``, or of a command.

Mappings and lists become tuples, because tests with equal requests share one lease.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import InvalidRequest
from ..nearest import nearest
from ..units import parse_duration
from .contract import Request

__all__ = ("KEYS", "request_of")

_VLANS = ("kavlan", "kavlan-local", "kavlan-global")


def _in_marker(key: str, value: object) -> str:
    return f"@pytest.mark.execo({key}={value!r})"


def request_of(wanted: Mapping[str, Any], shown: Callable[[str, object], str] = _in_marker) -> Request:
    """Return the request that these keywords make. ``None`` is the same as not given.

    :param shown: how a keyword and its value were written, for messages.
    :raises InvalidRequest: with one line: the keyword, its value, and what would be right.
    """
    fields: dict[str, Any] = {}
    for key, value in wanted.items():
        if key not in KEYS:
            raise InvalidRequest(f"{shown(key, value)}: unknown key{nearest(key, tuple(KEYS))}")
        if value is None:
            continue
        try:
            fields[key] = KEYS[key](value)
        except ValueError as error:
            raise InvalidRequest(f"{shown(key, value)}: {error}") from None
    if isinstance(fields.get("nodes"), tuple):
        fields["shares"] = fields.pop("nodes")
        fields["nodes"] = sum(count for _, count in fields["shares"])
        if "cluster" in fields:
            raise InvalidRequest(
                f"{shown('cluster', wanted['cluster'])}: nodes= says how many of which cluster already"
            )
    if "hosts" in fields and fields.setdefault("nodes", len(fields["hosts"])) != len(fields["hosts"]):
        raise InvalidRequest(
            f"{shown('nodes', wanted['nodes'])}: {len(fields['hosts'])} are named by hosts=; leave it out"
        )
    if fields.get("spare") and ("hosts" in fields or "shares" in fields):
        raise InvalidRequest(f"{shown('spare', wanted['spare'])}: goes with nodes= as a number alone")
    least, most = fields.get("min_nodes"), fields.get("nodes")
    if least is not None and (most is None or least > most):
        raise InvalidRequest(f"{shown('min_nodes', least)}: write a number up to nodes=, which says {most}")
    return Request(**fields)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("write a number of nodes, 1 or more")
    return value


def _nodes(value: object) -> int | tuple[tuple[str, int], ...]:
    if isinstance(value, Mapping):
        return _counts("{'lyon': 2, 'gros': 1}: how many of which site or cluster")(value)
    try:
        return _count(value)
    except ValueError:
        raise ValueError("write a number of nodes, 1 or more, or how many of which site: {'lyon': 2}") from None


def _counts(example: str) -> Callable[[object], tuple[tuple[str, int], ...]]:
    def counts(value: object) -> tuple[tuple[str, int], ...]:
        pairs = tuple(value.items()) if isinstance(value, Mapping) else ()
        if not pairs or not all(isinstance(name, str) and name for name, _ in pairs):
            raise ValueError(f"write {example}")
        for _, count in pairs:
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise ValueError(f"write {example}, 1 or more of each")
        return pairs

    return counts


def _text(what: str) -> Callable[[object], str]:
    def text(value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"write {what}")
        return value

    return text


def _texts(what: str) -> Callable[[object], tuple[str, ...]]:
    def texts(value: object) -> tuple[str, ...]:
        values = (value,) if isinstance(value, str) else value
        if not isinstance(values, Sequence) or not values or not all(isinstance(v, str) and v for v in values):
            raise ValueError(f"write {what}, or a list of them")
        return tuple(values)

    return texts


def _yes(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write True or False")
    return value


def _walltime(value: object) -> float:
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError("write a duration longer than 0")
    return seconds


def _properties(value: object) -> tuple[tuple[str, str | int | float | bool], ...]:
    pairs = tuple(value.items()) if isinstance(value, Mapping) else ()
    if not pairs or not all(isinstance(name, str) and isinstance(v, str | int | float) for name, v in pairs):
        raise ValueError("write conditions on nodes: {'cores': '>=16', 'gpu': 1}")
    return pairs


def _vlan(value: object) -> str | None:
    if isinstance(value, bool):
        return _VLANS[0] if value else None
    if value not in _VLANS:
        raise ValueError(f"write {', '.join(_VLANS)}, or True for the first one")
    return str(value)


def _subnets(value: object) -> tuple[tuple[str, int], ...]:
    example = "{'slash_22': 1}: how many ranges of which size"
    return ((value, 1),) if isinstance(value, str) and value else _counts(example)(value)


def _start(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, dt.datetime):
        return value.timestamp()
    try:
        return dt.datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        raise ValueError("write a date: '2026-11-27 19:00' in local time, or with its zone, '…+01:00'") from None


def _monitor(value: object) -> str | None:
    if isinstance(value, bool):
        return "" if value else None
    pattern = _text("True or a regular expression of metrics' names")(value)
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}; write True or one of metrics' names") from None
    return pattern


#: The keywords, and what checks each.
KEYS: Mapping[str, Callable[[Any], Any]] = {
    "nodes": _nodes,
    "walltime": _walltime,
    "cluster": _text("the name of a cluster"),
    "hosts": _texts("the name of a node"),
    "min_nodes": _count,
    "spare": _count,
    "properties": _properties,
    "environment": _text("the name of an environment, 'debian12-min'"),
    "vlan": _vlan,
    "subnets": _subnets,
    "disks": _yes,
    "same_switch": _yes,
    "start": _start,
    "queue": _text("the name of a queue"),
    "project": _text("the name of a project"),
    "types": _texts("a type of job, 'night'"),
    "monitor": _monitor,
    "metrics": _texts("the name of a metric, 'wattmetre_power_watt'"),
}
