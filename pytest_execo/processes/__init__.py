"""Processes, groups of processes, and the copying of files: the paper's core.

Lives here: the I/O thread that owns all of it (:mod:`.io_thread`), the verbs (:mod:`.action`) of one process
(:mod:`.process`), a serial console (:mod:`.serial`), a forwarded port (:mod:`.forwarding`), a file copy
(:mod:`.transfer`; to many hosts: :mod:`.chain`, :mod:`.choosing`), groups of them (:mod:`.group`, :mod:`.groups`) and
trees of groups (:mod:`.composition`), what is read off them (:mod:`.report`, :mod:`.folding`), and who ends what is
still running (:mod:`.scopes`).
Nothing here imports pytest: it works from a script, a notebook or another runner.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..hosts import Host
from .action import Action
from .activity import Activity, State
from .chain import ChainPut, ChainTransfer
from .choosing import make_put
from .composition import Composition, ParallelActions, SequentialActions
from .folding import Fold, Folds, fold, fold_names
from .forwarding import PortForwarder
from .group import Group
from .groups import Get, Local, Put, Remote
from .io_thread import io_thread
from .process import CommandLine, Process
from .report import Report
from .scopes import Scope, current_scope
from .serial import Serial
from .targets import OnBytes, OnLines
from .transfer import Transfer
from .waiting import wait_all, wait_any

__all__ = (
    "Action",
    "Activity",
    "ChainPut",
    "ChainTransfer",
    "CommandLine",
    "Composition",
    "Fold",
    "Folds",
    "Get",
    "Group",
    "Local",
    "OnBytes",
    "OnLines",
    "ParallelActions",
    "PortForwarder",
    "Process",
    "Put",
    "Remote",
    "Report",
    "Scope",
    "SequentialActions",
    "Serial",
    "State",
    "Transfer",
    "current_scope",
    "disconnect",
    "fold",
    "fold_names",
    "make_put",
    "wait_all",
    "wait_any",
)


def disconnect(hosts: Iterable[Host]) -> None:
    """Close the connections to ``hosts`` that processes share. The next process on a host opens a new one."""
    io_thread().disconnect(list(hosts))
