"""``pytest-execo plan``: when and where nodes could be had. Reserves nothing."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CampaignError
from ..units import format_duration, iso_date
from . import asking
from .printing import say

if TYPE_CHECKING:
    from ..testbeds import Plan, Testbed

__all__ = ("add_parser",)

# pytest's way to say "not now": see docs/errors.md.
_DOES_NOT_FIT = 75


def add_parser(commands: Any) -> None:
    """Say what the options are."""
    parser = commands.add_parser(
        "plan",
        help="when and where nodes could be had",
        description="When and where nodes could be had. Reserves nothing. Exit status: 0; 75 when it does not fit.",
    )
    asking.add_arguments(parser, nodes="1")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument(
        "--gantt",
        nargs="?",
        const="-",
        metavar="FILE.svg",
        help="also draw what is free and busy: here, or into a file",
    )
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    request = asking.request(options)
    testbed = asking.testbed(options)
    try:
        plan = testbed.plan(request)
        picture = testbed.gantt(request, svg=options.gantt != "-") if options.gantt else None
    finally:
        testbed.close()
    if options.json:
        say(
            json.dumps(
                {
                    "site": testbed.site,
                    "testbed": testbed.name,
                    "nodes": plan.nodes,
                    "start": plan.start,
                    "walltime": plan.walltime,
                    "unmet": plan.unmet,
                    "notes": plan.notes,
                    **({"gantt": picture} if options.gantt == "-" else {}),
                },
                indent=2,
            )
        )
    else:
        say(*_lines(testbed, plan))
    if not (options.json and options.gantt == "-"):
        _draw(options, picture)
    return _DOES_NOT_FIT if plan.unmet else 0


def _lines(testbed: Testbed, plan: Plan) -> list[str]:
    if plan.unmet:
        return [f"does not fit: {reason}" for reason in plan.unmet] + list(plan.notes)
    count = f"{plan.nodes} node{'' if plan.nodes == 1 else 's'}"
    walltime = "without end" if plan.walltime is None else f"for {format_duration(plan.walltime)}"
    start = "at a date not known" if plan.start is None else "now"
    if plan.start is not None and plan.start > time.time() + 1:
        start = f"at {iso_date(plan.start)}"
    return [f"{count} of {testbed.site} ({testbed.name}), {walltime}, start {start}", *plan.notes]


def _draw(options: argparse.Namespace, picture: str | None) -> None:
    if not options.gantt:
        return
    if picture is None:
        say("no picture: this testbed does not say what is free and busy")
    elif options.gantt == "-":
        say(picture)
    else:
        try:
            Path(options.gantt).write_text(picture, encoding="utf-8")
        except OSError as error:
            raise CampaignError(f"--gantt {options.gantt}: can't be written: {error.strerror}") from error
        say(f"picture {options.gantt}")
