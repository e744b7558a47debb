"""What the commands that deal with nodes have in common: which testbed, and what is asked of it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest

if TYPE_CHECKING:
    from ..testbeds import Request, Testbed

__all__ = ("add_arguments", "options_of", "request", "testbed")

_CONDITION = re.compile(r"\s*(\w+)\s*(>=|<=|!=|>|<|==?)\s*(.+)")
# What a command takes as text and the marker as a number.
_NUMBER = re.compile(r"\d+")


def add_arguments(parser: argparse.ArgumentParser, *, nodes: str) -> None:
    """Declare the options of a testbed and of a request; they are called as the keywords of the marker.

    :param nodes: how many when nobody says.
    """
    parser.add_argument("--site", default="local", help="where to take them from (default: local)")
    parser.add_argument("--testbed", metavar="NAME", help="the testbed, when the site alone does not tell")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option that only the testbed has"
    )
    parser.add_argument(
        "--nodes", default=nodes, metavar="N|SITE=N,…", help=f"how many, or how many of which site (default: {nodes})"
    )
    parser.add_argument("--walltime", metavar="H:M:S", help="for how long")
    parser.add_argument("--cluster", metavar="NAME", help="of this cluster")
    parser.add_argument("--hosts", metavar="NODE,…", help="these nodes, by name")
    parser.add_argument(
        "--property", action="append", default=[], metavar="CONDITION", help="'cores>=16', 'gpu=1'; may be repeated"
    )
    parser.add_argument("--environment", metavar="NAME", help="deploy this system")
    parser.add_argument("--vlan", metavar="KIND", help="in a VLAN: kavlan, kavlan-local or kavlan-global")
    parser.add_argument("--start", metavar="DATE", help="not before this date, by an advance reservation")
    parser.add_argument("--queue", metavar="NAME", help="in this queue")
    parser.add_argument("--project", metavar="NAME", help="on behalf of this project")
    parser.add_argument(
        "--min-nodes", type=_count, metavar="N", help="so few are enough, when the others can't be deployed"
    )
    parser.add_argument("--spare", type=_count, metavar="N", help="so many more, for nodes that die")
    parser.add_argument("--types", metavar="TYPE,…", help="types of the job: night, besteffort")
    parser.add_argument("--subnets", metavar="SIZE=N,…", help="ranges of addresses for virtual machines: slash_22=1")
    parser.add_argument("--disks", action="store_true", default=None, help="with the disks that can be reserved")


def testbed(options: argparse.Namespace) -> Testbed:
    """Return the testbed that was asked for.

    :raises InvalidRequest: when there is none, or it has no such option.
    """
    from ..testbeds import check_options, find_testbed

    given = options_of(options.option)
    kind = find_testbed(options.site, options.testbed)
    check_options(kind, given)
    return kind(options.site, options=given)


def options_of(texts: Sequence[str]) -> dict[str, str]:
    """Return the options of a testbed, given as ``NAME=VALUE``.

    :raises InvalidRequest: for one that is not.
    """
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidRequest(f"--option {text}: write NAME=VALUE")
        given[name] = value
    return given


def request(options: argparse.Namespace) -> Request:
    """Return what was asked for.

    :raises InvalidRequest: with a line that names the option.
    """
    from ..testbeds.needs import request_of

    names = (
        "walltime", "cluster", "environment", "vlan", "start", "queue", "project", "min_nodes", "spare", "disks",
    )  # fmt: skip
    wanted: dict[str, Any] = {name: getattr(options, name) for name in names}
    wanted["nodes"] = _nodes(options.nodes) if options.hosts is None else None
    wanted["hosts"] = options.hosts.split(",") if options.hosts else None
    wanted["types"] = options.types.split(",") if options.types else None
    wanted["subnets"] = None if options.subnets is None else _shares(options.subnets)
    wanted["properties"] = dict(map(_condition, options.property)) or None
    return request_of(wanted, lambda name, value: f"--{name.replace('_', '-')} {getattr(options, name, value)}")


def _count(text: str) -> int | str:
    return int(text) if _NUMBER.fullmatch(text) else text


def _nodes(text: str) -> object:
    return _shares(text) if "=" in text else _count(text)


def _shares(text: str) -> dict[str, int | str]:
    pairs = (part.partition("=") for part in text.split(","))
    return {name: _count(count) for name, _, count in pairs}


def _condition(text: str) -> tuple[str, str]:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InvalidRequest(f"--property {text}: write a condition, 'cores>=16' or 'gpu=1'")
    name, sign, value = match.groups()
    return name, value if sign in ("=", "==") else f"{sign}{value}"
