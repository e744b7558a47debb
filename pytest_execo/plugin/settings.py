"""The settings of a run: options, environment, ini file, and what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from ..errors import InvalidRequest
from ..leases.delivering import check_target
from ..leases.hours import Hours
from ..testbeds.registry import check_testbed
from ..units import parse_duration

__all__ = ("Settings", "check", "read")

_RERUN = ("failed", "changed", "all")
_ORDERS = ("given", "random")
_KEEPS = ("never", "on-failure", "always")


@dataclass(frozen=True)
class Settings:
    """The options, checked."""

    site: str
    testbed: str | None
    nodes: int | None
    campaign: str | None
    checkpoint: str | None
    retries: int
    retry_budget: int | None
    rebuilds: int
    #: Leases that tests with equal needs may have at the same time.
    leases: int
    extend: bool
    #: Seconds to wait for nodes; ``None``: as the testbed has it.
    wait: float | None
    hours: Hours
    keep: str
    notify: Sequence[str]
    order: str
    plan: bool
    rerun: str | None
    fresh: bool
    #: What only the testbed knows: name and value.
    options: Mapping[str, str]


def check(config: pytest.Config) -> None:
    """Refuse bad options before anything is collected.

    :raises pytest.UsageError: with one line that names the option.
    """
    settings = read(config)
    try:
        check_testbed(settings.site, settings.testbed, settings.options)
    except InvalidRequest as error:
        raise pytest.UsageError(str(error)) from None


def read(config: pytest.Config) -> Settings:
    """Return the options; the command line wins over the environment, the environment over the ini file.

    :raises pytest.UsageError: with one line that names the option.
    """
    rerun, fresh = config.getoption("execo_rerun"), config.getoption("execo_fresh")
    if rerun is not None and rerun not in _RERUN:
        raise pytest.UsageError(f"--execo-rerun={rerun}: write failed, changed or all")
    if fresh and rerun:
        raise pytest.UsageError(f"--execo-fresh with --execo-rerun={rerun}: a new campaign has nothing to run again")
    return Settings(
        site=_text(config, "site") or "local",
        testbed=_text(config, "testbed"),
        nodes=_number(config, "nodes", 1, "a number of nodes"),
        campaign=_text(config, "campaign"),
        checkpoint=_text(config, "checkpoint"),
        retries=_number(config, "retries", 0, "how often a failed trial is run again") or 0,
        retry_budget=_number(config, "retry-budget", 0, "how many retries the campaign may take"),
        rebuilds=_number(config, "rebuilds", 0, "how often nodes are taken anew") or 0,
        leases=_number(config, "leases", 1, "how many leases tests with equal needs may have at a time") or 1,
        extend=config.getoption("execo_extend") or config.getini("execo_extend"),
        wait=_duration(config, "wait"),
        hours=_hours(config),
        keep=_one_of(config, "keep", _KEEPS),
        notify=_notify(config),
        order=_one_of(config, "order", _ORDERS),
        plan=config.getoption("execo_plan"),
        rerun=rerun,
        fresh=fresh,
        options=_options(config),
    )


def _options(config: pytest.Config) -> dict[str, str]:
    """Return the testbed's own options; the command line wins."""
    found: dict[str, str] = {}
    for text in (*config.getini("execo_option"), *config.getoption("execo_option")):
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise pytest.UsageError(f"--execo-option={text}: write NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _one_of(config: pytest.Config, name: str, values: Sequence[str]) -> str:
    value, where = _value(config, name)
    if value not in values:
        raise pytest.UsageError(f"{where}{value}: write {', '.join(values[:-1])} or {values[-1]}")
    return value or ""


def _duration(config: pytest.Config, name: str) -> float | None:
    text, where = _value(config, name)
    try:
        seconds = None if text is None else parse_duration(text)
    except ValueError as error:
        raise pytest.UsageError(f"{where}{text}: {error}") from None
    return seconds


def _hours(config: pytest.Config) -> Hours:
    text, where = _value(config, "hours")
    try:
        return Hours.parse(text or "any")
    except ValueError as error:
        raise pytest.UsageError(f"{where}{text}: {error}") from None


def _notify(config: pytest.Config) -> list[str]:
    targets = [*config.getini("execo_notify"), *config.getoption("execo_notify")]
    for target in targets:
        try:
            check_target(target)
        except ValueError as error:  # what was given may be a secret
            raise pytest.UsageError(f"--execo-notify: {error}") from None
    return targets


def _value(config: pytest.Config, name: str) -> tuple[str | None, str]:
    """Return the value and how it was given."""
    word = name.replace("-", "_")
    sources = (
        (config.getoption(f"execo_{word}"), f"--execo-{name}="),
        (os.environ.get(f"EXECO_{word.upper()}") or None, f"EXECO_{word.upper()}="),
        (config.getini(f"execo_{word}") or None, f"execo_{word} = "),
    )
    return next(((value, where) for value, where in sources if value is not None), (None, ""))


def _text(config: pytest.Config, name: str) -> str | None:
    value, where = _value(config, name)
    if value is not None and not value.strip():
        raise pytest.UsageError(f"{where}{value}: empty; give a value")
    return value


def _number(config: pytest.Config, name: str, least: int, what: str) -> int | None:
    text, where = _value(config, name)
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise pytest.UsageError(f"{where}{text}: write {what}, {least} or more")
    return number
