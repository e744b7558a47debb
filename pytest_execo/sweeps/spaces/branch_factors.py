"""One factor in several branches of a space, with other levels in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..identity import canonical_json
from .factors import Factor
from .labels import level_labels
from .levels import Levels

__all__ = ("all_levels", "count_levels", "told_apart")


def all_levels(factors: Sequence[Factor]) -> Sequence[Any]:
    """Return the levels of a factor in all branches: of ``factors``, which have one name, each level once.

    Levels that are computed are never listed: with them, one that is in two branches comes twice.
    """
    if len(factors) == 1:
        return factors[0].levels
    if any(factor.keys is None for factor in factors):
        return _Joined([factor.levels for factor in factors])
    found = {factor.fragment(place): level for factor in factors for place, level in enumerate(factor.levels)}
    return tuple(found.values())


def count_levels(factors: Sequence[Factor]) -> int:
    """Return how many levels :func:`all_levels` has, exact at any size."""
    if len(factors) == 1 or any(factor.keys is None for factor in factors):
        return sum(factor.size for factor in factors)
    return len(all_levels(factors))


def told_apart(factors: Sequence[Factor]) -> dict[str, str]:
    """Return new labels, by fragment, for levels of one name in several branches that would read the same."""
    fragments: dict[str, dict[str, str]] = {}
    listed = [factor for factor in factors if factor.keys is not None]
    for factor in listed if len(listed) > 1 else ():
        for place in range(factor.size):
            fragments.setdefault(factor.label(place), {})[factor.fragment(place)] = canonical_json(factor.param(place))
    labels: dict[str, str] = {}
    for label, keys in fragments.items():
        if len(keys) > 1:
            name, _, text = label.partition(":")
            apart = level_labels([text] * len(keys), list(keys.values()))
            labels.update(zip(keys, [f"{name}:{one}" for one in apart], strict=True))
    return labels


class _Joined(Sequence[Any]):
    """Levels of one branch, then those of the next."""

    def __init__(self, parts: Sequence[Sequence[Any]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __getitem__(self, number: Any) -> Any:
        for part in self._parts:
            size = part.size if isinstance(part, Levels) else len(part)
            if 0 <= number < size:
                return part[number]
            number -= size
        raise IndexError("no such level")
