"""The options under pytest. What they mean, and what is wrong with them, is in :mod:`.settings`, loaded when needed."""

from __future__ import annotations

import pytest

from ..engine.options import FLAGS, LISTS, RERUN, VALUES

__all__ = ("add", "given")


def add(parser: pytest.Parser) -> None:
    """Declare the options and ini settings."""
    group = parser.getgroup("execo", "experiments on testbeds (pytest-execo)")
    for name, (metavar, default, text) in VALUES.items():
        group.addoption(f"--execo-{name}", metavar=metavar, default=None, help=text)
        parser.addini(f"execo_{name.replace('-', '_')}", f"{text} (option --execo-{name})", default=default)
    for name, text in FLAGS.items():
        group.addoption(f"--execo-{name}", action="store_true", help=text)
    parser.addini("execo_extend", f"{FLAGS['extend']} (option --execo-extend)", "bool", False)
    for name, (metavar, text) in LISTS.items():
        group.addoption(f"--execo-{name}", metavar=metavar, action="append", default=[], help=text)
        parser.addini(f"execo_{name}", f"{text}; one a line (option --execo-{name})", "linelist")
    group.addoption("--execo-rerun", metavar=RERUN[0], default=None, help=RERUN[1])


def given(config: pytest.Config) -> bool:
    """Tell whether any option was given on the command line."""
    names = (*VALUES, *FLAGS, *LISTS, "rerun")
    return any(config.getoption(f"execo_{name.replace('-', '_')}") not in (None, False, []) for name in names)
