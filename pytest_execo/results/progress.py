"""How far a campaign, or a sweep of a script, has come: counts, rates, and who is at work. Nothing is changed by it.

The records are the truth, and the checkpoint store knows more: what was never run, what is claimed, who holds it. So
the store is asked where it can be opened, and the records decide where they are ahead of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from pytest_execo.errors import CheckpointError
from pytest_execo.sweeps.stores.snapshot import Snapshot, take_snapshot
from pytest_execo.sweeps.stores.store import Holder, State
from pytest_execo.sweeps.sweeper.place import STORE_FILE, campaign_of
from pytest_execo.units import iso_date

from .directories import CAMPAIGN_FILE, read_campaign
from .records import Record, read_records
from .tally import HOUR, LevelProgress, Spans, Tally, per_hour

__all__ = ("LevelProgress", "Progress", "campaign_progress", "is_sweep", "sweep_progress")

SCHEMA = "pytest-execo/status/1"

_STATES = {"passed": State.PASSED, "failed": State.FAILED, "skipped": State.SKIPPED, "pending": State.TODO}


@dataclass(frozen=True)
class Progress:
    """The state of a campaign or of a sweep at one moment."""

    place: str
    """The directory, or the URL without its password."""
    at: float
    """When it was looked at, in seconds since the epoch."""
    about: Mapping[str, Any]
    """What is known of the campaign: ``id``, ``testbed``, ``site``, ``sessions`` (a number). Empty for a sweep."""
    counts: Mapping[State, int]
    """The number of trials in each state; all the states are there. Claims of the dead are to do."""
    factors: Mapping[str, tuple[LevelProgress, ...]]
    """By factor, each level in the order in which it was planned."""
    tests: tuple[LevelProgress, ...]
    """The same by test function."""
    hourly: float | None
    """Attempts that ended per hour, in the last hour at work; ``None`` when none did."""
    overall: float | None
    """The same over all the time at work; ``None`` when no attempt ended."""
    left: float | None
    """Seconds until all is done at that rate; ``None`` when it can't be said, or when nobody is at work."""
    owners: tuple[Holder, ...]
    """Who holds claims, the dead too."""
    notes: tuple[str, ...] = field(default=())
    """What limits this picture, a line each: a checkpoint store that can't be opened."""

    @property
    def total(self) -> int:
        """The number of trials that are known."""
        return sum(self.counts.values())

    @property
    def unfinished(self) -> int:
        """How many are to do or being done."""
        return self.counts[State.TODO] + self.counts[State.CLAIMED]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON; the keys stay as they are in all versions of ``schema``."""
        return {
            "schema": SCHEMA,
            "place": self.place,
            "at": iso_date(self.at),
            "campaign": dict(self.about) or None,
            "total": self.total,
            "counts": _by_name(self.counts),
            "rate": {"last_hour": self.hourly, "overall": self.overall},
            "seconds_left": self.left,
            "owners": [
                {
                    "host": holder.owner.host,
                    "pid": holder.owner.pid,
                    "session": holder.owner.session,
                    "claims": holder.claims,
                    "heartbeat": iso_date(holder.heartbeat),
                    "dead": holder.dead,
                }
                for holder in self.owners
            ],
            "tests": [_level_json(level) for level in self.tests],
            "factors": {name: [_level_json(level) for level in levels] for name, levels in self.factors.items()},
            "notes": list(self.notes),
        }


def _level_json(level: LevelProgress) -> dict[str, Any]:
    return {"level": level.level, "total": level.total, "counts": _by_name(level.counts)}


def _by_name(counts: Mapping[State, int]) -> dict[str, int]:
    return {state.value: counts[state] for state in State}


def campaign_progress(
    directory: str | PathLike[str], *, checkpoint: str | None = None, now: float | None = None
) -> Progress:
    """Return how far the campaign in ``directory`` has come.

    :param checkpoint: the path or URL of its checkpoint store. Default: what its last session says. A store given
        here has to be there; the other one is done without, with a note.
    :param now: the date to measure from. Default: now.
    :raises CampaignError: the directory is no campaign's, or its records or the store can't be read.
    """
    path = Path(directory)
    campaign = read_campaign(path)
    moment = time.time() if now is None else now
    notes: list[str] = []
    place = checkpoint or _last_place(campaign)
    snapshot = None
    if place is not None:
        try:
            snapshot = take_snapshot(place, campaign["id"], moment)
        except CheckpointError as error:
            if checkpoint is not None:
                raise
            notes.append(f"counted from the records alone, as the checkpoint store can't be read: {error}")
    elif campaign["sessions"]:
        notes.append("counted from the records alone, as no session says where its checkpoint store is")
    tally = Tally()
    spans = Spans()
    last: dict[str, Record] = {}
    for record in read_records(path / "records") if (path / "records").is_dir() else ():
        spans.add(record)
        known = last.get(record["trial"])
        if known is None or (record["attempt"], record["ended_at"]) > (known["attempt"], known["ended_at"]):
            last[record["trial"]] = record
    for planned, state in () if snapshot is None else snapshot.trials:
        record = last.pop(planned.trial, {})
        ahead = record and record["attempt"] > state.attempt and state.state is not State.CLAIMED
        # What the store knows from records alone has no name there.
        params = json.loads(planned.params) if planned.test else record.get("params", {})
        tally.add(planned.test or record.get("test", ""), params, _STATES[record["outcome"]] if ahead else state.state)
    for record in last.values():
        tally.add(record["test"], record["params"], _STATES[record["outcome"]])
    holders = () if snapshot is None else snapshot.holders
    hourly, overall = spans.rates(moment, {holder.owner.session for holder in holders if not holder.dead})
    if snapshot is not None and snapshot.ended > spans.ended:
        # Other machines keep records of their own.
        hourly, overall = _snapshot_rates(snapshot, moment)
    about = {name: campaign[name] for name in ("id", "testbed", "site")} | {"sessions": len(campaign["sessions"])}
    return _progress(tally, str(path), moment, about, hourly, overall, snapshot, notes)


def sweep_progress(place: str | PathLike[str], *, name: str | None = None, now: float | None = None) -> Progress:
    """Return how far the sweep of a :class:`~pytest_execo.sweeps.ParamSweeper` has come.

    :param place: its directory, or the URL of its database.
    :param name: its name, in a database.
    :param now: the date to measure from. Default: now.
    :raises CampaignError: there is no sweep, or it can't be read.
    """
    moment = time.time() if now is None else now
    snapshot = take_snapshot(*campaign_of(place, name), moment)
    tally = Tally()
    for planned, known in snapshot.trials:
        tally.add("", json.loads(planned.params or "{}"), known.state)
    hourly, overall = _snapshot_rates(snapshot, moment)
    return _progress(tally, name or str(place), moment, {}, hourly, overall, snapshot, [])


def is_sweep(directory: Path) -> bool:
    """Whether a ``ParamSweeper`` works in this directory."""
    return (directory / STORE_FILE).is_file() and not (directory / CAMPAIGN_FILE).exists()


def _last_place(campaign: Mapping[str, Any]) -> str | None:
    for session in reversed(campaign["sessions"]):
        extra = session.get("extra")
        place = extra.get("checkpoint") if isinstance(extra, dict) else None
        if isinstance(place, str) and place:
            return place
    return None


def _progress(
    tally: Tally,
    place: str,
    now: float,
    about: Mapping[str, Any],
    hourly: float | None,
    overall: float | None,
    snapshot: Snapshot | None,
    notes: Iterable[str],
) -> Progress:
    owners = () if snapshot is None else snapshot.holders
    todo = tally.counts[State.TODO] + tally.counts[State.CLAIMED]
    rate = hourly or overall
    busy = any(not holder.dead for holder in owners)
    return Progress(
        place=place,
        at=now,
        about=about,
        counts=tally.counts,
        factors=tally.factors(),
        tests=tally.tests(),
        hourly=hourly,
        overall=overall,
        left=todo / rate * HOUR if rate and todo and busy else None,
        owners=owners,
        notes=tuple(notes),
    )


def _snapshot_rates(snapshot: Snapshot, now: float) -> tuple[float | None, float | None]:
    if not snapshot.ended or snapshot.first is None or snapshot.last is None:
        return None, None
    # While somebody is at work the clock runs; afterwards it stands at the last end.
    end = now if any(not holder.dead for holder in snapshot.holders) else snapshot.last
    return (
        per_hour(snapshot.ended_lately, now - max(snapshot.first, now - HOUR)),
        per_hour(snapshot.ended, end - snapshot.first),
    )
