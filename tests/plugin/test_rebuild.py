"""Leases that end, nodes that die: what stands on them is built again, and the interrupted trial runs again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.plugin.outcomes import PENDING_EXIT

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def records(pytester: pytest.Pytester) -> list[dict[str, Any]]:
    """All records, in the order of their attempts."""
    lines = [
        json.loads(line)
        for path in Path(pytester.path).glob("execo-results/*/records/*.jsonl")
        for line in path.read_text().splitlines()
    ]
    return sorted(lines, key=lambda record: str(record["started_at"]))


# Ends the process that the nodes of a lease live in, and uses them until that shows. It is found by its directory:
# a worker has a description of the lease alone.
KILL_THE_MANAGER = """
import os, pathlib, signal

def kill_the_manager(nodes):
    directory = os.path.dirname(nodes[0].keyfile)
    owners = (os.getpid(), os.getppid())
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = pathlib.Path(f"/proc/{number}/cmdline").read_bytes().split(b"\\0")
            parent = int(pathlib.Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if directory.encode() in words and parent in owners:
            os.kill(int(number), signal.SIGKILL)
            while True:
                nodes.run("true")
"""


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "xdist"])
def test_fixtures_of_every_scope_are_built_again_once_for_each_loss(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    pytester.makeconftest(
        """
        import pytest
        told = []

        @pytest.fixture(scope="session")
        def session_one(nodes):
            told.append("+session"); yield; told.append("-session")
        @pytest.fixture(scope="package")
        def package_one(session_one):
            told.append("+package"); yield; told.append("-package")
        @pytest.fixture(scope="module")
        def module_one(package_one):
            told.append("+module"); yield; told.append("-module")
        @pytest.fixture(scope="class")
        def class_one(module_one):
            told.append("+class"); yield; told.append("-class")
        @pytest.fixture
        def function_one(class_one):
            told.append("+function"); yield; told.append("-function")
        @pytest.fixture(scope="session")
        def apart():
            told.append("+apart"); yield; told.append("-apart")
        @pytest.fixture(scope="session")
        def killed(): return []

        def pytest_sessionfinish():
            if told:  # not in the controller
                with open("told", "w") as file: file.write(" ".join(told))
        """
    )
    pytester.makepyfile(killing=KILL_THE_MANAGER)
    pytester.makepyfile(
        """
        from conftest import told
        from killing import kill_the_manager
        from pytest_execo import sweep
        class TestIt:
            @sweep(x=[1, 2, 3])
            def test_it(self, apart, function_one, nodes, killed, x):
                told.append(f"test{x}")
                if x == 2 and not killed:
                    killed.append(x)
                    kill_the_manager(nodes)
                nodes.run("true")
        """
    )
    result = pytester.runpytest_subprocess(*workers)
    assert result.parseoutcomes() == {"passed": 3, "interrupted": 1}
    up = "+session +package +module +class"
    down = "-class -module -package -session"
    assert Path(pytester.path, "told").read_text() == (
        f"+apart {up} +function test1 -function +function test2 -function {down} "
        f"{up} +function test2 -function +function test3 -function {down} -apart"
    )


def test_a_campaign_goes_through_many_leases(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import time, pytest
        from pytest_execo import sweep
        @pytest.mark.execo(nodes=2, walltime=5)
        @sweep(x=range(24))
        def test_it(nodes, x):
            nodes.run("true")
            time.sleep(0.25)
        """
    )
    result = pytester.runpytest_subprocess()
    outcomes = result.parseoutcomes()
    # None begins that can't be done before the end; on a busy machine one may take longer than those before.
    assert outcomes["passed"] == 24
    assert outcomes.get("interrupted", 0) <= 2
    result.stdout.fnmatch_lines(["execo: * of the lease are left, the next trial takes *: takes new nodes"])
    assert result.ret == 0


def test_a_failure_of_the_test_itself_is_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_execo import sweep
        @sweep(x=[1, 2])
        def test_it(nodes, x): assert x == 1
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    assert [record["attempt"] for record in records(pytester)] == [1, 1]


def test_a_node_that_the_test_switched_off_is_not_blamed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from pytest_execo import sweep
        @sweep(x=["power_off", "cut"])
        def test_it(nodes, x):
            getattr(nodes[0], x)()
            assert x == ""
        def test_after(nodes): nodes[0].power_on(); nodes[0].heal(); nodes.run("true")
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.parseoutcomes() == {"passed": 1, "failed": 2}


