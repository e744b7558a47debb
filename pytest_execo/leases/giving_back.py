"""What was left behind is given back: found by its lease file, undone by its testbed, and the file removed.

Safe to do twice at once, and beside a run that goes on: what a living process holds is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import InvalidRequest
from ..nearest import nearest
from ..testbeds.registry import open_testbed
from .entries import Entry, State
from .files import LeaseBook

__all__ = ("Outcome", "choose", "give_back")

#: The value of an option that was not written down, for testbeds that will not be made without one.
WITHHELD = "withheld"


@dataclass(frozen=True)
class Outcome:
    """What has become of an entry.

    :param lines: one for each thing given back.
    :param problem: why something could not be; ``None``: all was, and the file is removed.
    """

    entry: Entry
    lines: tuple[str, ...] = ()
    problem: str | None = None


def choose(
    entries: Sequence[Entry],
    ids: Sequence[str] = (),
    *,
    everything: bool = False,
    older_than: float | None = None,
) -> list[Entry]:
    """Choose the entries to give back: those of dead processes, unless others are asked for.

    :param ids: these, kept ones included. One that is not there is no error: it may have been given back before.
    :param everything: all that no living process holds.
    :param older_than: only those whose request is so many seconds old.
    :raises InvalidRequest: for an id that is none, or is held by a living process; nothing is to be given back then.
    """
    if ids:
        chosen = [entry for entry in entries if entry.id in ids]
        known = [entry.id for entry in entries]
        for word in ids:
            if word not in known and not _looks_like_an_id(word):
                raise InvalidRequest(f"{word}: no such lease{nearest(word, known)}")
        for entry in chosen:
            if entry.state == "held":
                raise InvalidRequest(_held(entry))
    else:
        states: tuple[State, ...] = ("abandoned", "kept", "elsewhere") if everything else ("abandoned",)
        chosen = [entry for entry in entries if entry.state in states]
    if older_than is not None:
        chosen = [entry for entry in chosen if entry.created_at <= time.time() - older_than]
    return chosen


def give_back(book: LeaseBook, entry: Entry, options: Mapping[str, str] | None = None) -> Outcome | None:
    """Have the testbed undo what the entry tells of, and remove the file when nothing is left.

    ``None``: it has gone meanwhile, by somebody else's hand.

    :param options: of the testbed, in addition to those in the file: secrets are not in there.
    """
    try:
        with book.claimed(entry) as now:
            if now is None:
                return None
            if now.fault is not None:
                return Outcome(now, (), f"{now.path} can't be read: {now.fault}; look at it, and remove it by hand")
            if now.state == "held":
                return Outcome(now, (), _held(now))
            if (holder := _sharer(book, now)) is not None:
                return Outcome(now, (), f"{now.id}: shares its lease with {_held(holder)}")
            lines = _reclaimed(now, options or {}) if now.remains else []
            book.remove(now)
            return Outcome(now, tuple(lines))
    except BlockingIOError:
        return Outcome(entry, ("another pytest-execo release is giving it back",))
    except Exception as error:  # a testbed of somebody else's too: the other leases have to be given back all the same
        notes = getattr(error, "__notes__", ())
        first = (str(error).splitlines() or [""])[0] or type(error).__name__
        return Outcome(entry, (), "; ".join([first, *notes]))


def _reclaimed(entry: Entry, options: Mapping[str, str]) -> list[str]:
    assert entry.remains is not None
    given = {**dict.fromkeys(entry.withheld, WITHHELD), **entry.options, **options}
    testbed = open_testbed(entry.site, entry.testbed, options=given)
    try:
        return list(testbed.reclaim(entry.remains))
    finally:
        testbed.close()


def _sharer(book: LeaseBook, entry: Entry) -> Entry | None:
    """Return a lease that is held and is a part of the same one."""
    if not entry.remains:
        return None
    others = (other for other in book.entries() if other.state == "held" and other.id != entry.id)
    return next((other for other in others if other.remains == entry.remains), None)


def _held(entry: Entry) -> str:
    assert entry.owner is not None
    return f"{entry.id}: held by process {entry.owner.pid}, which runs; end that one, it gives its nodes back"


def _looks_like_an_id(word: str) -> bool:
    date, dash, rest = word.partition("-")
    return bool(dash) and len(date) == 15 and date[:8].isdigit() and len(rest) == 4
