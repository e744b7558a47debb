"""Leases that several holders share, each on nodes of its own: one reservation, one deployment, for all of them."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from ..errors import RequestNotMet
from ..hosts import Hosts
from ..testbeds import Lease, Request, Testbed
from ..testbeds.contract import Remember

__all__ = ("LeasePart", "Sharing", "can_be_split")


def can_be_split(request: Request) -> bool:
    """Tell whether so many times the nodes can be asked for: not where each is named, nor what is there once."""
    return not (request.hosts or request.shares or request.subnets or request.same_switch)


class _Whole:
    """A lease in parts. It is given back when all that were taken have been."""

    def __init__(self, lease: Lease, remains: Mapping[str, Any], size: int, least: int) -> None:
        self.lease: Lease = lease
        #: What finds the whole lease again.
        self.remains: dict[str, Any] = dict(remains)
        self.lock: threading.RLock = threading.RLock()
        #: How many parts are taken.
        self.used: int = 0
        #: It stays when the last part is put back.
        self.kept: bool = False
        self._nodes = Hosts(lease.nodes)
        parts = [self._nodes[place : place + size] for place in range(0, len(self._nodes), size)]
        #: Parts that nobody has.
        self.free: list[Hosts] = [part for part in parts if len(part) >= least]

    def take(self, without: Collection[str]) -> LeasePart | None:
        """Return a part that has none of these nodes; ``None``: there is none."""
        with self.lock:
            for nodes in self.free:
                if not {*nodes.names} & {*without}:
                    self.free.remove(nodes)
                    self.used += 1
                    return LeasePart(self, nodes)
            return None

    def put_back(self, nodes: Hosts) -> bool:
        """Take a part back; tell whether it was the last one, and all goes back."""
        with self.lock:
            self.used -= 1
            self.free.append(nodes)
            if self.used or self.kept:
                return False
            self.free = []
            self.lease.nodes = self._nodes
            return True

    @contextlib.contextmanager
    def at(self, nodes: Hosts) -> Iterator[Lease]:
        """The lease, as if it had these nodes alone."""
        with self.lock:
            before, self.lease.nodes = self.lease.nodes, nodes
            try:
                yield self.lease
            finally:
                self.lease.nodes = before


class LeasePart(Lease):
    """Some nodes of a lease. What only its testbed has is the whole lease's.

    Made by :class:`Sharing`; :meth:`release` puts it back, and gives the whole lease back when it was the last part.
    """

    def __init__(self, whole: _Whole, nodes: Hosts) -> None:
        self._whole = whole
        self._part = nodes
        self.nodes: Hosts = nodes
        #: Called when it was put back and others go on: what was remembered of it is theirs.
        self.forget: Callable[[], None] = lambda: None
        self._released = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_whole":  # copies are made before there is one
            raise AttributeError(name)
        return getattr(self._whole.lease, name)

    @property
    def end(self) -> float | None:  # type: ignore[override]  # an attribute of other leases
        """Unix date at which the testbed takes the nodes back: all of them."""
        return self._whole.lease.end

    @property
    def networks(self) -> Sequence[Any]:
        """Those of the whole lease."""
        return self._whole.lease.networks

    def alive(self) -> bool:
        """Tell whether the nodes are still ours."""
        return not self._released and self._whole.lease.alive()

    def off_on_purpose(self) -> frozenset[str]:
        """See :meth:`Lease.off_on_purpose`."""
        return self._whole.lease.off_on_purpose()

    def extend(self, seconds: float) -> float:
        """Ask for more time, for all parts."""
        with self._whole.lock:
            return self._whole.lease.extend(seconds)

    def deploy(self, environment: str, *, min_nodes: int | None = None) -> Hosts:
        """Deploy on the nodes of this part that do not have the environment. One part after the other."""
        with self._whole.at(self.nodes) as lease:
            self.nodes = lease.deploy(environment, min_nodes=min_nodes)
        return self.nodes

    def measured(self, metrics: Sequence[str], start: float, end: float) -> Mapping[str, Mapping[str, Any]]:
        """See :meth:`Lease.measured`."""
        with self._whole.at(self.nodes) as lease:
            return lease.measured(metrics, start, end)

    def describe(self) -> Mapping[str, Any]:
        """See :meth:`Lease.describe`."""
        with self._whole.at(self.nodes) as lease:
            return lease.describe()

    def keep(self) -> None:
        """Leave the nodes as they are: the whole lease stays."""
        with self._whole.lock:
            self._whole.lease.keep()
            self._whole.kept = True

    def release(self) -> None:
        """Put the part back. Others may still use theirs; after the last one the whole lease is given back."""
        with self._whole.lock:
            if self._released:
                return
            self._released = True
            last = self._whole.put_back(self._part)
        if last:
            self._whole.lease.release()
        else:
            with contextlib.suppress(Exception):
                self.nodes.disconnect()
            self.forget()


class Sharing:
    """Reserves on a testbed: leases that are split, where that was said of a request. Thread-safe."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self._wholes: dict[Request, list[_Whole]] = {}
        self._locks: dict[Request, threading.Lock] = {}
        self._lock = threading.Lock()

    def reserve(self, asked: Request, parts: int, least: int, remember: Remember) -> Lease:
        """Return a lease, or a part of one that has ``parts`` times the nodes.

        Where a part is asked for and none is to be had, because one was lost, or because so many nodes are more than
        there are now, a lease of its size is reserved.

        :param asked: how many nodes, and so on, one holder is to have; :attr:`Request.without` says which not.
        :param least: so many of them are enough: the others are spare.
        :raises TestbedError: see :meth:`Testbed.reserve`; where an environment is named, :meth:`Lease.deploy` too.
        """
        if parts < 2:
            return self._testbed.reserve(asked, remember=remember)
        key = dataclasses.replace(asked, without=())
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            wholes = [whole for whole in self._wholes.get(key, ()) if whole.used and whole.lease.alive()]
            self._wholes[key] = wholes
            taken = _first_free(wholes, asked.without, remember)
            if taken is not None:
                return taken
            if wholes:
                return self._testbed.reserve(asked, remember=remember)
            try:
                whole = self._reserve_whole(asked, parts, least, remember)
            except RequestNotMet:
                return self._testbed.reserve(asked, remember=remember)
            wholes.append(whole)
            part = _first_free([whole], (), remember)
            assert part is not None
            return part

    def _reserve_whole(self, asked: Request, parts: int, least: int, remember: Remember) -> _Whole:
        size = asked.nodes or self._testbed.default_nodes or 1
        remains: dict[str, Any] = {}

        def told(what: Mapping[str, Any]) -> None:
            remains.clear()
            remains.update(copy.deepcopy(dict(what)))
            remember(what)

        lease = self._testbed.reserve(dataclasses.replace(asked, nodes=size * parts), remember=told)
        try:
            if asked.environment is not None:
                lease.deploy(asked.environment, min_nodes=least)
        except BaseException:
            lease.release()
            raise
        return _Whole(lease, remains, size, least)


def _first_free(wholes: Sequence[_Whole], without: Collection[str], remember: Remember) -> LeasePart | None:
    for whole in wholes:
        part = whole.take(without)
        if part is not None:
            # Each holder's file tells of all, until it is put back: whoever finds the file gives all of it back.
            part.forget = functools.partial(remember, {})
            try:
                remember(whole.remains)
            except BaseException:
                part.release()
                raise
            return part
    return None
