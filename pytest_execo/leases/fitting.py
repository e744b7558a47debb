"""Which trial fits into what is left of a lease: as long as those before it took, as far as anybody knows."""

from __future__ import annotations

from dataclasses import dataclass

from ..units import format_duration
from .durations import Durations, Expected
from .holding import Holding

__all__ = ("Doing", "Fitting", "Ready")

# Leases that a trial has for itself before it is said to take longer than one: the first may have begun badly.
_WHOLE_LEASES = 2


@dataclass(frozen=True)
class Doing:
    """A trial, as far as leases go by it: which, and what takes as long as it does.

    :param params: the parameters as canonical JSON: repetitions take about as long as each other.
    """

    trial: str
    test: str
    params: str


@dataclass(frozen=True)
class Ready:
    """Whether a trial can begin.

    :param anew: not on these nodes: what stands on them has to end, and nodes to be taken again.
    :param lost: because nodes of them were lost: what stands on them can't end well.
    :param refused: not in this run, and why.
    """

    anew: bool = False
    lost: bool = False
    refused: str | None = None


class Fitting:
    """What has been learned of trials and leases in a run. Thread-safe."""

    def __init__(self) -> None:
        self.durations: Durations = Durations()
        #: Trials that had leases for themselves and were not done at their ends: how long those were, seconds.
        self._outgrown: dict[str, list[float]] = {}

    def expected(self, doing: Doing) -> Expected | None:
        """Return how long a trial will take."""
        return self.durations.expected(doing.test, doing.params)

    def done(self, doing: Doing, seconds: float) -> None:
        """A trial took so long."""
        self.durations.learn(doing.test, doing.params, seconds)
        self._outgrown.pop(doing.trial, None)

    def cut(self, doing: Doing, seconds: float, alone: float | None) -> None:
        """The end of its lease has cut off a trial after so long.

        :param alone: how long the lease was, when the trial had it for itself.
        """
        self.durations.cut(doing.test, doing.params, seconds)
        if alone is not None:
            self._outgrown.setdefault(doing.trial, []).append(alone)

    def hopeless(self, doing: Doing, walltime: float | None) -> str | None:
        """Return why a trial can't be done on any lease of so many seconds."""
        leases = self._outgrown.get(doing.trial, ())
        if len(leases) >= _WHOLE_LEASES:
            return f"a lease of {format_duration(max(leases))} was too short for it: ask for more walltime"
        expected = self.expected(doing)
        if walltime is not None and expected is not None and expected.exact and expected.seconds > walltime:
            return (
                f"takes about {format_duration(expected.seconds)}, and a lease lasts {format_duration(walltime)}: "
                "ask for more walltime"
            )
        return None

    def lacks(self, doing: Doing, holding: Holding) -> float | None:
        """Return how many seconds a trial needs that does not fit into what is left of a lease; ``None``: it fits."""
        left = holding.left
        if left is None:
            return None
        expected = self.expected(doing)
        seconds = 0.0 if expected is None else expected.seconds
        return None if left > 0 and seconds <= left else seconds
