"""What the embedded testbed promises, without starting anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pytest_execo
from pytest_execo.errors import LeaseLost
from pytest_execo.testbeds.contract import Request
from pytest_execo.testbeds.embedded import EmbeddedNode, EmbeddedTestbed


@pytest.mark.parametrize(
    ("given", "asked", "nodes"),
    [(None, None, 1), (None, 200, 200), (4, None, 4), (4, 2, 2), (4, 4, 4)],
)
def test_how_many_nodes(given: int | None, asked: int | None, nodes: int) -> None:
    plan = EmbeddedTestbed("local", nodes=given).plan(Request(nodes=asked))
    assert plan.nodes == nodes
    assert plan.start is not None
    assert plan.unmet == ()


def test_what_is_not_met_has_a_line_each() -> None:
    plan = EmbeddedTestbed("local", nodes=2).plan(Request(nodes=5, cluster="taurus"))
    assert plan.unmet == ("asks for 5 nodes, local has 2", "asks for cluster 'taurus', local has no clusters")
    assert plan.start is None
    assert EmbeddedTestbed("local").plan(Request(nodes=257)).unmet == ("asks for 257 nodes, local has 256",)
    assert EmbeddedTestbed("local").plan(Request(nodes=0)).unmet == ("asks for 0 nodes, a lease has at least 1",)


def test_walltime_is_as_asked() -> None:
    assert EmbeddedTestbed("local").plan(Request(walltime=60.0)).walltime == 60.0
    assert EmbeddedTestbed("local").plan(Request()).walltime is None


def test_sites() -> None:
    assert EmbeddedTestbed.sites() == ("local",)


def test_a_node_without_its_lease_says_so() -> None:
    with pytest.raises(LeaseLost, match=r"node-1\.local"):
        EmbeddedNode("127.0.0.1", name="node-1.local").cut()


def test_importing_it_loads_nothing_heavy() -> None:
    root = str(Path(pytest_execo.__file__).parent.parent)
    script = (
        f"import sys; sys.path.insert(0, {root!r}); before = set(sys.modules)\n"
        "import pytest_execo.testbeds.embedded\n"
        "print(*({'asyncssh', 'asyncio', 'cryptography'} & (set(sys.modules) - before)))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert result.stdout.split() == []
