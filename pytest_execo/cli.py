"""``pytest-execo``: what is done around a run, from the shell. ``python -m pytest_execo`` is the same."""

from __future__ import annotations

import argparse
import collections
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import CampaignError, ExecoError, InvalidRequest

__all__ = ("main",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0, 1 after an error (one line on stderr), 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="pytest-execo", description="Around pytest runs on testbeds.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    nodes = commands.add_parser("nodes", help="hold nodes and say how to enter them, until Ctrl-C or end of input")
    nodes.add_argument("--site", default="local", help="where to take them from (default: local)")
    nodes.add_argument("--testbed", help="the testbed, when the site alone does not tell")
    nodes.add_argument("--nodes", type=int, default=1, metavar="N", help="how many (default: 1)")
    nodes.set_defaults(command=_nodes)

    status = commands.add_parser("status", help="count the trials of a campaign by outcome")
    status.add_argument("directory", nargs="?", help="campaign directory (default: the last one in execo-results/)")
    status.set_defaults(command=_status)

    options = parser.parse_args(arguments)
    try:
        code: int = options.command(options)
    except ExecoError as error:
        # Testbeds speak of pytest's options; here they have no prefix.
        print(f"pytest-execo: {str(error).replace('--execo-', '--')}", file=sys.stderr)  # noqa: T201
        return 1
    return code


def _nodes(options: argparse.Namespace) -> int:
    from .testbeds import Request, find_testbed

    if options.nodes < 1:
        raise InvalidRequest(f"--nodes {options.nodes}: write a number of nodes, 1 or more")
    testbed = find_testbed(options.site, options.testbed)(options.site)
    # SIGTERM, as Ctrl-C, ends in a release.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    lease = testbed.reserve(Request(nodes=options.nodes))
    try:
        config = getattr(lease, "ssh_config", None)
        for node in lease.nodes:
            _say(f"ssh -F {config} {node.name}" if config is not None else f"ssh {node.address}")
        _say("Ctrl-C, or end of input, gives them back.")
        while sys.stdin.readline():
            pass
    except KeyboardInterrupt:
        pass
    finally:
        lease.release()
    return 0


def _status(options: argparse.Namespace) -> int:
    from .results import Record, read_records
    from .results.directories import read_campaign

    directory = Path(options.directory) if options.directory else _last_campaign(Path("execo-results"))
    campaign = read_campaign(directory)
    last: dict[str, Record] = {}
    for record in read_records(directory / "records"):
        known = last.get(record["trial"])
        if known is None or (record["attempt"], record["ended_at"]) > (known["attempt"], known["ended_at"]):
            last[record["trial"]] = record
    _say(f"{directory}: site {campaign['site']} ({campaign['testbed']}), {len(campaign['sessions'])} sessions")
    for outcome, count in collections.Counter(record["outcome"] for record in last.values()).most_common():
        _say(f"{count:8} {outcome}")
    return 0


def _last_campaign(results: Path) -> Path:
    campaigns = sorted(results.glob("*/campaign.json"), key=lambda path: path.stat().st_mtime)
    if not campaigns:
        raise CampaignError(f"{results}: no campaign in there; name a campaign directory")
    return campaigns[-1].parent


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
