"""Which leases are given back, and what becomes of the others when one can't be."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.errors import InvalidRequest, TestbedError
from pytest_execo.leases import giving_back
from pytest_execo.leases.entries import Entry
from pytest_execo.leases.files import LeaseBook, LeaseFile
from pytest_execo.leases.giving_back import Outcome, choose, give_back


@pytest.fixture
def book(tmp_path: Path) -> LeaseBook:
    return LeaseBook(tmp_path)


@pytest.fixture
def make(book: LeaseBook) -> Callable[..., LeaseFile]:
    """Makes the file of a lease whose process is dead, or as its owner's fields say."""

    def make_file(*, alive: bool = False, age: float = 0.0, options: Mapping[str, str] | None = None) -> LeaseFile:
        file = book.open(testbed="t", site="s", options=options or {}, campaign=None, session="x", walltime=None)
        content = json.loads(file.path.read_text())
        content["created_at"] -= age
        if not alive:
            content["owner"]["started"] = 1.0
        file.path.write_text(json.dumps(content))
        return LeaseFile(file.path, content)

    return make_file


class FakeTestbed:
    """Gives back what ``remains`` says, or fails as it says."""

    made: list[tuple[str, str | None, Mapping[str, str]]]
    closed: int

    def reclaim(self, remains: Mapping[str, Any]) -> list[str]:
        if remains.get("error"):
            error = TestbedError(remains["error"])
            error.add_note("lyon: job 1 deleted")
            raise error
        if remains.get("bug"):
            raise ZeroDivisionError
        return [f"{thing} deleted" for thing in remains["things"]]

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def testbed(monkeypatch: pytest.MonkeyPatch) -> FakeTestbed:
    fake = FakeTestbed()
    fake.made, fake.closed = [], 0

    def opened(site: str, name: str | None, *, options: Mapping[str, str]) -> FakeTestbed:
        fake.made.append((site, name, options))
        return fake

    monkeypatch.setattr(giving_back, "open_testbed", opened)
    return fake


Make = Callable[..., LeaseFile]


def ids(entries: list[Entry]) -> set[str]:
    return {entry.id for entry in entries}


# which ones


def test_what_is_chosen(book: LeaseBook, make: Make) -> None:
    held, abandoned, kept, elsewhere = make(alive=True), make(), make(), make()
    kept.keep("always")
    content = json.loads(elsewhere.path.read_text())
    elsewhere.path.write_text(json.dumps(content | {"owner": content["owner"] | {"host": "another"}}))
    entries = book.entries()
    assert ids(choose(entries)) == {abandoned.id}
    assert ids(choose(entries, everything=True)) == {abandoned.id, kept.id, elsewhere.id}
    assert ids(choose(entries, [kept.id])) == {kept.id}
    assert ids(choose(entries, [elsewhere.id, abandoned.id])) == {elsewhere.id, abandoned.id}
    with pytest.raises(InvalidRequest, match=f"{held.id}: held by process \\d+"):
        choose(entries, [kept.id, held.id])


def test_by_age(book: LeaseBook, make: Make) -> None:
    old, _ = make(age=100), make()
    assert ids(choose(book.entries(), older_than=50)) == {old.id}
    assert len(choose(book.entries(), older_than=0)) == 2


def test_an_id_that_is_none_is_an_error_and_one_that_has_gone_is_not(book: LeaseBook, make: Make) -> None:
    file = make()
    assert choose(book.entries(), ["20200101T000000-abcd"]) == []
    with pytest.raises(InvalidRequest, match=f"no such lease; did you mean '{file.id}'"):
        choose(book.entries(), [file.id[:-2]])


# what becomes of them


def test_what_was_left_is_given_back_once(book: LeaseBook, make: Make, testbed: FakeTestbed) -> None:
    file = make(options={"queue": "q", "key": "hush"})
    file.remember({"things": ["job 1", "job 2"]})
    (entry,) = book.entries()
    outcome = give_back(book, entry, {"uri": "u"})
    assert outcome is not None
    assert (outcome.lines, outcome.problem) == (("job 1 deleted", "job 2 deleted"), None)
    # What was not written down is something all the same, for testbeds that insist.
    assert testbed.made == [("s", "t", {"key": "withheld", "queue": "q", "uri": "u"})]
    assert testbed.closed == 1
    assert book.entries() == []
    assert give_back(book, entry) is None


