"""Which worker of pytest-xdist runs what: groups stay together, each on as many workers as it may have leases.

xdist's own grouping (``--dist=loadgroup``) loses the groups on pytest 9.2, silently (pytest-dev/pytest-xdist#1386), and
its scope scheduling may hang after a worker has crashed (pytest-dev/pytest-xdist#1323).
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine.experiment import Group

__all__ = ("GroupScheduling",)

# A worker begins with a test when it knows the next one, or that there is none.
_AHEAD = 2


class _Unit:
    """Tests that go to the same worker, or to a few.

    :param group: the number of the group that they are of.
    :param workers: how many workers may run them; ``None``: any.
    """

    def __init__(self, group: int | None, places: Iterable[int], workers: int | None) -> None:
        self.group = group
        self.all = frozenset(places := list(places))
        self.places = collections.deque(places)
        self.workers = workers
        #: Who runs some of them.
        self.taken_by: set[Any] = set()

    def is_open_to(self, node: Any) -> bool:
        """Tell whether a worker can have some of what is left."""
        return bool(self.places) and (
            node in self.taken_by or self.workers is None or len(self.taken_by) < self.workers
        )

    def take(self, node: Any) -> list[int]:
        """Return what a worker is given at a time: all for the only one, else one after the other."""
        self.taken_by.add(node)
        return [self.places.popleft() for _ in range(len(self.places) if self.workers == 1 else 1)]


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
        self._trials: dict[str, str] = {}
        self._units: collections.deque[_Unit] = collections.deque()
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
        return not self._is_left and all(len(places) < _AHEAD for places in self._pending.values())

    @property
    def has_pending(self) -> bool:
        """Whether a test has not been run."""
        if not self._works:
            return bool(self._plain.has_pending)
        return self._is_left or any(self._pending.values())

    @property
    def _is_left(self) -> bool:
        return any(unit.places for unit in self._units)

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
        self._take_back(node, rest)
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
                self._trials = {
                    self._ids[place]: trial
                    for group in groups
                    for place, trial in zip(group.places, group.trials, strict=True)
                }
                self._using = {place: n for n, group in enumerate(groups) for place in group.using}
        if not self._works:
            self._plain.schedule()
            return
        ready = [node for node in self._pending if node in self._collected]
        # One to each in turn: the groups of a few tests are shared out too.
        given = True
        while given:
            given = False
            for node in ready:
                given = self._give_one(node) or given
        for node in ready:
            self._give(node)

    def _take_back(self, node: Any, places: Sequence[int]) -> None:
        """Have others run what a worker that has gone had not begun: on its lease, which the controller still holds."""
        of = {place: unit for unit in self._units for place in unit.all}
        for place in reversed(places):
            of[place].places.appendleft(place)
        for unit in self._units:
            unit.taken_by.discard(node)

    # what the controller asks

    def trial_of(self, nodeid: str) -> str | None:
        """Return the id of the trial that a test is; ``None``: it is none of ours."""
        return self._trials.get(nodeid)

    def still_waits(self, worker: str, group: int) -> bool:
        """Tell whether a worker, which is through with one more test of a group, has another one that uses nodes.

        It may turn out that another worker takes it: the lease is given back at the worker's end then.
        """
        self._given[worker][group] -= 1
        return self._given[worker][group] > 0 or any(unit.places for unit in self._units if unit.group == group)

    def _give(self, node: Any) -> None:
        while self._give_one(node):
            pass
        if not node.shutting_down and self._unit_for(node) is None:
            node.shutdown()  # when it is through with what it has

    def _give_one(self, node: Any) -> bool:
        """Give a worker some more; tell whether there was something for it, and room."""
        if node.shutting_down or len(self._pending[node]) >= _AHEAD or (unit := self._unit_for(node)) is None:
            return False
        places = unit.take(node)
        self._pending[node] += places
        given = self._given.setdefault(node.gateway.id, collections.Counter())
        given.update(self._using[place] for place in places if place in self._using)
        node.send_runtest_some(places)
        return True

    def _unit_for(self, node: Any) -> _Unit | None:
        """Return what a worker goes on with: its own, else what nobody has begun, else what it may help with."""
        units = [unit for unit in self._units if unit.is_open_to(node)]
        return min(units, key=lambda unit: 0 if node in unit.taken_by else 1 + len(unit.taken_by), default=None)


def _units(groups: Sequence[Group], items: int) -> Iterable[_Unit]:
    """What is given out: first what takes nodes, which takes long, then what fills the gaps."""
    for number, group in enumerate(groups):
        if group.workers is not None:
            yield _Unit(number, group.places, group.workers)
    together = {place for group in groups if group.workers is not None for place in group.places}
    yield _Unit(None, (place for place in range(items) if place not in together), None)
