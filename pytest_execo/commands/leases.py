"""``pytest-execo leases``: what is held, kept, or was left behind."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

from ..units import format_duration, iso_date
from .printing import safe, say

if TYPE_CHECKING:
    from ..leases.entries import Entry

__all__ = ("add_parser",)

# Names of nodes on a line; the others are counted.
_SHOWN = 3


def add_parser(commands: Any) -> None:
    """Say what the options are."""
    parser = commands.add_parser(
        "leases",
        help="what is held, kept, or was left behind",
        description="The lease files of this user: held: by a run that lives; abandoned: its run was killed; kept: on "
        "purpose; elsewhere: of another machine, or of this one before it was started anew.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from ..leases.files import LeaseBook

    entries = LeaseBook().entries()
    if options.json:
        say(json.dumps([_document(entry) for entry in entries], indent=2))
    elif not entries:
        say("no leases")
    else:
        say(*_table([_row(entry) for entry in entries]))
    return 0


def _document(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "state": entry.state,
        "testbed": entry.testbed,
        "site": entry.site,
        "nodes": [node.name for node in entry.nodes],
        "created_at": iso_date(entry.created_at),
        "end": None if entry.end is None else iso_date(entry.end),
        "campaign": entry.campaign,
        "kept": entry.kept,
        "fault": entry.fault,
    }


def _row(entry: Entry) -> list[str]:
    age = format_duration(max(0.0, time.time() - entry.created_at))
    if entry.fault is not None:
        return [entry.id, "unreadable", "", "", age, safe(entry.fault)]
    words = [entry.campaign or ""] + ([f"({entry.kept})"] if entry.kept else [])
    where = f"{entry.testbed}/{entry.site}"
    return [entry.id, entry.state, safe(where), safe(_nodes(entry)), age, safe(" ".join(words).strip())]


def _nodes(entry: Entry) -> str:
    names = [node.name for node in entry.nodes]
    more = len(names) - _SHOWN
    # One more would take no more room than saying so.
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:_SHOWN])} and {more} more"


def _table(rows: list[list[str]]) -> list[str]:
    rows = [["lease", "state", "testbed", "nodes", "age", "campaign"], *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
