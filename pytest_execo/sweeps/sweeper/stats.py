"""The combinations of a sweep by state, and counts of them by factor and level."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from ..identity import canonical_json
from .combinations import Combinations

__all__ = ("SweepStats", "sweep_stats")


class SweepStats(NamedTuple):
    """The combinations of a sweep by state, at one moment: each is in ``sweeps``, and in one of the others."""

    sweeps: Combinations
    remaining: Combinations
    skipped: Combinations
    inprogress: Combinations
    done: Combinations
    failed: Combinations


def sweep_stats(stats: SweepStats) -> dict[str, dict[str, dict[Hashable, float]]]:
    """Return counts and ratios by state, factor and level: ``sweep_stats(sweeper.stats())["done"]["size"][10]``.

    The keys are execo's: ``"total"``, and for each state (``"remaining"``, ``"skipped"``, ``"inprogress"``,
    ``"done"``, and ``"failed"``) its number, and as ``"done_ratio"`` its part of the total. All levels are there,
    those with 0 too. A level that can't be the key of a dict, or that Python takes for another one (``True`` beside
    ``1``), stands there as its JSON text.
    """
    columns = {"total" if name == "sweeps" else name: combs for name, combs in stats._asdict().items()}
    keys = _Keys()
    listed = [(comb, [(factor, keys.key(factor, level)) for factor, level in comb.items()]) for comb in stats.sweeps]
    empty: dict[str, dict[Hashable, float]] = {}
    for _, levels in listed:
        for factor, key in levels:
            empty.setdefault(factor, {})[key] = 0
    found = {column: {factor: dict(levels) for factor, levels in empty.items()} for column in columns}
    for comb, levels in listed:
        for column, combs in columns.items():
            if comb in combs:
                for factor, key in levels:
                    found[column][factor][key] += 1
    for column in [name for name in columns if name != "total"]:
        found[f"{column}_ratio"] = {
            factor: {key: count / found["total"][factor][key] for key, count in levels.items()}
            for factor, levels in found[column].items()
        }
    return found


class _Keys:
    """One key of a dict for each level of a factor."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], Hashable] = {}
        self._taken: set[tuple[str, Hashable]] = set()

    def key(self, factor: str, level: Any) -> Hashable:
        try:
            text = canonical_json(level)
        except ValueError:  # a named level
            text = repr(level)
        if (factor, text) not in self._keys:
            key: Hashable = level
            try:
                if (factor, key) in self._taken:
                    key = text
            except TypeError:
                key = text
            self._taken.add((factor, key))
            self._keys[factor, text] = key
        return self._keys[factor, text]
