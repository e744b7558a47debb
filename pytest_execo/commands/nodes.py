"""``pytest-execo nodes``: hold nodes for a shell."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any

from ..errors import InvalidRequest
from .printing import say

__all__ = ("add_parser",)


def add_parser(commands: Any) -> None:
    """Say what the options are."""
    parser = commands.add_parser("nodes", help="hold nodes and say how to enter them, until Ctrl-C or end of input")
    parser.add_argument("--site", default="local", help="where to take them from (default: local)")
    parser.add_argument("--testbed", help="the testbed, when the site alone does not tell")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="how many (default: 1)")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from ..testbeds import Request, find_testbed

    if options.nodes < 1:
        raise InvalidRequest(f"--nodes {options.nodes}: write a number of nodes, 1 or more")
    testbed = find_testbed(options.site, options.testbed)(options.site)
    # SIGTERM, as Ctrl-C, ends in a release.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    lease = testbed.reserve(Request(nodes=options.nodes))
    try:
        config = getattr(lease, "ssh_config", None)
        for node in lease.nodes:
            say(f"ssh -F {config} {node.name}" if config is not None else f"ssh {node.address}")
        say("Ctrl-C, or end of input, gives them back.")
        while sys.stdin.readline():
            pass
    except KeyboardInterrupt:
        pass
    finally:
        lease.release()
    return 0
