"""What a store knows at one moment, read without changing it."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from os import PathLike

from pytest_execo.errors import CheckpointError
from pytest_execo.units import iso_date

from .opening import is_url
from .sql_store import SqlStore
from .store import Holder, Known, Planned

__all__ = ("Snapshot", "take_snapshot")

_HOUR = 3600.0


@dataclass(frozen=True)
class Snapshot:
    """A store at one moment.

    :param where: where it is, without password.
    :param trials: what is planned, in order, and what is known of it.
    :param holders: who is at work, and who is dead and held something.
    :param ended: how many attempts have ended with an outcome.
    :param ended_lately: how many in the last hour.
    :param first: when the first of them ended, in seconds since the epoch; ``None`` when there is none.
    :param last: when the last one did.
    """

    where: str
    trials: tuple[tuple[Planned, Known], ...]
    holders: tuple[Holder, ...]
    ended: int
    ended_lately: int
    first: float | None
    last: float | None


def take_snapshot(where: str | PathLike[str], campaign: str, now: float) -> Snapshot:
    """Read the store of a campaign; it is not made when it is not there.

    :param where: as for :func:`~pytest_execo.sweeps.stores.open_store`.
    :param now: the date to measure from; a database takes its own for heartbeats.
    :raises CheckpointError: in one line: it is not there, or can't be read.
    """
    with _open(where, campaign, now) as store:
        first, last = _dates(store)
        return Snapshot(
            where=store.where,
            trials=tuple(store.trials()),
            holders=tuple(store.holders()),
            ended=store.ended(),
            ended_lately=store.ended(iso_date(now - _HOUR)),
            first=first,
            last=last,
        )


def _open(where: str | PathLike[str], campaign: str, now: float) -> SqlStore:
    text = os.fspath(where)
    if is_url(text):
        from .postgres_store import PostgresStore

        _refuse_missing(text, campaign)
        return PostgresStore(text, campaign=campaign)
    from .sqlite_reader import SqliteReader

    path = text.removeprefix("sqlite:///") if text.startswith("sqlite:") else text
    return SqliteReader(os.path.expanduser(path), campaign=campaign, clock=lambda: now)


def _refuse_missing(url: str, campaign: str) -> None:
    # Opening a store makes its tables.
    from .postgres import connect, explained, without_password
    from .postgres_store import _schema_name

    with connect(url) as connection, explained(url):
        table = f'"{_schema_name(campaign)}".version'
        found = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
        if found is None or found[0] is None:
            raise CheckpointError(f"{without_password(url)}: nothing of this campaign or sweep in there")


def _dates(store: SqlStore) -> tuple[float | None, float | None]:
    with store._transaction(write=False) as db:
        row = db.execute("SELECT min(ended_at), max(ended_at) FROM attempts WHERE outcome <> 'pending'").fetchone()
    first, last = (None if date is None else _seconds(str(date)) for date in row)
    return first, last


def _seconds(date: str) -> float | None:
    try:
        return dt.datetime.fromisoformat(date).timestamp()
    except ValueError:
        return None
