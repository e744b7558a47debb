"""Where nodes come from.

Lives here: the contract (:mod:`.contract`), how a testbed is found (:mod:`.registry`), and one package per testbed.
A testbed of another package is registered by an entry point of group ``pytest_execo.testbeds``.
"""

from __future__ import annotations

from .contract import Lease, Plan, Request, Testbed
from .registry import check_options, find_testbed, testbed_names

__all__ = ("Lease", "Plan", "Request", "Testbed", "check_options", "find_testbed", "testbed_names")
