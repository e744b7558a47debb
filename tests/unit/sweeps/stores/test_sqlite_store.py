"""What only the store in a SQLite file does: damage, versions, other programs' files, processes that share it."""

from __future__ import annotations

import logging
import multiprocessing
import sqlite3
import threading
from collections import Counter
from pathlib import Path

import pytest

from pytest_execo.errors import CheckpointError
from pytest_execo.sweeps import Attempt, Owner, Planned, SqliteStore, State, open_store

HERE = Owner.current("here")


def plan(store: SqliteStore, *trials: str) -> None:
    store.plan(Planned(trial, "test") for trial in trials)


def passed(trial: str) -> Attempt:
    return Attempt(trial, "passed", 1, "2026-01-01T00:00:00.000000Z")


def test_a_store_of_another_campaign_is_refused(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "a.db", campaign="c1").close()
    with pytest.raises(CheckpointError) as caught:
        SqliteStore(tmp_path / "a.db", campaign="c2")
    assert str(caught.value) == (f"{tmp_path}/a.db: the checkpoint store of campaign c1, not c2; give another path")


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "a.db").close()
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("PRAGMA user_version = 7")
    db.close()
    with pytest.raises(CheckpointError, match=r"a\.db: a checkpoint store of version 7, newer than 2; upgrade"):
        SqliteStore(tmp_path / "a.db")


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("CREATE TABLE photos (name)")
    db.close()
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(CheckpointError, match="another program"):
        SqliteStore(tmp_path / "a.db")
    # The header counts the change of journal; nothing else may differ.
    assert (tmp_path / "a.db").read_bytes()[100:] == before[100:]


@pytest.mark.parametrize("damage", ["text", "cut", "pages"])
def test_a_damaged_store_is_moved_aside(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.db"
    (tmp_path / "a.db.damaged-1").write_text("of an earlier time")
    with SqliteStore(path) as store:
        plan(store, *(f"trial-{number}" for number in range(500)))
    whole = path.read_bytes()
    broken = {
        "text": b"not a database at all" * 100,
        "cut": whole[: len(whole) // 2],
        "pages": whole[:4096] + b"\xa5" * (len(whole) - 4096),
    }[damage]
    path.write_bytes(broken)
    with caplog.at_level(logging.WARNING), SqliteStore(path, campaign="c1") as store:
        assert sum(store.stats().values()) == 0
        plan(store, "a")
    assert (tmp_path / "a.db.damaged-2").read_bytes()[200:] == broken[200:]
    assert "made anew from the records" in caplog.text


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    with SqliteStore(tmp_path / "a.db") as store:
        plan(store, "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.db", "a.db.lock"]


def test_errors_name_the_path(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(CheckpointError, match=r"directory: the checkpoint store can't be opened"):
        SqliteStore(tmp_path / "directory")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"file/a\.db: the checkpoint store can't be opened"):
        SqliteStore(tmp_path / "file" / "a.db")
    with SqliteStore(tmp_path / "a.db") as store:
        with sqlite3.connect(tmp_path / "a.db") as db:
            db.execute("DROP TABLE trials")
        db.close()
        with pytest.raises(CheckpointError, match=r"a\.db: no such table: trials; it can be deleted"):
            store.stats()
        store.heartbeat(HERE)  # the failed transaction has left nothing behind


def test_a_file_of_the_first_version_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as db:
        for table in ("trials", "owners", "files", "meta"):
            db.execute(f"CREATE TABLE {table} (id)")
        db.execute(f"PRAGMA application_id = {0x45584543}")
        db.execute("PRAGMA user_version = 1")
    db.close()
    with SqliteStore(path, campaign="c1") as store:
        plan(store, "a")
        assert store.claim(HERE) is not None
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.db", "a.db.lock"]


def test_what_is_durable_is_synced_before_finish_returns(tmp_path: Path) -> None:
    for durable, expected in ((False, []), (True, ["FULL"])):
        said: list[str] = []
        with SqliteStore(tmp_path / f"{durable}.db", durable=durable) as store:
            plan(store, "a")
            store.claim(HERE)
            assert store._connection is not None
            store._connection.set_trace_callback(said.append)
            store.finish(HERE, passed("a"))
        asked = [line.split()[-1] for line in said if line.startswith("PRAGMA synchronous")]
        assert asked == expected
        before, after = said.index("COMMIT"), [line for line in said if "PRAGMA synchronous = NORMAL" in line]
        assert not after
        assert not expected or said.index("PRAGMA synchronous = FULL") < before


def test_a_full_disk_is_no_reason_to_delete_the_file(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "a.db") as store:
        assert store._connection is not None
        store._connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(CheckpointError) as caught:
            plan(store, *(f"trial-{number}" for number in range(5000)))
        assert str(caught.value) == f"{tmp_path}/a.db: database or disk is full"
        assert store.stats()[State.TODO] == 0


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_open_store_takes_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for place in ("a.db", f"{tmp_path}/b.db", "~/c.db"):
        with open_store(f"{prefix}{place}", campaign="c1") as store:
            assert isinstance(store, SqliteStore)
    assert all((tmp_path / name).exists() for name in ("a.db", "b.db", "home/c.db"))
    open_store(tmp_path / "d.db", campaign="c1", durable=True).close()


def test_open_store_refuses_other_schemes() -> None:
    with pytest.raises(CheckpointError) as caught:
        open_store("mysql://me:secret@h/x", campaign="c1")
    assert str(caught.value) == ("mysql://…: no such kind of store; give a path, or postgresql://user@host/database")


def test_repr_says_where_it_is(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db")
    assert (store.where, repr(store)) == (f"{tmp_path}/a.db", f"<SqliteStore {tmp_path}/a.db>")
    store.close()
    store.close()
    assert repr(store) == f"<SqliteStore {tmp_path}/a.db closed>"


def _work(path: Path, name: str, start: object, taken: object) -> None:
    owner = Owner.current(name)
    mine = []
    with SqliteStore(path, campaign="c1") as store:
        start.wait()  # type: ignore[attr-defined]
        plan(store, *(f"trial-{number}" for number in range(200)))
        while claim := store.claim(owner):
            mine.append(claim.trial)
            store.finish(owner, passed(claim.trial))
    taken.put(mine)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_processes_share_a_store(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, taken = context.Barrier(4), context.Queue()
    workers = [context.Process(target=_work, args=(tmp_path / "a.db", f"s{n}", start, taken)) for n in range(4)]
    for worker in workers:
        worker.start()
    claims = [trial for _ in workers for trial in taken.get(timeout=60)]
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert Counter(claims) == {f"trial-{number}": 1 for number in range(200)}
    with SqliteStore(tmp_path / "a.db") as store:
        assert store.stats()[State.PASSED] == 200


def _claim_and_die(path: Path, ready: object) -> None:
    with SqliteStore(path) as store:
        claim = store.claim(Owner.current("killed", records="/records/killed.jsonl"))
        ready.put(claim and claim.trial)  # type: ignore[attr-defined]
        threading.Event().wait()


@pytest.mark.slow
def test_the_claim_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    with SqliteStore(tmp_path / "a.db") as store:
        plan(store, "a")
        worker = context.Process(target=_claim_and_die, args=(tmp_path / "a.db", ready))
        worker.start()
        assert ready.get(timeout=60) == "a"
        assert store.claim(HERE, "a") is None
        assert store.look("a")["a"].state is State.CLAIMED
        worker.kill()
        worker.join()
        claim = store.claim(HERE, "a")
    assert claim is not None
    assert claim.inherited is not None
    assert (claim.inherited.session, claim.inherited.records) == ("killed", "/records/killed.jsonl")
