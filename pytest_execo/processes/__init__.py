"""Processes, groups of processes, and the copying of files: the paper's core.

Lives here: the I/O thread that owns all of it (:mod:`.io_thread`), what one process is (:mod:`.process`), groups with
the same verbs (:mod:`.groups`), file copies (:mod:`.transfer`), and who ends what is still running (:mod:`.scopes`).
Nothing here imports pytest: it works from a script, a notebook or another runner.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..hosts import Host
from .activity import Activity, State
from .groups import Get, Group, Local, Put, Remote
from .io_thread import io_thread
from .process import CommandLine, Process
from .scopes import Scope, current_scope
from .transfer import Transfer

__all__ = (
    "Activity",
    "CommandLine",
    "Get",
    "Group",
    "Local",
    "Process",
    "Put",
    "Remote",
    "Scope",
    "State",
    "Transfer",
    "current_scope",
    "disconnect",
)


def disconnect(hosts: Iterable[Host]) -> None:
    """Close the connections to ``hosts`` that processes share. The next process on a host opens a new one."""
    io_thread().disconnect(list(hosts))
