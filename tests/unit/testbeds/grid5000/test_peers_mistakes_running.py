"""Mistakes of EnOSlib with commands on nodes that are not made here.

What it does is told by the docstring of the test. All that processes promise is shown in ``tests/unit/processes``.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_execo import Host, Hosts, ProcessFailed, Remote

MANY = 20


@pytest.fixture
def nodes() -> Hosts:
    """Twenty nodes, all of them this machine."""
    return Hosts(Host(f"taurus-{number}", connector="local") for number in range(MANY))


@pytest.mark.slow
def test_all_nodes_at_once(nodes: Hosts, tmp_path: Path) -> None:
    """EnOSlib runs a command on five nodes at a time unless it is told another number: commands that have to meet never
    do. Here all of them run, and meet."""
    meet = f"touch {tmp_path}/$$; until [ $(ls {tmp_path} | wc -l) -ge {MANY} ]; do sleep 0.02; done; echo met"
    group = Remote(meet, nodes, timeout=30).run()
    assert [process.stdout for process in group] == ["met\n"] * MANY


@pytest.mark.slow
def test_each_command_has_its_own_end(nodes: Hosts) -> None:
    """EnOSlib's ``run`` has no time-out: a command that hangs on one node holds up all. Here it ends in time, and the
    others have ended as they do."""
    began = time.monotonic()
    group = Remote("[ {{{host}}} != taurus-3 ] || sleep 60", nodes, timeout=0.3)
    with pytest.raises(ProcessFailed):
        group.run()
    assert time.monotonic() - began < 20
    assert [str(process.host) for process in group if process.timed_out] == ["taurus-3"]
    assert [process.exit_code for process in group if not process.timed_out] == [0] * (MANY - 1)


def test_output_is_there_while_it_comes(nodes: Hosts) -> None:
    """EnOSlib has the output of a command when it is over on all nodes. Here it can be waited for meanwhile."""
    process = nodes[0].start("echo begun; cat")
    try:
        process.expect("begun", timeout=10)
        assert process.running
    finally:
        process.kill()
