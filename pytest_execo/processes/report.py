"""How actions stand, counted: live, as a tree, as text and as JSON."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import InvalidInput
from ..units import format_duration
from .action import Action
from .activity import Activity
from .composition import Composition
from .process import Process

__all__ = ("Report",)

_NAME_WIDTH = 20


def _is_bad_exit(leaf: Activity) -> bool:
    """Whether a process ended by itself and not well. An error is none, and what was killed is none either."""
    if not isinstance(leaf, Process) or leaf.killed or leaf.timed_out:
        return False
    return leaf.exit_code not in (0, None) or leaf.signal is not None


_COUNTERS: dict[str, Callable[[Activity], bool]] = {
    "total": lambda leaf: True,
    "started": lambda leaf: leaf.started,
    "ended": lambda leaf: leaf.ended,
    "errors": lambda leaf: leaf.error is not None,
    "timeouts": lambda leaf: leaf.timed_out,
    "forced_kills": lambda leaf: isinstance(leaf, Process) and leaf.forced_kill,
    "non_zero_exits": _is_bad_exit,
    "expect_failures": lambda leaf: isinstance(leaf, Process) and leaf.expect_failed,
    "write_errors": lambda leaf: isinstance(leaf, Process) and leaf.write_failed,
    "ok": lambda leaf: leaf.ok,
    "finished_ok": lambda leaf: leaf.ended and leaf.ok,
}

# The paper's columns. A heading is as wide as what stands below it: up to five digits, or all that there may be.
_HEADINGS = {
    "started": "started",
    "ended": "ended",
    "errors": "errors",
    "timeouts": "timeouts",
    "fkills": "forced_kills",
    "exits≠0": "non_zero_exits",
    "   ok": "ok",
    "total": "total",
}


class Report:
    """What became of actions. It counts their processes and copies at the moment when it is read.

    ::

        report = Report(deployment, benchmark, name="trial 12")
        print(report)

    :param actions: processes, copies, groups, compositions and other reports; an action counts once in a report.
    :param name: what its line is called.
    """

    def __init__(self, *actions: Action | Report, name: str = "total") -> None:
        self.name: str = name
        self._entries: list[Action | Report] = []
        for action in actions:
            self.add(action)

    def add(self, action: Action | Report) -> None:
        """Count ``action`` too, before, while or after it runs. A second time changes nothing.

        :raises InvalidInput: when it is a report that has this one in it.
        """
        if isinstance(action, Report) and self in action._reports():
            raise InvalidInput(f"report {self.name!r}: {action.name!r} has it in it already")
        if not any(action is entry for entry in self._entries):
            self._entries.append(action)

    def _reports(self) -> list[Report]:
        return [self, *(r for entry in self._entries if isinstance(entry, Report) for r in entry._reports())]

    @property
    def processes(self) -> list[Activity]:
        """All the processes and file copies in it, in order, each once."""
        return list({id(leaf): leaf for entry in self._entries for leaf in entry.processes}.values())

    def _count(self, counter: str) -> int:
        counts = _COUNTERS[counter]
        return sum(counts(leaf) for leaf in self.processes)

    @property
    def total(self) -> int:
        """How many there are."""
        return self._count("total")

    @property
    def started(self) -> int:
        """How many were asked to start."""
        return self._count("started")

    @property
    def ended(self) -> int:
        """How many have ended."""
        return self._count("ended")

    @property
    def errors(self) -> int:
        """How many did not start, were lost, or not copied."""
        return self._count("errors")

    @property
    def timeouts(self) -> int:
        """How many were ended by their ``timeout``."""
        return self._count("timeouts")

    @property
    def forced_kills(self) -> int:
        """How many needed SIGKILL."""
        return self._count("forced_kills")

    @property
    def non_zero_exits(self) -> int:
        """How many ended by themselves with another exit code than 0, or by a signal that nobody here sent."""
        return self._count("non_zero_exits")

    @property
    def expect_failures(self) -> int:
        """How many did not say what was expected."""
        return self._count("expect_failures")

    @property
    def write_errors(self) -> int:
        """How many could not be written to."""
        return self._count("write_errors")

    @property
    def ok(self) -> int:
        """How many are ok; what was not started, still runs, or was killed on purpose, is."""
        return self._count("ok")

    @property
    def finished_ok(self) -> int:
        """How many have ended and are ok."""
        return self._count("finished_ok")

    @property
    def start_date(self) -> float | None:
        """Unix date of the first start."""
        return min((e.start_date for e in self._entries if e.start_date is not None), default=None)

    @property
    def end_date(self) -> float | None:
        """Unix date of the last end; ``None`` while anything in it has not ended."""
        dates = [entry.end_date for entry in self._entries]
        return None if None in dates or not dates else max(date for date in dates if date is not None)

    @property
    def duration(self) -> float | None:
        """Seconds from the first start to the last end, or to now; ``None`` before the start."""
        start, end = self.start_date, self.end_date
        return None if start is None else (time.time() if end is None else end) - start

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it: dates, counters, outcomes, and the same for each part (``parts``).

        Parts are reports, compositions, groups, and processes that are in no group.
        """
        return _row(self)

    def __str__(self) -> str:
        """Return a table of at most 120 columns with a line for each level. Dates are local, lengths rounded."""
        head = f"{'name':{_NAME_WIDTH}} {'start':>14} {'end':>14} {'length':>11} {' '.join(_HEADINGS)}"
        return "\n".join([head, *_lines(self.to_dict(), 0)])

    def __repr__(self) -> str:
        return f"<Report {self.name!r}: {self.finished_ok} of {self.total} finished ok>"


def _parts(node: Action | Report) -> Sequence[Action | Report]:
    if isinstance(node, Report):
        return node._entries
    return node.actions if isinstance(node, Composition) else ()


def _row(node: Action | Report) -> dict[str, Any]:
    leaves = node.processes
    return {
        "name": node.name,
        "host": node.host.name if isinstance(node, Activity) and node.host is not None else None,
        "start_date": node.start_date,
        "end_date": node.end_date,
        "duration": node.duration,
        **{counter: sum(map(counts, leaves)) for counter, counts in _COUNTERS.items()},
        "outcomes": dict(collections.Counter(leaf.outcome() for leaf in leaves)),
        "parts": [_row(part) for part in _parts(node)],
    }


def _lines(row: dict[str, Any], depth: int) -> Iterator[str]:
    # Beyond five levels the indentation would leave no room for the name.
    name = "  " * min(depth, 5) + " ".join(row["name"].split()) + (f" on {row['host']}" if row["host"] else "")
    if len(name) > _NAME_WIDTH:
        name = f"{name[: _NAME_WIDTH - 1]}…"
    length = "-" if row["duration"] is None else format_duration(row["duration"])
    counts = " ".join(f"{row[counter]:{len(heading)}}" for heading, counter in _HEADINGS.items())
    yield f"{name:{_NAME_WIDTH}} {_date(row['start_date']):>14} {_date(row['end_date']):>14} {length:>11} {counts}"
    for part in row["parts"]:
        yield from _lines(part, depth + 1)


def _date(date: float | None) -> str:
    return "-" if date is None else time.strftime("%m-%d %H:%M:%S", time.localtime(date))
