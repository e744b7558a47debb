"""How far a campaign has come, from its records and its checkpoint store, without touching either."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.errors import CampaignError, CheckpointError, InvalidInput
from pytest_execo.results import Campaign, Record, RecordWriter
from pytest_execo.results.progress import Progress, campaign_progress, is_sweep, sweep_progress
from pytest_execo.sweeps import Attempt, Owner, ParamSweeper, Planned, SqliteStore, State, canonical_json
from pytest_execo.units import iso_date

# Where make_record() puts the first attempt at trial 0: it runs for half a second.
START = 1_800_000_001.0
TODO, CLAIMED, PASSED, FAILED, SKIPPED = State.TODO, State.CLAIMED, State.PASSED, State.FAILED, State.SKIPPED

MakeRecord = Callable[..., Record]


class Case:
    """A campaign on disk with its store, as a session of the plugin has them."""

    def __init__(self, directory: Path, make_record: MakeRecord) -> None:
        self.campaign = Campaign.open(directory / "campaign", testbed="embedded", site="local", command=["pytest"])
        self.store_path = directory / "store.sqlite"
        self.now = START
        self.store = SqliteStore(self.store_path, campaign=self.campaign.id, clock=lambda: self.now)
        self._make_record = make_record
        self._writer = RecordWriter(self.campaign.records_path)

    def plan(self, *numbers: int) -> None:
        self.store.plan(self.planned(number) for number in numbers)

    def planned(self, number: int) -> Planned:
        record = self._make_record(number)
        return Planned(record["trial"], record["test"], canonical_json(record["params"]), 0)

    def record(self, number: int, **fields: Any) -> Record:
        record = self._make_record(number, **{"session": self.campaign.session, **fields})
        self._writer.write(record)
        return record

    def done(self, number: int, owner: Owner, **fields: Any) -> None:
        record = self.record(number, **fields)
        self.store.finish(owner, Attempt(record["trial"], record["outcome"], record["attempt"], record["ended_at"]))

    def look(self, **options: Any) -> Progress:
        options.setdefault("now", self.now)
        return campaign_progress(self.campaign.directory, **options)

    def close(self) -> None:
        self.store.close()
        self._writer.close()


@pytest.fixture
def case(tmp_path: Path, make_record: MakeRecord) -> Iterator[Case]:
    made = Case(tmp_path, make_record)
    yield made
    made.close()


def owner(session: str, **fields: Any) -> Owner:
    return Owner(**{"session": session, "host": "frontend", "pid": 7, "started": 1.0, **fields})


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.suffix != ".sqlite-shm"
    }


def numbers(progress: Progress) -> list[int]:
    return [progress.counts[state] for state in (PASSED, FAILED, SKIPPED, CLAIMED, TODO)]


def test_the_records_alone(case: Case) -> None:
    case.record(0)
    case.record(1, outcome="failed")
    case.record(1, attempt=2)
    case.record(2, outcome="pending")
    case.record(3, outcome="skipped", params={"x": "3", "y": [1]})
    progress = case.look()
    assert numbers(progress) == [2, 0, 1, 0, 1]
    assert progress.total == 4
    assert progress.unfinished == 1
    assert [level.level for level in progress.factors["x"]] == ["0", "1", "2", "3"]
    assert [(level.level, level.total) for level in progress.factors["y"]] == [("[1]", 1)]
    assert progress.tests[0].level == "test_a.py::test_b"
    assert progress.about == {"id": case.campaign.id, "testbed": "embedded", "site": "local", "sessions": 1}
    (note,) = progress.notes
    assert "from the records alone" in note


def test_levels_that_read_the_same(case: Case) -> None:
    for number, level in enumerate([1, "1", True, "a b"]):
        case.record(number, params={"x": level})
    assert [level.level for level in case.look().factors["x"]] == ["1", '"1"', "true", "a b"]


def test_the_store_knows_what_was_never_run_and_who_is_at_work(case: Case) -> None:
    alive, dead = owner("alive"), owner("dead", host="other", pid=9)
    case.campaign.describe(checkpoint=case.store.where)
    case.plan(*range(6))
    case.store.claim(alive, case.planned(0).trial)
    case.done(0, alive)
    case.store.claim(alive, case.planned(1).trial)
    case.store.claim(dead, case.planned(2).trial)
    case.now += 100  # more than 60 s: the one on another machine is dead
    case.store.heartbeat(alive)
    case.now += 12
    progress = case.look()
    assert numbers(progress) == [1, 0, 0, 1, 4]
    assert {(one.owner.session, one.claims) for one in progress.owners} == {("alive", 1), ("dead", 1)}
    assert [one.owner.session for one in progress.owners if one.dead] == ["dead"]
    heartbeats = {one.owner.session: one.heartbeat for one in progress.owners}
    assert heartbeats == {"alive": START + 100, "dead": START}
    assert not progress.notes


def test_the_records_decide_where_they_are_ahead_of_the_store(case: Case) -> None:
    mine = owner("mine")
    case.plan(0, 1, 2)
    case.record(0)  # written, and its session died before it told the store
    case.store.claim(mine, case.planned(1).trial)
    case.done(1, mine, outcome="failed")
    case.store.reopen([case.planned(1).trial])  # --execo-rerun=failed: the records don't know
    assert numbers(case.look(checkpoint=str(case.store_path))) == [1, 0, 0, 0, 2]


def test_the_rate_counts_the_time_at_work(case: Case) -> None:
    # Two sessions of an hour with 10 and 20 trials each, a night between them.
    for number in range(30):
        session, start = ("one", START) if number < 10 else ("two", START + 12 * 3600)
        step = number * 360 if number < 10 else (number - 10) * 180
        length = 360 if number < 10 else 180
        case.record(
            number, session=session, started_at=iso_date(start + step), ended_at=iso_date(start + step + length),
            outcome="passed" if number else "failed",
        )  # fmt: skip
    case.record(30, session="two", outcome="pending", started_at=iso_date(START), ended_at=iso_date(START))
    case.now = START + 13 * 3600
    progress = case.look()
    assert progress.hourly == pytest.approx(20, rel=0.01)
    assert progress.overall is not None
    case.now += 7200
    assert case.look().hourly is None


def test_nights_do_not_count(case: Case) -> None:
    for number, start in enumerate((START, START + 10 * 3600)):
        case.record(number, session=str(number), started_at=iso_date(start), ended_at=iso_date(start + 1800))
    assert case.look().overall == pytest.approx(2)


def test_what_other_machines_did_counts_for_the_rate(case: Case) -> None:
    case.campaign.describe(checkpoint=case.store.where)
    case.plan(*range(10))
    for number in range(6):  # their records are on other machines
        case.store.finish(
            owner("far"), Attempt(case.planned(number).trial, "passed", 1, iso_date(START + number * 600))
        )
    case.record(0)
    case.now = START + 3000
    progress = case.look()
    assert numbers(progress) == [6, 0, 0, 0, 4]
    assert progress.overall == progress.hourly == pytest.approx(6 / 3000 * 3600)


def test_a_trial_that_the_store_knows_from_a_record_only_has_its_levels(case: Case) -> None:
    case.campaign.describe(checkpoint=case.store.where)
    record = case.record(7)
    attempt = Attempt(record["trial"], "passed", 1, record["ended_at"])
    case.store.ingest([attempt], source="a file", position=1)
    progress = case.look()
    assert [level.level for level in progress.factors["x"]] == ["7"]
    assert progress.tests[0].total == progress.total == 1


def test_the_time_left_is_that_of_those_at_work(case: Case) -> None:
    mine = owner(case.campaign.session)
    case.campaign.describe(checkpoint=case.store.where)
    case.plan(*range(10))
    for number in range(4):
        case.store.claim(mine, case.planned(number).trial)
        case.done(number, mine, started_at=iso_date(START + number * 60), ended_at=iso_date(START + number * 60 + 60))
    case.now = START + 240
    assert case.look().left is None  # nobody holds anything
    case.store.claim(Owner.current(case.campaign.session), case.planned(4).trial)
    progress = case.look()
    assert progress.hourly == pytest.approx(60)
    assert progress.left == pytest.approx(6 * 60)


def test_it_changes_nothing(case: Case, tmp_path: Path) -> None:
    case.campaign.describe(checkpoint=case.store.where)
    case.plan(*range(5))
    case.store.claim(owner("mine"), case.planned(0).trial)
    before = files(tmp_path)
    open_ = numbers(case.look())
    assert files(tmp_path) == before
    case.store.close()  # nobody has it open: no journal any more
    before = files(tmp_path)
    names = sorted(os.listdir(tmp_path))
    assert numbers(case.look()) == open_
    assert files(tmp_path) == before
    assert sorted(os.listdir(tmp_path)) == names


def test_a_store_of_a_process_that_was_killed_is_read_with_its_journal(case: Case, tmp_path: Path) -> None:
    case.plan(*range(5))
    # The files as a kill leaves them: the last commits are in the journal only, and its index is gone.
    copies = tmp_path / "copies"
    copies.mkdir()
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{case.store_path}{suffix}", copies / f"store.sqlite{suffix}")
    before = files(copies)
    assert sum(numbers(case.look(checkpoint=str(copies / "store.sqlite")))) == 5
    assert files(copies) == before
    assert sorted(os.listdir(copies)) == ["store.sqlite", "store.sqlite-wal"]


def test_the_store_is_not_locked(case: Case) -> None:
    case.plan(*range(5))
    with sqlite3.connect(case.store_path, isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert sum(numbers(case.look(checkpoint=str(case.store_path)))) == 5
        writer.execute("ROLLBACK")
    writer.close()


def test_a_store_that_is_gone_is_done_without_and_not_made(case: Case, tmp_path: Path) -> None:
    case.campaign.describe(checkpoint=str(tmp_path / "gone.sqlite"))
    case.record(0)
    progress = case.look()
    assert numbers(progress) == [1, 0, 0, 0, 0]
    (note,) = progress.notes
    assert "gone.sqlite" in note
    assert "\n" not in note
    assert not (tmp_path / "gone.sqlite").exists()
    with pytest.raises(CheckpointError, match=r"gone\.sqlite"):
        case.look(checkpoint=str(tmp_path / "gone.sqlite"))


def test_the_last_session_that_says_so_names_the_store(case: Case, tmp_path: Path, make_record: MakeRecord) -> None:
    case.campaign.describe(checkpoint=case.store.where)
    case.plan(0)
    Campaign.open(case.campaign.directory, testbed="embedded", site="local", command=["pytest"])
    assert numbers(case.look()) == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("content", [b"", b"not a store", b"SQLite format 3\0" + b"x" * 200])
def test_a_file_that_is_no_store(case: Case, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.sqlite").write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        case.look(checkpoint=str(tmp_path / "x.sqlite"))
    assert "x.sqlite" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "x.sqlite").read_bytes() == content
    assert not list(tmp_path.glob("x.sqlite?*"))


def test_the_store_of_another_campaign_is_refused(case: Case, tmp_path: Path) -> None:
    SqliteStore(tmp_path / "other.sqlite", campaign="other").close()
    with pytest.raises(CheckpointError, match="other"):
        case.look(checkpoint=str(tmp_path / "other.sqlite"))


def test_what_is_no_campaign_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"campaign\.json"):
        campaign_progress(tmp_path)


def test_a_campaign_without_any_record(case: Case) -> None:
    shutil.rmtree(case.campaign.records_dir)
    assert case.look().total == 0


# sweeps of scripts


def test_a_sweep(tmp_path: Path) -> None:
    with ParamSweeper(tmp_path, {"x": [1, "a"], "y": {"p": {"k": [1.5]}, "q": {}}}) as sweeper:
        sweeper.done(sweeper.get_next())
        sweeper.get_next()
        sweeper.skip({"x": "a", "y": "q"})
        progress = sweep_progress(tmp_path)
        assert numbers(progress) == [1, 0, 1, 1, 1]
        assert [level.level for level in progress.factors["x"]] == ["1", "a"]
        assert [(level.level, level.total) for level in progress.factors["k"]] == [("1.5", 2)]
        assert progress.tests == ()
        assert [(one.claims, one.dead) for one in progress.owners if one.claims] == [(1, False)]
    assert is_sweep(tmp_path)
    assert not is_sweep(tmp_path / "nowhere")
    assert numbers(sweep_progress(tmp_path)) == [1, 0, 1, 0, 2]


def test_the_rate_of_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ParamSweeper(tmp_path, {"x": range(10)}) as sweeper:
        for number in range(5):
            date = iso_date(START + number * 600)
            monkeypatch.setattr("pytest_execo.sweeps.sweeper.claims.iso_date", lambda date=date: date)
            sweeper.done(sweeper.get_next())
        sweeper.get_next()
        progress = sweep_progress(tmp_path, now=START + 2400)
        assert progress.overall == pytest.approx(5 / 2400 * 3600, rel=0.01)
        assert progress.hourly == pytest.approx(5 / 2400 * 3600, rel=0.01)
        assert progress.left == pytest.approx(5 * 2400 / 5, rel=0.01)
        assert sweep_progress(tmp_path, now=START + 24000).hourly is None


def test_what_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"sweeper\.sqlite"):
        sweep_progress(tmp_path)
    with pytest.raises(InvalidInput, match="needs a name"):
        sweep_progress("postgresql://nowhere/x")


def test_json_has_all_of_it(case: Case) -> None:
    case.campaign.describe(checkpoint=case.store.where)
    case.plan(0, 1)
    case.store.claim(owner("mine"), case.planned(1).trial)
    case.record(0)
    document = json.loads(json.dumps(case.look().to_json()))
    assert document["schema"] == "pytest-execo/status/1"
    assert set(document) == {
        "schema", "place", "at", "campaign", "total", "counts", "rate", "seconds_left", "owners", "tests", "factors",
        "notes",
    }  # fmt: skip
    assert document["counts"] == {"todo": 0, "claimed": 1, "passed": 1, "failed": 0, "skipped": 0}
    assert set(document["owners"][0]) == {"host", "pid", "session", "claims", "heartbeat", "dead"}
    assert document["factors"]["x"][0]["total"] == 1
