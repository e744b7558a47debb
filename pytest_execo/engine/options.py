"""The options of a run, by pytest or as a script. Imports nothing: every pytest run on the machine reads it."""

from __future__ import annotations

__all__ = ("FLAGS", "LISTS", "RERUN", "VALUES")

#: Options with a value: metavar, default, help. Each has a variable EXECO_* of the same name; under pytest, an ini
#: setting execo_* too.
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
    "parts": (
        "N",
        "1",
        "Parts of a lease, which has so many times the nodes; the workers of pytest-xdist use them at the same time",
    ),
    "wait": ("DURATION", None, "How long to wait for nodes before giving up (default: as the testbed has it)"),
    "hours": ("any|nights", "any", "When nodes may be taken: nights is nights and week-ends"),
    "keep": (
        "never|on-failure|always",
        "never",
        "Keep the nodes at the end, to look at them, and print how to enter and how to give them back",
    ),
    "order": ("given|random", "given", "Order of the trials; random: anew for each repetition, from the seed"),
}

#: Options that are given or not.
FLAGS: dict[str, str] = {
    "plan": "Print nodes, time and groups, reserve nothing, run nothing",
    "fresh": "Start a new campaign; the old one stays on disk",
    "extend": "Ask the testbed for more time before taking new nodes",
}

#: Options that may be given several times: metavar, help.
LISTS: dict[str, tuple[str, str]] = {
    "option": (
        "NAME=VALUE",
        "An option that only the testbed has; several times for several (NAME=help lists them)",
    ),
    "notify": (
        "URL|COMMAND",
        "Tell a webhook, or a command, when the run starts, loses nodes, needs help and ends; may be repeated",
    ),
}

#: Metavar and help of the option ``rerun``, which is asked for each time: it has no variable.
RERUN: tuple[str, str] = (
    "failed|changed|all",
    "Run trials again: that failed, whose test has changed since, or all of them",
)
