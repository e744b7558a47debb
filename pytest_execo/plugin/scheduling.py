"""Which worker of pytest-xdist runs what: groups stay together, each on one worker, on one lease.

xdist's own grouping (``--dist=loadgroup``) loses the groups on pytest 9.2, silently (pytest-dev/pytest-xdist#1386), and
its scope scheduling may hang after a worker has crashed (pytest-dev/pytest-xdist#1323).
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .experiment import Group

__all__ = ("GroupScheduling",)

# A worker begins with a test when it knows the next one, or that there is none.
_AHEAD = 2


class GroupScheduling:
    """A scheduler as xdist's ``Scheduling`` protocol has it.

    Until all workers have collected nobody knows whether the run uses execo. When it does not, xdist's own scheduler,
    which has heard of everything so far, does the rest.

    :param plain: xdist's own scheduler.
    :param start: called once, with the ids of the tests; returns the groups, or ``None`` when none of them is ours.
    """

    def __init__(self, plain: Any, start: Callable[[Sequence[str]], Sequence[Group] | None]) -> None:
        self._plain = plain
        self._start = start
        #: Whether this scheduler does the work; ``None``: not decided.
        self._works: bool | None = None
        self._collected: dict[Any, list[str]] = {}
        self._ids: list[str] = []
        self._units: collections.deque[Sequence[int]] = collections.deque()
        self._pending: dict[Any, list[int]] = {}
        #: How many tests that use nodes a worker has been given of each group, and how many it has been through.
        self._using: dict[int, int] = {}
        self._given: dict[str, collections.Counter[int]] = {}

    # what xdist asks

    @property
    def nodes(self) -> list[Any]:
        """The workers."""
        return list(self._pending) if self._works else list(self._plain.nodes)

    @property
    def collection_is_completed(self) -> bool:
        """Whether every worker has collected."""
        return bool(self._plain.collection_is_completed)

    @property
    def tests_finished(self) -> bool:
        """Whether every test has been given out, and each worker has at most one left, which may be its last."""
        if not self._works:
            return bool(self._plain.tests_finished)
        return not self._units and all(len(places) < _AHEAD for places in self._pending.values())

    @property
    def has_pending(self) -> bool:
        """Whether a test has not been run."""
        if not self._works:
            return bool(self._plain.has_pending)
        return bool(self._units) or any(self._pending.values())

    def add_node(self, node: Any) -> None:
        """A worker is there."""
        self._pending[node] = []
        if not self._works:
            self._plain.add_node(node)

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """A worker has collected."""
        self._collected[node] = list(collection)
        if not self._works:
            self._plain.add_node_collection(node, collection)
        elif self._collected[node] != self._ids:  # a replacement that sees other tests: the files have changed
            node.shutdown()

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """A worker has run a test."""
        if not self._works:
            self._plain.mark_test_complete(node, item_index, duration)
            return
        self._pending[node].remove(item_index)
        self._give(node)

    def mark_test_pending(self, item: str) -> None:
        """Not used by xdist in the ways of distribution that come here."""
        self._plain.mark_test_pending(item)

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> None:
        """A worker gives back what it has not begun."""
        self._plain.remove_pending_tests_from_node(node, indices)

    def remove_node(self, node: Any) -> str | None:
        """A worker has gone; return the test that it was running. The rest of what it had goes to others."""
        if not self._works:
            self._pending.pop(node, None)
            crashed: str | None = self._plain.remove_node(node)
            return crashed
        places = self._pending.pop(node)
        if not places:
            return None
        running, *rest = places
        if rest:
            # In one piece: it stands on one lease, which the controller still holds.
            self._units.appendleft(rest)
        for other in list(self._pending):
            self._give(other)
        return self._ids[running]

    def schedule(self) -> None:
        """Every worker has collected, or one more has."""
        if self._works is None:
            collections_ = list(self._collected.values())
            same = all(ids == collections_[0] for ids in collections_)
            groups = self._start(collections_[0]) if same else None  # the plain one says what differs
            self._works = groups is not None
            if groups is not None:
                self._ids = collections_[0]
                self._units.extend(_units(groups, len(self._ids)))
                self._using = {place: n for n, group in enumerate(groups) for place in group.using}
        if not self._works:
            self._plain.schedule()
            return
        for node in list(self._pending):
            if node in self._collected:
                self._give(node)

    # what the controller asks

    def still_waits(self, worker: str, group: int) -> bool:
        """Tell whether a worker, which is through with one more test of a group, has another one that uses nodes."""
        self._given[worker][group] -= 1
        return self._given[worker][group] > 0

    def _give(self, node: Any) -> None:
        if node.shutting_down:
            return
        while self._units and len(self._pending[node]) < _AHEAD:
            places = list(self._units.popleft())
            self._pending[node] += places
            given = self._given.setdefault(node.gateway.id, collections.Counter())
            given.update(self._using[place] for place in places if place in self._using)
            node.send_runtest_some(places)
        if not self._units:
            node.shutdown()  # when it is through with what it has


def _units(groups: Sequence[Group], items: int) -> Iterable[Sequence[int]]:
    """What is given out in one piece: first what takes nodes, which takes long, then what fills the gaps."""
    for group in groups:
        if group.together:
            yield group.places
    together = {place for group in groups if group.together for place in group.places}
    for place in range(items):
        if place not in together:
            yield (place,)
