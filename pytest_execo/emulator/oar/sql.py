"""The conditions on properties in a request: the part of SQL that is in use, read and evaluated without a database.

``cluster='gros' AND memnode >= 65536``, ``network_address IN ('a', 'b')``, ``NOT (type = 'disk')``, ``host LIKE
'gros-1%'``; and Grid'5000's short forms: a name of a cluster or node alone, ``&``, ``|``, values without quotes, nodes
without their domain. What has no value is neither equal nor different to anything, as in SQL.
"""

from __future__ import annotations

import re
from typing import Any

from .table import Table

__all__ = ("BadProperties", "select")

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*'|\"[^\"]*\")|(?P<number>-?\d+(?:\.\d+)?)(?![\w.-])"
    r"|(?P<operator><>|!=|<=|>=|=|<|>|\(|\)|,|&&?|\|\|?)|(?P<word>[\w.-]+))"
)
_WORDS = frozenset(("AND", "OR", "NOT", "IN", "LIKE", "IS", "NULL", "BETWEEN"))
_COMPARISONS = frozenset(("=", "!=", "<>", "<", ">", "<=", ">="))
#: Names of nodes: what they are compared with may leave the domain out.
_HOSTS = ("host", "network_address")
# Deep brackets are no use, and would exhaust the stack of a recursive reader.
_DEEPEST = 50

# What holds, and what does not: a resource that is in neither has no value there.
_Truth = tuple[int, int]


class BadProperties(ValueError):
    """The condition can't be read; the sentence is the one the database gives, or near to it."""


def select(table: Table, text: str) -> int:
    """Return the resources for which the condition holds; an empty one holds for all.

    :raises BadProperties: on wrong syntax, an unknown property, or a text where a number is wanted.
    """
    return _Reader(table, text).read() if text.strip() else table.everything


