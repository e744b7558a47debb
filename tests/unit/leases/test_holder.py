"""The pool as one holder sees it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pytest_execo.errors import ReservationFailed
from pytest_execo.leases.fitting import Doing
from pytest_execo.leases.holder import Holder, Lender
from pytest_execo.leases.pool import LeasePool
from pytest_execo.testbeds import Request

REQUEST = Request(nodes=2)
DOING = Doing("trial", "test", "{}")
#: What each question is asked with, behind the request.
QUESTIONS: dict[str, tuple[Any, ...]] = {
    "take": (),
    "ready": (DOING,),
    "lost": (),
    "examine": (),
    "off_on_purpose": (),
    "condemn": ("why",),
    "done": (DOING, 1.0),
    "failed": (),
    "interrupted": (DOING, 1.0),
    "measured": (["power"], 1.0, 2.0),
    "let_go": (),
    "give_back": (),
}
SILENT = {"condemn", "done", "failed", "let_go", "give_back"}


class Recording:
    """Stands for a pool: what it was asked."""

    broken: dict[Request, Exception]

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def question(*arguments: Any) -> str:
            self.asked.append((name, *arguments))
            return f"answer to {name}"

        return question


def test_a_lender_has_no_other_questions() -> None:
    public = {name for name in vars(Lender) if not name.startswith("_")}
    assert public == {*QUESTIONS, "broken"}


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_is_asked_in_the_holders_name(question: str) -> None:
    pool = Recording()
    answer = getattr(Holder(cast("LeasePool", pool), "gw1"), question)(REQUEST, *QUESTIONS[question])
    assert pool.asked == [(question, REQUEST, "gw1", *QUESTIONS[question])]
    assert answer == (None if question in SILENT else f"answer to {question}")


def test_why_something_is_broken_is_one_line() -> None:
    pool = Recording()
    pool.broken = {REQUEST: ReservationFailed("too few\nand why")}
    holder = Holder(cast("LeasePool", pool))
    assert holder.broken(REQUEST) == "too few"
    assert holder.broken(Request(nodes=1)) is None
