"""``pytest-execo release``: give back what dead runs have left behind."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest
from ..units import parse_duration
from .asking import options_of
from .printing import safe, say

if TYPE_CHECKING:
    from ..leases.giving_back import Outcome

__all__ = ("add_parser",)


def add_parser(commands: Any) -> None:
    """Say what the options are."""
    parser = commands.add_parser(
        "release",
        help="give back what dead runs have left behind",
        description="Give back the nodes of runs that were killed, by their lease files. What a living run holds is "
        "left alone. Exit status: 1 when something could not be given back; it is to be tried again then.",
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="these leases, kept ones too (see pytest-execo leases)")
    parser.add_argument("--all", action="store_true", help="all that no living run of this machine holds")
    parser.add_argument("--older-than", metavar="DURATION", help="only leases that were asked for so long ago")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="of the testbed; secrets are in no file"
    )
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from ..leases.files import LeaseBook
    from ..leases.giving_back import choose, give_back

    if options.ids and options.all:
        raise InvalidRequest("release: name leases, or give --all")
    book = LeaseBook()
    given = options_of(options.option)
    entries = choose(book.entries(), options.ids, everything=options.all, older_than=_age(options.older_than))
    outcomes = []
    for entry in entries:
        # One after the other, and told at once: an API that is away may take minutes.
        if (outcome := give_back(book, entry, given)) is not None:
            outcomes.append(outcome)
            _tell(outcome)
    book.sweep()
    if not outcomes:
        unknown = 0 if options.ids or options.all else sum(e.state == "elsewhere" for e in book.entries())
        hint = f"; {unknown} more, of other machines or times: see pytest-execo leases" if unknown else ""
        say(f"nothing to give back{hint}")
    return 1 if any(outcome.problem is not None for outcome in outcomes) else 0


def _age(text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise InvalidRequest(f"--older-than {text}: {error}") from None


def _tell(outcome: Outcome) -> None:
    entry = outcome.entry
    if outcome.problem is None:
        say(*(f"{entry.id}: {safe(line)}" for line in outcome.lines or ("nothing was left",)))
    else:
        # The problem may name the lease itself.
        text = outcome.problem.removeprefix(f"{entry.id}: ").replace("--execo-", "--")
        print(f"{entry.id}: not given back: {safe(text)}", file=sys.stderr, flush=True)  # noqa: T201
