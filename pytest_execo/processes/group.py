"""Many activities as one: they start together, and have the verbs of one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, Self, TypeVar, overload

from ..hosts import Host
from .action import Action
from .activity import Activity
from .io_thread import io_thread
from .scopes import Scope

__all__ = ("Group",)

A = TypeVar("A", bound=Activity)


class Group(Action, Sequence[A], Generic[A]):
    """Activities that start together. A sequence of them, in the order of the hosts.

    It ends when the last of them has ended; each is killed, timed and judged by itself.
    """

    def __init__(self, activities: Iterable[A], *, name: str) -> None:
        super().__init__(name)
        self._activities = list(activities)
        # Of the I/O thread: how many have not ended, once somebody wants to know.
        self._left: int | None = None

    def kill(self, *, wait: bool = True) -> Self:
        """Kill all that run."""
        for activity in self._activities:
            activity.kill(wait=False)
        return self._killed() if wait else self

    def _killed(self) -> Self:
        if self._waits_for_us():
            return self
        for activity in self._activities:
            if activity.started:  # not "running": one that has just ended may still be telling its end
                activity.wait()
        return self

    # verdict

    @property
    def processes(self) -> list[A]:
        """The processes (or copies), in order."""
        return self._activities

    @property
    def started(self) -> bool:
        """Whether each was asked to start."""
        return all(activity.started for activity in self._activities)

    @property
    def ended(self) -> bool:
        """Whether each has ended."""
        return all(activity.ended for activity in self._activities)

    @property
    def failed(self) -> list[A]:
        """Those that are not ok."""
        return [activity for activity in self._activities if not activity.ok]

    @property
    def start_date(self) -> float | None:
        """Unix date of the first start."""
        return min((a.start_date for a in self._activities if a.start_date is not None), default=None)

    @property
    def end_date(self) -> float | None:
        """Unix date of the last end; ``None`` while any runs."""
        dates = [a.end_date for a in self._activities]
        return None if None in dates or not dates else max(d for d in dates if d is not None)

    def by_host(self) -> dict[Host | None, list[A]]:
        """Return them by host, in order; a host that is there twice has two. ``None`` is this machine."""
        found: dict[Host | None, list[A]] = {}
        for activity in self._activities:
            found.setdefault(activity.host, []).append(activity)
        return found

    def by_outcome(self) -> dict[str, list[A]]:
        """Return them by :meth:`~Activity.outcome`: ``group.by_outcome().get("unreachable", [])``."""
        found: dict[str, list[A]] = {}
        for activity in self._activities:
            found.setdefault(activity.outcome(), []).append(activity)
        return found

    # a sequence

    def __len__(self) -> int:
        return len(self._activities)

    def __iter__(self) -> Iterator[A]:
        return iter(self._activities)

    @overload
    def __getitem__(self, index: int) -> A: ...
    @overload
    def __getitem__(self, index: slice) -> list[A]: ...
    def __getitem__(self, index: int | slice) -> A | list[A]:
        return self._activities[index]

    # all of them in one call of the I/O thread: each costs it a wake-up

    def _enlist(self, scope: Scope) -> bool:
        self._pid = os.getpid()
        enlisted = [activity._enlist(scope) for activity in self._activities]
        return any(enlisted)

    def _begin(self) -> None:
        self._count()
        for activity in self._activities:
            activity._begin()

    def _count(self) -> None:
        if self._left is None:
            self._left = len(self._activities)
            for activity in self._activities:
                activity._watch(self._one_ended)
            if not self._activities:
                self._tell_end()

    def _one_ended(self, _: Activity) -> None:
        assert self._left is not None
        self._left -= 1
        if self._left == 0:
            self._tell_end()

    def _watch(self, callback: Any) -> None:
        self._count()
        super()._watch(callback)

    def _follow(self) -> None:
        if self._left is None:
            io_thread().call(self._count)

    def _fresh(self) -> bool:
        return all(activity._fresh() for activity in self._activities)

    def _parts(self) -> Sequence[Action]:
        return self._activities

    def _standing(self) -> str:
        return f"{sum(not activity.ended for activity in self._activities)} of {len(self)} still running"
