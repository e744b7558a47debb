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

    names = ("walltime", "cluster", "environment", "vlan", "start", "queue")
    wanted: dict[str, Any] = {name: getattr(options, name) for name in names}
    wanted["nodes"] = _nodes(options.nodes) if options.hosts is None else None
    wanted["hosts"] = options.hosts.split(",") if options.hosts else None
    wanted["properties"] = dict(map(_condition, options.property)) or None
    return request_of(wanted, lambda name, value: f"--{name} {getattr(options, name, value)}")


def _nodes(text: str) -> object:
    if "=" not in text:
        return int(text) if _NUMBER.fullmatch(text) else text
    shares: dict[str, object] = {}
    for part in text.split(","):
        name, _, count = part.partition("=")
        shares[name] = int(count) if _NUMBER.fullmatch(count) else count
    return shares


def _condition(text: str) -> tuple[str, str]:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InvalidRequest(f"--property {text}: write a condition, 'cores>=16' or 'gpu=1'")
    name, sign, value = match.groups()
    return name, value if sign in ("=", "==") else f"{sign}{value}"
