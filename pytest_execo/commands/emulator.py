"""``pytest-execo emulator``: a Grid'5000 on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from ..errors import InvalidRequest
from .printing import say

__all__ = ("add_parser",)


def add_parser(commands: Any) -> None:
    """Say what the options are."""
    parser = commands.add_parser(
        "emulator",
        help="run an emulated Grid'5000 on this machine, until Ctrl-C",
        description="An emulated Grid'5000: its REST API on loopback, with nodes on this machine, until Ctrl-C.",
    )
    parser.add_argument("--port", type=int, default=0, help="the port of the API (default: a free one)")
    parser.add_argument("--speed", default="60", metavar="X", help="how much faster its clock runs (default: 60)")
    parser.add_argument("--seed", default="0", metavar="N", help="what happens by chance happens again with the same")
    parser.add_argument("--faults", default="", metavar="TEXT", help="what goes wrong: see docs/grid5000.md")
    parser.add_argument("--reference", metavar="PATH", help="reference data instead of its own small sample")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from ..emulator.testbed import DEFAULT_ACCOUNT, EmulatorTestbed

    given = {name: getattr(options, name) for name in ("speed", "seed", "faults")}
    if options.reference is not None:
        given["reference"] = str(Path(options.reference))
    try:
        testbed = EmulatorTestbed("lyon", options=given, port=options.port, account=DEFAULT_ACCOUNT)
    except InvalidRequest as error:  # said of pytest's options
        raise InvalidRequest(str(error).replace("--execo-option=", "--")) from None
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        server = testbed.server
        say(
            f"API      {server.uri}  (user and password: {DEFAULT_ACCOUNT[0]})",
            f"key      {server.key}",
            f"pytest --execo-testbed=emulator --execo-site=lyon --execo-option=uri={server.uri} "
            f"--execo-option=key={server.key}",
            "Ctrl-C ends it, with all its nodes.",
        )
        ended.wait()
    except KeyboardInterrupt:
        pass
    finally:
        testbed.close()
    return 0
