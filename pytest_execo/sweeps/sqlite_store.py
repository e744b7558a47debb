"""The checkpoint store of one machine (or one well-behaved shared file system): a SQLite file.

``outcome`` is the state of the last attempt and ``owner`` the claim that hides it; they are two columns so that a
claim that is given back, or whose owner dies, needs no memory of what was there before.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from os import PathLike
from pathlib import Path

from pytest_execo.errors import CheckpointError
from pytest_execo.units import iso_date

from .owners import Owner
from .sqlite_file import open_database
from .store import STALE, Attempt, CheckpointStore, State

__all__ = ("SqliteStore",)

_log = logging.getLogger(__name__)

_OUTCOMES = {"passed": State.PASSED, "failed": State.FAILED, "skipped": State.SKIPPED, "pending": State.TODO}

_OWNER_ID = "(SELECT id FROM owners WHERE session = ? AND host = ? AND pid = ? AND started = ?)"

_NOTE = """
INSERT INTO trials (id, outcome, attempt, ended_at) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE
SET outcome = excluded.outcome, attempt = excluded.attempt, ended_at = excluded.ended_at
WHERE (excluded.attempt, excluded.ended_at) > (trials.attempt, trials.ended_at)
"""

# Well below the 999 parameters that old builds of SQLite allow.
_CHUNK = 500


class SqliteStore(CheckpointStore):
    """A store in a file, opened (and made) at construction.

    A file that is damaged is moved aside to ``<name>.damaged-<n>`` with a warning, and a new one made.

    :param path: the file; its directory is made when needed.
    :param campaign: the id of the campaign. A file of another one is refused; ``None`` takes any.
    :param clock: the time of heartbeats, in seconds since the epoch, the same on all hosts.
    :param is_dead: says whether the process of an owner is gone, ``None`` when it can't be known.
    :raises CheckpointError: in one line: another campaign, a newer version, a file that can't be opened.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        campaign: str | None = None,
        clock: Callable[[], float] = time.time,
        is_dead: Callable[[Owner], bool | None] = Owner.is_dead,
    ) -> None:
        self.path: Path = Path(path)
        self._campaign = campaign
        self._clock = clock
        self._is_dead = is_dead
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._connection: sqlite3.Connection | None = open_database(self.path, campaign)

    def plan(self, trials: Iterable[str]) -> None:
        rows = [(trial,) for trial in trials]
        with self._transaction() as db:
            db.executemany("INSERT OR IGNORE INTO trials (id) VALUES (?)", rows)

    def claim(self, owner: Owner, trial: str | None = None) -> str | None:
        with self._transaction() as db:
            if trial is None:
                self._bury(db, self._dead(db))
                row = db.execute(
                    "SELECT id FROM trials WHERE outcome = 'todo' AND owner IS NULL ORDER BY position LIMIT 1"
                ).fetchone()
                if row is None:
                    return None
                trial = str(row[0])
            else:
                row = db.execute("SELECT outcome, owner FROM trials WHERE id = ?", (trial,)).fetchone()
                if row is None:
                    raise CheckpointError(f"{self.path}: trial {trial} was not planned; call plan() first")
                if row[0] != State.TODO.value or (row[1] is not None and row[1] not in self._dead(db)):
                    return None
            db.execute(f"UPDATE trials SET owner = {_OWNER_ID} WHERE id = ?", (*self._beat(db, owner), trial))
            return trial

    def heartbeat(self, owner: Owner) -> None:
        with self._transaction() as db:
            self._beat(db, owner)

    def finish(self, trial: str, owner: Owner, outcome: str, attempt: int, *, ended_at: str | None = None) -> bool:
        state = _state(outcome)
        with self._transaction() as db:
            db.execute(_NOTE, (trial, state.value, attempt, ended_at or iso_date(self._clock())))
            ended = db.execute(
                f"UPDATE trials SET owner = NULL WHERE id = ? AND owner = {_OWNER_ID}", (trial, *_row(owner))
            )
            return ended.rowcount == 1

    def release(self, owner: Owner) -> int:
        with self._transaction() as db:
            return db.execute(f"UPDATE trials SET owner = NULL WHERE owner = {_OWNER_ID}", _row(owner)).rowcount

    def reopen(self, trials: Iterable[str]) -> None:
        rows = [(trial,) for trial in trials]
        with self._transaction() as db:
            db.executemany("UPDATE trials SET outcome = 'todo' WHERE id = ?", rows)

    def states(self, trials: Iterable[str]) -> dict[str, State]:
        found = dict.fromkeys(trials, State.TODO)
        remaining = iter(found)
        with self._transaction(write=False) as db:
            dead = self._dead(db)
            while chunk := list(islice(remaining, _CHUNK)):
                marks = ",".join("?" * len(chunk))
                for trial, outcome, owner in db.execute(
                    f"SELECT id, outcome, owner FROM trials WHERE id IN ({marks})", chunk
                ):
                    found[trial] = State(outcome) if owner is None or owner in dead else State.CLAIMED
        return found

    def attempts(self, trial: str) -> int:
        with self._transaction(write=False) as db:
            row = db.execute("SELECT attempt FROM trials WHERE id = ?", (trial,)).fetchone()
        return 0 if row is None else int(row[0])

    def stats(self) -> dict[State, int]:
        counts = dict.fromkeys(State, 0)
        with self._transaction(write=False) as db:
            dead = self._dead(db)
            for outcome, count in db.execute("SELECT outcome, count(*) FROM trials GROUP BY outcome"):
                counts[State(outcome)] += count
            claims = "SELECT outcome, owner, count(*) FROM trials WHERE owner IS NOT NULL GROUP BY outcome, owner"
            for outcome, owner, count in db.execute(claims):
                if owner not in dead:
                    counts[State(outcome)] -= count
                    counts[State.CLAIMED] += count
        return counts

    def ingest(self, attempts: Iterable[Attempt], *, source: str, position: int) -> None:
        rows = [(one.trial, _state(one.outcome).value, one.attempt, one.ended_at) for one in attempts]
        with self._transaction() as db:
            db.executemany(_NOTE, rows)
            db.execute("INSERT OR REPLACE INTO files (name, position) VALUES (?, ?)", (source, position))

    def positions(self) -> dict[str, int]:
        with self._transaction(write=False) as db:
            return {str(name): int(position) for name, position in db.execute("SELECT name, position FROM files")}

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None and self._pid == os.getpid():
                connection.close()

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path}{' closed' if self._connection is None else ''}>"

    def _beat(self, db: sqlite3.Connection, owner: Owner) -> tuple[str, str, int, float]:
        db.execute(
            "INSERT INTO owners (session, host, pid, started, heartbeat) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (session, host, pid, started) DO UPDATE SET heartbeat = excluded.heartbeat",
            (*_row(owner), self._clock()),
        )
        return _row(owner)

    def _dead(self, db: sqlite3.Connection) -> frozenset[int]:
        """The dead among the owners that hold claims: few rows, however many trials there are."""
        holders = (
            "SELECT id, session, host, pid, started, heartbeat FROM owners "
            "WHERE id IN (SELECT owner FROM trials WHERE owner IS NOT NULL)"
        )
        dead: set[int] = set()
        for number, session, host, pid, started, heartbeat in db.execute(holders):
            gone = self._is_dead(Owner(session, host, pid, started))
            if gone is None:
                gone = self._clock() - heartbeat > STALE
            if gone:
                dead.add(number)
        return frozenset(dead)

    def _bury(self, db: sqlite3.Connection, dead: frozenset[int]) -> None:
        for number in dead:
            freed = db.execute("UPDATE trials SET owner = NULL WHERE owner = ?", (number,)).rowcount
            _log.info("%s: %d claims of a dead session are to do again", self.path, freed)

    @contextmanager
    def _transaction(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        if self._pid != os.getpid():
            self._after_fork()
        with self._lock:
            db = self._connection
            if db is None:
                raise CheckpointError(f"{self.path}: the store is closed")
            try:
                # A claim reads, decides and writes: the write lock from the start keeps two of them apart.
                db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    yield db
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
            except sqlite3.Error as error:
                if db.in_transaction:  # a COMMIT that failed; leave nothing for the next one to trip over
                    db.rollback()
                raise CheckpointError(f"{self.path}: {error}; it can be deleted: the records make it anew") from error

    def _after_fork(self) -> None:
        # A SQLite connection must not cross a fork, nor even be closed there, and the lock may have been held.
        self._abandoned = self._connection
        self._lock = threading.Lock()
        self._pid = os.getpid()
        if self._connection is not None:
            self._connection = open_database(self.path, self._campaign)


def _row(owner: Owner) -> tuple[str, str, int, float]:
    return owner.session, owner.host, owner.pid, owner.started


def _state(outcome: str) -> State:
    try:
        return _OUTCOMES[outcome]
    except KeyError:
        raise ValueError(f"outcome is {outcome!r}; it is one of {', '.join(_OUTCOMES)}") from None
