"""The thread that looks whether leases are still ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_execo.leases import watch
from pytest_execo.leases.pool import LeasePool
from pytest_execo.leases.watch import Watch
from pytest_execo.testbeds import Request

REQUEST = Request(nodes=2)
#: Longer than any of this takes.
LONG = 10.0


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Ends what a test has started."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def watching() -> Callable[[], list[threading.Thread]]:
    """Finds the threads that watch, but for those of others."""
    before = threading.enumerate()
    return lambda: [each for each in threading.enumerate() if each.name == "pytest-execo leases" and each not in before]


def test_it_looks_again_and_again_until_it_is_over(
    over: threading.Event, monkeypatch: pytest.MonkeyPatch, watching: Callable[[], list[threading.Thread]]
) -> None:
    monkeypatch.setattr(watch, "_PERIOD", 0.001)
    looks, thrice = [], threading.Event()

    def look() -> None:
        looks.append(threading.current_thread())
        if len(looks) == 3:
            thrice.set()

    watch_ = Watch(look, over)
    for _ in range(2):  # the second time nothing happens
        watch_.start()
    assert thrice.wait(LONG)
    assert len(watching()) == 1
    over.set()
    monkeypatch.setattr(watch, "_PERIOD", LONG)
    watch_.join()
    assert watching() == []
    assert len(set(looks)) == 1
    assert looks[0].daemon  # it does not keep the process from ending


def test_it_does_not_begin_when_it_is_over(
    over: threading.Event, watching: Callable[[], list[threading.Thread]]
) -> None:
    over.set()
    watch_ = Watch(lambda: None, over)
    watch_.start()
    assert watching() == []
    watch_.join()


def test_to_wait_for_what_never_began_takes_no_time(over: threading.Event) -> None:
    Watch(lambda: None, over).join()


def test_a_look_that_hangs_does_not_hold_up_the_end(
    over: threading.Event, monkeypatch: pytest.MonkeyPatch, watching: Callable[[], list[threading.Thread]]
) -> None:
    monkeypatch.setattr(watch, "_PERIOD", 0.001)
    looking, go_on = threading.Event(), threading.Event()

    def look() -> None:
        looking.set()
        go_on.wait(LONG)

    watch_ = Watch(look, over)
    watch_.start()
    assert looking.wait(LONG)
    over.set()
    watch_.join()
    (left,) = watching()
    go_on.set()
    left.join(LONG)
    assert watching() == []


def test_a_loss_is_told_while_nobody_asks(
    renting: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, watching: Callable[[], list[threading.Thread]]
) -> None:
    monkeypatch.setattr(watch, "_PERIOD", 0.001)
    testbed, told, lost = renting(), [], threading.Event()

    def tell(kind: str, text: str, data: Any) -> None:
        told.append((kind, threading.current_thread().name))
        if kind == "lease-lost":
            lost.set()

    pool = LeasePool(testbed, tell=tell)
    try:
        pool.take(REQUEST)
        testbed.leases[0].lives = False
        assert lost.wait(LONG)
        assert pool.lost(REQUEST) is not None
    finally:
        pool.give_all_back()
    assert [kind for kind, _ in told] == ["lease-taken", "lease-lost"]
    assert told[1][1] == "pytest-execo leases"
    assert watching() == []
