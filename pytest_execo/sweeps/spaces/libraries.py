"""The scientific libraries that designs and stopping rules stand on: loaded when they are used, and not before."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import version
from types import ModuleType

__all__ = ("library", "versions")


def library(name: str, what: str) -> ModuleType:
    """Return a library.

    :param what: what needs it, for the message.
    :raises ImportError: it is missing; with how to install it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        missing = name.partition(".")[0]
        raise ImportError(f"{what} needs {missing}: pip install 'pytest-execo[design]'") from error


@cache
def versions(*names: str) -> str:
    """Return names and versions, for the note of a design that another version may make differently."""
    return ", ".join(f"{name} {version(name)}" for name in names)
