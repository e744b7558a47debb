"""Undoing what was begun, when the rest of it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ("undone",)


@contextlib.contextmanager
def undone(by: Callable[[], object]) -> Iterator[None]:
    """Call ``by`` when the block fails, or is interrupted.

    The first error is the one that is raised, Ctrl-C above all; one in undoing is a note on it.
    """
    try:
        yield
    except BaseException as error:
        try:
            by()
        except Exception as other:
            error.add_note(f"and then: {other}")
        raise
