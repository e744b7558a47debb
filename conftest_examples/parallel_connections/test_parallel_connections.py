"""The paper's Figure 1: how long N parallel connections take, each running ``uname -a``, for every connector.

Measured is the total duration, from the start of the first connection to the end of the last. No connection is open
before: each trial pays the first contact, as a script does that has just got its nodes.
"""

from __future__ import annotations

import pytest

from pytest_execo import Hosts, Local, Trial, connectors, sweep

NODES = 40


@pytest.fixture(scope="module")
def booted(nodes: Hosts) -> Hosts:
    """The nodes, each reached once: that a node starts its services at the first contact is not to be measured."""
    nodes.run("true")
    return nodes


@pytest.mark.execo(nodes=NODES)
@sweep(connector=connectors.available(), connections=[1, 2, 5, 10, 20, NODES], repeat=5)
def test_parallel_connections(booted: Hosts, trial: Trial, connector: str, connections: int) -> None:
    targets = booted[:connections]
    targets.disconnect()
    if connector == "local":  # no connection at all: what processes alone cost
        group = Local(["uname -a"] * connections).run()
    else:
        group = targets.start("uname -a", connector=connector).wait()
    trial.record(duration=group.duration, failed=len(group.failed))
    group.check()
    assert all(process.stdout.startswith("Linux") for process in group)
