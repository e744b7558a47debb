"""The lease that the running test stands on, between the fixture ``lease`` and who lends the nodes."""

from __future__ import annotations

from typing import Any

import pytest

from ..errors import LeaseLost
from ..leases.holder import Lender
from ..testbeds import Lease, Request
from . import fixtures

__all__ = ("CurrentLease",)


class CurrentLease:
    """The lease of the group whose turn it is.

    A *group* is all tests with equal requests; they run one after another. :meth:`enter` says which group's turn it
    is; the fixture takes the lease when a test of the group asks for it.
    """

    def __init__(self, lender: Lender) -> None:
        self._lender = lender
        self.request: Request | None = None
        self.lease: Lease | None = None
        self._fixture: tuple[pytest.FixtureDef[Any], Any] | None = None
        self._anew = False

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
        """Give the lease back, if there is one. Called by the fixture's end.

        There may be one that no fixture stands on: nodes that were to be built upon anew, and then were not needed.
        """
        self.lease = None
        if self.request is None:
            return
        if self._anew:
            self._lender.let_go(self.request)
        else:
            self._lender.give_back(self.request)

    def end(self, *, anew: bool = False) -> None:
        """End the fixture ``lease`` with everything that stands on it, user fixtures included; then give it back.

        :param anew: the group goes on: on another lease, or on this one with other nodes.
        """
        fixture, self._fixture = self._fixture, None
        self._anew = anew
        try:
            if fixture is None:
                return
            # pytest has no public way to end a fixture before its scope does. `finish` is what pytest itself calls
            # when a parametrized session fixture gets its next parameter: dependents end first, in order.
            definition, request = fixture
            definition.finish(request)
        finally:
            self.give_back()
            self._anew = False
            if not anew:
                self.request = None
