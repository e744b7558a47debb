from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_execo.errors import CheckpointError
from pytest_execo.sweeps import Attempt, Owner, SqliteStore, State

HERE = Owner.current("here")
AWAY = Owner("away", "another-host", 1, 1.0)
GONE = dataclasses.replace(HERE, session="gone", started=1.0)


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SqliteStore]:
    with SqliteStore(tmp_path / "cache" / "checkpoint.db", campaign="c1", clock=clock) as store:
        yield store


def test_trials_are_handed_out_once_in_the_order_of_the_plan(store: SqliteStore) -> None:
    store.plan(["b", "a"])
    store.plan(iter(["a", "c", "b"]))
    assert [store.claim(HERE) for _ in range(4)] == ["b", "a", "c", None]
    assert store.claim(HERE, "a") is None
    assert store.stats() == {**dict.fromkeys(State, 0), State.CLAIMED: 3}


def test_outcomes_become_states(store: SqliteStore) -> None:
    store.plan("pfsx")
    for trial, outcome in zip("pfsx", ("passed", "failed", "skipped", "pending"), strict=True):
        assert store.claim(HERE, trial) == trial
        assert store.finish(trial, HERE, outcome, 1)
    states = store.states("pfsx?")
    assert states == {"p": State.PASSED, "f": State.FAILED, "s": State.SKIPPED, "x": State.TODO, "?": State.TODO}
    assert [store.claim(HERE, trial) for trial in "pfsx"] == [None, None, None, "x"]
    assert [store.attempts(trial) for trial in "px?"] == [1, 1, 0]


def test_planning_again_keeps_what_is_known(store: SqliteStore) -> None:
    store.plan("ab")
    store.claim(HERE, "a")
    store.finish("a", HERE, "passed", 1)
    store.plan("abc")
    assert store.states("abc") == {"a": State.PASSED, "b": State.TODO, "c": State.TODO}


def test_the_claim_of_a_dead_process_goes_back_to_todo_by_itself(store: SqliteStore) -> None:
    store.plan("ab")
    store.claim(GONE, "a")
    store.claim(GONE, "b")
    assert store.states("ab") == dict.fromkeys("ab", State.TODO)
    assert store.stats()[State.TODO] == 2
    assert store.claim(HERE, "b") == "b"
    assert store.claim(HERE) == "a"


def test_an_owner_on_another_host_is_dead_without_a_heartbeat(store: SqliteStore, clock: Clock) -> None:
    store.plan("a")
    assert store.claim(AWAY) == "a"
    clock.now += 59
    assert store.claim(HERE, "a") is None
    store.heartbeat(AWAY)
    clock.now += 60
    assert store.claim(HERE) is None
    clock.now += 1
    assert store.claim(HERE) == "a"


def test_a_late_result_counts_and_the_new_owner_keeps_its_claim(store: SqliteStore, clock: Clock) -> None:
    store.plan("a")
    store.claim(AWAY)
    clock.now += 61
    store.claim(HERE)
    assert store.finish("a", AWAY, "passed", 1) is False
    assert store.states("a") == {"a": State.CLAIMED}
    assert store.release(HERE) == 1
    assert store.states("a") == {"a": State.PASSED}


def test_release_gives_back_only_ones_own_claims(store: SqliteStore) -> None:
    other = dataclasses.replace(HERE, session="other")
    store.plan("abc")
    store.claim(HERE)
    store.claim(other)
    store.claim(HERE)
    assert store.release(HERE) == 2
    assert store.states("abc") == {"a": State.TODO, "b": State.CLAIMED, "c": State.TODO}
    assert store.release(HERE) == 0


def test_reopened_trials_are_to_do_and_count_on(store: SqliteStore) -> None:
    store.plan("ab")
    store.claim(HERE)
    store.finish("a", HERE, "passed", 1)
    store.claim(HERE, "b")
    store.reopen("ab")
    assert store.states("ab") == {"a": State.TODO, "b": State.CLAIMED}
    assert store.attempts("a") == 1
    store.ingest([Attempt("a", "passed", 1, "2020-01-01T00:00:00.000000Z")], source="s", position=1)
    assert store.states("a") == {"a": State.TODO}
    assert store.claim(HERE, "a") == "a"
    store.finish("a", HERE, "failed", 2)
    assert store.states("a") == {"a": State.FAILED}


