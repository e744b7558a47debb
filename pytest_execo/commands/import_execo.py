"""``pytest-execo import-execo``: go on with a sweep that execo began."""

from __future__ import annotations

import argparse
from typing import Any

from .printing import safe, say

__all__ = ("add_parser",)

_SHOWN = 20


def add_parser(commands: Any) -> None:
    """Say what the options are."""
    parser = commands.add_parser(
        "import-execo",
        help="take over what is done in a sweep directory of execo",
        description="Take over what is done in a sweep directory of execo. Nothing in it is run or changed; what was "
        "in progress is to do. Exit status 1 when something could not be understood: the rest is taken over.",
    )
    parser.add_argument("directory", metavar="DIRECTORY", help="the directory that execo's ParamSweeper was given")
    parser.add_argument(
        "--into", required=True, metavar="PLACE", help="directory (may be the same) or postgresql:// URL of the sweep"
    )
    parser.add_argument("--name", help="name of the sweep, when PLACE is a URL")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from ..sweeps.sweeper.execo_import import import_execo

    found = import_execo(options.directory, options.into, name=options.name)
    for problem in found.problems[:_SHOWN]:
        say(safe(f"{options.directory}/{problem}"))
    if len(found.problems) > _SHOWN:
        say(f"... and {len(found.problems) - _SHOWN} more problems")
    say(f"{found.done} done")
    for count, words in (
        (found.known, "done before, left as they are"),
        (found.inprogress, "in progress, to do again"),
        (found.sweeps, "in the saved sweep"),
    ):
        if count:
            say(f"{count} {words}")
    return 1 if found.problems else 0
