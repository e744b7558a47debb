"""``pytest-execo shell``: enter a node that a run holds, or has kept."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from ..errors import TestbedError

__all__ = ("add_parser",)


def add_parser(commands: Any) -> None:
    """Say what the options are."""
    parser = commands.add_parser(
        "shell",
        help="enter a node that a run holds, or has kept",
        description="Enter a node by the ssh program, with the key, port and host key that its testbed has told. "
        "Exit status: that of ssh, which is that of the command.",
    )
    parser.add_argument("--lease", metavar="ID", help="the lease, where several have a node of this name")
    parser.add_argument("node", metavar="NODE", help="its name; the part before the first dot is enough")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="run this instead of a shell")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from ..leases.entering import find_node, ssh_command
    from ..leases.files import LeaseBook

    entry, node = find_node(LeaseBook().entries(), options.node, options.lease)
    words = ssh_command(entry, node, options.words[1:] if options.words[:1] == ["--"] else options.words)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvp(words[0], words)
    except OSError as error:
        raise TestbedError(f"the ssh program can't be started: {error.strerror}; install openssh-client") from error