def test_the_last_attempt_decides_in_any_order(store: SqliteStore) -> None:
    attempts = [
        Attempt("a", "passed", 2, "2026-01-02T00:00:00.000000Z"),
        Attempt("a", "failed", 1, "2026-01-03T00:00:00.000000Z"),
        Attempt("b", "passed", 1, "2026-01-01T00:00:00.000000Z"),
        Attempt("b", "failed", 1, "2026-01-02T00:00:00.000000Z"),
    ]
    for order in (attempts, attempts[::-1]):
        store.ingest(order, source="s.jsonl", position=7)
        assert store.states("ab") == {"a": State.PASSED, "b": State.FAILED}
    assert store.positions() == {"s.jsonl": 7}


def test_a_claim_of_what_was_not_planned_is_a_mistake(store: SqliteStore) -> None:
    with pytest.raises(CheckpointError, match="trial x was not planned"):
        store.claim(HERE, "x")
    with pytest.raises(ValueError, match="outcome is 'ok'"):
        store.finish("x", HERE, "ok", 1)
    store.finish("x", HERE, "passed", 1)
    assert store.states("x") == {"x": State.PASSED}


def test_state_survives_closing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with SqliteStore(path, campaign="c1") as store:
        store.plan("ab")
        store.claim(HERE)
        store.finish("a", HERE, "passed", 1)
        store.close()
        with pytest.raises(CheckpointError, match="closed"):
            store.stats()
    with SqliteStore(path) as store:
        assert store.states("ab") == {"a": State.PASSED, "b": State.TODO}


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
    with pytest.raises(CheckpointError, match=r"a\.db: a checkpoint store of version 7, newer than 1; upgrade"):
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
        store.plan(f"trial-{number}" for number in range(500))
    whole = path.read_bytes()
    broken = {
        "text": b"not a database at all" * 100,
        "cut": whole[: len(whole) // 2],
        "pages": whole[:4096] + b"\xa5" * (len(whole) - 4096),
    }[damage]
    path.write_bytes(broken)
    with caplog.at_level(logging.WARNING), SqliteStore(path, campaign="c1") as store:
        assert sum(store.stats().values()) == 0
        store.plan("a")
    assert (tmp_path / "a.db.damaged-2").read_bytes()[200:] == broken[200:]
    assert "made anew from the records" in caplog.text


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    with SqliteStore(tmp_path / "a.db") as store:
        store.plan("a")
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


def test_a_child_of_a_fork_has_a_connection_of_its_own(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "a.db") as store:
        store.plan("ab")
        assert store.claim(HERE) == "a"
        pid = os.fork()
        if pid == 0:
            os._exit(0 if store.claim(Owner.current("child")) == "b" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert store.claim(HERE) == "b"  # the child is dead


def test_threads_share_a_store(tmp_path: Path) -> None:
    taken: list[str] = []
    with SqliteStore(tmp_path / "a.db") as store:
        store.plan(str(number) for number in range(60))

        def work() -> None:
            while trial := store.claim(HERE):
                taken.append(trial)
                store.finish(trial, HERE, "passed", 1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(taken) == {str(number): 1 for number in range(60)}
        assert store.stats()[State.PASSED] == 60


def _work(path: Path, name: str, start: object, taken: object) -> None:
    owner = Owner.current(name)
    mine = []
    with SqliteStore(path, campaign="c1") as store:
        start.wait()  # type: ignore[attr-defined]
        store.plan(f"trial-{number}" for number in range(200))
        while trial := store.claim(owner):
            mine.append(trial)
            store.finish(trial, owner, "passed", 1)
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
        trial = store.claim(Owner.current("killed"))
        ready.put(trial)  # type: ignore[attr-defined]
        threading.Event().wait()


@pytest.mark.slow
def test_the_claim_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    with SqliteStore(tmp_path / "a.db") as store:
        store.plan("a")
        worker = context.Process(target=_claim_and_die, args=(tmp_path / "a.db", ready))
        worker.start()
        assert ready.get(timeout=60) == "a"
        assert store.claim(HERE, "a") is None
        assert store.states("a") == {"a": State.CLAIMED}
        worker.kill()
        worker.join()
        assert store.claim(HERE, "a") == "a"
