"""Threads for what must not run on the I/O thread: few, in turn, and never in the way of the end."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from pytest_execo.processes.dispatcher import Dispatcher

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def dispatcher() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(threads=2)
    yield dispatcher
    dispatcher.close()


class Work:
    """Is done so many times, each of them when it is let go."""

    def __init__(self, times: int = 1) -> None:
        self.left = times
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.threads: set[threading.Thread] = set()

    def __call__(self) -> bool:
        self.threads.add(threading.current_thread())
        self.begun.release()
        assert self.go_on.acquire(timeout=10)
        self.left -= 1
        return self.left > 0


def test_work_is_done_until_it_says_that_it_is(dispatcher: Dispatcher) -> None:
    calls: list[int] = []
    over = threading.Event()

    def work() -> bool:
        calls.append(len(calls))
        if len(calls) == 5:
            over.set()
        return len(calls) < 5

    assert dispatcher.submit(work)
    assert over.wait(10)
    dispatcher.close()
    assert calls == [0, 1, 2, 3, 4]


def test_others_have_their_turn_between_two_calls() -> None:
    dispatcher = Dispatcher(threads=1)
    order: list[str] = []
    first, over = Work(), threading.Event()
    dispatcher.submit(first)
    assert first.begun.acquire(timeout=10)

    def count(name: str) -> Callable[[], bool]:
        def work() -> bool:
            order.append(name)
            if len(order) == 6:
                over.set()
            return order.count(name) < 3

        return work

    dispatcher.submit(count("a"))
    dispatcher.submit(count("b"))
    first.go_on.release()
    assert over.wait(10)
    assert "".join(order) == "ababab"
    dispatcher.close()


def test_there_are_no_more_threads_than_needed_and_allowed(dispatcher: Dispatcher, eventually: Eventually) -> None:
    works = [Work() for _ in range(5)]
    for done, work in enumerate(works, 1):
        dispatcher.submit(work)
        work.go_on.release()
        eventually(lambda done=done: sum(work.left == 0 for work in works) == done)
        eventually(lambda: dispatcher._idle == len(dispatcher._threads))
    assert len(dispatcher._threads) == 1
    busy = [Work() for _ in range(4)]
    for work in busy:
        dispatcher.submit(work)
    assert busy[0].begun.acquire(timeout=10)
    assert busy[1].begun.acquire(timeout=10)
    assert len(dispatcher._threads) == 2
    assert not busy[2].begun.acquire(blocking=False)
    for work in busy:
        work.go_on.release()
    for work in busy[2:]:
        assert work.begun.acquire(timeout=10)
    assert {thread.daemon for thread in dispatcher._threads} == {True}


def test_a_fault_in_a_work_is_logged_and_its_thread_serves_on(
    dispatcher: Dispatcher, caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> None:
    dispatcher.submit(lambda: bool(1 / 0))
    eventually(lambda: caplog.records)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("pytest_execo.processes", logging.ERROR)
    assert record.exc_info
    work = Work()
    dispatcher.submit(work)
    work.go_on.release()
    assert work.begun.acquire(timeout=10)


def test_what_was_submitted_is_done_before_the_end() -> None:
    dispatcher = Dispatcher(threads=1)
    done: list[int] = []
    first = Work()
    dispatcher.submit(first)
    for number in range(3):
        dispatcher.submit(lambda number=number: bool(done.append(number)))  # type: ignore[misc]
    first.go_on.release()
    dispatcher.close(timeout=10)
    assert done == [0, 1, 2]
    assert not any(thread.is_alive() for thread in dispatcher._threads)
    assert not dispatcher.submit(Work())
    dispatcher.close()


def test_the_end_does_not_wait_for_what_never_ends() -> None:
    dispatcher = Dispatcher(threads=1)
    stuck = Work()
    dispatcher.submit(stuck)
    assert stuck.begun.acquire(timeout=10)
    dispatcher.close(timeout=0.01)
    assert dispatcher._threads[0].is_alive()
    stuck.go_on.release()
    dispatcher._threads[0].join(10)


def test_closing_from_one_of_its_own_threads() -> None:
    dispatcher = Dispatcher(threads=1)
    closed = threading.Event()

    def close() -> bool:
        dispatcher.close(timeout=10)
        closed.set()
        return False

    dispatcher.submit(close)
    assert closed.wait(5)


def test_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    dispatcher = Dispatcher(threads=2)
    first = Work()
    dispatcher.submit(first)
    assert first.begun.acquire(timeout=10)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    second = Work()
    assert dispatcher.submit(second)  # there is one, which will do it
    assert not Dispatcher().submit(Work())
    first.go_on.release()
    second.go_on.release()
    dispatcher.close(timeout=10)
    assert second.left == 0


def test_an_idle_thread_keeps_nothing_alive(dispatcher: Dispatcher, eventually: Eventually) -> None:
    work = Work()
    reference = weakref.ref(work)
    dispatcher.submit(work)
    work.go_on.release()
    assert work.begun.acquire(timeout=10)
    del work
    eventually(lambda: reference() is None)
