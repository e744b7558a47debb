"""Waiting for the first, or for all, of several actions."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_execo import InvalidInput, Local, Process, WaitTimeout
from pytest_execo.errors import ProcessError
from pytest_execo.processes import ParallelActions, wait_all, wait_any
from pytest_execo.processes.io_thread import io_thread


def test_the_first_one_wakes() -> None:
    actions = [Process("read x") for _ in range(3)]
    with ParallelActions(actions):
        actions[1].write("\n")
        assert wait_any(actions, timeout=20) == [actions[1]]
        actions[0].write("\n")
        assert wait_all(actions[:2], timeout=20) == actions[:2]
        assert wait_any(actions, timeout=0) == actions[:2]


def test_actions_of_all_kinds_in_their_order() -> None:
    actions = [Process("true"), Local(["true", "true"]), ParallelActions([Process("true")])]
    for action in actions:
        action.start()
    assert wait_all(iter(actions), timeout=20) == actions


def test_one_that_is_there_twice() -> None:
    p = Process("read x").start()
    threading.Timer(0.02, lambda: p.write("\n")).start()
    assert wait_all([p, p], timeout=20) == [p, p]


def test_how_it_ended_does_not_matter() -> None:
    actions = [Process("exit 3", log=False), Process("sleep 1000"), Process("true", cwd="/no/such", log=False)]
    for action in actions:
        action.start()
    actions[1].kill(wait=False)
    assert wait_all(actions, timeout=20) == actions
    assert [action.outcome() for action in actions] == ["exit 3", "killed", "could not start"]


def test_time_that_runs_out() -> None:
    running = Local(["sleep 1000"] * 2).start()
    with ParallelActions([Process("sleep 1000")]) as other:
        before = time.monotonic()
        with pytest.raises(WaitTimeout, match=r"^2 of 2 still running after 0\.05 s$") as caught:
            wait_any([running, other], timeout="0.05s")
        assert 0.05 <= time.monotonic() - before < 5
        assert list(caught.value.processes) == [*running, *other.processes]
        assert all(p._watchers == [] or len(p._watchers) == 1 for p in running)
    running.kill()


def test_several_threads_wait_for_the_same() -> None:
    actions = [Process("read x").start() for _ in range(4)]
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(len(wait_all(actions, timeout=20)))) for _ in range(4)]
    threads += [threading.Thread(target=lambda: got.append(len(wait_any(actions, timeout=20)) > 0)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for action in actions:
        action.write("\n")
    for thread in threads:
        thread.join(20)
    assert sorted(got) == [True] * 4 + [4] * 4


@pytest.mark.slow
def test_many() -> None:
    group = Local(["read x"] * 100).start()
    group[77].write("\n")
    assert wait_any(group, timeout=20) == [group[77]]
    group.close_stdin()
    assert len(wait_all(group, timeout=20)) == 100


def test_on_the_io_thread_it_would_wait_for_itself() -> None:
    p = Process("sleep 1000").start()
    refused: list[BaseException | None] = []
    over = threading.Event()

    def call() -> None:
        try:
            wait_any([p])
        except ProcessError as error:
            refused.append(error)
        over.set()

    io_thread().call(call)
    assert over.wait(10)
    assert "which it would wait for in turn" in str(refused[0])
    p.kill()
    ended: list[object] = []
    over.clear()
    io_thread().call(lambda: (ended.append(wait_all([p])), over.set()))
    assert over.wait(10)
    assert ended == [[p]]  # there is nothing to wait for


def test_what_is_not_to_be_waited_for() -> None:
    with pytest.raises(InvalidInput, match="no actions"):
        wait_any([])
    with pytest.raises(ProcessError, match="wait before start"):
        wait_all([Process("true")])
    with pytest.raises(ValueError, match="duration"):
        wait_all([Process("true").start()], timeout="soon")
