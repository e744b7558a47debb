"""``pytest-execo status``: how far a campaign has come."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CampaignError, InvalidInput
from .printing import say
from .status_text import status_lines, status_summary

if TYPE_CHECKING:
    from ..results.progress import Progress

__all__ = ("add_parser",)

_RESULTS = "execo-results"
_EVERY = 5.0
_HOME_AND_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


def add_parser(commands: Any) -> None:
    """Say what the options are."""
    parser = commands.add_parser(
        "status",
        help="how far a campaign or a sweep has come, and who is at work",
        description="How far a campaign, or the sweep of a ParamSweeper, has come. It changes nothing.",
    )
    parser.add_argument(
        "directory",
        nargs="?",
        metavar="DIR",
        help=f"directory of the campaign or sweep (default: the last campaign in {_RESULTS}/)",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="URL|PATH",
        default=os.environ.get("EXECO_CHECKPOINT") or None,
        help="the checkpoint store (default: EXECO_CHECKPOINT, or what the last session says)",
    )
    parser.add_argument("--name", help="a sweep in the database of --checkpoint, instead of a directory")
    parser.add_argument(
        "--by", action="append", default=[], metavar="FACTOR", help="only this factor, all levels; may be repeated"
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        const=str(_EVERY),
        metavar="SECONDS",
        help=f"again and again (default: every {_EVERY:g} s), until all is done or Ctrl-C",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document; with --watch one a line")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    every = _seconds(options)
    if every is None:
        _show(_progress(options), options)
        return 0
    try:
        while True:
            progress = _progress(options)
            _show_again(progress, options)
            if progress.total and not progress.unfinished:
                return 0
            time.sleep(every)
    except KeyboardInterrupt:
        return 0


def _seconds(options: argparse.Namespace) -> float | None:
    if options.watch is None:
        return None
    try:
        every = float(options.watch)
    except ValueError:
        if options.directory is None:  # status --watch DIR
            options.directory = options.watch
            return _EVERY
        raise InvalidInput(f"--watch {options.watch}: write seconds, as in --watch {_EVERY:g}") from None
    if not 0.1 <= every <= 86400:
        raise InvalidInput(f"--watch {options.watch}: write seconds from 0.1, as in --watch {_EVERY:g}")
    return every


def _progress(options: argparse.Namespace) -> Progress:
    from ..results.progress import campaign_progress, is_sweep, sweep_progress

    if options.name is not None:
        place = options.directory or options.checkpoint
        if place is None:
            raise InvalidInput(f"--name {options.name}: say where the sweep is, with --checkpoint=postgresql://...")
        progress = sweep_progress(place, name=options.name)
    else:
        directory = Path(options.directory) if options.directory else _last_campaign(Path(_RESULTS))
        if is_sweep(directory):
            progress = sweep_progress(directory)
        else:
            progress = campaign_progress(directory, checkpoint=options.checkpoint)
    for factor in options.by:
        if factor not in progress.factors:
            raise InvalidInput(f"--by {factor}: no such factor in {progress.place}{_nearest(factor, progress)}")
    return progress


def _nearest(factor: str, progress: Progress) -> str:
    close = difflib.get_close_matches(factor, progress.factors, 1, 0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(progress.factors)}" if progress.factors else "; it has none"


def _last_campaign(results: Path) -> Path:
    campaigns = sorted(results.glob("*/campaign.json"), key=lambda path: path.stat().st_mtime)
    if not campaigns:
        raise CampaignError(f"{results}: no campaign in there; name a campaign directory")
    return campaigns[-1].parent


def _show(progress: Progress, options: argparse.Namespace) -> None:
    if options.json:
        say(json.dumps(_document(progress, options.by), indent=2))
    else:
        say(*status_lines(progress, options.by))


def _show_again(progress: Progress, options: argparse.Namespace) -> None:
    if options.json:
        say(json.dumps(_document(progress, options.by)))
    elif sys.stdout.isatty():
        lines = status_lines(progress, options.by)
        rows = os.get_terminal_size(sys.stdout.fileno()).lines
        # Written at once, so that it does not flicker; what does not fit would scroll the top away.
        sys.stdout.write(_HOME_AND_CLEAR)
        say(*(lines[: rows - 1] if rows > 1 else lines))
    else:
        say(status_summary(progress))


def _document(progress: Progress, by: Sequence[str]) -> dict[str, Any]:
    document = progress.to_json()
    if by:
        document["factors"] = {name: document["factors"][name] for name in by}
    return document
