"""The attempt at a trial that runs now, and what stands for the item after it while that is not known."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from ..engine.trial_of import TrialOf
from ..leases.fitting import Doing
from .outcomes import Verdict

if TYPE_CHECKING:
    from ..results import Trial

__all__ = ("Following", "Running")


class Running:
    """The attempt at a trial that runs now."""

    def __init__(self, identity: TrialOf, trial: Trial, failures: int) -> None:
        self.identity: TrialOf = identity
        self.trial: Trial = trial
        self.verdict: Verdict = Verdict()
        #: How often the trial had failed in this session before.
        self.failures: int = failures
        #: It has failed, and is to be run again.
        self.retried: bool = False
        #: Why it lost its nodes, when it did: no fault of the test.
        self.lost: str | None = None
        #: It has lost its nodes, and is to be run again on others.
        self.rebuilt: bool = False
        #: The names of the nodes it ran on.
        self.nodes: list[str] = []
        #: The id of the lease that they are of.
        self.lease: str | None = None
        #: Unix date of the beginning; of the moment when its nodes were there, if it had to wait for them.
        self.started_at: float = time.time()
        self._clock = time.monotonic()

    def begin_now(self) -> None:
        """The nodes are there: what was before was waiting."""
        self.started_at, self._clock = time.time(), time.monotonic()

    @property
    def duration(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._clock

    @property
    def again(self) -> bool:
        """Whether the same trial is run once more now."""
        return self.retried or self.rebuilt

    @property
    def doing(self) -> Doing:
        """The trial, as those see it who lend nodes."""
        return Doing(self.identity.id, self.identity.test, self.identity.params_json)


class Following:
    """Stands for the next item while it is not known whether that will be the same one again.

    In that case all fixtures but those of the function stay.
    """

    def __init__(self, run: Running, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        self._run = run
        self._item = item
        self._nextitem = nextitem

    def __bool__(self) -> bool:
        return self._run.again or self._nextitem is not None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._item if self._nextitem is None else self._nextitem, name)

    def listchain(self) -> list[Any]:
        """Return what is to stay set up, as pytest asks for it."""
        if self._run.again:
            return [*self._item.listchain()[:-1], self]
        return [] if self._nextitem is None else self._nextitem.listchain()
