"""What a run was asked to do, and what is wrong with it: by pytest's options, or by those of a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..errors import InvalidRequest
from ..leases.delivering import check_target
from ..leases.hours import Hours
from ..units import parse_duration

__all__ = ("Given", "Settings", "read")

_RERUNS = ("failed", "changed", "all")
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
    #: Workers that share a lease, each on nodes of its own.
    parts: int
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


class Given(Protocol):
    """Options as they were given; their names are those of :mod:`.options`."""

    def value(self, name: str) -> tuple[str | None, str]:
        """Return the value and how it was given, ``--site=`` for instance; ``None``: it was not."""

    def flag(self, name: str) -> bool:
        """Tell whether an option without a value was given."""

    def values(self, name: str) -> Sequence[str]:
        """Return the values of an option that may be repeated."""


def read(given: Given) -> Settings:
    """Return the options, checked.

    :raises InvalidRequest: with one line that names the option.
    """
    rerun, where = given.value("rerun")
    fresh = given.flag("fresh")
    if rerun is not None and rerun not in _RERUNS:
        raise InvalidRequest(f"{where}{rerun}: write failed, changed or all")
    if fresh and rerun:
        raise InvalidRequest(f"--execo-fresh with {where}{rerun}: a new campaign has nothing to run again")
    settings = Settings(
        site=_text(given, "site") or "local",
        testbed=_text(given, "testbed"),
        nodes=_number(given, "nodes", 1, "a number of nodes"),
        campaign=_text(given, "campaign"),
        checkpoint=_text(given, "checkpoint"),
        retries=_number(given, "retries", 0, "how often a failed trial is run again") or 0,
        retry_budget=_number(given, "retry-budget", 0, "how many retries the campaign may take"),
        rebuilds=_number(given, "rebuilds", 0, "how often nodes are taken anew") or 0,
        leases=_number(given, "leases", 1, "how many leases tests with equal needs may have at a time") or 1,
        parts=_number(given, "parts", 1, "how many workers share a lease") or 1,
        extend=given.flag("extend"),
        wait=_duration(given, "wait"),
        hours=_hours(given),
        keep=_one_of(given, "keep", _KEEPS),
        notify=_notify(given),
        order=_one_of(given, "order", _ORDERS),
        plan=given.flag("plan"),
        rerun=rerun,
        fresh=fresh,
        options=_options(given),
    )
    if settings.leases > 1 and settings.parts > 1:
        (_, one), (_, other) = given.value("leases"), given.value("parts")
        raise InvalidRequest(
            f"{one}{settings.leases} with {other}{settings.parts}: several leases, or one in several parts; give one"
        )
    return settings


def _options(given: Given) -> dict[str, str]:
    """Return the testbed's own options; the last one of a name wins."""
    found: dict[str, str] = {}
    for text in given.values("option"):
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InvalidRequest(f"--execo-option={text}: write NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _one_of(given: Given, name: str, values: Sequence[str]) -> str:
    value, where = given.value(name)
    if value not in values:
        raise InvalidRequest(f"{where}{value}: write {', '.join(values[:-1])} or {values[-1]}")
    return value or ""


def _duration(given: Given, name: str) -> float | None:
    text, where = given.value(name)
    try:
        seconds = None if text is None else parse_duration(text)
    except ValueError as error:
        raise InvalidRequest(f"{where}{text}: {error}") from None
    return seconds


def _hours(given: Given) -> Hours:
    text, where = given.value("hours")
    try:
        return Hours.parse(text or "any")
    except ValueError as error:
        raise InvalidRequest(f"{where}{text}: {error}") from None


def _notify(given: Given) -> list[str]:
    targets = [*given.values("notify")]
    for target in targets:
        try:
            check_target(target)
        except ValueError as error:  # what was given may be a secret
            raise InvalidRequest(f"--execo-notify: {error}") from None
    return targets


def _text(given: Given, name: str) -> str | None:
    value, where = given.value(name)
    if value is not None and not value.strip():
        raise InvalidRequest(f"{where}{value}: empty; give a value")
    return value


def _number(given: Given, name: str, least: int, what: str) -> int | None:
    text, where = given.value(name)
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise InvalidRequest(f"{where}{text}: write {what}, {least} or more")
    return number
