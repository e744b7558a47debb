"""Leases: those a run holds, one for each request, and the one that the running test stands on."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pytest

from ..errors import LeaseLost, TestbedError
from ..testbeds import Lease, Plan, Request, Testbed
from . import fixtures

__all__ = ("CurrentLease", "LeasePool", "Lender")


class Lender(Protocol):
    """Whoever lends nodes for a request: the pool of this process, or, in a pytest-xdist worker, of the controller."""

    def take(self, request: Request) -> Lease:
        """Return the lease for a request, reserving it if need be. :raises TestbedError: when it can't be had."""

    def lost(self, request: Request) -> LeaseLost | None:
        """Return an error when the lease for the request is no longer ours, or was not when it was given back."""

    def give_back(self, request: Request) -> None:
        """Nothing stands on the lease any more."""


class LeasePool:
    """The leases that a run holds. A request has one at most at a time: its tests share it.

    Safe to use from several threads; two requests are reserved side by side.
    """

    def __init__(self, testbed: Testbed) -> None:
        self.testbed = testbed
        #: Why the lease for a request can't be had: told once, its other tests stay pending.
        self.broken: dict[Request, TestbedError] = {}
        self._plans: dict[Request, Plan] = {}
        self._held: dict[Request, Lease] = {}
        self._lost: dict[Request, LeaseLost] = {}
        self._lock = threading.Lock()
        self._locks: dict[Request, threading.Lock] = {}

    def plan(self, request: Request) -> Plan:
        """Return the testbed's plan, asked once for each request."""
        with self._of(request):
            if request not in self._plans:
                try:
                    self._plans[request] = self.testbed.plan(request)
                except TestbedError as error:
                    reason = str(error).splitlines()[0]
                    self._plans[request] = Plan(request.nodes or 0, None, request.walltime, (reason,))
            return self._plans[request]

    def take(self, request: Request) -> Lease:
        """Return the lease for a request, reserving it if need be.

        :raises TestbedError: when the testbed refuses, or has refused before.
        """
        with self._of(request):
            if request in self.broken:
                raise self.broken[request]
            if request not in self._held:
                self._lost.pop(request, None)
                try:
                    self._held[request] = self._bring_up(request)
                except TestbedError as error:
                    self.broken[request] = error
                    raise
            return self._held[request]

    def _bring_up(self, request: Request) -> Lease:
        """Reserve, and deploy where the request names an environment."""
        lease = self.testbed.reserve(request)
        try:
            if request.environment is not None:
                lease.deploy(request.environment, min_nodes=request.min_nodes)
        except BaseException:
            lease.release()
            raise
        return lease

    def lost(self, request: Request) -> LeaseLost | None:
        """Return an error when the lease for the request is no longer ours, or was not when it was given back."""
        lease = self._held.get(request)
        if lease is not None and not lease.alive():
            self._lost[request] = LeaseLost(f"the lease on {self.testbed.site} was lost: its nodes are gone")
        return self._lost.get(request)

    def measured(
        self, request: Request, metrics: Sequence[str], start: float, end: float
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return what the testbed measured on the nodes held for a request.

        :raises TestbedError: when it can't be had.
        """
        lease = self._held.get(request)
        return {} if lease is None else lease.measured(metrics, start, end)

    def give_back(self, request: Request) -> None:
        """Release the lease for a request, if there is one."""
        with self._of(request):
            self.lost(request)
            lease = self._held.pop(request, None)
            if lease is not None:
                lease.release()

    def names(self, request: Request) -> list[str]:
        """Return the names of the nodes held for a request."""
        lease = self._held.get(request)
        return lease.nodes.names if lease is not None else []

    def give_all_back(self) -> None:
        """Release all leases; the first error is raised when all have been tried."""
        errors: list[TestbedError] = []
        for request in list(self._held):
            try:
                self.give_back(request)
            except TestbedError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _of(self, request: Request) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(request, threading.Lock())


class CurrentLease:
    """What stands between the fixture ``lease`` and who lends the nodes.

    A *group* is all tests with equal requests; they run one after another. :meth:`enter` says which group's turn it
    is; the fixture takes the lease when a test of the group asks for it.
    """

    def __init__(self, lender: Lender) -> None:
        self._lender = lender
        self.request: Request | None = None
        self.lease: Lease | None = None
        self._fixture: tuple[pytest.FixtureDef[Any], Any] | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
        if fixturedef.argname == "lease" and fixturedef.func.__module__ == fixtures.__name__:
            self._fixture = fixturedef, request

    def enter(self, request: Request) -> None:
        """Begin with the tests of ``request``: the lease of other tests goes back first."""
        if request != self.request:
            self.end()
            self.request = request

    def take(self) -> Lease:
        """Return the lease of the current group.

        :raises TestbedError: when it can't be had.
        """
        assert self.request is not None
        if self.lease is None:
            self.lease = self._lender.take(self.request)
        return self.lease

    def lost(self) -> LeaseLost | None:
        """Return an error when the lease of the current group is no longer ours, or was not when it was given back."""
        return self._lender.lost(self.request) if self.request is not None else None

    def give_back(self) -> None:
        """Give the lease back, if there is one. Called by the fixture's end."""
        lease, self.lease = self.lease, None
        if lease is not None and self.request is not None:
            self._lender.give_back(self.request)

    def end(self) -> None:
        """End the fixture ``lease`` with everything that stands on it, user fixtures included; then give it back."""
        fixture, self._fixture = self._fixture, None
        try:
            if fixture is None:
                return
            # pytest has no public way to end a fixture before its scope does. `finish` is what pytest itself calls
            # when a parametrized session fixture gets its next parameter: dependents end first, in order.
            definition, request = fixture
            definition.finish(request)
        finally:
            self.give_back()
            self.request = None