class _Reader:
    """One reading of one text, by recursive descent."""

    def __init__(self, table: Table, text: str) -> None:
        self._table = table
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def read(self) -> int:
        holds, _ = self._either()
        if self._at < len(self._tokens):
            raise self._wrong()
        return holds

    def _either(self) -> _Truth:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadProperties("too many brackets")
        holds, fails = self._both()
        while self._take("OR", "|", "||"):
            other, otherwise = self._both()
            holds, fails = holds | other, fails & otherwise
        self._depth -= 1
        return holds, fails

    def _both(self) -> _Truth:
        holds, fails = self._negated()
        while self._take("AND", "&", "&&"):
            other, otherwise = self._negated()
            holds, fails = holds & other, fails | otherwise
        return holds, fails

    def _negated(self) -> _Truth:
        negated = False
        while self._take("NOT"):
            negated = not negated
        holds, fails = self._term()
        return (fails, holds) if negated else (holds, fails)

    def _term(self) -> _Truth:
        if self._take("("):
            inner = self._either()
            self._expect(")")
            return inner
        kind, word = self._next()
        if kind != "word":
            raise self._wrong(-1)
        if self._peek() not in _COMPARISONS | {"IN", "NOT", "LIKE", "IS", "BETWEEN"}:
            return self._alone(word)
        column = self._column(word)
        if self._take("IS"):
            negated = self._take("NOT")
            self._expect("NULL")
            known = _union(column.values())
            unknown = self._table.everything & ~known
            return (known, unknown) if negated else (unknown, known)
        negated = self._take("NOT")
        holds, fails = self._compared(word, column)
        return (fails, holds) if negated else (holds, fails)

    def _compared(self, name: str, column: dict[Any, int]) -> _Truth:
        if self._take("IN"):
            self._expect("(")
            values = [self._value(name, column)]
            while self._take(","):
                values.append(self._value(name, column))
            self._expect(")")
            return _where(column, lambda cell: any(_equal(name, cell, value) for value in values))
        if self._take("LIKE"):
            pattern = str(self._value(name, {}))
            return _where(column, lambda cell: _like(str(cell), pattern))
        if self._take("BETWEEN"):
            low = self._value(name, column)
            self._expect("AND")
            high = self._value(name, column)
            return _where(column, lambda cell: low <= cell <= high)
        operator = self._next()[1]
        if operator not in _COMPARISONS:
            raise self._wrong(-1)
        value = self._value(name, column)
        if operator in ("=", "!=", "<>"):
            holds, fails = _where(column, lambda cell: _equal(name, cell, value))
            return (holds, fails) if operator == "=" else (fails, holds)
        if operator == "<":
            return _where(column, lambda cell: cell < value)
        if operator == ">":
            return _where(column, lambda cell: cell > value)
        return _where(column, lambda cell: cell <= value if operator == "<=" else cell >= value)

    def _alone(self, word: str) -> _Truth:
        """Read a name that stands alone: that of a cluster, or of a node."""
        for column in ("cluster", *_HOSTS):
            if column in self._table.columns:
                holds, fails = _where(self._table.column(column), lambda cell, c=column: _equal(c, cell, word))
                if holds:
                    return holds, fails
        raise BadProperties(f'column "{word}" does not exist')

    def _column(self, name: str) -> dict[Any, int]:
        try:
            return self._table.column(name.lower())
        except KeyError:
            raise BadProperties(f'column "{name}" does not exist') from None

    def _value(self, name: str, column: dict[Any, int]) -> Any:
        """Read a value, as the type that the column has: numbers of numbers, texts of texts."""
        kind, text = self._next()
        if kind not in ("string", "number", "word"):
            raise self._wrong(-1)
        if any(isinstance(cell, int | float) for cell in column):
            try:
                return float(text) if "." in text else int(text)
            except ValueError:
                raise BadProperties(f'invalid input syntax for type integer: "{text}"') from None
        return text

    def _peek(self) -> str | None:
        if self._at >= len(self._tokens):
            return None
        kind, text = self._tokens[self._at]
        return None if kind == "string" else text.upper() if text.upper() in _WORDS else text

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise BadProperties(f'syntax error at end of input: "{self._text.strip()}"')
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, *words: str) -> bool:
        if self._peek() in words:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._wrong()

    def _wrong(self, back: int = 0) -> BadProperties:
        at = self._at + back
        if at >= len(self._tokens):
            return BadProperties(f'syntax error at end of input: "{self._text.strip()}"')
        return BadProperties(f'syntax error at or near "{self._tokens[at][1]}"')


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise BadProperties(f'syntax error at or near "{text[at:].strip()[:20]}"')
        kind, value = match.lastgroup, match[match.lastgroup]
        if kind == "string":
            value = value[1:-1].replace("''", "'")
        found.append((kind, value))
        at = match.end()
    return found


def _where(column: dict[Any, int], holds: Any) -> _Truth:
    yes = no = 0
    for cell, mask in column.items():
        if holds(cell):
            yes |= mask
        else:
            no |= mask
    return yes, no


def _equal(name: str, cell: Any, value: Any) -> bool:
    if cell == value:
        return True
    # A short name of a node: all that comes before the domain.
    return name.lower() in _HOSTS and "." not in str(value) and bool(value) and str(cell).split(".")[0] == value


def _union(masks: Any) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union


def _like(text: str, pattern: str) -> bool:
    """Return whether a text matches; by hand, because a regular expression of many ``%`` can take for ever."""
    at = here = 0
    star: tuple[int, int] | None = None  # behind the last %, and what it has swallowed up to
    while here < len(text):
        if at < len(pattern) and pattern[at] == "%":
            at += 1
            star = (at, here)
        elif at < len(pattern) and pattern[at] in ("_", text[here]):
            at, here = at + 1, here + 1
        elif star is not None:
            star = (star[0], star[1] + 1)
            at, here = star
        else:
            return False
    return not pattern[at:].strip("%")
