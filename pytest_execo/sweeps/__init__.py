"""Parameter spaces and checkpoint stores: which trials there are, and which of them are done.

What may live here: the arithmetic of factors, levels and points; the identity of a trial; stores that remember the
state of trials and share them out among processes. No pytest, no records on disk, no host: the packages above put
those together. Everything loads on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .designs import box_behnken, fractional_factorial, plackett_burman, subset_design
    from .execo_import import ExecoImport, import_execo
    from .identity import JSON, canonical_json, plain, trial_id
    from .levels import Levels, combinations, permutations, tuples
    from .owners import Owner
    from .points import Level, Point
    from .postgres_store import PostgresStore
    from .progressions import geom, igeom, linspace
    from .search import Bisect, Repeats, Result, Search
    from .space import Space
    from .space_filling import latin_hypercube, sobol
    from .sqlite_store import SqliteStore
    from .store import Attempt, CheckpointStore, Claim, Holder, Known, Planned, State
    from .stores import open_store
    from .sweeper import ParamSweeper
    from .until import Until

__all__ = (
    "JSON",
    "Attempt",
    "Bisect",
    "CheckpointStore",
    "Claim",
    "ExecoImport",
    "Holder",
    "Known",
    "Level",
    "Levels",
    "Owner",
    "ParamSweeper",
    "Planned",
    "Point",
    "PostgresStore",
    "Repeats",
    "Result",
    "Search",
    "Space",
    "SqliteStore",
    "State",
    "Until",
    "box_behnken",
    "canonical_json",
    "combinations",
    "fractional_factorial",
    "geom",
    "igeom",
    "import_execo",
    "latin_hypercube",
    "linspace",
    "open_store",
    "permutations",
    "plackett_burman",
    "plain",
    "sobol",
    "subset_design",
    "trial_id",
    "tuples",
)

_HOMES = {
    **dict.fromkeys(
        (
            "box_behnken",
            "fractional_factorial",
            "plackett_burman",
            "subset_design",
        ),
        "designs",
    ),
    **dict.fromkeys(
        (
            "ExecoImport",
            "import_execo",
        ),
        "execo_import",
    ),
    **dict.fromkeys(
        (
            "JSON",
            "canonical_json",
            "plain",
            "trial_id",
        ),
        "identity",
    ),
    **dict.fromkeys(
        (
            "Levels",
            "combinations",
            "permutations",
            "tuples",
        ),
        "levels",
    ),
    **dict.fromkeys(("Owner",), "owners"),
    **dict.fromkeys(
        (
            "Level",
            "Point",
        ),
        "points",
    ),
    **dict.fromkeys(("PostgresStore",), "postgres_store"),
    **dict.fromkeys(
        (
            "geom",
            "igeom",
            "linspace",
        ),
        "progressions",
    ),
    **dict.fromkeys(
        (
            "Bisect",
            "Repeats",
            "Result",
            "Search",
        ),
        "search",
    ),
    **dict.fromkeys(("Space",), "space"),
    **dict.fromkeys(
        (
            "latin_hypercube",
            "sobol",
        ),
        "space_filling",
    ),
    **dict.fromkeys(("SqliteStore",), "sqlite_store"),
    **dict.fromkeys(
        (
            "Attempt",
            "CheckpointStore",
            "Claim",
            "Holder",
            "Known",
            "Planned",
            "State",
        ),
        "store",
    ),
    **dict.fromkeys(("open_store",), "stores"),
    **dict.fromkeys(("ParamSweeper",), "sweeper"),
    **dict.fromkeys(("Until",), "until"),
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
