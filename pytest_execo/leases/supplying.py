"""Leases for whoever asks: planned, waited for, tried again within a budget, and given up."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ApiError, InvalidRequest, RequestNotMet, ReservationFailed, TestbedError
from ..testbeds import Plan, Request, Testbed
from ..units import format_duration
from .budget import Budget
from .holding import Holding
from .reserving import Reserver

__all__ = ("OthersHaveThem", "Supplier")

# Seconds of the testbed's clock before the next try of what has failed.
_PAUSES = (10.0, 60.0, 300.0)


class OthersHaveThem(RequestNotMet):
    """There are not enough nodes now; others of this run have some for the same request."""


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

    def bring_up(self, request: Request, holder: str, others: Callable[[], bool]) -> Holding:
        """Reserve and deploy. What fails is tried again, with pauses, as long as the budget lasts.

        :param others: tells whether others have leases for the request.
        :raises OthersHaveThem: there are not enough nodes, and some may be free when others are done.
        :raises TestbedError: when it can't be had, now or before.
        """
        if request in self.broken:
            raise self.broken[request]
        pauses = itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1]))
        for tries, pause in enumerate(pauses, 1):
            try:
                self._wait_for_the_night(request)
                if self._over.is_set():
                    raise ReservationFailed("the run has ended")
                return self._reserver.reserve(request)
            except (RequestNotMet, InvalidRequest) as error:
                if isinstance(error, RequestNotMet) and others():
                    raise OthersHaveThem(error.reasons) from error
                self.give_up(request, error)
                raise
            except TestbedError as error:
                if self._over.is_set():
                    raise
                # What others get done does not help this one.
                if not self._budget.failed(request, holder) or tries > self._budget.limit:
                    self.give_up(request, error)
                    raise
                self._testbed.say(f"{str(error).splitlines()[0]}; tries again in {format_duration(pause)}")
                self._over.wait(pause / self._testbed.speed)
        raise AssertionError  # there is no last pause

    def _wait_for_the_night(self, request: Request) -> None:
        seconds = self._reserver.opens_in(self.plan(request).walltime)
        if seconds > 0:
            self._testbed.say(f"takes nodes at nights and week-ends: waits for {format_duration(seconds)}")
            self._over.wait(seconds / self._testbed.speed)

    def give_up(self, request: Request, error: Exception) -> None:
        """Take no more nodes for a request, for this reason: told once."""
        if isinstance(error, TestbedError):
            self.broken[request] = error
        reason = str(error).splitlines()[0]
        self._tell("needs-help", f"no nodes at {self._testbed.site}: {reason}", {"reason": reason})
