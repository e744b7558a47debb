"""The options. What they mean, and what is wrong with them, is in :mod:`.settings`, which loads when it is needed."""

from __future__ import annotations

import pytest

__all__ = ("VALUES", "add", "given")

# option → (metavar, default, help); each has an ini setting execo_* and a variable EXECO_* of the same name
VALUES: dict[str, tuple[str, str | None, str]] = {
    "site": ("SITE", "local", "Site to take nodes from: 'local' (embedded SSH nodes) or a site of a testbed"),
    "testbed": ("NAME", None, "Testbed to use, when the site alone does not tell"),
    "nodes": ("N", None, "Number of nodes for tests that do not say, and of the embedded testbed in all"),
    "campaign": ("DIR", None, "Campaign directory to start or go on with (default: the last one of the site)"),
    "checkpoint": (
        "FILE|URL",
        None,
        "Where the states of trials are kept: a file, or postgresql://… for several machines (default: pytest's cache)",
    ),
    "retries": ("N", "0", "Run a failed trial again up to N times"),
    "retry-budget": ("N", None, "Retries of the whole campaign (default: a tenth of its trials, and at least 10)"),
    "rebuilds": (
        "N",
        "3",
        "How often in a row nodes are taken anew, for a group of tests or under one trial, before it stays pending",
    ),
    "leases": ("N", "1", "Leases that a group of tests may have at the same time, each on a worker of pytest-xdist"),
    "wait": ("DURATION", None, "How long to wait for nodes before giving up (default: as the testbed has it)"),
    "hours": ("any|nights", "any", "When nodes may be taken: nights is nights and week-ends"),
    "keep": (
        "never|on-failure|always",
        "never",
        "Keep the nodes at the end, to look at them, and print how to enter and how to give them back",
    ),
    "order": ("given|random", "given", "Order of the trials; random: anew for each repetition, from the seed"),
}


def add(parser: pytest.Parser) -> None:
    """Declare the options and ini settings."""
    group = parser.getgroup("execo", "experiments on testbeds (pytest-execo)")
    for name, (metavar, default, text) in VALUES.items():
        group.addoption(f"--execo-{name}", metavar=metavar, default=None, help=text)
        parser.addini(f"execo_{name.replace('-', '_')}", f"{text} (option --execo-{name})", default=default)
    group.addoption(
        "--execo-plan", action="store_true", help="Print nodes, time and groups, reserve nothing, run nothing"
    )
    group.addoption(
        "--execo-rerun",
        metavar="failed|changed|all",
        default=None,
        help="Run trials again: that failed, whose test has changed since, or all of them",
    )
    group.addoption(
        "--execo-option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="An option that only the testbed has; several times for several (NAME=help lists them)",
    )
    parser.addini("execo_option", "Options of the testbed, NAME=VALUE, one a line (option --execo-option)", "linelist")
    group.addoption("--execo-extend", action="store_true", help="Ask the testbed for more time before taking new nodes")
    parser.addini("execo_extend", "Ask for more time before taking new nodes (option --execo-extend)", "bool", False)
    group.addoption(
        "--execo-notify",
        metavar="URL|COMMAND",
        action="append",
        default=[],
        help="Tell a webhook, or a command, when the run starts, loses nodes, needs help and ends; may be repeated",
    )
    parser.addini("execo_notify", "Webhooks or commands, one a line (option --execo-notify)", "linelist")
    group.addoption("--execo-fresh", action="store_true", help="Start a new campaign; the old one stays on disk")


def given(config: pytest.Config) -> bool:
    """Tell whether any option was given on the command line."""
    names = (*VALUES, "plan", "rerun", "fresh", "option", "extend", "notify")
    return any(config.getoption(f"execo_{name.replace('-', '_')}") not in (None, False, []) for name in names)
