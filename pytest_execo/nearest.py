"""“Did you mean …?”"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ("nearest",)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown ``word``: the nearest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, 1, 0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if names else ""
