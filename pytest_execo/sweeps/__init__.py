"""Parameter spaces and checkpoint stores: which trials there are, and which of them are done.

What may live here: the arithmetic of factors, levels and points; the identity of a trial; stores that remember the
state of trials and share them out among processes. No pytest, no records on disk, no host: the packages above put
those together. Everything loads on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .identity import JSON, canonical_json, plain, trial_id
    from .spaces.designs import box_behnken, fractional_factorial, plackett_burman, subset_design
    from .spaces.levels import Levels, combinations, permutations, tuples
    from .spaces.points import Level, Point
    from .spaces.progressions import geom, igeom, linspace
    from .spaces.search import Bisect, Repeats, Result, Search
    from .spaces.space import Space
    from .spaces.space_filling import latin_hypercube, sobol
    from .spaces.until import Until
    from .stores.opening import open_store
    from .stores.owners import Owner
    from .stores.postgres_store import PostgresStore
    from .stores.sqlite_store import SqliteStore
    from .stores.store import Attempt, CheckpointStore, Claim, Holder, Known, Planned, State
    from .sweeper.combinations import Combination, sweep_combinations
    from .sweeper.execo_import import ExecoImport, import_execo
    from .sweeper.stats import SweepStats, sweep_stats
    from .sweeper.sweeper import ParamSweeper

__all__ = (
    "JSON",
    "Attempt",
    "Bisect",
    "CheckpointStore",
    "Claim",
    "Combination",
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
    "SweepStats",
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
    "sweep_combinations",
    "sweep_stats",
    "trial_id",
    "tuples",
)

# module → the names that live there
_ROOMS = {
    "identity": ("JSON", "canonical_json", "plain", "trial_id"),
    "spaces.designs": ("box_behnken", "fractional_factorial", "plackett_burman", "subset_design"),
    "spaces.levels": ("Levels", "combinations", "permutations", "tuples"),
    "spaces.points": ("Level", "Point"),
    "spaces.progressions": ("geom", "igeom", "linspace"),
    "spaces.search": ("Bisect", "Repeats", "Result", "Search"),
    "spaces.space": ("Space",),
    "spaces.space_filling": ("latin_hypercube", "sobol"),
    "spaces.until": ("Until",),
    "stores.opening": ("open_store",),
    "stores.owners": ("Owner",),
    "stores.postgres_store": ("PostgresStore",),
    "stores.sqlite_store": ("SqliteStore",),
    "stores.store": ("Attempt", "CheckpointStore", "Claim", "Holder", "Known", "Planned", "State"),
    "sweeper.combinations": ("Combination", "sweep_combinations"),
    "sweeper.execo_import": ("ExecoImport", "import_execo"),
    "sweeper.stats": ("SweepStats", "sweep_stats"),
    "sweeper.sweeper": ("ParamSweeper",),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
