"""The contract of a checkpoint store: the states of trials, and who is at work on which.

The records on disk are the truth. A store is the cache that makes them fast and shareable: it may be lost at any
time and is rebuilt by reading the records again (:meth:`CheckpointStore.ingest`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from .owners import Owner

__all__ = ("STALE", "Attempt", "CheckpointStore", "Owner", "State")

STALE = 60.0
"""Seconds without a heartbeat after which an owner on another host is taken for dead: several missed beats, less
than the time a testbed takes to give nodes again."""

_Store = TypeVar("_Store", bound="CheckpointStore")


class State(Enum):
    """The state of a trial. A *pending* attempt (the environment failed, not the test) leaves it to do."""

    TODO = "todo"
    CLAIMED = "claimed"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Attempt:
    """What a record says of a trial: its ``outcome`` ("passed", "failed", "skipped" or "pending") at an attempt.

    ``attempt`` counts from 1; ``ended_at`` is an RFC 3339 date in UTC with microseconds, so that text order is time
    order.
    """

    trial: str
    outcome: str
    attempt: int
    ended_at: str


class CheckpointStore(ABC):
    """The states of the trials of one campaign, shared by all the processes that work on it.

    A trial that nobody holds is in the state of its last attempt: the highest number, then the latest end. A claim
    hides that state until it is finished, released, or its owner dies: its process is gone, or, on another host,
    its last heartbeat is older than :data:`STALE`.

    Safe to use from several threads; every method is atomic among processes. All raise
    :exc:`~pytest_execo.errors.CheckpointError` when the store can't be used.
    """

    @abstractmethod
    def plan(self, trials: Iterable[str]) -> None:
        """Add the trials that are not known so far, to do, in order. Those known keep place and state."""

    @abstractmethod
    def claim(self, owner: Owner, trial: str | None = None) -> str | None:
        """Take this trial, or the first one to do in the order of the plans of all sessions, and return it.

        ``None``: it is done, or a living owner holds it (``owner`` itself too), or nothing is left to do. A claim
        whose owner is dead is taken over. It counts as a heartbeat.
        """

    @abstractmethod
    def heartbeat(self, owner: Owner) -> None:
        """Say that the owner lives. Every 10 to 20 s is right, see :data:`STALE`."""

    @abstractmethod
    def finish(self, trial: str, owner: Owner, outcome: str, attempt: int, *, ended_at: str | None = None) -> bool:
        """Note the outcome of an attempt and end the claim. Call it after the record was written.

        The outcome counts even when the claim was lost meanwhile: it happened, and it is in the records. Then the
        new owner keeps its claim, and the answer is False.

        :param outcome: ``"passed"``, ``"failed"``, ``"skipped"`` or ``"pending"``.
        :param attempt: its number, from 1.
        :param ended_at: as in the record. Default: now.
        """

    @abstractmethod
    def release(self, owner: Owner) -> int:
        """Give back all the claims of the owner; return how many there were."""

    @abstractmethod
    def reopen(self, trials: Iterable[str]) -> None:
        """Make finished trials to do again. Claims stay with their owners; the numbering of attempts goes on."""

    @abstractmethod
    def states(self, trials: Iterable[str]) -> dict[str, State]:
        """Return the state of each of these trials; one that is not known is to do."""

    @abstractmethod
    def attempts(self, trial: str) -> int:
        """Return the number of the last finished attempt, 0 when there is none: the next one is this plus one."""

    @abstractmethod
    def stats(self) -> dict[State, int]:
        """Return how many trials are in each state; all the states are there."""

    @abstractmethod
    def ingest(self, attempts: Iterable[Attempt], *, source: str, position: int) -> None:
        """Take over attempts from a record file, and remember that it was read up to ``position``, all at once.

        In any order and any number of times: an attempt that is not newer than the last one known changes nothing.
        """

    @abstractmethod
    def positions(self) -> dict[str, int]:
        """Return how far each record file was read, in bytes."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the store; its claims stay until they are released or the process ends. Idempotent."""

    def __enter__(self: _Store) -> _Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
