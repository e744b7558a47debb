"""``pytest-execo``: what is done around a run, from the shell. ``python -m pytest_execo`` is the same."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from .commands import emulator, import_execo, leases, nodes, plan, release, shell, status
from .errors import ExecoError

__all__ = ("main",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status.

    0; 1 after an error (one line on stderr); 2 for a wrong command line; 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="pytest-execo", description="Around pytest runs on testbeds.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (nodes, plan, leases, shell, release, status, import_execo, emulator):
        module.add_parser(commands)
    options = parser.parse_args(arguments)
    try:
        code: int = options.command(options)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except ExecoError as error:
        # Testbeds speak of pytest's options; here they have no prefix.
        print(f"pytest-execo: {str(error).replace('--execo-', '--')}", file=sys.stderr)  # noqa: T201
        return 1
    return code
