"""Reads the SQLite file of a store without changing anything: no file is made, nothing is locked for others."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from pytest_execo.errors import CheckpointError

from .owners import Owner
from .sql_store import Database, SqlStore
from .sqlite_file import _APPLICATION, _VERSION, _locked

__all__ = ("SqliteReader", "refuse_damaged")

_BUSY_SECONDS = 10.0


class SqliteReader(SqlStore):
    """A store that can be asked and not changed.

    :param path: the file; it is not made when it is missing.
    :param campaign: the id of its campaign; a file of another one is refused. ``None`` takes any.
    :param clock: the time of heartbeats, in seconds since the epoch.
    :raises CheckpointError: in one line: no file, not a store, of another campaign, damaged.
    """

    def __init__(self, path: str | PathLike[str], *, campaign: str | None = None, clock: Callable[[], float]) -> None:
        super().__init__(Owner.is_dead)
        self.path: Path = Path(path)
        self._clock = clock
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        if not self.path.is_file():
            raise CheckpointError(f"{self.path}: no checkpoint store there")
        try:
            self._db = self._open()
            try:
                self._check(campaign)
            except BaseException:
                self.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise CheckpointError(f"{self.path}: the checkpoint store can't be read: {error}") from error

    @property
    def where(self) -> str:
        return str(self.path)

    def close(self) -> None:
        self._db.close()
        if self._copy is not None:
            self._copy.cleanup()

    def check(self) -> None:
        """Read all of it.

        :raises CheckpointError: it is damaged.
        """
        with self._transaction(write=False) as db:
            found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
        if found != "ok":
            raise CheckpointError(f"{self.path}: the checkpoint store is damaged: {' '.join(found.split())}")

    def _open(self) -> sqlite3.Connection:
        wal, index, journal = (Path(f"{self.path}{suffix}") for suffix in ("-wal", "-shm", "-journal"))
        if wal.exists() == index.exists() and not journal.exists():
            # Without a journal nobody has it open, and a reader would make one; so the file is taken as it is. That
            # is for files with a journal of the newer kind only: the older one does not show that somebody writes.
            untouched = not wal.exists() and _is_wal(self.path)
            try:
                return _connect(self.path, "immutable=1" if untouched else "mode=ro")
            except sqlite3.OperationalError:  # a directory that is not ours to write to
                pass
        # Left by a process that was killed: SQLite would mend it first, and may do so with a copy.
        self._copy = tempfile.TemporaryDirectory(prefix="pytest-execo-")
        copy = Path(self._copy.name) / "store.sqlite"
        shutil.copyfile(self.path, copy)
        for path, suffix in ((wal, "-wal"), (journal, "-journal")):
            if path.exists():
                shutil.copyfile(path, f"{copy}{suffix}")
        return _connect(copy, "mode=rw")

    def _check(self, campaign: str | None) -> None:
        if self._db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            raise CheckpointError(f"{self.path}: not a checkpoint store; give another path")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version != _VERSION:
            raise CheckpointError(f"{self.path}: a checkpoint store of version {version}, not {_VERSION}")
        row = self._db.execute("SELECT value FROM meta WHERE key = 'campaign'").fetchone()
        if campaign is not None and row is not None and row[0] != campaign:
            raise CheckpointError(f"{self.path}: the checkpoint store of campaign {row[0]}, not {campaign}")

    def _now(self, db: Database) -> float:
        return self._clock()

    @contextmanager
    def _transaction(self, *, write: bool = True, bulk: bool = False, durable: bool = False) -> Iterator[Database]:
        if write:
            raise CheckpointError(f"{self.path}: open for reading only")
        try:
            self._db.execute("BEGIN")
            try:
                yield self._db
            finally:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise CheckpointError(f"{self.path}: the checkpoint store can't be read: {error}") from error


def refuse_damaged(path: Path) -> None:
    """Refuse a file that is there and damaged, where it is all that is known, and so must not be made anew.

    :raises CheckpointError: in one line.
    """
    if not path.exists():
        return
    # Not while another process makes it.
    with _locked(path.with_name(f"{path.name}.lock")):
        if not path.stat().st_size:
            return
        with SqliteReader(path, clock=time.time) as reader:
            reader.check()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{Path(os.path.abspath(path)).as_uri()}?{mode}"
    db = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _is_wal(path: Path) -> bool:
    # https://www.sqlite.org/fileformat.html: the versions of the format for writing and for reading.
    with open(path, "rb") as file:
        return file.read(20)[18:20] == b"\2\2"
