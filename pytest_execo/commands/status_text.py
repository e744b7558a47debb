"""The state of a campaign as lines of at most 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..sweeps.stores.store import State
from ..units import format_duration, iso_date
from .printing import safe

if TYPE_CHECKING:
    from ..results.progress import LevelProgress, Progress

__all__ = ("status_lines", "status_summary")

_WIDTH = 80
_STATES = (State.PASSED, State.FAILED, State.SKIPPED, State.CLAIMED, State.TODO)
_NUMBERS = ("total", *(state.value for state in _STATES), "done")
_COLUMN = 8
_MANY = 20


def status_lines(progress: Progress, by: Sequence[str] = ()) -> list[str]:
    """Return a picture of all: counts, rate, owners, and a table for each factor.

    :param by: only these factors, with all their levels. Default: all factors, those of many levels in one line.
    """
    lines = [_title(progress), _counts(progress), _rate(progress)]
    lines += [f"note: {safe(note)}" for note in progress.notes]
    if progress.owners:
        lines += ["", *_owners(progress)]
    if not by and len(progress.tests) > 1:
        lines += ["", *_table("test", progress.tests)]
    for name in by or progress.factors:
        levels = progress.factors[name]
        if not by and len(levels) > _MANY:
            lines += ["", f"{safe(name)}: {len(levels)} levels; --by {safe(name)} counts by each of them"]
        else:
            lines += ["", *_table(name, levels)]
    return lines


def status_summary(progress: Progress) -> str:
    """Return one line, with the time: for a log."""
    rate = f"; {_rate(progress)}" if progress.unfinished else ""
    return f"{iso_date(progress.at)[:19]}Z {_counts(progress)}{rate}"


def _title(progress: Progress) -> str:
    about = progress.about
    if not about:
        return safe(progress.place)
    sessions = about["sessions"]
    return safe(
        f"{progress.place}: site {about['site']} ({about['testbed']}), {sessions} session{'' if sessions == 1 else 's'}"
    )


def _counts(progress: Progress) -> str:
    parts = [f"{progress.counts[state]} {state.value}" for state in _STATES if progress.counts[state]]
    return f"{progress.total} trials: {', '.join(parts) or 'none'}; {_done(progress.counts)} done"


def _rate(progress: Progress) -> str:
    if progress.overall is None:
        rate = "no trial has ended"
    else:
        hourly = "" if progress.hourly is None else f"{_number(progress.hourly)} trials/h in the last hour, "
        rate = f"{hourly}{_number(progress.overall)} trials/h over all"
    if not progress.unfinished:
        return rate
    if progress.left is not None:
        return f"{rate}; {format_duration(progress.left)} left"
    busy = any(not holder.dead for holder in progress.owners)
    return rate if busy else f"{rate}; nobody is at work"


def _owners(progress: Progress) -> list[str]:
    lines = [f"{'owner':<22}{'pid':>9}  {'session':<28}{'claims':>7}{'heartbeat':>12}"]
    for holder in progress.owners:
        owner = holder.owner
        age = "dead" if holder.dead else f"{_age(progress.at - holder.heartbeat)} ago"
        lines.append(
            f"{_cell(owner.host, 21):<22}{owner.pid:>9}  {_cell(owner.session, 27):<28}{holder.claims:>7}{age:>12}"
        )
    return lines


def _age(seconds: float) -> str:
    """Return a short text in one unit: ``12 s``, ``3 min``, ``2 h``, ``5 d``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def _table(name: str, levels: Sequence[LevelProgress]) -> list[str]:
    width = _WIDTH - _COLUMN * len(_NUMBERS)
    lines = [f"{_cell(name, width - 1):<{width}}" + "".join(f"{title:>{_COLUMN}}" for title in _NUMBERS)]
    for level in levels:
        numbers = [level.total, *(level.counts[state] for state in _STATES)]
        cells = [*map(str, numbers), _done(level.counts)]
        lines.append(f"{_cell(level.level, width - 1):<{width}}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells))
    return lines


def _done(counts: Mapping[State, int]) -> str:
    total = sum(counts.values())
    finished = total - counts[State.TODO] - counts[State.CLAIMED]
    # Rounded down: 100 % is all.
    return f"{100 * finished // total if total else 0} %"


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _cell(text: str, width: int) -> str:
    shown = safe(text) or '""'
    return shown if len(shown) <= width else f"{shown[: width - 2]}.."
