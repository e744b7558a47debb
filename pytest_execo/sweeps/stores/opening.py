"""Which store: a file, or a database that several machines share."""

from __future__ import annotations

import os
from os import PathLike

from pytest_execo.errors import CheckpointError

from .store import CheckpointStore

__all__ = ("is_url", "open_store")

_POSTGRES = ("postgresql", "postgres")


def is_url(where: str | None) -> bool:
    """Tell whether a store is named by a URL of a database server rather than by a path."""
    return where is not None and "://" in where and not where.startswith("sqlite:")


def open_store(where: str | PathLike[str], *, campaign: str, durable: bool = False) -> CheckpointStore:
    """Open the store of a campaign, making it when it is not there.

    :param where: a path, ``"sqlite:///path"``, or ``"postgresql://user@host/database"``.
    :param durable: have what ended survive a power cut before it is said; PostgreSQL does so anyway.
    :raises CheckpointError: in one line.
    """
    text = os.fspath(where)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme == "sqlite":
        from .sqlite_store import SqliteStore

        path = rest.removeprefix("/") if separator else text
        return SqliteStore(os.path.expanduser(path), campaign=campaign, durable=durable)
    if scheme in _POSTGRES:
        from .postgres_store import PostgresStore

        return PostgresStore(text, campaign=campaign)
    raise CheckpointError(f"{scheme}://…: no such kind of store; give a path, or postgresql://user@host/database")
