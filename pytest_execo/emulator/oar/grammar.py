"""The resource request of OAR, read: groups of levels, and a walltime.

::

    request := group ( ("+" | ",") group )* [ ",walltime=" H[:M[:S]] ]
    group   := [ "{" SQL "}" ] [ "/" ] level ( "/" level )*
    level   := name "=" ( N | ALL | BEST | BESTHALF )
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .settings import OarRefused

__all__ = ("ALL", "BEST", "BESTHALF", "Group", "Level", "Wanted", "hms", "parse_request", "parse_walltime")

#: Counts that depend on what is free, as OAR stores them.
ALL: int = -1
BEST: int = -2
BESTHALF: int = -3
_WORDS = {"ALL": ALL, "BEST": BEST, "BESTHALF": BESTHALF}
# Other names of a level: a node is its host, so that disks of the node are part of it.
_NAMES = {"nodes": "host", "node": "host", "network_address": "host"}
_LEVEL = re.compile(r"\s*([\w-]+)\s*=\s*(\d+|ALL|BEST|BESTHALF)\s*")
_WALLTIME = re.compile(r"(\d{1,9})(?::(\d{1,9})(?::(\d{1,9}))?)?")


@dataclass(frozen=True)
class Level:
    """So many different values of a property; ``count`` may be :data:`ALL`, :data:`BEST` or :data:`BESTHALF`."""

    name: str
    count: int


@dataclass(frozen=True)
class Group:
    """Resources of one kind: those for which ``sql`` holds, level in level."""

    sql: str
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Wanted:
    """One request. :param walltime: seconds; ``None``: it does not say."""

    groups: tuple[Group, ...]
    walltime: int | None


def parse_request(text: str) -> Wanted:
    """Read a request. An empty one asks for one node, Grid'5000's default.

    :raises OarRefused: with OAR's sentence and exit code 18.
    """
    groups: list[Group] = []
    walltime: int | None = None
    for piece in _split(text):
        if walltime is not None:
            raise _refused(f"# Error: cannot recognize the resource description: {text}")
        name, _, value = piece.partition("=")
        if name.strip().lower() == "walltime":
            walltime = parse_walltime(value.strip())
            if walltime is None:
                raise _refused("# Error: cannot recognize walltime resource value")
        else:
            groups.append(_group(piece))
    return Wanted(tuple(groups) or (Group("", (Level("host", 1),)),), walltime)


def parse_walltime(text: str) -> int | None:
    """Return the seconds of ``H[:M[:S]]``; ``None``: it is not one."""
    match = _WALLTIME.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def hms(seconds: float) -> str:
    """Return a duration as OAR writes it: ``1:0:0``."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60}:{whole % 60}"


def _split(text: str) -> Sequence[str]:
    """Cut at ``+`` and ``,`` outside of braces."""
    if not text.strip():
        return ()
    pieces, inside = [""], False
    for char in text:
        if char == "{" and not inside:
            inside = True
        elif char == "}" and inside:
            inside = False
        if char in "+," and not inside:
            pieces.append("")
        else:
            pieces[-1] += char
    if inside or not all(piece.strip() for piece in pieces):
        raise _refused(f"# Error: cannot recognize the resource description: {text}")
    return pieces


def _group(piece: str) -> Group:
    rest, sql = piece.strip(), ""
    if rest.startswith("{"):
        inner, _, rest = rest[1:].partition("}")
        sql = inner.strip()
        # {"type='kavlan'"}: what a shell needs, and people leave there.
        if len(sql) > 1 and sql[0] == sql[-1] == '"' and '"' not in sql[1:-1]:
            sql = sql[1:-1]
    levels: list[Level] = []
    for part in rest.strip().removeprefix("/").split("/"):
        match = _LEVEL.fullmatch(part)
        if match is None:
            if sql and not rest.strip():
                return Group(sql, (Level("host", 1),))
            raise _refused(f"# Error: cannot recognize -- {part.strip() or piece.strip()} -- resource")
        name, count = match.groups()
        levels.append(Level(_NAMES.get(name, name), _WORDS[count] if count in _WORDS else int(count)))
    return Group(sql, tuple(levels))


def _refused(message: str) -> OarRefused:
    return OarRefused(18, message)
