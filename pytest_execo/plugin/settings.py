"""The settings of a run: options, environment, ini file, and what is wrong with them."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from ..errors import InvalidRequest
from ..testbeds import find_testbed

__all__ = ("Settings", "check", "read")

_RERUN = ("failed", "all")


@dataclass(frozen=True)
class Settings:
    """The options, checked."""

    site: str
    testbed: str | None
    nodes: int | None
    campaign: str | None
    plan: bool
    rerun: str | None
    fresh: bool


def check(config: pytest.Config) -> None:
    """Refuse bad options before anything is collected.

    :raises pytest.UsageError: with one line that names the option.
    """
    settings = read(config)
    try:
        find_testbed(settings.site, settings.testbed)
    except InvalidRequest as error:
        raise pytest.UsageError(str(error)) from None


def read(config: pytest.Config) -> Settings:
    """Return the options; the command line wins over the environment, the environment over the ini file.

    :raises pytest.UsageError: with one line that names the option.
    """
    rerun, fresh = config.getoption("execo_rerun"), config.getoption("execo_fresh")
    if rerun is not None and rerun not in _RERUN:
        raise pytest.UsageError(f"--execo-rerun={rerun}: write failed or all")
    if fresh and rerun:
        raise pytest.UsageError(f"--execo-fresh with --execo-rerun={rerun}: a new campaign has nothing to run again")
    nodes, where = _value(config, "nodes")
    return Settings(
        site=_text(config, "site") or "local",
        testbed=_text(config, "testbed"),
        nodes=None if nodes is None else _count(nodes, where),
        campaign=_text(config, "campaign"),
        plan=config.getoption("execo_plan"),
        rerun=rerun,
        fresh=fresh,
    )


def _value(config: pytest.Config, name: str) -> tuple[str | None, str]:
    """Return the value and how it was given."""
    sources = (
        (config.getoption(f"execo_{name}"), f"--execo-{name}="),
        (os.environ.get(f"EXECO_{name.upper()}") or None, f"EXECO_{name.upper()}="),
        (config.getini(f"execo_{name}") or None, f"execo_{name} = "),
    )
    return next(((value, where) for value, where in sources if value is not None), (None, ""))


def _text(config: pytest.Config, name: str) -> str | None:
    value, where = _value(config, name)
    if value is not None and not value.strip():
        raise pytest.UsageError(f"{where}{value}: empty; give a value")
    return value


def _count(text: str, where: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise pytest.UsageError(f"{where}{text}: write a number of nodes, 1 or more")
    return number
