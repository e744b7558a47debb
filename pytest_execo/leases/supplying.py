"""Leases for whoever asks: planned, waited for, tried again within a budget, and given up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ApiError, InvalidRequest, RequestNotMet, TestbedError
from ..testbeds import Plan, Request, Testbed
from ..units import format_duration
from .budget import Budget
from .holding import Holding
from .reserving import Reserver

__all__ = ("Supplier",)

# Seconds of the testbed's clock before the next try of what has failed.
_PAUSES = (10.0, 60.0, 300.0)


class Supplier:
    """Gets leases. Thread-safe for different requests; whoever asks sees to it that one is asked for once at a time.

    :param over: set when nothing is to be waited for any more.
    :param tell: see :class:`~.pool.LeasePool`.
    """

    def __init__(
        self,
        testbed: Testbed,
        reserver: Reserver,
        budget: Budget,
        over: threading.Event,
        tell: Callable[[str, str, Mapping[str, Any]], None],
    ) -> None:
        #: Why the lease for a request can't be had: told once, its other tests stay pending.
        self.broken: dict[Request, TestbedError] = {}
        self._testbed = testbed
        self._reserver = reserver
        self._budget = budget
        self._over = over
        self._tell = tell
        self._plans: dict[Request, Plan] = {}
        #: What is said of all requests since the testbed did not answer.
        self._silent: Plan | None = None

    def plan(self, request: Request) -> Plan:
        """Return the testbed's plan, asked once for each request. One that can't be asked for has a reason."""
        if request not in self._plans:
            plan = self._silent
            if plan is None:
                try:
                    plan = self._reserver.plan(request)
                except TestbedError as error:
                    plan = Plan(request.nodes or 0, None, request.walltime, (str(error).splitlines()[0],))
                    if isinstance(error, ApiError) and error.may_pass:
                        self._silent = plan
            self._plans[request] = plan
        return self._plans[request]

    def length(self, request: Request) -> float | None:
        """Return the seconds, of this machine's clock, that a lease for the request lasts; ``None``: no end."""
        walltime = self.plan(request).walltime
        return None if walltime is None else walltime / self._testbed.speed

    def bring_up(self, request: Request, holder: str = "") -> Holding:
        """Reserve and deploy. What fails is tried again, with pauses, as long as the budget lasts.

        :raises TestbedError: when it can't be had, now or before.
        """
        if request in self.broken:
            raise self.broken[request]
        for pause in (*_PAUSES, *[_PAUSES[-1]] * self._budget.limit):
            try:
                self._wait_for_the_night(request)
                return self._reserver.reserve(request)
            except (RequestNotMet, InvalidRequest) as error:
                self._give_up(request, error)
                raise
            except TestbedError as error:
                if self._over.is_set():
                    raise
                if not self._budget.failed(request, holder):
                    self._give_up(request, error)
                    raise
                self._testbed.say(f"{str(error).splitlines()[0]}; tries again in {format_duration(pause)}")
                self._over.wait(pause / self._testbed.speed)
        raise AssertionError("the budget is larger than it says")

    def _wait_for_the_night(self, request: Request) -> None:
        seconds = self._reserver.opens_in(self.plan(request).walltime)
        if seconds > 0:
            self._testbed.say(f"takes nodes at nights and week-ends: waits for {format_duration(seconds)}")
            self._over.wait(seconds / self._testbed.speed)

    def _give_up(self, request: Request, error: Exception) -> None:
        if isinstance(error, TestbedError):
            self.broken[request] = error
        reason = str(error).splitlines()[0]
        self._tell("needs-help", f"no nodes at {self._testbed.site}: {reason}", {"reason": reason})
