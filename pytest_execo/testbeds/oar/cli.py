"""The command lines that OAR is asked with. A command is a list of words: no shell sees it before the frontend's."""

from __future__ import annotations

import math
import re
import time

from ..contract import Request

__all__ = (
    "COLUMN",
    "COMMAND",
    "change",
    "condition",
    "duration",
    "gantt",
    "resources",
    "split_condition",
    "submission",
    "unquotable",
)

#: What a job runs on its first node: nothing, until its walltime, which may be changed.
COMMAND = "sleep infinity"
#: What a property of OAR is called: the name of a column of its database.
COLUMN: re.Pattern[str] = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r"\s*(>=|<=|!=|<>|==|=|>|<)\s*(.*)", re.S)
_DAY = 86400


def submission(request: Request, *, name: str, reservation: str | None = None) -> list[str]:
    """Return the ``oarsub`` for a request that says all: walltime and nodes, in words that were checked.

    :param name: name of the job, by which it is found when its number was lost on the way.
    :param reservation: date of an advance reservation, ``YYYY-MM-DD HH:MM:SS`` in the frontend's time zone.
    """
    words = ["oarsub", "-n", name, "-l", resources(request), "-O", "/dev/null", "-E", "/dev/null"]
    for option, value in (("-r", reservation), ("-q", request.queue), ("--project", request.project)):
        if value is not None:
            words += [option, value]
    for kind in request.types:
        words += ["-t", kind]
    return [*words, COMMAND]


def resources(request: Request) -> str:
    """Return the resources of a request in OAR's words: ``{cluster='a'}/nodes=2,walltime=1:00:00``."""
    common = [condition(name, value) for name, value in request.properties]
    if request.hosts:
        names = ", ".join(f"'{host}'" for host in request.hosts)
        common.append(f"network_address in ({names})")
    if request.without:
        names = ", ".join(f"'{host}'" for host in request.without)
        common.append(f"network_address not in ({names})")
    groups = request.shares or (((request.cluster or ""), request.nodes or 1),)
    texts = []
    for cluster, count in groups:
        conditions = [f"cluster = '{cluster}'", *common] if cluster else common
        where = "{" + " and ".join(conditions) + "}" if conditions else ""
        texts.append(f"{where}{'/switch=1' if request.same_switch else ''}/nodes={count}")
    return f"{'+'.join(texts)},walltime={duration(request.walltime or 0)}"


def condition(name: str, value: str | int | float | bool) -> str:
    """Return a condition on a property, as SQL: ``16`` and ``"16"`` mean equal, ``">=16"`` what it says."""
    operator, text = split_condition(value)
    # In quotes, a database takes it for a value of the column's own type.
    return f"{name} {operator} '{text}'"


def split_condition(value: str | int | float | bool) -> tuple[str, str]:
    """Return operator and value of a condition. True and false are ``YES`` and ``NO`` in OAR."""
    if isinstance(value, bool):
        return "=", "YES" if value else "NO"
    match = _OPERATOR.fullmatch(str(value))
    operator, text = match.groups() if match else ("=", str(value))
    return {"==": "=", "<>": "!="}.get(operator, operator), text.strip()


def unquotable(text: str) -> bool:
    """Tell whether OAR 2.5 would misread a text: it looks for braces itself, and does not quote all that it stores."""
    return any(character in "'\"{}\\;`$" or not character.isprintable() for character in text)


def duration(seconds: float) -> str:
    """Return a duration of OAR's, in hours, minutes and whole seconds: never less than was asked."""
    whole = math.ceil(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def change(job: int, seconds: float) -> list[str]:
    """Return the ``oarwalltime`` that gives a job more time."""
    return ["oarwalltime", str(job), f"+{duration(seconds)}"]


def gantt(now: float) -> list[str]:
    """Return the ``oarstat`` that says who has which resource from now on, for a year.

    Its dates are the frontend's local time, which can be a day away from ours.
    """
    first, last = (time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now + days * _DAY)) for days in (-1, 366))
    return ["oarstat", "-J", "-g", f"{first}, {last}"]
