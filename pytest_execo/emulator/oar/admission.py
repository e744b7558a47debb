"""The admission rules: what a submission becomes before OAR accepts it, and why it is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .dates import read_reservation
from .grammar import Group, Wanted, parse_request
from .jobs import Order
from .settings import QUEUES, OarRefused, OarSettings
from .table import Table

__all__ = ("Facts", "Submitted", "admit")

#: Types that say something by themselves…
_WORDS = frozenset(
    (
        "deploy", "besteffort", "allow_classic_ssh", "day", "night", "exotic", "destructive", "noop", "cosystem",
        "container", "idempotent", "timesharing", "monitor", "kavlan", "kavlan-local", "kavlan-global",
    )
)  # fmt: skip
#: … and any tag with a value: inner=12, monitor=prom_.*, origin=…
_TAG = re.compile(r"[A-Za-z_][\w.-]*=.+", re.DOTALL)
# Whole nodes only: the job's script runs elsewhere, or nowhere.
_WHOLE = ("deploy", "cosystem", "noop")
_PARTS = ("core", "cpu", "resource_id", "gpu")
_HAS_TYPE = re.compile(r"\btype\b", re.IGNORECASE)
# Levels that say what type of resource they mean.
_TYPE_OF_LEVEL = {"vlan": "kavlan", "disk": "disk", "subnet_address": "subnet"}
_WHERE_TO_LEARN = "# Error: please verify your job submission syntax."


@dataclass(frozen=True)
class Submitted:
    """What a user gives to oarsub."""

    user: str
    resources: tuple[str, ...]
    command: str | None
    reservation: str | None
    types: tuple[str, ...]
    properties: str
    queue: str | None
    project: str
    name: str | None
    directory: str | None


@dataclass(frozen=True)
class Facts:
    """What the rules need to know of other jobs.

    :param waiting_jobs: how many jobs of the user wait.
    :param waiting_reservations: dates of the user's advance reservations that wait.
    :param is_container: whether a job number is that of a container which is not over.
    """

    now: float
    waiting_jobs: int
    waiting_reservations: Sequence[float]
    is_container: Callable[[int], bool]


def admit(asked: Submitted, facts: Facts, table: Table, settings: OarSettings) -> Order:
    """Apply the rules. :raises OarRefused: with the sentence of the rule that says no."""
    alternatives = tuple(parse_request(text) for text in asked.resources or ("",))
    notes: list[str] = []
    types, queue = _types_and_queue(asked)
    inner = next((value for head, _, value in (t.partition("=") for t in types) if head == "inner"), None)
    if inner is not None and not (inner.isdigit() and facts.is_container(int(inner))):
        raise _rule("inner job is requesting an invalid container id.")
    start, end = _dates(asked, facts.now)
    if start is not None:
        _reservation_allowed(queue, start, facts, settings)
        alternatives = alternatives[:1]
    elif facts.waiting_jobs >= settings.max_waiting_jobs:
        raise _rule(f"you cannot have more than {settings.max_waiting_jobs} waiting jobs.")
    if any(kind in types for kind in _WHOLE):
        _whole_nodes(alternatives)
    typed = tuple(replace(wanted, groups=tuple(_with_type(g) for g in wanted.groups)) for wanted in alternatives)
    if typed != alternatives:
        notes.append("[ADMISSION RULE] Modify resource description with type constraints")
    properties = _properties(asked.properties, types, table, notes)
    walltime: list[int] = []
    for wanted in typed:
        seconds = wanted.walltime
        if seconds is None and start is not None and end is not None:
            seconds = int(end - start)
        if seconds is None:
            seconds = settings.default_walltime
            notes.append(f"# Set walltime to default ({seconds} s).")
        if not 0 < seconds <= settings.max_walltime:
            raise _rule(f"walltime must be above 0 and at most {settings.max_walltime // 3600} hours.")
        walltime.append(seconds)
    return Order(
        user=asked.user,
        wanted=typed,
        walltime=tuple(walltime),
        types=types,
        properties=properties,
        queue=queue,
        command=asked.command,
        start=start,
        project=asked.project,
        name=asked.name,
        directory=asked.directory,
        notes=tuple(notes),
    )


def _types_and_queue(asked: Submitted) -> tuple[tuple[str, ...], str]:
    types = list(dict.fromkeys(asked.types))
    for kind in types:
        if kind not in _WORDS and not _TAG.fullmatch(kind):
            raise _rule(f"unknown job type: {kind}")
    queue = asked.queue or ("besteffort" if "besteffort" in types else "default")
    if queue not in QUEUES:
        raise OarRefused(8, f"# Error: the queue {queue} does not exist\n{_WHERE_TO_LEARN}")
    if queue == "besteffort" and "besteffort" not in types:
        types.append("besteffort")
    if "besteffort" in types:
        queue = "besteffort"
        if "deploy" in types:
            raise _rule("a job cannot both be of type besteffort and deploy.")
    return tuple(types), queue


def _dates(asked: Submitted, now: float) -> tuple[float | None, float | None]:
    if not asked.reservation:
        return None, None
    try:
        start, end = read_reservation(asked.reservation, now)
    except ValueError:
        raise OarRefused(
            7, f"# Error: syntax error in the date of the reservation: {asked.reservation}\n{_WHERE_TO_LEARN}"
        ) from None
    if end is not None and end <= start:
        raise OarRefused(7, f"# Error: the reservation ends before it starts: {asked.reservation}")
    return start, end


def _reservation_allowed(queue: str, start: float, facts: Facts, settings: OarSettings) -> None:
    if queue in ("besteffort", "production"):
        raise _rule(f"advance reservations are not allowed in queue {queue}.")
    soon = facts.now + 3600
    far = [date for date in facts.waiting_reservations if date > soon]
    if start > soon and len(far) >= settings.max_waiting_reservations:
        raise _rule(f"you cannot have more than {settings.max_waiting_reservations} waiting reservations.")


def _whole_nodes(alternatives: Sequence[Wanted]) -> None:
    for wanted in alternatives:
        for group in wanted.groups:
            for level in group.levels:
                if level.name in _PARTS:
                    raise _rule(f"'{level.name}' resource is not allowed with a deploy, cosystem or noop job.")


def _with_type(group: Group) -> Group:
    """Add the type of resource that a group means, where it does not say so: ``default``, or what its levels tell."""
    if _HAS_TYPE.search(group.sql):
        return group
    names = [level.name for level in group.levels]
    kind = "subnet" if any(name.startswith("slash_") for name in names) else None
    kind = kind or next((_TYPE_OF_LEVEL[name] for name in names if name in _TYPE_OF_LEVEL), "default")
    condition = f"type = '{kind}'"
    return replace(group, sql=f"({group.sql}) AND {condition}" if group.sql else condition)


def _properties(text: str, types: Sequence[str], table: Table, notes: list[str]) -> str:
    """Return what the user wants of the nodes, with what the rules want."""
    conditions = []
    if "besteffort" in types:
        conditions.append("besteffort = 'YES'")
    if "deploy" in types:
        conditions.append("deploy = 'YES'")
    exotic = _exotic(table)
    if exotic and "exotic" not in types:
        conditions.append("exotic = 'NO'")
        notes.append(f"# Filtering out exotic resources ({', '.join(exotic)}).")
    conditions.append("maintenance = 'NO'")
    properties = text.strip()
    for condition in conditions:
        if condition.split(" ")[0] in table.columns:
            properties = f"({properties}) AND {condition}" if properties else condition
    return properties


def _exotic(table: Table) -> list[str]:
    if "exotic" not in table.columns or "cluster" not in table.columns:
        return []
    mask = table.column("exotic").get("YES", 0)
    return [str(name) for name, cluster in table.column("cluster").items() if cluster & mask]


def _rule(sentence: str) -> OarRefused:
    return OarRefused(254, f"[ADMISSION RULE] Error: {sentence}")
