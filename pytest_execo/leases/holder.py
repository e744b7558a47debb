"""The pool as one holder sees it: a process that runs tests, or a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..errors import LeaseLost
from ..testbeds import Lease, Request
from .fitting import Doing, Ready
from .pool import LeasePool

__all__ = ("Holder", "Lender")


class Lender(Protocol):
    """Whoever lends nodes: the pool of this process, or, from a pytest-xdist worker, that of the controller.

    The methods are those of :class:`LeasePool`, without the name of the holder.
    """

    def broken(self, request: Request) -> str | None:
        """Return why the lease for a request can't be had, if it was asked for in vain."""

    def take(self, request: Request) -> Lease:
        """Return the lease for a request, reserving it if need be. :raises TestbedError: when it can't be had."""

    def ready(self, request: Request, doing: Doing) -> Ready:
        """Tell whether a trial can begin."""

    def lost(self, request: Request) -> LeaseLost | None:
        """Return an error when the lease for the request is no longer ours, or was not when it was given back."""

    def examine(self, request: Request) -> str | None:
        """Ask the nodes whether they are there; return what is wrong."""

    def off_on_purpose(self, request: Request) -> frozenset[str]:
        """Name the nodes that the tests themselves have switched off."""

    def condemn(self, request: Request, reason: str) -> None:
        """The lease is of no more use."""

    def done(self, request: Request, doing: Doing, seconds: float) -> None:
        """A trial came to its end."""

    def failed(self, request: Request) -> None:
        """A trial has failed on the nodes."""

    def interrupted(self, request: Request, doing: Doing, seconds: float) -> bool:
        """A trial lost its nodes; tell whether it may run again in this run."""

    def measured(
        self, request: Request, metrics: Sequence[str], start: float, end: float
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return what the testbed measured on the nodes."""

    def let_go(self, request: Request) -> None:
        """Nothing stands on the nodes for now."""

    def give_back(self, request: Request) -> None:
        """Nothing will stand on the nodes any more."""


class Holder:
    """A :class:`Lender` over a pool of this process.

    :param name: of the holder; "" is the process itself.
    """

    def __init__(self, pool: LeasePool, name: str = "") -> None:
        self._pool = pool
        self._name = name

    def broken(self, request: Request) -> str | None:
        """See :class:`Lender`."""
        error = self._pool.broken.get(request)
        return str(error).splitlines()[0] if error is not None else None

    def take(self, request: Request) -> Lease:
        """See :class:`Lender`."""
        return self._pool.take(request, self._name)

    def ready(self, request: Request, doing: Doing) -> Ready:
        """See :class:`Lender`."""
        return self._pool.ready(request, self._name, doing)

    def lost(self, request: Request) -> LeaseLost | None:
        """See :class:`Lender`."""
        return self._pool.lost(request, self._name)

    def examine(self, request: Request) -> str | None:
        """See :class:`Lender`."""
        return self._pool.examine(request, self._name)

    def off_on_purpose(self, request: Request) -> frozenset[str]:
        """See :class:`Lender`."""
        return self._pool.off_on_purpose(request, self._name)

    def condemn(self, request: Request, reason: str) -> None:
        """See :class:`Lender`."""
        self._pool.condemn(request, self._name, reason)

    def done(self, request: Request, doing: Doing, seconds: float) -> None:
        """See :class:`Lender`."""
        self._pool.done(request, self._name, doing, seconds)

    def failed(self, request: Request) -> None:
        """See :class:`Lender`."""
        self._pool.failed(request, self._name)

    def interrupted(self, request: Request, doing: Doing, seconds: float) -> bool:
        """See :class:`Lender`."""
        return self._pool.interrupted(request, self._name, doing, seconds)

    def measured(
        self, request: Request, metrics: Sequence[str], start: float, end: float
    ) -> Mapping[str, Mapping[str, Any]]:
        """See :class:`Lender`."""
        return self._pool.measured(request, self._name, metrics, start, end)

    def let_go(self, request: Request) -> None:
        """See :class:`Lender`."""
        self._pool.let_go(request, self._name)

    def give_back(self, request: Request) -> None:
        """See :class:`Lender`."""
        self._pool.give_back(request, self._name)
