"""``pytest-execo nodes``: hold nodes for a shell."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any

from . import asking
from .printing import say

__all__ = ("add_parser",)


def add_parser(commands: Any) -> None:
    """Say what the options are."""
    parser = commands.add_parser("nodes", help="hold nodes and say how to enter them, until Ctrl-C or end of input")
    asking.add_arguments(parser, nodes="1")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    request = asking.request(options)
    testbed = asking.testbed(options)
    testbed.say = lambda line: say(line)
    # SIGTERM, as Ctrl-C, ends in a release.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    lease = None
    try:
        lease = testbed.reserve(request)
        if request.environment is not None:
            lease.deploy(request.environment)
        config = getattr(lease, "ssh_config", None)
        for node in lease.nodes:
            say(f"ssh -F {config} {node.name}" if config is not None else f"ssh {node.address}")
        say("Ctrl-C, or end of input, gives them back.")
        while sys.stdin.readline():
            pass
    except KeyboardInterrupt:
        pass
    finally:
        if lease is not None:
            lease.release()
        testbed.close()
    return 0
