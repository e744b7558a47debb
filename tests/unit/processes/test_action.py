"""The verbs that all actions share, on one process."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from pytest_execo import Process, ProcessFailed, WaitTimeout
from pytest_execo.errors import (
    ConnectionFailed,
    ConnectionLost,
    ExecoError,
    InvalidInput,
    NotSupported,
    ProcessError,
    StartFailed,
    TransferFailed,
)
from pytest_execo.processes import Local, ParallelActions, SequentialActions
from pytest_execo.processes.activity import Activity, outcome_of_error
from pytest_execo.processes.io_thread import io_thread
from pytest_execo.processes.scopes import Scope, entered

KINDS: dict[str, Any] = {
    "process": lambda: Process("read x"),
    "group": lambda: Local(["read x"] * 2),
    "parallel": lambda: ParallelActions([Process("read x"), Local(["read x"])]),
    "sequence": lambda: SequentialActions([Process("read x"), Process("true")]),
}


@pytest.fixture(params=KINDS)
def action(request: pytest.FixtureRequest) -> Any:
    action = KINDS[request.param]()
    yield action
    action.kill()


# start, wait, kill


def test_a_life(action: Any) -> None:
    assert (action.started, action.running, action.ended, action.ok) == (False, False, False, True)
    assert (action.start_date, action.end_date, action.duration) == (None, None, None)
    assert action.start() is action
    assert action.start() is action
    assert (action.started, action.running, action.ended) == (True, True, False)
    assert action.end_date is None
    assert action.duration >= 0
    assert action.kill() is action
    assert (action.started, action.running, action.ended, action.ok) == (True, False, True, True)
    assert action.end_date >= action.start_date
    assert action.duration == action.end_date - action.start_date
    assert action.wait() is action.check() is action


def test_wait_before_start_is_an_error(action: Any) -> None:
    with pytest.raises(ProcessError, match=r"wait\(\) before start"):
        action.wait()


def test_a_wait_that_runs_out_tells_what_still_runs(action: Any) -> None:
    action.start()
    with pytest.raises(WaitTimeout, match=r"still (running|starting).* after 0\.01 s") as caught:
        action.wait(0.01)
    assert list(caught.value.processes) == [leaf for leaf in action.processes if leaf.running]
    assert caught.value.processes
    assert action.running


def test_with_block_kills(action: Any) -> None:
    with action as entered_action:
        assert entered_action is action
        assert action.running
    assert action.ended
    assert action.ok


def test_a_wait_in_many_threads(action: Any) -> None:
    action.start()
    waiters = [threading.Thread(target=action.wait) for _ in range(5)]
    for waiter in waiters:
        waiter.start()
    action.kill()
    for waiter in waiters:
        waiter.join(10)
    assert not any(waiter.is_alive() for waiter in waiters)


def test_interrupted_while_waiting_kills_all(action: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(timeout: object = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(action, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        action.run()
    monkeypatch.undo()
    action.wait(10)
    assert not any(leaf.running for leaf in action.processes)


def test_started_by_many_threads_it_runs_once() -> None:
    for _ in range(10):
        p = Process("echo once")
        threads = [threading.Thread(target=p.start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert p.wait(10).stdout == "once\n"


def test_check_has_every_failed_process() -> None:
    action = ParallelActions([Process("exit 2"), Local(["true", "exit 3"])])
    with pytest.raises(ProcessFailed) as caught:
        action.run()
    assert [p.name for p in caught.value.processes] == ["exit 2", "exit 3"]
    assert list(action.failed) == list(caught.value.processes)
    assert not action.ok


# on_end


def test_on_end_is_called_once_before_waiters_go_on(action: Any) -> None:
    told: list[object] = []

    def tell(ended: object) -> None:
        threading.Event().wait(0.02)  # those who wait would be first, if they could
        told.append(ended)

    assert action.on_end(tell) is action
    action.start().kill()
    assert told == [action]
    late = threading.Event()
    action.on_end(lambda ended: (told.append(ended), late.set()))
    assert late.wait(10)
    assert told == [action, action]


def test_on_end_is_called_on_the_io_thread_and_its_errors_are_logged(
    action: Any, caplog: pytest.LogCaptureFixture
) -> None:
    where: list[bool] = []
    action.on_end(lambda _: 1 / 0).on_end(lambda _: where.append(io_thread().is_here()))
    action.start().kill()
    assert where == [True]
    (record,) = caplog.records
    assert "on_end" in record.getMessage()
    assert "ZeroDivisionError" in str(record.exc_info)


def test_a_callback_cannot_wait_for_what_waits_for_it() -> None:
    caught: list[BaseException] = []
    other = Local(["read x"] * 2).start()

    def wait_and_kill(_: object) -> None:
        try:
            other.wait()
        except ProcessError as error:
            caught.append(error)
        other.kill()  # does not wait here: it would for ever

    Process("true").on_end(wait_and_kill).run()
    other.wait(10)
    assert "callback" in str(caught[0])
    assert all(p.killed for p in other)


def test_a_handler_can_kill_its_own_group() -> None:
    group = ParallelActions([Local(["echo stop; read x", "read x"], stdout_handlers=lambda *_: group.kill())])
    group.start().wait(10)
    assert [p.killed for p in group.processes] == [True, True]
    assert group.ok


# scopes


class Leaf(Activity):
    """Runs until it is killed, or told to end."""

    def __init__(self, name: str = "leaf", **options: Any) -> None:
        super().__init__(None, name=name, **options)

    async def _main(self) -> None:
        pass

    def end(self, error: ExecoError | None = None) -> None:
        io_thread().call(self._finish, error)

    def kill(self, *, wait: bool = True) -> Leaf:  # type: ignore[override]
        if self.running:
            self.killed = True
            self.end()
            if wait:
                self.wait()
        return self

    async def _end_by_force(self) -> None:
        self._finish(None)


def test_what_is_detached_outlives_its_scope_and_is_nobodys_then(caplog: pytest.LogCaptureFixture) -> None:
    scope = Scope("mine", keep=True)
    staying, going = Leaf(), Leaf()
    staying.detached = True
    with entered(scope):
        staying.start()
        going.start()
    assert scope.close() == []
    assert (staying.running, going.running, scope.running) == (True, False, [])
    staying.end(ConnectionLost("h", "closed"))
    staying.wait(10)
    assert not staying.ok
    assert not caplog.records
    assert scope.failed == []


def test_a_scope_knows_what_failed_when_the_wait_is_over() -> None:
    for _ in range(20):
        scope = Scope("mine", keep=True)
        with entered(scope):
            leaf = Leaf(log=False).start()
        leaf.end(ConnectionLost("h", "closed"))
        leaf.wait(10)
        assert scope.failed == [leaf]
        assert scope.running == []


# the end


class Slow(Leaf):
    """Has something left to do after its end."""

    settled = False

    def _settle(self) -> None:
        self.settled = True


def test_an_end_is_made_known_when_all_is_settled_and_counts_once(caplog: pytest.LogCaptureFixture) -> None:
    leaf = Slow(timeout=1000).start()
    leaf.end(ConnectionLost("h", "first"))
    leaf.end(ConnectionLost("h", "second"))
    with pytest.raises(WaitTimeout):
        leaf.wait(0.01)
    assert leaf.settled
    assert leaf.running
    assert not caplog.records
    for _ in range(2):
        io_thread().call(leaf._announce)
    leaf.wait(10)
    assert str(leaf.error) == "h: connection lost: first"
    assert len(caplog.records) == 1


def test_a_failure_that_is_not_to_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pytest_execo"):
        Process("exit 3", log=False).run(check=False)
    assert not caplog.records


# words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionFailed("h", "refused"), "unreachable"),
        (ConnectionLost("h", "reset"), "connection lost"),
        (StartFailed("h", "no such directory"), "could not start"),
        (TransferFailed("h", "no space"), "not copied"),
        (NotSupported("h", "no terminals"), "error"),
        (InvalidInput("no such connector"), "error"),
    ],
)
def test_errors_in_words_and_in_detail(error: ExecoError, words: str) -> None:
    assert outcome_of_error(error) == words
    leaf = Leaf(log=False).start()
    leaf.end(error)
    leaf.wait(10)
    assert leaf.outcome() == leaf.summary() == words
    assert leaf.describe() == f"'leaf': {words} after 0.0 s ({getattr(error, 'reason', error)})"
    assert repr(leaf) == f"<Leaf 'leaf': {words}>"


def test_outcomes_of_what_was_ended() -> None:
    leaf = Leaf()
    assert leaf.outcome() == "new"
    assert leaf.start().outcome() in ("starting", "running")
    assert leaf.kill().outcome() == "killed"
    assert Leaf(timeout=0.01, log=False).start().wait(10).outcome() == "timed out"
    ended = Leaf().start()
    ended.end()
    assert ended.wait(10).outcome() == "ok"