def test_a_trial_that_loses_its_nodes_each_time_stays_pending(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, signal
        from pytest_execo import sweep
        @sweep(x=[1, 2])
        def test_it(lease, nodes, x):
            if x == 1:
                os.kill(lease._client.pid, signal.SIGKILL)
                while True: nodes.run("true")
            nodes.run("true")
        """
    )
    result = pytester.runpytest_subprocess("--execo-rebuilds=2")
    assert result.parseoutcomes() == {"interrupted": 2, "pending": 1, "passed": 1}
    assert result.ret == PENDING_EXIT
    assert [record["outcome"] for record in records(pytester)] == ["pending"] * 3 + ["passed"]


# A node that dies by itself: its first process, a child of the manager, is killed; nobody asked the testbed for it.
DYING = """
import os, signal, subprocess
from pytest_execo import sweep

def die(lease):
    lease.nodes.run("true")
    asked = subprocess.run(["pgrep", "-P", str(lease._client.pid)], capture_output=True, text=True)
    os.kill(int(asked.stdout.split()[0]), signal.SIGKILL)
    while all(node.powered for node in lease.nodes): pass

dead = []
"""


def test_a_spare_node_takes_the_place_of_a_dead_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        DYING
        + """
import pytest
@pytest.fixture(scope="session")
def names(nodes): return list(nodes.names)
@pytest.mark.execo(nodes=2, spare=1)
@sweep(x=[1, 2, 3])
def test_it(lease, nodes, names, x, trial):
    assert names == nodes.names and len(names) == 2
    if x == 2 and not dead:
        dead.append(lease)
        die(lease)
    nodes.run("true")
    assert not dead or dead[0] is lease, "the same lease"
"""
    )
    result = pytester.runpytest_subprocess()
    assert result.parseoutcomes() == {"passed": 3, "interrupted": 1}
    result.stdout.fnmatch_lines(
        ["execo: node-?.local is not used any more: *", "execo: node-3.local takes the place of node-?.local"]
    )
    first, lost, *others = records(pytester)
    assert first["nodes"] == ["node-1.local", "node-2.local"]
    assert lost["outcome"] == "pending"
    assert all("node-3.local" in record["nodes"] for record in others)


def test_a_smaller_group_where_the_tests_allow_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        DYING
        + """
import pytest
@pytest.mark.execo(nodes=3, min_nodes=2)
@sweep(x=[1, 2, 3])
def test_it(lease, nodes, x):
    if x == 2 and not dead:
        dead.append(lease)
        die(lease)
    nodes.run("true")
    assert not dead or dead[0] is lease, "the same lease"
"""
    )
    result = pytester.runpytest_subprocess()
    assert result.parseoutcomes() == {"passed": 3, "interrupted": 1}
    result.stdout.fnmatch_lines(["execo: goes on with 2 nodes; the tests allow 2"])
    assert [len(record["nodes"]) for record in records(pytester)] == [3, 3, 2, 2]


def test_a_dead_node_without_a_spare_costs_the_lease(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        DYING
        + """
import pytest
@pytest.mark.execo(nodes=2)
@sweep(x=[1, 2, 3])
def test_it(lease, nodes, x):
    if x == 2 and not dead:
        dead.append(lease)
        die(lease)
    nodes.run("true")
    assert not dead or dead[0] is not lease, "another lease"
"""
    )
    result = pytester.runpytest_subprocess()
    assert result.parseoutcomes() == {"passed": 3, "interrupted": 1}


def test_under_xdist_fixtures_are_built_again_and_other_workers_go_on(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import os, pytest
        @pytest.fixture(scope="session")
        def service(nodes):
            with open(f"told-{os.environ['PYTEST_XDIST_WORKER']}", "a") as told: told.write("up ")
            yield nodes.names
            with open(f"told-{os.environ['PYTEST_XDIST_WORKER']}", "a") as told: told.write("down ")
        """
    )
    pytester.makepyfile(killing=KILL_THE_MANAGER)
    pytester.makepyfile(
        """
        import os, pathlib, pytest
        from killing import kill_the_manager
        from pytest_execo import sweep

        @pytest.mark.execo(nodes=2)
        @sweep(x=range(4))
        def test_it(nodes, service, x):
            assert service == nodes.names
            if x == 1 and not os.path.exists("killed"):
                pathlib.Path("killed").touch()
                kill_the_manager(nodes)
            nodes.run("true")

        @pytest.mark.execo(nodes=1)
        @sweep(x=range(4))
        def test_other(nodes, service, x):
            nodes.run("true")
        """
    )
    result = pytester.runpytest_subprocess("-n", "2")
    assert result.parseoutcomes() == {"passed": 8, "interrupted": 1}
    told = sorted(path.read_text() for path in Path(pytester.path).glob("told-*"))
    assert told == ["up down ", "up down up down "]
    result.stdout.fnmatch_lines(["execo: 1 attempt interrupted by the testbed, and run again"])


