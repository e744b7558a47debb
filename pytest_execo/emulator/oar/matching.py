"""Which resources a request gets out of those that are free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .grammar import ALL, BEST, BESTHALF, Group, Level
from .sql import BadProperties, select
from .table import Table

__all__ = ("Need", "Pattern", "Patterns")


@dataclass(frozen=True)
class _Block:
    """Resources that have one value of a level's property, and the blocks of the level below."""

    mask: int
    inner: tuple[_Block, ...]


class Pattern:
    """One group of a request on one table: its blocks are made once, and filled as often as the scheduler tries."""

    def __init__(self, table: Table, mask: int, levels: Sequence[Level]) -> None:
        self.mask: int = mask
        self._levels = tuple(levels)
        self._counts = tuple(level.count for level in levels)
        columns = [_column(table, level.name) for level in levels]
        self._blocks = _blocks(mask, columns)

    def take(self, free: int, usable: int) -> int | None:
        """Return resources that satisfy the group; ``None``: there are not enough.

        :param free: what may be taken.
        :param usable: what exists at this time: a node is free when all of it that exists is.
        """
        return _take(self._blocks, self._counts, free, usable)

    def least(self) -> int:
        """Return the number of resources that it takes at least: with less nobody has to look closer."""
        return _least(self._blocks, self._levels)


class Need:
    """All groups of one alternative of a request."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = tuple(patterns)
        self.mask: int = 0
        for pattern in patterns:
            self.mask |= pattern.mask
        self.least: int = sum(pattern.least() for pattern in patterns)
        # A broad group may take what only a narrow one can do with: when the order that was given fails, narrow first.
        self._orders = [self._patterns]
        narrow = tuple(sorted(self._patterns, key=lambda pattern: pattern.mask.bit_count()))
        if narrow != self._patterns:
            self._orders.append(narrow)

    def take(self, free: int, usable: int, *, rather: int = -1) -> int | None:
        """Return resources for all groups; ``None``: they do not fit.

        :param rather: take them from here if that is possible.
        """
        if rather != -1 and free & rather != free:
            chosen = self._fill(free & rather, usable)
            if chosen is not None:
                return chosen
        return self._fill(free, usable)

    def _fill(self, free: int, usable: int) -> int | None:
        for order in self._orders:
            chosen = 0
            for pattern in order:
                part = pattern.take(free & ~chosen & pattern.mask, usable & pattern.mask)
                if part is None:
                    break
                chosen |= part
            else:
                return chosen
        return None


class Patterns:
    """Patterns by text: users ask for the same again and again."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._masks: dict[str, int] = {}
        self._known: dict[tuple[int, tuple[Level, ...]], Pattern] = {}

    def mask(self, sql: str) -> int:
        """Return the resources of a condition. :raises BadProperties: when it can't be read."""
        if "state" in sql.lower() or "available_upto" in sql.lower():
            return select(self._table, sql)  # what changes is not kept
        if sql not in self._masks:
            if len(self._masks) > 1000:
                self._masks.clear()
            self._masks[sql] = select(self._table, sql)
        return self._masks[sql]

    def need(self, groups: Sequence[Group], scope: int) -> Need:
        """Return what groups need, within a set of resources.

        :raises BadProperties: when a condition can't be read, or a level is no property.
        """
        return Need([self._pattern(group, scope) for group in groups])

    def _pattern(self, group: Group, scope: int) -> Pattern:
        key = (self.mask(group.sql) & scope, group.levels)
        if key not in self._known:
            if len(self._known) > 200:
                self._known.clear()
            self._known[key] = Pattern(self._table, *key)
        return self._known[key]


def _column(table: Table, name: str) -> list[int]:
    try:
        # No value, no block: disks are on no network address.
        return [mask for value, mask in table.column(name).items() if value != ""]
    except KeyError:
        raise BadProperties(f'column "{name}" does not exist') from None


def _blocks(mask: int, columns: Sequence[Sequence[int]]) -> tuple[_Block, ...]:
    if not columns:
        return ()
    parts = (column & mask for column in columns[0])
    return tuple(_Block(part, _blocks(part, columns[1:])) for part in parts if part)


def _take(blocks: Sequence[_Block], counts: Sequence[int], free: int, usable: int) -> int | None:
    count = counts[0]
    most = count if count >= 0 else len(blocks)
    chosen = taken = existing = 0
    for block in blocks:
        if 0 <= count <= taken:
            break
        there = block.mask & usable
        if not there:
            continue
        existing += 1
        if len(counts) > 1:
            part = _take(block.inner, counts[1:], free & block.mask, there)
        else:
            part = there if there & free == there else None
        if part is not None:
            chosen |= part
            taken += 1
            if taken == most and count != BESTHALF:
                break
    if count == ALL:
        return chosen if existing and taken == existing else None
    if count == BEST:
        return chosen if taken else None
    if count == BESTHALF:
        return _take(blocks, (max(1, taken // 2), *counts[1:]), free, usable) if taken else None
    return chosen if taken == count else None


def _least(blocks: Sequence[_Block], levels: Sequence[Level]) -> int:
    count = levels[0].count if levels[0].count >= 0 else 1
    if len(levels) > 1:
        sizes = sorted(_least(block.inner, levels[1:]) for block in blocks)
    elif levels[0].name == "host":  # alive or not as a whole
        sizes = sorted(block.mask.bit_count() for block in blocks)
    else:  # a part of the block may not exist at the moment
        return count
    return sum(sizes[:count])
