"""One lease at a time: taken when the first test of a group asks for it, given back after the last."""

from __future__ import annotations

from typing import Any

import pytest

from ..errors import LeaseLost, TestbedError
from ..testbeds import Lease, Plan, Request, Testbed
from . import fixtures

__all__ = ("Leases",)


class Leases:
    """What stands between the fixture ``lease`` and the testbed.

    A *group* is all tests with equal requests; they run one after another. :meth:`enter` says which group's turn it
    is; the fixture takes the lease when a test of the group asks for it.
    """

    def __init__(self, testbed: Testbed) -> None:
        self.testbed = testbed
        self.request: Request | None = None
        self.current: Lease | None = None
        #: Why the lease of a group can't be had: told once, its other tests stay pending.
        self.broken: dict[Request, TestbedError] = {}
        self._plans: dict[Request, Plan] = {}
        self._lost: LeaseLost | None = None
        self._fixture: tuple[pytest.FixtureDef[Any], Any] | None = None

    def plan(self, request: Request) -> Plan:
        """Return the testbed's plan, asked once for each request."""
        if request not in self._plans:
            try:
                self._plans[request] = self.testbed.plan(request)
            except TestbedError as error:
                self._plans[request] = Plan(request.nodes or 0, None, request.walltime, (str(error).splitlines()[0],))
        return self._plans[request]

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
        if fixturedef.argname == "lease" and fixturedef.func.__module__ == fixtures.__name__:
            self._fixture = fixturedef, request

    def enter(self, request: Request) -> None:
        """Begin with the tests of ``request``: the lease of other tests goes back first."""
        if request != self.request:
            self.end()
            self.request = request
            self._lost = None

    def take(self) -> Lease:
        """Return the lease of the current group, reserving it if need be.

        :raises TestbedError: when the testbed refuses, or the lease was lost.
        """
        assert self.request is not None
        if self.request in self.broken:
            raise self.broken[self.request]
        if self.current is None:
            self._lost = None
            try:
                self.current = self.testbed.reserve(self.request)
            except TestbedError as error:
                self.broken[self.request] = error
                raise
        return self.current

    def lost(self) -> LeaseLost | None:
        """Return an error when the lease of the current group is no longer ours, or was not when it was given back."""
        if self.current is not None and not self.current.alive():
            self._lost = LeaseLost(f"the lease on {self.testbed.site} was lost: its nodes are gone")
        return self._lost

    def give_back(self) -> None:
        """Release the lease, if there is one. Called by the fixture's end, and again when all is over."""
        self.lost()
        current, self.current = self.current, None
        if current is not None:
            current.release()

    def end(self) -> None:
        """End the fixture ``lease`` with everything that stands on it, user fixtures included; then release."""
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

    def describe(self) -> dict[str, Any]:
        """Return the current lease as JSON, for the campaign's description."""
        return dict(self.current.describe()) if self.current is not None else {}
