"""Whose fault a failure is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_execo.engine.causes import environment_fault, why_lost
from pytest_execo.errors import ConnectionLost, DeploymentFailed, LeaseLost, ReservationFailed
from pytest_execo.testbeds import Lease, Request

REQUEST = Request(nodes=2)
LEASE = cast("Lease", SimpleNamespace(nodes=SimpleNamespace(names=["a", "b"])))


class Lends:
    """A lender of two nodes: what it was told of, and what it finds when it looks."""

    def __init__(self, *, lost: str | None = None, ill: str | None = None, off: frozenset[str] = frozenset()) -> None:
        self._lost, self._ill, self._off = lost, ill, off
        self.condemned: list[str] = []
        self.asked = 0

    def lost(self, request: Request) -> LeaseLost | None:
        return None if self._lost is None else LeaseLost(self._lost)

    def examine(self, request: Request) -> str | None:
        self.asked += 1
        return self._ill

    def off_on_purpose(self, request: Request) -> frozenset[str]:
        return self._off

    def condemn(self, request: Request, reason: str) -> None:
        self.condemned.append(reason)


def why(lends: Lends, error: BaseException | None, lease: Lease | None = LEASE) -> str | None:
    """Ask for the cause."""
    return why_lost(cast("Any", lends), REQUEST, lease, error)


def test_a_mistake_on_nodes_that_are_well_is_the_trials() -> None:
    lends = Lends()
    assert why(lends, AssertionError("its own")) is None
    assert lends.asked == 1


def test_a_lost_lease_explains_everything() -> None:
    assert why(Lends(lost="the lease was lost"), AssertionError()) == "the lease was lost"
    assert why(Lends(lost="the lease was lost"), None, None) == "the lease was lost"


def test_a_silent_node_explains_a_failure() -> None:
    assert why(Lends(ill="a: no answer"), TimeoutError()) == "a: no answer"


@pytest.mark.parametrize("error", [LeaseLost("gone\nmore"), DeploymentFailed("gone\nmore")])
def test_what_says_that_nodes_are_of_no_use_condemns_them(error: Exception) -> None:
    for each in (error, ExceptionGroup("both", [error])):
        lends = Lends()
        assert why(lends, each) == "gone"
        assert lends.condemned == ["gone"]


def test_a_broken_connection_counts_where_the_node_is_one_of_ours_and_on() -> None:
    error = ConnectionLost("b", "reset by peer")
    assert why(Lends(), error) == str(error)
    assert why(Lends(off=frozenset("b")), error) is None
    assert why(Lends(), ConnectionLost("elsewhere", "reset by peer")) is None


def test_what_has_no_nodes_has_lost_none() -> None:
    lends = Lends(ill="a: no answer")
    assert why(lends, ReservationFailed("no"), None) is None
    assert lends.asked == 0


def test_the_environments_fault_is_one_only_where_all_of_it_is() -> None:
    fault = ReservationFailed("no")
    assert environment_fault(fault) is fault
    assert environment_fault(ExceptionGroup("all", [fault, fault])) is fault
    assert environment_fault(ExceptionGroup("some", [fault, ValueError()])) is None
    assert environment_fault(ValueError()) is None
