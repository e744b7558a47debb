"""What a test starts ends with the test; what a fixture starts ends with the fixture."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from ..processes import Activity, Scope
from ..processes.scopes import entered

__all__ = ("Ownership",)


class Ownership:
    """Enters a scope for each test and each fixture. See :mod:`pytest_execo.processes.scopes`."""

    def __init__(self) -> None:
        self._test: Scope | None = None
        self._scopes: list[Scope] = []

    @contextlib.contextmanager
    def of_test(self) -> Iterator[None]:
        """Own what starts during one test, and end it with the test."""
        self._test = Scope("test", keep=True)
        self._scopes = [self._test]
        try:
            with entered(self._test):
                yield
        finally:
            self._test.close()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        # Before the fixtures go: what the test left running may use what they hold.
        if self._test is not None:
            self._test.close()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        scope = Scope(f"fixture {fixturedef.argname}", keep=True)
        # Finalizers run last in, first out: added before the fixture's own, this one runs after it, so that a
        # fixture can still stop in its own way what it has started.
        fixturedef.addfinalizer(scope.close)
        if fixturedef.scope == "function":
            self._scopes.append(scope)
        with entered(scope):
            return (yield)

    def failed(self) -> list[Activity]:
        """The processes of the last test, and of its own fixtures, that failed."""
        return [activity for scope in self._scopes for activity in scope.failed]
