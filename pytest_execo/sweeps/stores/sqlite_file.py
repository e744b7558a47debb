"""Opening the SQLite file of a store: made when missing, moved aside when damaged, refused when it is not ours."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_execo.errors import CheckpointError

from .sql_tables import SCHEMA

__all__ = ("open_database",)

_log = logging.getLogger(__name__)

_APPLICATION = 0x45584543  # "EXEC", where file(1) and we look for it
_VERSION = 2
_BUSY_SECONDS = 30.0

_NUMBER = "INTEGER PRIMARY KEY"
_META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"


def open_database(path: Path, campaign: str | None) -> sqlite3.Connection:
    """Open the database of a store in autocommit mode, usable from any thread, one at a time.

    :raises CheckpointError: another campaign, a newer version, not a store, or a file that can't be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two processes that both met the damage must not move each other's new file aside.
        with _locked(path.with_name(f"{path.name}.lock")):
            try:
                return _open(path, campaign)
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    raise
                aside = _move_aside(path)
                _log.warning("%s: %s; moved to %s, made anew from the records", path, error, aside.name)
                return _open(path, campaign)
    except (sqlite3.Error, OSError) as error:
        raise CheckpointError(f"{path}: the checkpoint store can't be opened: {error}") from error


def _open(path: Path, campaign: str | None) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # Readers and a writer at once. Where the file system can't do it SQLite stays in its former mode.
        db.execute("PRAGMA journal_mode = WAL")
        # No fsync for each claim: after a power cut the last claims and outcomes may be missing, and are read again
        # from the records, which are fsynced. The file itself stays whole.
        db.execute("PRAGMA synchronous = NORMAL")
        _check_application(db, path)
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            damage = sqlite3.DatabaseError(found)
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage
        db.execute("BEGIN IMMEDIATE")
        _prepare(db, path, campaign)
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def _check_application(db: sqlite3.Connection, path: Path) -> None:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and application != _APPLICATION:
        raise CheckpointError(f"{path}: a SQLite file of another program, not a checkpoint store; give another path")


def _prepare(db: sqlite3.Connection, path: Path, campaign: str | None) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > _VERSION:
        raise CheckpointError(
            f"{path}: a checkpoint store of version {version}, newer than {_VERSION}; upgrade pytest-execo or delete it"
        )
    if version < _VERSION:
        if version == 1:  # of a development version, when a store was nothing but a cache: made anew from the records
            for table in ("trials", "owners", "files", "meta"):
                db.execute(f"DROP TABLE {table}")
        for statement in (_META, *SCHEMA):
            db.execute(statement.format(number=_NUMBER, text="TEXT"))
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {_VERSION}")
    if campaign is None:
        return
    db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('campaign', ?)", (campaign,))
    (holder,) = db.execute("SELECT value FROM meta WHERE key = 'campaign'").fetchone()
    if holder != campaign:
        raise CheckpointError(f"{path}: the checkpoint store of campaign {holder}, not {campaign}; give another path")


def _move_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        # They belong to the damaged file: a new one beside an old journal would be damaged at once.
        extra = path.with_name(path.name + suffix)
        if extra.exists():
            extra.rename(aside.with_name(aside.name + suffix))
    return aside


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
