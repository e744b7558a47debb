"""The version of a test: a digest of its source text.

Results of two versions of a test must not be mixed unseen. What counts is the function itself: not its decorators
(levels and needs may change without a trial meaning anything else), not comments, blank lines and indentation, and
not what it calls, which the commit in the records tells.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import io
import textwrap
import tokenize
from collections.abc import Callable
from typing import Any

__all__ = ("source_digest",)


@functools.lru_cache(maxsize=10_000)
def source_digest(function: Callable[..., Any] | None) -> str | None:
    """Return 16 hexadecimal digits for the source of a function; ``None`` where there is none, or none to read."""
    if function is None:  # an item that is no function: a doctest, a file of another plugin
        return None
    try:
        text = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    except (OSError, TypeError, ValueError):
        return None
    return hashlib.sha256("\n".join(_statements(text)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _statements(text: str) -> list[str]:
    """The lines of the function without decorators, comments and blank lines.

    Lines rather than a parsed tree: what Python makes of the same text differs from version to version.
    """
    lines = _without_comments(text).splitlines()
    try:
        function = ast.parse(text).body[0]
    except (SyntaxError, IndexError):  # a lambda in the middle of a statement
        return [line.strip() for line in lines]
    assert isinstance(function, ast.stmt)
    body = lines[function.lineno - 1 : function.end_lineno]
    margin = min((len(line) - len(line.lstrip()) for line in body if line.strip()), default=0)
    return [line[margin:].rstrip() for line in body if line.strip()]


def _without_comments(text: str) -> str:
    lines = text.splitlines()
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
    except (tokenize.TokenError, SyntaxError):  # not a whole statement
        return text
    return "\n".join(lines)
