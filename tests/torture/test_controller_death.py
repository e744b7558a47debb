"""The controller dies, or its network does: what it had started there is gone within ten seconds."""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_execo import Host, Hosts, Remote, State
from pytest_execo.processes.io_thread import io_thread
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.embedded import EmbeddedLease, EmbeddedTestbed

from .conftest import having

pytestmark = [pytest.mark.torture, pytest.mark.integration, pytest.mark.timeout(600)]

NODES = 20
#: Processes on each node: ordinary ones, some that ignore SIGTERM, and one that is detached.
ORDINARY = 10
STUBBORN = 3
#: Seconds within which all is to be over.
WITHIN = 10

Eventually = Callable[..., None]


@pytest.fixture(scope="module")
def lease() -> Iterator[EmbeddedLease]:
    """Twenty nodes, which outlive the controllers."""
    lease = EmbeddedTestbed().reserve(Request(nodes=NODES))
    yield lease
    lease.release()


class Marks:
    """Durations of ``sleep`` by which the processes of one test are known on this machine."""

    def __init__(self, chance: random.Random) -> None:
        self.ordinary, self.stubborn, self.detached, self.daemon = (
            str(number) for number in chance.sample(range(10**8, 10**9), 4)
        )

    def commands(self) -> list[tuple[str, dict[str, Any]]]:
        ignoring = f"trap '' TERM; while :; do sleep {self.stubborn}; done"
        return [
            *[(f"exec sleep {self.ordinary}", {})] * (ORDINARY - 1),
            # Of another group than its parent, and of the same session.
            (f"set -m; sleep {self.ordinary} & wait", {}),
            *[(ignoring, {})] * STUBBORN,
            (f"exec sleep {self.detached}", {"detached": True}),
        ]

    def all_run(self) -> bool:
        ordinary, stubborn, detached = map(having, (self.ordinary, self.stubborn, self.detached))
        return len(ordinary) >= NODES * ORDINARY and len(stubborn) == NODES * STUBBORN and len(detached) == NODES

    def gone(self) -> bool:
        return not having(self.ordinary) and not having(self.stubborn)


@pytest.fixture
def marks(chance: random.Random, lease: EmbeddedLease, eventually: Eventually) -> Iterator[Marks]:
    """Marks of processes; in the end those that are detached are killed."""
    marks = Marks(chance)
    yield marks
    lease.nodes.run(f"pkill -9 -f 'sleep {marks.detached}'", check=False)
    eventually(lambda: not having(marks.detached))


def over_in_time(marks: Marks, since: float) -> None:
    """Assert that all but the detached ones are gone in time."""
    while not marks.gone():
        took = time.monotonic() - since
        assert took < WITHIN, f"after {took:.1f} s: {len(having(marks.ordinary))}, {len(having(marks.stubborn))} left"
        time.sleep(0.05)
    print(f"gone after {time.monotonic() - since:.1f} s")
    assert len(having(marks.detached)) == NODES


@pytest.mark.parametrize("connector", ["ssh", "openssh", "paramiko", "taktuk"])
def test_the_controller_is_killed(connector: str, lease: EmbeddedLease, marks: Marks, eventually: Eventually) -> None:
    fields = [field.name for field in dataclasses.fields(Host) if field.name != "description"]
    hosts = [{**{field: getattr(node, field) for field in fields}, "connector": connector} for node in lease.nodes]
    told = json.dumps({"hosts": hosts, "commands": marks.commands()})
    script = Path(__file__).with_name("controller.py")
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as controller:
        try:
            assert controller.stdin is not None
            assert controller.stdout is not None
            controller.stdin.write(told.encode())
            controller.stdin.close()
            assert json.loads(controller.stdout.readline()) == {"failed": []}
            eventually(marks.all_run, timeout=30)
        finally:
            controller.kill()
            since = time.monotonic()
    over_in_time(marks, since)


def start(marks: Marks, hosts: Hosts, eventually: Eventually) -> list[Remote]:
    """Start all of it from here."""
    groups = [Remote(command, hosts, **options).start() for command, options in marks.commands()]
    eventually(lambda: all(p.state is State.RUNNING for group in groups for p in group), timeout=60)
    eventually(marks.all_run, timeout=30)
    return groups


def over_here_too(groups: list[Remote]) -> None:
    """Assert that their handles know: that they were lost, or how they were ended there, if that was still told."""
    for group in groups:
        group.wait(60)
        outcomes = {process.outcome() for process in group}
        assert outcomes <= {"connection lost", "signal SIGTERM", "signal SIGKILL", "exit 143"}, outcomes


def test_the_network_is_cut(lease: EmbeddedLease, marks: Marks, eventually: Eventually) -> None:
    groups = start(marks, lease.nodes, eventually)
    try:
        for node in lease.nodes:
            node.cut()  # type: ignore[attr-defined]
        over_in_time(marks, time.monotonic())
    finally:
        for node in lease.nodes:
            node.heal()  # type: ignore[attr-defined]
        lease.nodes.disconnect()
    over_here_too(groups)


def test_the_connections_die(lease: EmbeddedLease, marks: Marks, eventually: Eventually) -> None:
    groups = start(marks, lease.nodes, eventually)
    connector: Any = io_thread().connector("ssh")

    def abort() -> None:
        for node in lease.nodes:
            for link in connector.pool(node).links:
                link.connection.asyncssh.abort()

    io_thread().call(abort)
    over_in_time(marks, time.monotonic())
    over_here_too(groups)
    assert lease.nodes.run("echo again").ok


def test_what_a_stopped_controller_had_started_ends_too(
    lease: EmbeddedLease, marks: Marks, eventually: Eventually
) -> None:
    """No end of a connection is seen when the controller's machine hangs: silence has to be enough."""
    groups = start(marks, lease.nodes, eventually)
    connector: Any = io_thread().connector("ssh")
    silenced = [link.guard for node in lease.nodes for link in connector.pool(node).links]
    for guard in silenced:
        guard.sign_of_life = lambda: False
    over_in_time(marks, time.monotonic())
    for group in groups[:-1]:  # the connection lives: it is told what ended them, which they did not do themselves
        group.wait(60)
        assert {process.outcome() for process in group} == {"connection lost"}
        assert all("no sign of life" in str(process.error) for process in group)
    assert all(process.running for process in groups[-1])
    lease.nodes.disconnect()
    over_here_too(groups)
