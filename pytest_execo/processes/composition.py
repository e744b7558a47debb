"""Actions made of actions: at the same time, or one after the other. They nest freely.

They have no thread of their own: the I/O thread, which sees each end first, starts what comes next.
"""

from __future__ import annotations

import os
import threading
import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Self

from ..errors import InvalidInput
from .action import Action
from .activity import Activity
from .io_thread import io_thread
from .process import Process
from .scopes import Scope

__all__ = ("Composition", "ParallelActions", "SequentialActions")


class Composition(Action):
    """An action made of others, which are its parts: it alone starts them.

    :param actions: processes, copies, groups and compositions; new ones, each in one place only.
    """

    #: Unix dates: when it was asked to start, when its end was known.
    start_date: float | None = None
    end_date: float | None = None

    def __init__(self, actions: Iterable[Action], *, name: str) -> None:
        super().__init__(name)
        #: Its parts, in order.
        self.actions: tuple[Action, ...] = tuple(actions)
        self._scope: Scope | None = None
        # Held to start parts and to forbid it: after that, either they run already or they never will.
        self._lock = threading.Lock()
        self._stopped = False
        self._ended = False
        # Standard input of what it starts is closed: run() was called, nobody could write.
        self._without_input = False
        _adopt(self)

    # verbs

    def run(self, *, check: bool = True) -> Self:
        """Start, with an empty standard input for all of its processes, and wait; see :meth:`Action.run`."""
        self._close_inputs()
        return super().run(check=check)

    def kill(self, *, wait: bool = True) -> Self:
        """Kill all that runs, and start nothing any more; one that was not started never will be."""
        if self.ended:
            return self
        self._refuse_fork()
        self._start_no_more()
        if not self.started:
            io_thread().call(self._end)
        for action in self.actions:
            if action.running:
                action.kill(wait=False)
        return self.wait() if wait and not self._waits_for_us() else self

    # verdict

    @property
    def processes(self) -> Sequence[Activity]:
        """All the processes and file copies in it, in order; those that were not started too."""
        return [leaf for action in self.actions for leaf in action.processes]

    @property
    def started(self) -> bool:
        """Whether it was asked to start."""
        return self._scope is not None

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more, and nothing will."""
        return self._ended or (self._stopped and not self.started)

    def _follow(self) -> None:
        """It follows its parts since it was started."""

    def _standing(self) -> str:
        leaves = self.processes
        later = sum(not leaf.started for leaf in leaves)
        standing = f"{sum(leaf.running for leaf in leaves)} of {len(leaves)} still running"
        return f"{standing}, {later} not started" if later else standing

    # start and end

    def _enlist(self, scope: Scope) -> bool:
        with self._lock:
            if self._stopped or self.started:
                return False
            self.start_date = time.time()
            self._pid = os.getpid()
            self._scope = scope
            self._enlist_parts(scope)
        return True

    @abstractmethod
    def _enlist_parts(self, scope: Scope) -> None:
        """Enlist what starts at once. Called with the lock held."""

    def _begin(self) -> None:
        if self.started and not self._ended:
            self._begin_parts()

    @abstractmethod
    def _begin_parts(self) -> None:
        """Begin what was enlisted, on the I/O thread."""

    def _start_no_more(self) -> None:
        with self._lock:
            self._stopped = True

    def _end(self) -> None:
        """The end, once, on the I/O thread."""
        if not self._ended:
            self.end_date = time.time()
            self._ended = True
            self._tell_end()

    def _close_inputs(self) -> None:
        self._without_input = True
        for action in self.actions:
            if isinstance(action, Composition):
                action._close_inputs()

    def _begin_part(self, action: Action) -> None:
        if self._without_input and not isinstance(action, Composition):
            for leaf in action.processes:
                if isinstance(leaf, Process):
                    leaf._give_no_input()
        action._begin()

    def _fresh(self) -> bool:
        return not self.started and not self._stopped


class ParallelActions(Composition):
    """Actions that run at the same time. All start at once; it ends with the last of them.

    ::

        ParallelActions([Remote("./server", nodes[:1]), Remote("./client", nodes[1:])]).run()
    """

    def __init__(self, actions: Iterable[Action], *, name: str = "parallel") -> None:
        super().__init__(actions, name=name)
        self._left = len(self.actions)

    def _enlist_parts(self, scope: Scope) -> None:
        for action in self.actions:
            action._enlist(scope)

    def _begin_parts(self) -> None:
        for action in self.actions:
            action._watch(self._one_ended)
        for action in self.actions:
            self._begin_part(action)
        if not self.actions:
            self._end()

    def _one_ended(self, _: Action) -> None:
        self._left -= 1
        if self._left == 0:
            self._end()


class SequentialActions(Composition):
    """Actions that run one after the other. It ends with the last, or with one that was not ok.

    ::

        SequentialActions([Put(nodes, "data"), Remote("./experiment data", nodes), Get(nodes, "result")]).run()

    What comes after a failure, or after :meth:`kill`, is never started. What is started later belongs to the scope
    that was current when the sequence was started, and the end of that scope is the end of the sequence.

    :param go_on: go on after a failure; it is one all the same.
    """

    def __init__(self, actions: Iterable[Action], *, name: str = "sequence", go_on: bool = False) -> None:
        super().__init__(actions, name=name)
        self.go_on = go_on
        self._begun = 0
        self._advancing = False

    def _enlist_parts(self, scope: Scope) -> None:
        scope.add_sequence(self)
        if self.actions:
            self.actions[0]._enlist(scope)

    def _begin_parts(self) -> None:
        if self.actions:
            self._begin_next()
        self._advance()

    def _begin_next(self) -> None:
        action = self.actions[self._begun]
        self._begun += 1
        self._begin_part(action)
        action._watch(self._advance)

    def _advance(self, _: Action | None = None) -> None:
        """Go on as far as what has ended allows."""
        # What ends as soon as it begins calls this again: the loop goes on then, and the stack does not grow.
        if self._advancing:
            return
        self._advancing = True
        while not self._ended:
            current = self.actions[self._begun - 1] if self.actions else None
            if current is not None and not current.ended:
                break
            if self._enlist_next(current):
                self._begin_next()
            else:
                self._end()
        self._advancing = False

    def _enlist_next(self, current: Action | None) -> bool:
        assert self._scope is not None
        with self._lock:
            failed = current is not None and not current.ok
            if self._stopped or self._begun == len(self.actions) or (failed and not self.go_on):
                return False
            self.actions[self._begun]._enlist(self._scope)
            return True

    def _end(self) -> None:
        if self._scope is not None:
            self._scope.remove_sequence(self)
        super()._end()


def _adopt(owner: Composition) -> None:
    """Make the parts of ``owner`` its own, all of them or none.

    :raises InvalidInput: when one can't be.
    """
    seen: set[int] = set()
    parts: list[Action] = []
    for action in owner.actions:
        if not isinstance(action, Action):
            raise InvalidInput(f"{owner}: {action!r} is not an action (a process, a copy, a group, a composition)")
        if not action._fresh():
            raise InvalidInput(f"{owner}: {action} was started already; give actions that were not")
        parts += [action, *action._parts()]
    for part in parts:
        if part._owner is not None:
            raise InvalidInput(f"{owner}: {part} is a part of {part._owner} already; give each action one place")
        if id(part) in seen:
            raise InvalidInput(f"{owner}: {part} is there twice; give each action one place")
        seen.add(id(part))
    for part in parts:
        part._owner = owner
