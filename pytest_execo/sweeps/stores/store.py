"""The contract of a checkpoint store: the states of trials, and who is at work on which.

The records on disk are the truth. A store is the cache that makes them fast and shareable: it may be lost at any
time and is rebuilt by reading the records again (:meth:`CheckpointStore.ingest`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from .owners import Owner

__all__ = ("STALE", "Attempt", "CheckpointStore", "Claim", "Holder", "Known", "Owner", "Planned", "State")

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
class Planned:
    """A trial that is to be done.

    :param trial: its id.
    :param test: the qualified name of its test.
    :param params: its parameters as canonical JSON.
    :param repetition: from 0.
    """

    trial: str
    test: str = ""
    params: str = "{}"
    repetition: int = 0


@dataclass(frozen=True)
class Attempt:
    """What a record says of an attempt at a trial.

    :param outcome: "passed", "failed", "skipped" or "pending".
    :param attempt: its number, from 1.
    :param ended_at: an RFC 3339 date in UTC with microseconds, so that text order is time order.
    :param reason: one line, why it did not pass.
    :param source: the digest of the test's source.
    :param session: the id of the session that made it.
    :param duration: seconds.
    """

    trial: str
    outcome: str
    attempt: int
    ended_at: str
    reason: str | None = None
    source: str | None = None
    session: str | None = None
    duration: float | None = None


@dataclass(frozen=True)
class Claim:
    """A trial that is ours to run.

    :param attempt: the number of this attempt.
    :param inherited: the dead owner it was taken over from. It may have written its record and not lived to note it
        here: read its records before the trial is run again.
    """

    trial: str
    attempt: int
    inherited: Owner | None = None


@dataclass(frozen=True)
class Known:
    """What is known of a trial.

    :param attempt: the number of the last finished attempt; 0 when there is none.
    :param source: the digest of the test's source at that attempt.
    :param failures: how many attempts have failed.
    """

    state: State = State.TODO
    attempt: int = 0
    source: str | None = None
    failures: int = 0


@dataclass(frozen=True)
class Holder:
    """An owner that has been at work on the campaign.

    :param heartbeat: Unix date of its last sign of life.
    :param claims: how many trials it holds.
    :param dead: whether it is known, or taken, to be dead.
    """

    owner: Owner
    heartbeat: float
    claims: int
    dead: bool


class CheckpointStore(ABC):
    """The states of the trials of one campaign, shared by all the processes that work on it.

    A trial that nobody holds is in the state of its last attempt: the highest number, then the latest end. A claim
    hides that state until it is finished, released, or its owner dies: its process is gone, or, on another machine,
    its last heartbeat is older than :data:`STALE`.

    Safe to use from several threads; every method is atomic among processes. All raise
    :exc:`~pytest_execo.errors.CheckpointError` when the store can't be used.
    """

    @property
    @abstractmethod
    def where(self) -> str:
        """Where it is, for people and for ``campaign.json``: a path, or a URL without its password."""

    @abstractmethod
    def plan(self, trials: Iterable[Planned]) -> None:
        """Add the trials that are not known so far, to do, in order. Those known keep place and state."""

    @abstractmethod
    def claim(self, owner: Owner, trial: str | None = None) -> Claim | None:
        """Take this trial, or the first one to do in the order of the plans of all sessions.

        ``None``: it is done, or a living owner holds it (``owner`` itself too), or nothing is left to do. A claim
        whose owner is dead is taken over. It counts as a heartbeat.
        """

    @abstractmethod
    def heartbeat(self, owner: Owner) -> None:
        """Say that the owner lives. Every 10 to 20 s is right, see :data:`STALE`."""

    @abstractmethod
    def finish(self, owner: Owner, attempt: Attempt) -> bool:
        """Note how an attempt ended, and end the claim. Call it after the record was written.

        The outcome counts even when the claim was lost meanwhile: it happened, and it is in the records. Then the
        new owner keeps its claim, and the answer is False.
        """

    @abstractmethod
    def release(self, owner: Owner, trial: str | None = None) -> int:
        """Give back this claim of the owner, or all of them; return how many there were."""

    @abstractmethod
    def reopen(self, trials: Iterable[str]) -> None:
        """Make finished trials to do again. Claims stay with their owners; the numbering of attempts goes on."""

    @abstractmethod
    def look(self, trials: Iterable[str]) -> dict[str, Known]:
        """Return what is known of each of these trials; of one that is not known, that it is to do."""

    @abstractmethod
    def attempts(self, trial: str) -> list[Attempt]:
        """Return the finished attempts at a trial, in order."""

    @abstractmethod
    def retries(self) -> int:
        """Return how many failed attempts of the campaign were followed by another one."""

    @abstractmethod
    def durations(self, limit: int = 5000) -> list[tuple[str, str, float]]:
        """Return how long the latest trials with an outcome took: test, parameters, seconds; oldest first."""

    @abstractmethod
    def stats(self) -> dict[State, int]:
        """Return how many trials are in each state; all the states are there."""

    @abstractmethod
    def trials(self) -> Iterator[tuple[Planned, Known]]:
        """Return all trials with what is known of them, in the order of the plans."""

    @abstractmethod
    def holders(self) -> list[Holder]:
        """Return who holds claims, or gave a sign of life since :data:`STALE`."""

    @abstractmethod
    def ended(self, since: str = "") -> int:
        """Return how many attempts ended with an outcome (pending is none) at a date or later."""

    @abstractmethod
    def ingest(self, attempts: Iterable[Attempt], *, source: str, position: int) -> None:
        """Take over attempts from a record file, and remember that it was read up to ``position``, all at once.

        In any order and any number of times: an attempt that is known changes nothing.
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
