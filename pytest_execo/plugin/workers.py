"""In a pytest-xdist worker: the experiment, as far as a worker may know it. The controller answers."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from ..engine.experiment import Selection, Workload
from ..engine.recording import Past, Refusal, Result
from ..engine.settings import Settings
from ..engine.trial_of import TrialOf
from ..errors import LeaseLost
from ..hosts import Hosts
from ..leases.fitting import Doing, Ready
from ..leases.holder import Lender
from ..sweeps import Planned
from ..testbeds import Lease, Plan, Request
from . import settings
from .broker import Line

if TYPE_CHECKING:
    from ..results import Campaign

__all__ = ("RemoteExperiment", "RemoteLease", "RemoteLender")


class RemoteLease(Lease):
    """A lease that the controller holds. Its nodes are described here: they can be used, and not be tampered with."""

    def __init__(self, lender: RemoteLender, request: Request, name: str, nodes: Hosts, end: float | None) -> None:
        self._lender = lender
        self._request = request
        self.id: str = name
        self.nodes: Hosts = nodes
        self.end: float | None = end

    def alive(self) -> bool:
        """Tell whether the nodes are still ours."""
        return self._lender.lost(self._request) is None

    def measured(self, metrics: Sequence[str], start: float, end: float) -> Mapping[str, Mapping[str, Any]]:
        """See :meth:`Lease.measured`."""
        return self._lender.measured(self._request, metrics, start, end)

    def release(self) -> None:
        """Say that nothing here stands on the nodes any more; the controller gives them back."""
        self._lender.give_back(self._request)


class RemoteLender:
    """A :class:`~pytest_execo.leases.holder.Lender` that asks the controller; the holder is this worker."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def _ask(self, what: str, *arguments: object) -> Any:
        return self._line.ask("leases", what, arguments)

    def broken(self, request: Request) -> str | None:
        """See :class:`Lender`."""
        return self._ask("broken", request)  # type: ignore[no-any-return]

    def take(self, request: Request) -> Lease:
        """See :class:`Lender`."""
        return RemoteLease(self, request, *self._ask("take", request))

    def ready(self, request: Request, doing: Doing) -> Ready:
        """See :class:`Lender`."""
        return self._ask("ready", request, doing)  # type: ignore[no-any-return]

    def lost(self, request: Request) -> LeaseLost | None:
        """See :class:`Lender`."""
        return self._ask("lost", request)  # type: ignore[no-any-return]

    def examine(self, request: Request) -> str | None:
        """See :class:`Lender`."""
        return self._ask("examine", request)  # type: ignore[no-any-return]

    def off_on_purpose(self, request: Request) -> frozenset[str]:
        """See :class:`Lender`."""
        return self._ask("off_on_purpose", request)  # type: ignore[no-any-return]

    def condemn(self, request: Request, reason: str) -> None:
        """See :class:`Lender`."""
        self._ask("condemn", request, reason)

    def done(self, request: Request, doing: Doing, seconds: float) -> None:
        """See :class:`Lender`."""
        self._ask("done", request, doing, seconds)

    def failed(self, request: Request) -> None:
        """See :class:`Lender`."""
        self._ask("failed", request)

    def interrupted(self, request: Request, doing: Doing, seconds: float) -> bool:
        """See :class:`Lender`."""
        return self._ask("interrupted", request, doing, seconds)  # type: ignore[no-any-return]

    def measured(
        self, request: Request, metrics: Sequence[str], start: float, end: float
    ) -> Mapping[str, Mapping[str, Any]]:
        """See :class:`Lender`."""
        return self._ask("measured", request, metrics, start, end)  # type: ignore[no-any-return]

    def let_go(self, request: Request) -> None:
        """See :class:`Lender`."""
        self._ask("let_go", request)

    def give_back(self, request: Request) -> None:
        """See :class:`Lender`."""
        self._ask("give_back", request)


class RemoteExperiment:
    """What :class:`~pytest_execo.engine.experiment.Experiment` offers to those who run tests, asked of the controller.

    What happens twice in every test is asked; what stays the same is remembered.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._line = Line(config.workerinput["execo"])  # type: ignore[attr-defined]
        self.settings: Settings = settings.read(config)
        self.leases: Lender = RemoteLender(self._line)
        self._plans: dict[Request, Plan] = {}

    def refuse(self, lines: str) -> None:
        """Have the controller end the run before it begins, with these lines."""
        self._line.ask("refuse", lines)

    # before the run

    def select(self, planned: Sequence[Planned], sources: Mapping[str, str | None]) -> Selection:
        """See :meth:`Experiment.select`. The trials themselves travel once for all workers."""
        digest = hashlib.sha256(pickle.dumps((planned, sources))).hexdigest()
        selection: Selection | None = self._line.ask("selected", digest)
        return selection or self._line.ask("select", digest, planned, sources)

    def past(self, tests: Collection[str]) -> dict[str, list[Past]]:
        """See :meth:`Experiment.past`."""
        return self._line.ask("past", tests)  # type: ignore[no-any-return]

    def load(self, workload: Workload) -> None:
        """See :meth:`Experiment.load`."""
        if not self._line.ask("loaded"):
            self._line.ask("load", workload)

    def plan(self, request: Request) -> Plan:
        """See :meth:`Experiment.plan`."""
        if request not in self._plans:
            self._plans[request] = self._line.ask("plan", request)
        return self._plans[request]

    # during the run

    def open(self) -> None:
        """The controller has opened the campaign before it hands out tests."""

    @cached_property
    def campaign(self) -> Campaign:
        """The campaign; open while tests run."""
        return self._line.ask("campaign")  # type: ignore[no-any-return]

    def still_waits(self, request: Request, here: int) -> bool:
        """Tell whether a test of the group is still to be run by this worker: only the controller knows."""
        return bool(self._line.ask("still_waits", request))

    def begin(self, trial: TrialOf) -> int | Refusal:
        """See :meth:`Experiment.begin`."""
        return self._line.ask("begin", trial)  # type: ignore[no-any-return]

    def may_retry(self, failures: int) -> bool:
        """See :meth:`Experiment.may_retry`."""
        return failures <= self.settings.retries and bool(self._line.ask("may_retry", failures))

    def finish(self, trial: TrialOf, result: Result, *, retried: bool) -> None:
        """See :meth:`Experiment.finish`."""
        self._line.ask("finish", trial, result, retried)

    def ended(self, outcome: str, reason: str | None) -> None:
        """See :meth:`Experiment.ended`."""
        self._line.ask("ended", outcome, reason)

    def held_elsewhere(self, trial: TrialOf) -> None:
        """See :meth:`Experiment.held_elsewhere`."""
        self._line.ask("held_elsewhere", trial)

    def spare(self) -> None:
        """See :meth:`Experiment.spare`."""
        self._line.ask("spare")

    def warn(self, message: str) -> None:
        """See :meth:`Experiment.warn`."""
        self._line.ask("warn", message)
