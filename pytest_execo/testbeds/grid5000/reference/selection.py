"""Conditions on nodes: ``{"cores": ">=16", "memory": ">=64GiB", "gpu": 1, "wattmeter": True}``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ....errors import InvalidRequest
from ....nearest import nearest
from ....units import parse_size
from .model import Node

__all__ = ("PROPERTIES", "Selection")

_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "=": operator.eq,
}
_CONDITION = re.compile(r"\s*(>=|<=|!=|==|=|>|<)?\s*(.+?)\s*")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([MGT]?)(?:bps|bit/s|b/s)?")
_FACTORS = {"": 1.0, "M": 1e6, "G": 1e9, "T": 1e12}


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _rate(text: str) -> float:
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _FACTORS[match[2]]


def _size(text: str) -> float:
    return float(parse_size(text))


@dataclass(frozen=True)
class _Property:
    """A property: what a node has of it, how a value is read, and an example."""

    of: Callable[[Node], Any]
    read: Callable[[str], Any]
    example: str
    unit: str = ""


#: What can be asked for.
PROPERTIES: Mapping[str, _Property] = {
    "cores": _Property(lambda node: node.cores, _number, "'>=16'"),
    "cpus": _Property(lambda node: node.cpus, _number, "2"),
    "threads": _Property(lambda node: node.threads, _number, "'>=32'"),
    "memory": _Property(lambda node: node.memory, _size, "'>=64GiB'", "size"),
    "gpu": _Property(lambda node: node.gpus, _number, "1 (or more), '==1'"),
    "gpu_model": _Property(lambda node: node.gpu_models, str, "'A100'"),
    "rate": _Property(lambda node: node.rate, _rate, "'>=25Gbps'", "rate"),
    "disk": _Property(lambda node: tuple(disk.kind for disk in node.disks), str, "'SSD'"),
    "disks": _Property(lambda node: sum(disk.reservable for disk in node.disks), _number, "'>=1'"),
    "wattmeter": _Property(lambda node: node.wattmeter, bool, "True"),
    "architecture": _Property(lambda node: node.architecture, str, "'x86_64'"),
}
# A number of these alone means so many or more.
_AT_LEAST = ("gpu",)


@dataclass(frozen=True)
class _Condition:
    name: str
    sign: str
    value: Any
    text: str

    def holds(self, node: Node) -> bool:
        has = PROPERTIES[self.name].of(node)
        if has is None:
            return False
        if isinstance(has, tuple):  # of several one is enough
            return any(_has_word(each, self.value) for each in has) is (self.sign != "!=")
        return bool(_SIGNS[self.sign](has, self.value))


def _has_word(text: str, word: str) -> bool:
    """Tell whether a word is part of a text: A100 of A100-SXM4-40GB, and A10 not."""
    return re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Selection:
    """Conditions that all have to hold."""

    conditions: tuple[_Condition, ...] = ()

    @classmethod
    def parse(cls, wanted: Mapping[str, object] | Iterable[tuple[str, object]]) -> Selection:
        """Read conditions. :raises InvalidRequest: with the name, the value, and what would be right."""
        pairs = wanted.items() if isinstance(wanted, Mapping) else wanted
        return cls(tuple(_condition(name, value) for name, value in pairs))

    def matches(self, node: Node) -> bool:
        """Tell whether a node meets all conditions. What is not known of a node it does not meet."""
        return all(condition.holds(node) for condition in self.conditions)

    def unmet(self, nodes: Iterable[Node]) -> list[str]:
        """Return a line for each condition that none of the nodes meets, with the most there is, or what there is."""
        listed = list(nodes)
        lines = []
        for condition in self.conditions:
            if any(condition.holds(node) for node in listed):
                continue
            lines.append(f"{condition.name} {condition.text}: no node has it{_most(condition, listed)}")
        if not lines and listed and not any(map(self.matches, listed)):
            lines.append(f"no node meets {' and '.join(f'{c.name} {c.text}' for c in self.conditions)} together")
        return lines


def _most(condition: _Condition, nodes: Iterable[Node]) -> str:
    values = [PROPERTIES[condition.name].of(node) for node in nodes]
    if PROPERTIES[condition.name].read is str:
        words = {word for value in values for word in (value if isinstance(value, tuple) else (value,)) if word}
        return f", there is {', '.join(sorted(words))}" if words else ""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if not numbers or condition.sign in ("<", "<="):
        return ""
    unit = PROPERTIES[condition.name].unit
    largest = max(numbers)
    if unit == "size":
        return f", the largest has {largest / 2**30:.0f} GiB"
    if unit == "rate":
        return f", the fastest has {largest / 1e9:g} Gbps"
    return f", the largest has {largest:g}"


def _condition(name: str, value: object) -> _Condition:
    shown = f"properties: {name}={value!r}"
    if name not in PROPERTIES:
        raise InvalidRequest(f"{shown}: unknown property{nearest(name, PROPERTIES)}")
    known = PROPERTIES[name]
    wrong = InvalidRequest(f"{shown}: write {known.example}")
    if known.read is bool:
        if not isinstance(value, bool):
            raise wrong
        return _Condition(name, "==", value, str(value))
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise wrong
    match = _CONDITION.fullmatch(str(value))
    if match is None:
        raise wrong
    sign = match[1] or (">=" if name in _AT_LEAST else "==")
    if known.read is str and sign not in ("==", "=", "!="):
        raise wrong
    try:
        return _Condition(name, sign, known.read(match[2]), f"{sign} {match[2]}")
    except ValueError:
        raise wrong from None
