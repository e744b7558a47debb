"""``pytest-execo nodes``: hold nodes for a shell."""

from __future__ import annotations

import argparse
import select
import signal
import sys
from typing import TYPE_CHECKING, Any

from . import asking
from .printing import say

if TYPE_CHECKING:
    from ..leases.files import LeaseFile
    from ..testbeds import Request, Testbed

__all__ = ("add_parser",)


def add_parser(commands: Any) -> None:
    """Say what the options are."""
    parser = commands.add_parser("nodes", help="hold nodes and say how to enter them, until Ctrl-C or end of input")
    asking.add_arguments(parser, nodes="1")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from ..leases.pool import LeasePool

    request = asking.request(options)
    testbed = asking.testbed(options)
    testbed.say = lambda line: say(line)
    # SIGTERM, as Ctrl-C, ends in a release.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    pool = LeasePool(testbed, opened=lambda asked: _file(testbed, asked), limit=0)
    try:
        lease = pool.take(request)
        config = getattr(lease, "ssh_config", None)
        for node in lease.nodes:
            say(f"ssh -F {config} {node.name}" if config is not None else f"pytest-execo shell {node.name}")
        say("Ctrl-C, or end of input, gives them back.")
        while (lost := pool.lost(request)) is None:
            if select.select([sys.stdin], [], [], 1.0)[0] and not sys.stdin.readline():
                return 0
        raise lost
    except KeyboardInterrupt:
        return 0
    finally:
        pool.give_all_back()
        testbed.close()


def _file(testbed: Testbed, request: Request) -> LeaseFile:
    from ..leases.files import LeaseBook

    return LeaseBook().open(
        testbed=testbed.name,
        site=testbed.site,
        options=testbed.options,
        campaign=None,
        session="pytest-execo nodes",
        walltime=request.walltime,
    )
