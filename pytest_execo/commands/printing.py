"""Lines for people, on any terminal."""

from __future__ import annotations

import sys

__all__ = ("safe", "say")


def say(*lines: str) -> None:
    """Write lines to standard output, at once; what it can't show is escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    text = "\n".join(lines).encode(encoding, "backslashreplace").decode(encoding)
    print(text, flush=True)  # noqa: T201


def safe(text: str) -> str:
    """Return ``text`` without control characters: a level or a host's name must not move the cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)
