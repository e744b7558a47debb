"""What this package is meant to reach, judged by the medians of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.process_control.targets import Target

__all__ = ("judge",)

#: (peer, size) → trials a second; ``None`` where it was not measured.
Rates = Callable[[str, int], float | None]

_OURS = ("ParamSweeper", "SqliteStore")
_TIMES, _AT = 20, 10_000
_FLAT, _FROM, _TO = 0.2, 1_000, 100_000


def judge(rates: Rates, sizes: Sequence[int]) -> Iterator[Target]:
    """Return the targets, each with what was measured of it."""
    for ours in _OURS:
        what = f"{ours} at {_AT:,} trials does at least {_TIMES} times as many a second as execo"
        mine, theirs = rates(ours, _AT), rates("execo", _AT)
        if mine and theirs:
            yield Target(what, f"{mine / theirs:.1f} times", mine / theirs >= _TIMES)
        else:
            yield Target(what, None, None, f"{ours} and execo at {_AT:,}")
    for ours in _OURS:
        what = f"{ours} is as fast at {_TO:,} trials as at {_FROM:,}, within {_FLAT:.0%} of the middle"
        known = [rate for size in sizes if _FROM <= size <= _TO and (rate := rates(ours, size))]
        if rates(ours, _FROM) and rates(ours, _TO):
            off = (max(known) - min(known)) / (max(known) + min(known))
            yield Target(what, f"± {off:.1%} ({min(known):,.0f} to {max(known):,.0f} a second)", off <= _FLAT)
        else:
            yield Target(what, None, None, f"{ours} at {_FROM:,} and {_TO:,}")