def test_trials_after_one_that_may_not_run_again_have_living_nodes(pytester: pytest.Pytester) -> None:
    """The budget leaves the interrupted trial pending; the spare node is the next one's all the same."""
    pytester.makepyfile(
        DYING
        + """
import pytest
@pytest.mark.execo(nodes=2, spare=1)
@sweep(x=[1, 2, 3])
def test_it(lease, nodes, x):
    if x == 1 and not dead:
        dead.append(lease)
        die(lease)
    nodes.run("true")
"""
    )
    result = pytester.runpytest_subprocess("--execo-rebuilds=0")
    assert result.parseoutcomes() == {"passed": 2, "pending": 1}
    assert result.ret == PENDING_EXIT
    assert [record["outcome"] for record in records(pytester)] == ["pending", "passed", "passed"]


def test_a_teardown_on_dead_nodes_is_a_warning(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        DYING
        + """
import pytest
@pytest.fixture(scope="session")
def service(nodes):
    yield
    nodes.run("true")
@pytest.mark.execo(nodes=2, spare=1)
@sweep(x=[1, 2])
def test_it(lease, nodes, service, x):
    if x == 1 and not dead:
        dead.append(lease)
        die(lease)
    nodes.run("true")
"""
    )
    result = pytester.runpytest_subprocess()
    assert result.parseoutcomes() == {"passed": 2, "interrupted": 1}
    result.stdout.fnmatch_lines(["execo: warning: a fixture's teardown, after its lease was lost: *"])
    assert result.ret == 0


@pytest.mark.parametrize(
    ("body", "outcomes"),
    [("assert x != 1, 'its own'", {"failed": 1, "passed": 1}), ("pass", {"passed": 2})],
    ids=["failed", "passed"],
)
def test_a_trial_with_an_outcome_keeps_it_when_its_teardown_meets_dead_nodes(
    pytester: pytest.Pytester, body: str, outcomes: dict[str, int]
) -> None:
    pytester.makepyfile(
        DYING
        + f"""
import pytest
@pytest.fixture
def mess(lease, nodes, x):
    yield
    if x == 1:
        die(lease)
    nodes.run("true")
@pytest.mark.execo(nodes=2, spare=1)
@sweep(x=[1, 2])
def test_it(nodes, mess, x):
    nodes.run("true")
    {body}
"""
    )
    result = pytester.runpytest_subprocess()
    assert result.parseoutcomes() == outcomes
    told = [(record["params"]["x"], record["outcome"]) for record in records(pytester)]
    assert told == [(1, "failed" if "failed" in outcomes else "passed"), (2, "passed")]


def test_an_expected_failure_is_not_that_of_the_nodes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        DYING
        + """
import pytest
@pytest.mark.xfail(reason="known")
@pytest.mark.execo(nodes=2, spare=1)
@sweep(x=[1, 2])
def test_it(lease, nodes, x):
    if x == 1 and not dead:
        dead.append(lease)
        die(lease)
    nodes.run("true")
    assert x == 1
"""
    )
    result = pytester.runpytest_subprocess()
    assert result.parseoutcomes() == {"xpassed": 1, "xfailed": 1, "interrupted": 1}
    assert records(pytester)[0]["outcome"] == "pending"


BEFORE = """
@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    die_at("x:2", item.nodeid)
    return (yield)
"""
AFTER = """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logfinish(nodeid):
    die_at("x:1", nodeid)
"""


@pytest.mark.parametrize(
    ("when", "outcomes"),
    [(BEFORE, {"passed": 2, "pending": 1}), (AFTER, {"passed": 3})],
    ids=["before", "after"],
)
def test_a_worker_that_dies_beside_a_trial_has_failed_none(
    pytester: pytest.Pytester, when: str, outcomes: dict[str, int]
) -> None:
    pytester.makeconftest(
        """
import os, pytest
def die_at(trial, nodeid):
    if trial in nodeid and "PYTEST_XDIST_WORKER" in os.environ and not os.path.exists("died"):
        open("died", "w").close()
        os._exit(1)
"""
        + when
    )
    pytester.makepyfile(
        """
        from pytest_execo import sweep
        @sweep(x=[1, 2, 3])
        def test_it(nodes, x): nodes.run("true")
        """
    )
    result = pytester.runpytest_subprocess("-n1")
    assert result.parseoutcomes() == outcomes
    assert result.ret == (PENDING_EXIT if "pending" in outcomes else 0)
