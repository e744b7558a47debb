"""The heartbeat of an owner: it beats while something is held, and gives back at the end."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

from pytest_execo.errors import CheckpointError
from pytest_execo.sweeps.stores.owners import Owner
from pytest_execo.sweeps.sweeper.heart import Heart


class Store:
    """What a heart asks of a store; each call is told to the test."""

    def __init__(self) -> None:
        self.calls: queue.Queue[str] = queue.Queue()
        self.failing = False

    def heartbeat(self, owner: Owner) -> None:
        self.calls.put("heartbeat")
        if self.failing:
            raise CheckpointError("the database is away")

    def release(self, owner: Owner) -> int:
        self.calls.put("release")
        if self.failing:
            raise CheckpointError("the database is away")
        return 0

    def close(self) -> None:
        self.calls.put("close")

    def next(self) -> str:
        return self.calls.get(timeout=15)


OWNER = Owner("session", "host", 1, 1.0)


def heart(store: Any, held: dict[str, int], seconds: float = 0.001) -> Heart:
    return Heart(store, OWNER, held, seconds)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pytest-execo heartbeat"]


def test_it_beats_while_something_is_held_and_begins_again() -> None:
    store, held = Store(), {"a": 1}
    one = heart(store, held)
    for _ in range(2):
        one.start()
        one.start()
        (thread,) = threads()
        assert [store.next() for _ in range(3)] == ["heartbeat"] * 3
        held.clear()
        thread.join(15)
        assert not threads()
        held["b"] = 1
    one.end()
    while (call := store.next()) == "heartbeat":
        pass
    assert (call, store.next()) == ("release", "close")


def test_it_ends_at_once_and_once() -> None:
    store = Store()
    one = heart(store, {"a": 1}, seconds=30)
    one.start()
    one.end()
    assert not threads()
    one.end()
    one.start()
    assert not threads()
    assert [store.next(), store.next(), store.calls.qsize()] == ["release", "close", 0]


def test_a_beat_that_fails_is_told_and_the_next_one_tried(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.failing = True
    one = heart(store, {"a": 1})
    one.start()
    assert [store.next(), store.next()] == ["heartbeat", "heartbeat"]
    one.end()
    assert not threads()
    assert "no heartbeat: the database is away" in caplog.text
    assert "they come back by themselves" in caplog.text
    calls = list(store.calls.queue)
    assert calls[-2:] == ["release", "close"]


def test_it_may_be_ended_from_its_own_thread() -> None:
    # The garbage collector runs in any thread.
    store = Store()
    one = heart(store, {"a": 1})
    ended = threading.Event()

    def beat(owner: Owner) -> None:
        one.end()
        ended.set()

    store.heartbeat = beat  # type: ignore[method-assign]
    one.start()
    (thread,) = threads()
    assert ended.wait(15)
    thread.join(15)
    assert [store.next(), store.next()] == ["release", "close"]


def test_the_heart_of_a_parent_is_not_ended_by_its_child(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    one = heart(store, {})
    monkeypatch.setattr("os.getpid", lambda: 1)
    one.end()
    assert store.calls.empty()
