"""What is left of a pickle when nothing of it runs: plain data, and notes where there was something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ("Foreign", "Items", "Name", "NotPlain", "plain_value", "short")

MAX_DEPTH = 50
"""How deep the data of one value may be nested."""

MAX_VALUES = 100_000
"""How many values one value may hold, when it is written out."""

MAX_TEXT = 1_000_000
"""How many characters and digits they may have together. A pickle of a few bytes can name a list that holds a list
twice, that holds a long text twice, and so on: small in memory, and larger than any disk when it is written out."""


@dataclass(frozen=True)
class Foreign:
    """What is not data: what it was, and the offset in the file where it is made."""

    what: str
    offset: int


class NotPlain(ValueError):
    """A value that holds what is not data. ``offset`` is where, ``None`` when that is not known."""

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason)
        self.offset: int | None = offset


class Items:
    """A dict (``items`` are pairs) or a set, as it was written: nothing is hashed, as hashing can be made to last."""

    __slots__ = ("foreign", "items", "kind", "offset")

    def __init__(self, kind: str, offset: int, items: list[Any] | None = None) -> None:
        self.kind: str = kind
        self.offset: int = offset
        self.items: list[Any] = [] if items is None else items
        self.foreign: Foreign | None = None


@dataclass(frozen=True)
class Name:
    """The name of a class or function. It is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return short(f"{self.module}.{self.name}")


def plain_value(value: object) -> Any:
    """Return the data that :func:`~pytest_execo.sweeps.sweeper.inert_pickle.read_pickle` gave as JSON has it.

    Tuples are lists. Sets are refused: they have no order.

    :raises NotPlain: something in it is not data, is nested too deeply, or is too much when it is written out.
    """
    return _plain(value, MAX_DEPTH, _Budget())


class _Budget:
    def __init__(self) -> None:
        self._values = MAX_VALUES
        self._text = MAX_TEXT

    def spend(self, value: object) -> None:
        self._values -= 1
        if isinstance(value, str | bytes):
            self._text -= len(value)
        elif isinstance(value, int):
            self._text -= value.bit_length() // 3
        if self._values < 0 or self._text < 0:
            raise NotPlain(f"more than {MAX_VALUES} values, or {MAX_TEXT} characters, in one")


def _plain(value: object, depth: int, budget: _Budget) -> Any:
    budget.spend(value)
    if isinstance(value, Foreign):
        raise NotPlain(value.what, value.offset)
    if isinstance(value, Name):
        raise NotPlain(f"the class or function {value}")
    if isinstance(value, bytes):
        raise NotPlain("bytes, which are not text")
    if not isinstance(value, list | Items):
        return value
    if not depth:
        raise NotPlain(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, list):
        return [_plain(item, depth - 1, budget) for item in value]
    if value.foreign is not None:
        raise NotPlain(value.foreign.what, value.foreign.offset)
    if value.kind != "dict":
        raise NotPlain(f"a {value.kind}, which has no order", value.offset)
    found: dict[str, Any] = {}
    for key, item in value.items:
        if not isinstance(key, str):
            raise NotPlain("a name that is not text", value.offset)
        budget.spend(key)
        found[key] = _plain(item, depth - 1, budget)
    return found


def short(text: str) -> str:
    """Return ``text`` as one line of ASCII, cut to 80 characters: names in a foreign file are not to be trusted."""
    shown = text.encode("ascii", "backslashreplace").decode("ascii")
    shown = "".join(char if char.isprintable() else "?" for char in shown)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
