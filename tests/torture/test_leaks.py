"""Ten thousand processes, half of them killed: nothing is left of them, here or there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from pytest_execo import Hosts, Process, Remote
from pytest_execo.processes.io_thread import io_thread
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.embedded import EmbeddedTestbed

from .conftest import children, descriptors, having, threads

pytestmark = [pytest.mark.torture, pytest.mark.integration, pytest.mark.timeout(1800)]

NODES = 50
# Started together: what a loaded controller has in hand at a time.
TOGETHER = 500


def tasks() -> int:
    """Count the asyncio tasks of the I/O thread, without the one that counts."""

    async def count() -> int:
        return len(asyncio.all_tasks()) - 1

    return io_thread().submit(count()).result(10)


def test_ten_thousand_processes_leave_nothing(
    scaled: Callable[[int], int], chance: random.Random, eventually: Callable[..., None]
) -> None:
    number = scaled(10_000)
    # A duration that nothing else on this machine has on its command line.
    mark = f"{chance.randrange(10**8, 10**9)}"
    with_nodes = EmbeddedTestbed().reserve(Request(nodes=NODES))
    try:
        nodes = with_nodes.nodes
        _warm_up(nodes)
        before = descriptors(), threads(), children()
        tasks_before = tasks()

        left = number
        while left > 0:
            batch = min(TOGETHER, left)
            left -= batch
            processes = [_process(chance, nodes, mark, at) for at in range(batch)]
            for process in processes:
                process.start()
            to_kill = chance.sample(processes, batch // 2)
            for process in to_kill:
                process.kill(wait=False, grace=chance.choice([0.2, 5]))
            for process in processes:
                process.wait(120)
            assert {process.outcome() for process in processes} <= {"ok", "killed", "timed out"}
            assert all(process.ok for process in processes)

        eventually(lambda: not having(mark), timeout=30)
        _eventually_as_before(eventually, before, tasks_before)
    finally:
        with_nodes.release()


def _warm_up(nodes: Hosts) -> None:
    """Have all that is made once and kept: connections, guards, the guard of this machine, threads of handlers."""
    assert Remote("true", nodes, stdout_handlers=[lambda *_: None]).run().ok
    assert Process("true").run().ok


def _process(chance: random.Random, nodes: Hosts, mark: str, number: int) -> Process:
    commands = [
        "true",
        "echo out; echo err >&2",
        "read x",
        f"sleep 0.{number % 10} {mark[0]}",
        f"exec sleep {mark}",
        f"sleep {mark} & sleep {mark}",
        f"trap '' TERM; while :; do sleep 0.05; done; : {mark}",
    ]
    # What never ends by itself and is not killed is ended by its time-out.
    host = chance.choice([None, *nodes])
    return Process(
        chance.choice(commands), host, timeout=chance.uniform(1, 3), ignore_timeout=True, ignore_write_error=True
    )


def _eventually_as_before(
    eventually: Callable[..., None], before: tuple[int, list[str], list[str]], tasks_before: int
) -> None:
    """Compare the counts. Some time is given: a closing channel takes a round trip."""
    fds, thread_names, child_pids = before
    eventually(lambda: tasks() <= tasks_before, timeout=30)
    eventually(lambda: descriptors() <= fds, timeout=30)
    assert threads() == thread_names
    assert children() == child_pids
