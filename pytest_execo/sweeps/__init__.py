"""Parameter spaces and checkpoint stores: which trials there are, and which of them are done.

What may live here: the arithmetic of factors, levels and points; the identity of a trial; stores that remember the
state of trials and share them out among processes. No pytest, no records on disk, no host: the packages above put
those together. Everything loads on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .identity import JSON, canonical_json, plain, trial_id
    from .owners import Owner
    from .points import Level, Point
    from .postgres_store import PostgresStore
    from .space import Space
    from .sqlite_store import SqliteStore
    from .store import Attempt, CheckpointStore, Claim, Holder, Known, Planned, State
    from .stores import open_store
    from .sweeper import ParamSweeper

__all__ = (
    "JSON",
    "Attempt",
    "CheckpointStore",
    "Claim",
    "Holder",
    "Known",
    "Level",
    "Owner",
    "ParamSweeper",
    "Planned",
    "Point",
    "PostgresStore",
    "Space",
    "SqliteStore",
    "State",
    "canonical_json",
    "open_store",
    "plain",
    "trial_id",
)

_HOMES = {
    "ParamSweeper": "sweeper",
    "open_store": "stores",
    "PostgresStore": "postgres_store",
    "Planned": "store",
    "Known": "store",
    "Holder": "store",
    "Claim": "store",
    "JSON": "identity",
    "Attempt": "store",
    "CheckpointStore": "store",
    "Level": "points",
    "Owner": "owners",
    "Point": "points",
    "Space": "space",
    "SqliteStore": "sqlite_store",
    "State": "store",
    "canonical_json": "identity",
    "plain": "identity",
    "trial_id": "identity",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
