"""Who runs what under pytest-xdist, with workers that only note what they are given."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.engine.experiment import Group
from pytest_execo.plugin.scheduling import GroupScheduling
from pytest_execo.testbeds import Request


class Worker:
    """As much of xdist's WorkerController as a scheduler uses. Runs a test when it knows the next one, or the end."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.queue: list[int] = []
        self.ran: list[int] = []

    def send_runtest_some(self, places: Sequence[int]) -> None:
        assert not self.shutting_down
        self.queue += places

    def shutdown(self) -> None:
        self.shutting_down = True

    def step(self) -> int | None:
        if len(self.queue) >= 2 or (self.queue and self.shutting_down):
            self.ran.append(self.queue.pop(0))
            return self.ran[-1]
        return None


class Plain:
    """xdist's own scheduler, as far as it is asked."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.nodes: list[Any] = []
        self.collected = 0
        self.tests_finished = self.has_pending = False
        self.scheduled = 0

    def add_node(self, node: Any) -> None:
        self.nodes.append(node)

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        self.collected += 1

    @property
    def collection_is_completed(self) -> bool:
        return self.collected >= self.workers

    def schedule(self) -> None:
        self.scheduled += 1


def group(places: Sequence[int], nodes: int | None, *, workers: int | None = 1) -> Group:
    request = None if nodes is None else Request(nodes=nodes)
    using = tuple(places) if nodes is not None else ()
    return Group(request, tuple(f"t{place}" for place in places), ("test_it",), tuple(places), using, workers)


def begun(groups: Sequence[Group] | None, items: int, workers: int) -> tuple[GroupScheduling, list[Worker], Plain]:
    plain = Plain(workers)
    scheduling = GroupScheduling(plain, lambda ids: groups)
    ids = [f"test_{number}" for number in range(items)]
    made = [Worker(f"gw{number}") for number in range(workers)]
    for worker in made:
        scheduling.add_node(worker)
    for worker in made:
        scheduling.add_node_collection(worker, ids)
    assert scheduling.collection_is_completed
    scheduling.schedule()
    return scheduling, made, plain


def run(scheduling: GroupScheduling, workers: list[Worker], pick: Any = lambda some: some[0]) -> None:
    for _ in range(10_000):
        if scheduling.tests_finished:
            for worker in workers:
                worker.shutdown()
        ready = [w for w in workers if len(w.queue) >= 2 or (w.queue and w.shutting_down)]
        if not ready:
            return
        worker = pick(ready)
        place = worker.step()
        assert place is not None
        scheduling.mark_test_complete(worker, place)
    raise AssertionError("it does not end")


@given(
    sizes=st.lists(st.integers(1, 6), max_size=5),
    free=st.integers(0, 8),
    workers=st.integers(1, 4),
    data=st.data(),
)
@pytest.mark.slow
def test_each_test_runs_once_and_groups_stay_together(
    sizes: list[int], free: int, workers: int, data: st.DataObject
) -> None:
    groups, place = [], 0
    for nodes, size in enumerate(sizes, 1):
        groups.append(group(range(place, place + size), nodes))
        place += size
    groups.append(group(range(place, place + free), None, workers=None))
    items = place + free + 1  # and a test that is none of ours
    scheduling, made, _ = begun(groups, items, workers)
    run(scheduling, made, lambda some: data.draw(st.sampled_from(some)))
    assert sorted(place for worker in made for place in worker.ran) == list(range(items))
    for one in groups[:-1]:
        (worker,) = [w for w in made if set(w.ran) & set(one.places)]
        begin = worker.ran.index(one.places[0])
        assert worker.ran[begin : begin + len(one.places)] == list(one.places)
    assert not scheduling.has_pending


def test_what_a_crashed_worker_had_left_goes_to_its_replacement() -> None:
    groups = [group([0, 1, 2, 3], 1), group([4, 5, 6], 2)]
    scheduling, made, _ = begun(groups, 7, 2)
    crashed, other = made
    assert crashed.queue == [0, 1, 2, 3]
    crashed.step()
    scheduling.mark_test_complete(crashed, 0)
    assert scheduling.remove_node(crashed) == "test_1"  # it was running it
    assert scheduling.has_pending
    assert not scheduling.tests_finished
    replacement = Worker("gw2")
    scheduling.add_node(replacement)
    scheduling.add_node_collection(replacement, [f"test_{number}" for number in range(7)])
    scheduling.schedule()
    run(scheduling, [other, replacement])
    assert sorted([*other.ran, *replacement.ran]) == [2, 3, 4, 5, 6]
    assert replacement.ran == [2, 3]


def test_a_replacement_that_sees_other_tests_is_sent_away() -> None:
    scheduling, _, _ = begun([group([0, 1], 1)], 2, 1)
    late = Worker("gw9")
    scheduling.add_node(late)
    scheduling.add_node_collection(late, ["another"])
    assert late.shutting_down


def test_still_waits_counts_what_a_worker_was_given() -> None:
    scheduling, (worker,), _ = begun([group([0, 1, 2], 1)], 3, 1)
    assert [scheduling.still_waits(worker.gateway.id, 0) for _ in range(3)] == [True, True, False]


def test_runs_that_are_not_ours_are_left_to_xdist() -> None:
    scheduling, made, plain = begun(None, 3, 2)
    assert plain.scheduled == 1
    assert scheduling.nodes == plain.nodes == made
    assert all(worker.queue == [] for worker in made)
