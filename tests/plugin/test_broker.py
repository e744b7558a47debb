"""The line between pytest-xdist's workers and their controller."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from multiprocessing import AuthenticationError
from pathlib import Path
from typing import Any

import pytest

from pytest_execo import RequestNotMet
from pytest_execo.plugin.broker import Broker, Line


def answer(worker: str, question: str, arguments: tuple[Any, ...]) -> object:
    if question == "who":
        return worker
    if question == "fail":
        raise RequestNotMet(["no nodes", "no time"])
    if question == "odd":
        raise _NotPicklable(threading.Lock())
    return sum(arguments)


class _NotPicklable(Exception):
    pass


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker(answer)
    yield made
    made.close()


def test_questions_are_answered(broker: Broker) -> None:
    lines = [Line(broker.invitation(f"gw{number}")) for number in range(3)]
    assert [line.ask("who") for line in lines] == ["gw0", "gw1", "gw2"]
    assert lines[0].ask("sum", 1, 2) == 3


def test_errors_come_back_as_they_are(broker: Broker) -> None:
    line = Line(broker.invitation("gw0"))
    with pytest.raises(RequestNotMet) as caught:
        line.ask("fail")
    assert caught.value.reasons == ("no nodes", "no time")
    with pytest.raises(RuntimeError, match="_NotPicklable"):
        line.ask("odd")
    assert line.ask("sum", 1) == 1


def test_an_answer_that_was_not_waited_for_is_not_that_to_the_next_question(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time-out of the test strikes while the worker waits for its nodes."""
    line = Line(broker.invitation("gw0"))
    assert line.ask("sum", 1) == 1
    connection = line._connection
    assert connection is not None
    monkeypatch.setattr(connection, "recv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        line.ask("sum", 2)
    assert line.ask("sum", 3) == 3


def interrupted() -> None:
    raise KeyboardInterrupt


def test_who_does_not_know_the_key_is_not_answered(broker: Broker) -> None:
    invitation = {**broker.invitation("gw0"), "key": os.urandom(32)}
    with pytest.raises(AuthenticationError):
        Line(invitation).ask("who")
    assert Line(broker.invitation("gw1")).ask("who") == "gw1"


def test_nobody_else_may_even_knock(broker: Broker) -> None:
    assert Path(broker.address).parent.stat().st_mode & 0o077 == 0


def test_nothing_stays() -> None:
    before = threading.active_count()
    broker = Broker(answer)
    line = Line(broker.invitation("gw0"))
    line.ask("who")
    broker.close()
    broker.close()
    assert not Path(broker.address).parent.exists()
    with pytest.raises((EOFError, OSError)):
        line.ask("who")
    broker.wait("gw0", 5)
    assert threading.active_count() == before
