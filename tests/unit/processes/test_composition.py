"""Trees of actions: what starts when, what stops them, and what they are made of."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pytest_execo import InvalidInput, Process, ProcessFailed, WaitTimeout
from pytest_execo.errors import ConnectionLost, ExecoError, ProcessError
from pytest_execo.processes import Action, Group, Local, ParallelActions, SequentialActions
from pytest_execo.processes.activity import Activity
from pytest_execo.processes.composition import Composition
from pytest_execo.processes.io_thread import io_thread
from pytest_execo.processes.scopes import Scope, current_scope, entered


class Leaf(Activity):
    """Runs until it is told to end, or killed."""

    def __init__(self, name: str = "leaf", begun: list[str] | None = None) -> None:
        super().__init__(None, name=name, log=False)
        self._begun = begun

    async def _main(self) -> None:
        if self._begun is not None:
            self._begun.append(self.name)

    def end(self, *, ok: bool = True) -> None:
        error: ExecoError | None = None if ok else ConnectionLost("h", "closed")
        io_thread().call(lambda: self._finish(error) if self.started else None)

    def kill(self, *, wait: bool = True) -> Leaf:  # type: ignore[override]
        if self.running:
            self.killed = True
            self.end()
            if wait:
                self.wait()
        return self

    async def _end_by_force(self) -> None:
        self._finish(None)


class Quick(Leaf):
    """Ends as soon as it begins, before it returns to whoever begins it."""

    def _begin(self) -> None:
        super()._begin()
        self._finish(None)


class Soon(Leaf):
    """Ends a moment after it began."""

    async def _main(self) -> None:
        self._finish(None)


def settle() -> None:
    """Let the I/O thread do what it was asked for until now, and what follows from it."""
    for _ in range(2):
        io_thread().submit(asyncio.sleep(0)).result(10)


def states(actions: Any) -> str:
    return "".join("r" if leaf.running else leaf.state.value[0] for leaf in actions)


# real processes


def test_a_sequence_is_one_after_the_other() -> None:
    first, second = Process("echo 1"), Local(["echo 2", "echo 3"])
    sequence = SequentialActions([first, ParallelActions([second, Process("echo 4")])]).run()
    assert [p.stdout for p in sequence.processes] == ["1\n", "2\n", "3\n", "4\n"]
    assert second.start_date is not None
    assert first.end_date is not None
    assert second.start_date >= first.end_date
    assert sequence.summary() == "4 ok"
    assert repr(sequence) == "<SequentialActions 'sequence': 4 ok>"


def test_a_failure_stops_a_sequence() -> None:
    sequence = SequentialActions([Process("true"), Process("exit 3"), Process("true")])
    with pytest.raises(ProcessFailed) as caught:
        sequence.run()
    assert [p.name for p in caught.value.processes] == ["exit 3"]
    assert sequence.summary() == "1 ok, 1 exit 3, 1 new"
    assert (sequence.ended, sequence.ok) == (True, False)


def test_going_on_after_a_failure() -> None:
    sequence = SequentialActions([Process("exit 3"), Process("true")], go_on=True).run(check=False)
    assert sequence.summary() == "1 exit 3, 1 ok"
    assert not sequence.ok


def test_run_gives_every_process_an_empty_input() -> None:
    leaves = [Process("cat") for _ in range(4)]
    tree = SequentialActions([leaves[0], ParallelActions([leaves[1], SequentialActions(leaves[2:])]), Local(["cat"])])
    assert tree.run().ok
    assert all(p.exit_code == 0 for p in tree.processes)


def test_input_can_be_written_to_what_was_only_started() -> None:
    first, second = Process("read x; echo $x"), Process("cat")
    with SequentialActions([first, second]) as sequence:
        first.write("a\n")
        first.wait(10)
        second.write("b\n").close_stdin()
        sequence.wait(10)
    assert [p.stdout for p in sequence.processes] == ["a\n", "b\n"]


def test_wait_covers_the_whole() -> None:
    with SequentialActions([Process("true"), Process("read x"), Process("true")]) as sequence:
        sequence.actions[0].wait(10)
        with pytest.raises(WaitTimeout, match=r"1 of 3 still running, 1 not started after 0\.01 s") as caught:
            sequence.wait(0.01)
        assert list(caught.value.processes) == [sequence.actions[1]]


# the start


@pytest.mark.parametrize("kind", [ParallelActions, SequentialActions])
def test_nothing_to_do(kind: Callable[[list[Action]], Composition]) -> None:
    empty = kind([])
    assert not empty.ended
    assert empty.run() is empty
    assert (empty.started, empty.ended, empty.ok) == (True, True, True)
    assert empty.end_date is not None
    assert empty.summary() == "empty"
    nested = SequentialActions([kind([]), Local([]), kind([kind([])]), Process("true")]).run()
    assert nested.processes[0].ended


@pytest.mark.parametrize("kind", [ParallelActions, SequentialActions])
def test_many_that_end_at_once(kind: Callable[[list[Action]], Composition]) -> None:
    leaves = [Quick() for _ in range(3000)]
    assert kind([*leaves, kind([])]).start().wait(20).ok
    assert states(leaves) == "e" * 3000


def test_an_action_has_one_place() -> None:
    p, group, started = Process("true"), Local(["true", "true"]), Process("true").run()
    ParallelActions([p, group], name="mine")
    for actions, words in (
        ([p], "part of 'mine' already"),
        ([group], "part of 'mine' already"),
        ([group[1]], "part of 'mine' already"),
        ([Local([]), started], "started already"),
        ([ParallelActions([]).run()], "started already"),
        ([ParallelActions([]).kill()], "started already"),
        (["true"], "'true' is not an action"),
    ):
        for kind in (ParallelActions, SequentialActions):
            with pytest.raises(InvalidInput, match=words):
                kind(actions)  # type: ignore[arg-type]
    other, others = Process("true"), Local(["true"])
    with pytest.raises(InvalidInput, match="there twice"):
        SequentialActions([other, ParallelActions([]), other])
    with pytest.raises(InvalidInput, match="there twice"):
        SequentialActions([others, others[0]])
    with pytest.raises(InvalidInput, match="part of"):
        SequentialActions([other, p])
    assert SequentialActions([other, others]).run().ok  # what was refused is free


def test_parts_are_started_by_what_they_are_parts_of() -> None:
    p, group = Process("true"), Local(["true"])
    whole = SequentialActions([p, group], name="whole")
    for part in (p, group, group[0], Group([p], name="mine")):
        with pytest.raises(ProcessError, match="part of 'whole', which starts"):
            part.start()
    whole.run()
    assert p.start() is p  # a second start does nothing


# kill


@pytest.mark.parametrize("kind", [ParallelActions, SequentialActions])
def test_killed_before_its_start_it_never_starts(kind: Callable[[list[Action]], Composition]) -> None:
    p = Process("true")
    action = kind([p]).kill()
    assert (action.started, action.ended, action.ok) == (False, True, True)
    assert action.start().wait(10).run() is action
    assert not p.started
    with pytest.raises(ProcessError, match="part of"):
        p.start()


def test_a_killed_sequence_starts_nothing_more() -> None:
    for go_on in (False, True):
        sequence = SequentialActions([Process("read x"), Process("true")], go_on=go_on).start().kill()
        settle()
        assert sequence.summary() == "1 killed, 1 new"
        assert (sequence.ended, sequence.ok) == (True, True)


def test_killing_one_process_is_no_failure_of_its_sequence() -> None:
    sequence = SequentialActions([Process("read x"), Process("true")]).start()
    sequence.actions[0].kill()
    assert sequence.wait(10).summary() == "1 killed, 1 ok"


def test_killed_at_any_moment_a_sequence_is_over() -> None:
    for number in range(100):
        leaves = [Quick() if index % 5 else Soon() for index in range(50)]
        sequence = SequentialActions([SequentialActions(leaves[:25]), ParallelActions(leaves[25:])])
        reached = threading.Event()
        leaves[number % 25].on_end(lambda _, reached=reached: reached.set())
        sequence.start()
        assert reached.wait(10)
        sequence.kill()
        known = states(leaves)
        settle()
        assert states(leaves) == known
        assert "r" not in known
        assert "ne" not in known


# scopes


def test_what_starts_later_belongs_to_the_scope_of_the_sequence() -> None:
    first, second = Leaf(), Leaf()
    scope, other = Scope("mine"), Scope("other")
    with entered(scope):
        SequentialActions([first, ParallelActions([SequentialActions([second])])]).start()
    with entered(other):
        first.end()
        settle()
        assert (scope.running, other.running, current_scope()) == ([second], [], other)
    scope.close()
    assert second.killed


def test_the_end_of_a_scope_is_the_end_of_its_sequences() -> None:
    leaves = [Leaf() for _ in range(4)]
    scope = Scope("mine")
    with entered(scope):
        inner = SequentialActions(leaves[:2], go_on=True)
        sequence = SequentialActions([ParallelActions([inner, leaves[2]]), leaves[3]], go_on=True).start()
        assert scope.close() == []
        settle()
        assert states(leaves) == "enen"
        assert sequence.ended
        # A scope may be closed more than once, and what is started in between runs.
        again = SequentialActions([Leaf(), Leaf()]).start()
        again.actions[0].kill()
        assert again.actions[1].started
        scope.close()
    assert again.ended


def test_a_scope_does_not_wait_for_a_sequence_that_is_at_something_detached() -> None:
    detached, later = Leaf(), Leaf()
    detached.detached = True
    scope = Scope("mine")
    with entered(scope):
        sequence = SequentialActions([detached, later]).start()
    assert scope.close() == []
    assert (detached.running, sequence.running) == (True, True)
    detached.end()
    sequence.wait(10)
    assert not later.started


# any tree, whatever happens to it


@dataclass
class Model:
    """What a tree is to do, in the simplest words."""

    kind: str  # leaf, group, parallel, sequence
    parts: list[Model] = field(default_factory=list)
    go_on: bool = False
    state: str = "new"  # running, ended
    failed: bool = False
    stopped: bool = False
    action: Any = None
    told: int = 0

    def leaves(self) -> list[Model]:
        return [self] if self.kind == "leaf" else [leaf for part in self.parts for leaf in part.leaves()]

    def all(self) -> list[Model]:
        return [self, *(node for part in self.parts for node in part.all())]

    def ok(self) -> bool:
        return not any(leaf.failed for leaf in self.leaves())

    def has_ended(self) -> bool:
        return self.state == "ended" or (self.kind == "group" and all(part.state == "ended" for part in self.parts))

    def start(self) -> None:
        if self.state == "new":
            self.state = "running"
            for part in self.parts[:1] if self.kind == "sequence" else self.parts:
                part.start()
            self.go()

    def go(self) -> None:
        """What follows from what has ended below, once."""
        for part in self.parts:
            if part.state == "running":
                part.go()
        if self.state != "running" or self.kind == "leaf":
            return
        if self.kind != "sequence":
            if all(part.has_ended() for part in self.parts):
                self.state = "ended"
            return
        for part in self.parts:
            if part.state == "new" and not part.has_ended():
                if self.stopped:
                    break
                part.start()
            if not part.has_ended():
                return
            if not part.ok() and not self.go_on:
                break
        self.state = "ended"

    def kill(self) -> None:
        if self.kind == "leaf":
            self.state = "ended" if self.state == "running" else self.state
        elif self.state == "new" and self.kind != "group":
            self.state = "ended"
        else:
            self.stopped = True
            for part in self.parts:
                if part.state == "running":
                    part.kill()

    def build(self, names: Iterator[str], begun: list[str]) -> Any:
        parts = [part.build(names, begun) for part in self.parts]
        if self.kind == "leaf":
            self.action = Leaf(next(names), begun)
        elif self.kind == "group":
            self.action = Group(parts, name="group")
        elif self.kind == "parallel":
            self.action = ParallelActions(parts)
        else:
            self.action = SequentialActions(parts, go_on=self.go_on)
        self.action.on_end(self.tell)
        return self.action

    def tell(self, action: Action) -> None:
        assert action is self.action
        assert action.ended
        self.told += 1


LEAF = st.builds(Model, kind=st.just("leaf"))
TREES = st.recursive(
    LEAF | st.builds(Model, kind=st.just("group"), parts=st.lists(LEAF, max_size=3)),
    lambda parts: st.builds(
        Model,
        kind=st.sampled_from(["parallel", "sequence", "sequence"]),
        parts=st.lists(parts, max_size=4),
        go_on=st.booleans(),
    ),
    max_leaves=12,
)


class Trees(RuleBasedStateMachine):
    """A tree of actions against its model."""

    @initialize(parts=st.lists(TREES, max_size=4), sequence=st.booleans(), go_on=st.booleans())
    def grow(self, parts: list[Model], sequence: bool, go_on: bool) -> None:
        self.model = Model("sequence" if sequence else "parallel", parts, go_on)
        self.begun: list[str] = []
        self.root = self.model.build(map(str, range(1000)), self.begun)
        self.scope = Scope("tree", keep=True)

    @rule()
    def start(self) -> None:
        with entered(self.scope):
            self.root.start()
        self.model.start()

    @precondition(lambda self: any(leaf.state == "running" for leaf in self.model.leaves()))
    @rule(data=st.data(), ok=st.booleans())
    def end_one(self, data: st.DataObject, ok: bool) -> None:
        leaf = data.draw(st.sampled_from([leaf for leaf in self.model.leaves() if leaf.state == "running"]))
        leaf.action.end(ok=ok)
        leaf.state, leaf.failed = "ended", not ok
        self.model.go()

    @rule(data=st.data())
    def kill_one(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(self.model.all()))
        node.action.kill(wait=data.draw(st.booleans()) and node.state == "running")
        node.kill()
        self.model.go()

    @rule()
    def close_scope(self) -> None:
        assert self.scope.close() == []
        for node in self.model.all():
            node.stopped |= node.state == "running" and node.kind == "sequence"
        for leaf in self.model.leaves():
            leaf.kill()
        self.model.go()

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "model"):
            return
        settle()
        for node in self.model.all():
            if node.kind != "group":
                assert node.action.started == (node.state == "running" or node.action.start_date is not None)
                assert node.action.ended == (node.state == "ended")
            assert node.action.ok == node.ok()
            assert node.told == int(node.has_ended() and (node.kind != "group" or node.action.ended))
        leaves = self.model.leaves()
        assert states(leaf.action for leaf in leaves) == "".join(leaf.state[0] for leaf in leaves)
        running = [leaf.action for leaf in leaves if leaf.state == "running"]
        assert sorted(map(str, self.scope.running)) == sorted(map(str, running))
        assert self.scope.failed == sorted(
            (leaf.action for leaf in leaves if leaf.failed), key=lambda leaf: leaf.end_date or 0
        )

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.root.kill()
            assert self.root.ended
            assert self.scope.running == []
            assert self.scope._sequences == {}


Trees.TestCase.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
test_any_tree = pytest.mark.slow(Trees.TestCase)
