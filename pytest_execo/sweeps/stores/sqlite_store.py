"""The checkpoint store in a SQLite file: for one machine, and for nothing to install."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from pytest_execo.errors import CheckpointError

from .owners import Owner
from .sql_store import Database, SqlStore
from .sqlite_file import open_database

__all__ = ("SqliteStore",)


class SqliteStore(SqlStore):
    """A store in a file, opened (and made) at construction.

    A file that is damaged is moved aside to ``<name>.damaged-<n>`` with a warning, and a new one made.

    :param path: the file; its directory is made when needed.
    :param campaign: the id of the campaign. A file of another one is refused; ``None`` takes any.
    :param durable: have :meth:`finish` return when the outcome is on the disk, at the price of a sync each time.
        Without, a power cut may lose the last outcomes, which are read again from the records.
    :param clock: the time of heartbeats, in seconds since the epoch, the same on all hosts.
    :param is_dead: says whether the process of an owner is gone, ``None`` when it can't be known.
    :raises CheckpointError: in one line: another campaign, a newer version, a file that can't be opened.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        campaign: str | None = None,
        durable: bool = False,
        clock: Callable[[], float] = time.time,
        is_dead: Callable[[Owner], bool | None] = Owner.is_dead,
    ) -> None:
        super().__init__(is_dead)
        self.path: Path = Path(path)
        self._campaign = campaign
        self._durable = durable
        self._clock = clock
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._connection: sqlite3.Connection | None = open_database(self.path, campaign)

    @property
    def where(self) -> str:
        return str(self.path)

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None and self._pid == os.getpid():
                connection.close()

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path}{' closed' if self._connection is None else ''}>"

    def _now(self, db: Database) -> float:
        return self._clock()

    @contextmanager
    def _transaction(self, *, write: bool = True, bulk: bool = False, durable: bool = False) -> Iterator[Database]:
        if self._pid != os.getpid():
            self._after_fork()
        with self._lock:
            db = self._connection
            if db is None:
                raise CheckpointError(f"{self.path}: the store is closed")
            try:
                if self._durable:
                    # A claim that a power cut takes back is run again; an outcome must not be.
                    db.execute(f"PRAGMA synchronous = {'FULL' if durable or bulk else 'NORMAL'}")
                # A claim reads, decides and writes: the write lock from the start keeps two of them apart.
                db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                try:
                    yield db
                except BaseException:
                    if db.in_transaction:  # a full disk has rolled it back already
                        db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
            except sqlite3.Error as error:
                if db.in_transaction:  # a COMMIT that failed; leave nothing for the next one to trip over
                    db.rollback()
                raise CheckpointError(f"{self.path}: {error}{self._advice(error)}") from error

    def _advice(self, error: sqlite3.Error) -> str:
        # Of a full disk, a file that is not ours to write to, and the like, the error itself says what to do.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        damaged = code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        return "; it can be deleted: the records make it anew" if damaged and not self._durable else ""

    def _after_fork(self) -> None:
        # A SQLite connection must not cross a fork, nor even be closed there, and the lock may have been held.
        self._abandoned = self._connection
        self._lock = threading.Lock()
        self._pid = os.getpid()
        if self._connection is not None:
            self._connection = open_database(self.path, self._campaign)
