"""What the stores in SQLite and in PostgreSQL share: the questions. How they are asked is the business of each.

The statements are SQL that both understand, with ``?`` for values. PostgreSQL keeps the tables of a campaign in a
schema of their own, so that they look the same there as in a file.
"""

from __future__ import annotations

import logging
import secrets
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, TypeVar

from pytest_execo.errors import CheckpointError

from .owners import Owner
from .sql_tables import (
    ATTEMPT,
    KEEP,
    NAME,
    NOTE,
    OWNER,
    OWNER_COLUMNS,
    TRIAL_NAME,
    TRIAL_STATE,
    Database,
    Row,
    attempt_row,
    clean,
    known,
    owner_row,
    trial_row,
)
from .store import STALE, Attempt, CheckpointStore, Claim, Holder, Known, Planned, State

__all__ = ("Database", "SqlStore")

_log = logging.getLogger(__name__)

_Free = tuple[str, int, int | None]  # id, last attempt, former owner
_T = TypeVar("_T")


class SqlStore(CheckpointStore):
    """A store whose states are rows. A subclass gives transactions and the time."""

    #: What makes a row of ``trials`` this transaction's until its end, and what passes over those of others.
    _for_update = ""
    _skip_locked = ""
    #: How many values one question may have: well below the 999 that old builds of SQLite allow.
    _chunk = 500

    def __init__(self, is_dead: Callable[[Owner], bool | None]) -> None:
        self._is_dead = is_dead

    @abstractmethod
    def _transaction(
        self, *, write: bool = True, bulk: bool = False, durable: bool = False
    ) -> AbstractContextManager[Database]:
        """Return a transaction, committed at the end of the block, rolled back by an error.

        :param bulk: it writes many rows, and must not meet another one that does.
        :param durable: it is to survive a power cut, where that is not always so.
        """

    @abstractmethod
    def _now(self, db: Database) -> float:
        """Return the time of heartbeats, in seconds since the epoch."""

    def _heard_since(self) -> float:
        """Return since when heartbeats could come in: a server that was down has heard nobody, and all live on."""
        return 0.0

    def _run(
        self, work: Callable[[Database], _T], *, write: bool = True, bulk: bool = False, durable: bool = False
    ) -> _T:
        """Do ``work`` in a transaction. A subclass may do it again when it can't know what became of the first one."""
        with self._transaction(write=write, bulk=bulk, durable=durable) as db:
            return work(db)

    def _insert(self, db: Database, table: str, columns: Sequence[str], rows: Sequence[Row], conflict: str) -> None:
        """Insert rows, no two of them in ``conflict``, in order."""
        marks = ", ".join("?" * len(columns))
        db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {conflict}", rows)

    def _among(self, column: str, values: Sequence[object]) -> tuple[str, Sequence[object]]:
        """Return the condition that a column is one of up to ``_chunk`` values, and what goes with it."""
        return f"{column} IN ({','.join('?' * len(values))})", values

    def _chunks(self, trials: Iterable[str]) -> Iterator[list[str]]:
        remaining = iter(trials)
        while chunk := list(islice(remaining, self._chunk)):
            yield chunk

    def plan(self, trials: Iterable[Planned]) -> None:
        rows: dict[str, Row] = {}
        for one in trials:
            rows.setdefault(one.trial, (one.trial, clean(one.test), clean(one.params), one.repetition))
        # What was only known from its record gets its name; what was planned stays as it is.
        self._run(lambda db: self._insert(db, "trials", TRIAL_NAME, list(rows.values()), NAME), bulk=True)

    def claim(self, owner: Owner, trial: str | None = None) -> Claim | None:
        token = secrets.token_hex(8)
        again = False

        def take(db: Database) -> Claim | None:
            nonlocal again
            now = self._now(db)
            number = self._beat(db, owner, now)
            row = self._given(db, number, token) if again else None
            again = True
            if row is None:
                row = self._first_free(db, now) if trial is None else self._free(db, trial, now)
            if row is None:
                return None
            taken, attempt, former = row
            db.execute(
                "UPDATE trials SET owner = ?, former = ?, token = ? WHERE id = ?", (number, former, token, taken)
            )
            inherited = None
            if former is not None and former != number:  # one that was taken for dead, and was not
                found = db.execute(f"SELECT {OWNER_COLUMNS} FROM owners WHERE id = ?", (former,)).fetchone()
                inherited = Owner(*found) if found is not None else None
            return Claim(taken, attempt + 1, inherited)

        return self._run(take)

    def _given(self, db: Database, number: int, token: str) -> _Free | None:
        """What the first try has claimed, if its answer was all that got lost."""
        row = db.execute(
            "SELECT id, attempt, former FROM trials WHERE owner = ? AND token = ?", (number, token)
        ).fetchone()
        return None if row is None else (str(row[0]), int(row[1]), row[2])

    def _first_free(self, db: Database, now: float) -> _Free | None:
        for dead in self._dead(db, now):
            freed = db.execute("UPDATE trials SET owner = NULL, former = owner WHERE owner = ?", (dead,)).rowcount
            if freed:
                _log.info("%s: %d claims of a dead session are to do again", self.where, freed)
        row = db.execute(
            "SELECT id, attempt, former FROM trials WHERE outcome = 'todo' AND owner IS NULL "
            f"ORDER BY position LIMIT 1 {self._skip_locked}"
        ).fetchone()
        return None if row is None else (str(row[0]), int(row[1]), row[2])

    def _free(self, db: Database, trial: str, now: float) -> _Free | None:
        row = db.execute(
            f"SELECT outcome, owner, attempt, former FROM trials WHERE id = ? {self._for_update}", (trial,)
        ).fetchone()
        if row is None:
            raise CheckpointError(f"{self.where}: trial {trial} was not planned; call plan() first")
        outcome, holder, attempt, former = row
        if outcome != State.TODO.value or (holder is not None and holder not in self._dead(db, now)):
            return None
        return trial, int(attempt), former if holder is None else holder

    def heartbeat(self, owner: Owner) -> None:
        self._run(lambda db: self._beat(db, owner, self._now(db)))

    def finish(self, owner: Owner, attempt: Attempt) -> bool:
        note, keep = trial_row(attempt), attempt_row(attempt)
        again = False

        def end(db: Database) -> bool:
            nonlocal again
            noted = again and self._is_noted(db, attempt)
            again = True
            self._insert(db, "trials", TRIAL_STATE, [note], NOTE)
            self._insert(db, "attempts", ATTEMPT, [keep], KEEP)
            ended = db.execute(
                f"UPDATE trials SET owner = NULL, former = NULL WHERE id = ? AND owner = {OWNER}",
                (attempt.trial, *owner_row(owner)),
            )
            return bool(ended.rowcount == 1) or noted

        return self._run(end, durable=True)

    def _is_noted(self, db: Database, attempt: Attempt) -> bool:
        """Whether the first try has ended the claim, and its answer was all that got lost."""
        row = db.execute(
            "SELECT count(*) FROM attempts JOIN trials ON trials.id = attempts.trial WHERE trials.owner IS NULL "
            "AND attempts.trial = ? AND attempts.attempt = ? AND attempts.ended_at = ?",
            (attempt.trial, attempt.attempt, attempt.ended_at),
        ).fetchone()
        return bool(row[0])

    def release(self, owner: Owner, trial: str | None = None) -> int:
        only = "" if trial is None else " AND id = ?"
        values = owner_row(owner) if trial is None else (*owner_row(owner), trial)
        statement = f"UPDATE trials SET owner = NULL WHERE owner = {OWNER}{only}"
        return self._run(lambda db: int(db.execute(statement, values).rowcount))

    def reopen(self, trials: Iterable[str]) -> None:
        wanted = list(trials)

        def reset(db: Database) -> None:
            for chunk in self._chunks(wanted):
                among, values = self._among("id", chunk)
                db.execute(f"UPDATE trials SET outcome = 'todo' WHERE {among}", values)

        self._run(reset, bulk=True)

    def look(self, trials: Iterable[str]) -> dict[str, Known]:
        wanted = dict.fromkeys(trials, Known())

        def ask(db: Database) -> dict[str, Known]:
            found = dict(wanted)
            dead = self._dead(db, self._now(db))
            for chunk in self._chunks(wanted):
                failures = self._failures(db, *self._among("trial", chunk))
                among, values = self._among("id", chunk)
                for trial, *row in db.execute(
                    f"SELECT id, outcome, owner, attempt, source FROM trials WHERE {among}", values
                ):
                    found[trial] = known(row, dead, failures.get(trial, 0))
            return found

        return self._run(ask, write=False)

    def attempts(self, trial: str) -> list[Attempt]:
        statement = (
            "SELECT trial, outcome, attempt, ended_at, reason, source, session, duration FROM attempts "
            "WHERE trial = ? ORDER BY attempt, ended_at"
        )
        return self._run(lambda db: [Attempt(*row) for row in db.execute(statement, (trial,))], write=False)

    def retries(self) -> int:
        return self._count(
            "SELECT count(*) FROM attempts JOIN trials ON trials.id = attempts.trial "
            "WHERE attempts.outcome = 'failed' AND attempts.attempt < trials.attempt"
        )

    def durations(self, limit: int = 5000) -> list[tuple[str, str, float]]:
        statement = (
            "SELECT trials.test, trials.params, attempts.duration FROM attempts "
            "JOIN trials ON trials.id = attempts.trial WHERE attempts.duration IS NOT NULL "
            "AND attempts.outcome IN ('passed', 'failed') ORDER BY attempts.ended_at DESC LIMIT ?"
        )
        rows = self._run(lambda db: list(db.execute(statement, (limit,))), write=False)
        return [(str(test), str(params), float(seconds)) for test, params, seconds in reversed(rows)]

    def stats(self) -> dict[State, int]:
        def ask(db: Database) -> dict[State, int]:
            counts = dict.fromkeys(State, 0)
            dead = self._dead(db, self._now(db))
            for outcome, count in db.execute("SELECT outcome, count(*) FROM trials GROUP BY outcome"):
                counts[State(outcome)] += count
            claims = "SELECT outcome, owner, count(*) FROM trials WHERE owner IS NOT NULL GROUP BY outcome, owner"
            for outcome, owner, count in db.execute(claims):
                if owner not in dead:
                    counts[State(outcome)] -= count
                    counts[State.CLAIMED] += count
            return counts

        return self._run(ask, write=False)

    def trials(self) -> Iterator[tuple[Planned, Known]]:
        statement = "SELECT id, test, params, repetition, outcome, owner, attempt, source FROM trials ORDER BY position"

        def ask(db: Database) -> tuple[frozenset[int], dict[str, int], list[Sequence[Any]]]:
            return self._dead(db, self._now(db)), self._failures(db), list(db.execute(statement))

        dead, failures, rows = self._run(ask, write=False)
        return ((Planned(*row[:4]), known(row[4:], dead, failures.get(row[0], 0))) for row in rows)

    def holders(self) -> list[Holder]:
        statement = (
            f"SELECT {OWNER_COLUMNS}, owners.heartbeat, count(trials.id) FROM owners "
            "LEFT JOIN trials ON trials.owner = owners.id "
            f"GROUP BY owners.id, {OWNER_COLUMNS}, owners.heartbeat ORDER BY owners.id"
        )
        now, rows = self._run(lambda db: (self._now(db), list(db.execute(statement))), write=False)
        found = []
        for *columns, heartbeat, claims in rows:
            owner = Owner(*columns)
            dead = self._is_gone(owner, heartbeat, now)
            if claims or not dead:
                found.append(Holder(owner, heartbeat, claims, dead))
        return found

    def ended(self, since: str = "") -> int:
        return self._count("SELECT count(*) FROM attempts WHERE ended_at >= ? AND outcome <> 'pending'", since)

    def ingest(self, attempts: Iterable[Attempt], *, source: str, position: int) -> None:
        last: dict[str, Attempt] = {}
        kept: list[Row] = []
        for one in attempts:
            kept.append(attempt_row(one))
            best = last.setdefault(one.trial, one)
            if (one.attempt, one.ended_at) > (best.attempt, best.ended_at):
                last[one.trial] = one
        noted = [trial_row(one) for one in last.values()]

        def note(db: Database) -> None:
            self._insert(db, "trials", TRIAL_STATE, noted, NOTE)
            self._insert(db, "attempts", ATTEMPT, kept, KEEP)
            db.execute(
                "INSERT INTO files (name, position) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                (clean(source), position),
            )

        self._run(note, bulk=True)

    def positions(self) -> dict[str, int]:
        statement = "SELECT name, position FROM files"
        return self._run(lambda db: {str(name): int(at) for name, at in db.execute(statement)}, write=False)

    def _count(self, statement: str, *values: object) -> int:
        return self._run(lambda db: int(db.execute(statement, values).fetchone()[0]), write=False)

    def _beat(self, db: Database, owner: Owner, now: float) -> int:
        row = db.execute(
            "INSERT INTO owners (session, host, machine, pid, started, records, heartbeat) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session, host, machine, pid, started) "
            "DO UPDATE SET heartbeat = excluded.heartbeat RETURNING id",
            (*owner_row(owner), clean(owner.records), now),
        ).fetchone()
        return int(row[0])

    def _dead(self, db: Database, now: float) -> frozenset[int]:
        """The dead among the owners that hold claims: few rows, however many trials there are."""
        holders = db.execute(
            f"SELECT id, heartbeat, {OWNER_COLUMNS} FROM owners "
            "WHERE id IN (SELECT owner FROM trials WHERE owner IS NOT NULL)"
        )
        return frozenset(
            number for number, heartbeat, *columns in list(holders) if self._is_gone(Owner(*columns), heartbeat, now)
        )

    def _is_gone(self, owner: Owner, heartbeat: float, now: float) -> bool:
        gone = self._is_dead(owner)
        if gone is not None:
            return gone
        # A sign of life from the future is of a clock that was wrong: to believe it could mean to wait for a year.
        return abs(now - max(heartbeat, self._heard_since())) > STALE

    @staticmethod
    def _failures(db: Database, only: str = "true", values: Sequence[object] = ()) -> dict[str, int]:
        statement = f"SELECT trial, count(*) FROM attempts WHERE outcome = 'failed' AND {only} GROUP BY trial"
        return {str(trial): int(count) for trial, count in db.execute(statement, values)}