def test_a_secret_may_be_said_again(book: LeaseBook, make: Make, testbed: FakeTestbed) -> None:
    make(options={"key": "hush"}).remember({"things": []})
    give_back(book, book.entries()[0], {"key": "hush"})
    assert testbed.made[0][2] == {"key": "hush"}


def test_before_anything_was_asked_for_no_testbed_is_needed(book: LeaseBook, make: Make, testbed: FakeTestbed) -> None:
    make()
    outcome = give_back(book, book.entries()[0])
    assert outcome is not None
    assert (outcome.lines, outcome.problem, testbed.made, book.entries()) == ((), None, [], [])


@pytest.mark.parametrize(
    ("remains", "problem"),
    [({"error": "no answer\nat all"}, "no answer; lyon: job 1 deleted"), ({"bug": 1}, "ZeroDivisionError")],
)
def test_what_cannot_be_given_back_is_tried_again(
    book: LeaseBook, make: Make, testbed: FakeTestbed, remains: Any, problem: str
) -> None:
    make().remember(remains)
    (entry,) = book.entries()
    for _ in range(2):
        outcome = give_back(book, entry)
        assert outcome is not None
        assert (outcome.lines, outcome.problem) == ((), problem)
        assert book.entries() == [entry]
    assert testbed.closed == 2


def test_a_testbed_that_is_not_installed(book: LeaseBook, make: Make) -> None:
    make().remember({"things": []})
    outcome = give_back(book, book.entries()[0])
    assert outcome is not None
    assert outcome.problem is not None
    assert "no such testbed" in outcome.problem


def test_of_nothing_nothing_is_given_back(book: LeaseBook, make: Make) -> None:
    """The testbed is not asked: somebody else may use what was forgotten."""
    make().remember({})
    outcome = give_back(book, book.entries()[0])
    assert outcome is not None
    assert (outcome.problem, outcome.lines) == (None, ())
    assert book.entries() == []


def test_a_part_that_was_kept_is_not_given_back_while_another_is_used(
    book: LeaseBook, make: Make, testbed: FakeTestbed
) -> None:
    """Both files tell of the whole lease."""
    used, kept = make(alive=True), make()
    for file in (used, kept):
        file.remember({"things": ["job 1"]})
    kept.keep("--execo-keep=on-failure")
    entry = next(entry for entry in book.entries() if entry.state == "kept")
    outcome = give_back(book, entry)
    assert outcome is not None
    assert outcome.problem is not None
    assert "shares its lease with" in outcome.problem
    assert testbed.made == []
    used.remove()
    assert give_back(book, entry) == Outcome(entry, ("job 1 deleted",))
    assert book.entries() == []


def test_two_at_once_do_not_do_it_twice(book: LeaseBook, make: Make, testbed: FakeTestbed) -> None:
    make().remember({"things": ["job 1"]})
    (entry,) = book.entries()
    with book.claimed(entry):
        outcome = give_back(book, entry)
    assert outcome is not None
    assert outcome.lines == ("another pytest-execo release is giving it back",)
    assert outcome.problem is None
    assert testbed.made == []
    assert book.entries() == [entry]


def test_what_a_living_process_holds_is_left_alone(book: LeaseBook, make: Make, testbed: FakeTestbed) -> None:
    make(alive=True).remember({"things": ["job 1"]})
    outcome = give_back(book, book.entries()[0])
    assert outcome is not None
    assert outcome.problem is not None
    assert "held by process" in outcome.problem
    assert testbed.made == []


def test_a_file_that_cannot_be_read_is_left_to_people(book: LeaseBook, make: Make) -> None:
    file = make()
    file.path.write_text("{")
    (entry,) = choose(book.entries(), everything=True)
    outcome = give_back(book, entry)
    assert outcome is not None
    assert outcome.problem is not None
    assert str(file.path) in outcome.problem
    assert file.path.exists()
    assert choose(book.entries()) == []
    assert time.time() - entry.created_at < 3600
