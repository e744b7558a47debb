"""The tables of a store, in SQL that SQLite and PostgreSQL understand, and how its dataclasses become rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from .owners import Owner
from .store import Attempt, Known, State

__all__ = (
    "ATTEMPT",
    "KEEP",
    "NAME",
    "NOTE",
    "OWNER",
    "OWNER_COLUMNS",
    "SCHEMA",
    "TRIAL_NAME",
    "TRIAL_STATE",
    "Database",
    "Row",
    "attempt_row",
    "clean",
    "known",
    "owner_row",
    "trial_row",
)

Row = tuple[object, ...]

_OUTCOMES = {"passed": State.PASSED, "failed": State.FAILED, "skipped": State.SKIPPED, "pending": State.TODO}

#: ``{number}`` is a column that counts by itself, ``{text}`` a text that is compared byte by byte.
SCHEMA: tuple[str, ...] = (
    "CREATE TABLE files (name TEXT PRIMARY KEY, position BIGINT NOT NULL)",
    """CREATE TABLE owners (
        id {number}, session TEXT NOT NULL, host TEXT NOT NULL, machine TEXT NOT NULL, pid BIGINT NOT NULL,
        started DOUBLE PRECISION NOT NULL, records TEXT NOT NULL, heartbeat DOUBLE PRECISION NOT NULL,
        UNIQUE (session, host, machine, pid, started)
    )""",
    # outcome, attempt, ended_at and source are those of the last attempt; former is a dead owner of the claim, and
    # token says which call made the claim, for a caller that lost the answer.
    """CREATE TABLE trials (
        position {number}, id TEXT NOT NULL UNIQUE, test TEXT NOT NULL DEFAULT '', params TEXT NOT NULL DEFAULT '{{}}',
        repetition BIGINT NOT NULL DEFAULT 0, outcome TEXT NOT NULL DEFAULT 'todo', owner BIGINT, former BIGINT,
        token TEXT, attempt BIGINT NOT NULL DEFAULT 0, ended_at {text} NOT NULL DEFAULT '', source TEXT
    )""",
    """CREATE TABLE attempts (
        trial TEXT NOT NULL, attempt BIGINT NOT NULL, ended_at {text} NOT NULL, outcome TEXT NOT NULL, reason TEXT,
        source TEXT, session TEXT, duration DOUBLE PRECISION, PRIMARY KEY (trial, attempt, ended_at)
    )""",
    # The questions of every claim, answered from a few rows at any number of trials.
    "CREATE INDEX free ON trials (position) WHERE outcome = 'todo' AND owner IS NULL",
    "CREATE INDEX held ON trials (owner) WHERE owner IS NOT NULL",
    "CREATE INDEX failures ON attempts (trial) WHERE outcome = 'failed'",
)

OWNER = "(SELECT id FROM owners WHERE session = ? AND host = ? AND machine = ? AND pid = ? AND started = ?)"
OWNER_COLUMNS = "owners.session, owners.host, owners.pid, owners.started, owners.machine, owners.records"

# What an insertion does with a row that is there already.
NAME = """ON CONFLICT (id) DO UPDATE SET
    test = excluded.test, params = excluded.params, repetition = excluded.repetition
WHERE trials.test = ''"""
NOTE = """ON CONFLICT (id) DO UPDATE SET
    outcome = excluded.outcome, attempt = excluded.attempt, ended_at = excluded.ended_at, source = excluded.source
WHERE (excluded.attempt, excluded.ended_at) > (trials.attempt, trials.ended_at)"""
KEEP = "ON CONFLICT DO NOTHING"
TRIAL_NAME = ("id", "test", "params", "repetition")
TRIAL_STATE = ("id", "outcome", "attempt", "ended_at", "source")
ATTEMPT = ("trial", "attempt", "ended_at", "outcome", "reason", "source", "session", "duration")


class Database(Protocol):
    """A connection within a transaction."""

    def execute(self, sql: str, values: Sequence[object] = (), /) -> Any:
        """Run a statement; return a cursor with ``fetchone``, ``rowcount`` and iteration."""

    def executemany(self, sql: str, rows: Sequence[Row], /) -> Any:
        """Run a statement for each row."""


def known(row: Sequence[Any], dead: frozenset[int], failures: int) -> Known:
    """Return what (outcome, owner, attempt, source) says of a trial."""
    outcome, owner, attempt, source = row
    state = State(outcome) if owner is None or owner in dead else State.CLAIMED
    return Known(state, int(attempt), source, failures)


def owner_row(owner: Owner) -> tuple[str, str, str, int, float]:
    """Return what :data:`OWNER` asks for."""
    return owner.session, owner.host, owner.machine, owner.pid, owner.started


def trial_row(one: Attempt) -> Row:
    """Return what an attempt means for its trial, as :data:`TRIAL_STATE`.

    :raises ValueError: an unknown outcome.
    """
    try:
        state = _OUTCOMES[one.outcome]
    except KeyError:
        raise ValueError(f"outcome is {one.outcome!r}; it is one of {', '.join(_OUTCOMES)}") from None
    return one.trial, state.value, one.attempt, one.ended_at, one.source


def attempt_row(one: Attempt) -> Row:
    """Return an attempt as :data:`ATTEMPT`."""
    reason = None if one.reason is None else clean(one.reason)
    return one.trial, one.attempt, one.ended_at, one.outcome, reason, one.source, one.session, one.duration


def clean(text: str) -> str:
    """Return a text that any database takes: lone surrogates, from names of files, as JSON escapes them; no NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000")
