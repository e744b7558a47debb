"""Waiting for the first, or the last, of several actions."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TypeVar

from ..errors import InvalidInput, WaitTimeout
from ..units import parse_duration
from .action import Action
from .io_thread import io_thread

__all__ = ("wait_all", "wait_any")

A = TypeVar("A", bound=Action)


def wait_any(actions: Iterable[A], timeout: float | str | None = None) -> list[A]:
    """Wait until one of ``actions`` has ended; return all that have ended by then, in their order.

    :param timeout: seconds, or ``"1m30s"``; when they are over, all go on.
    :raises WaitTimeout: when none has ended by then, with what still runs.
    :raises ProcessError: when one was never started.
    :raises InvalidInput: when there is none to wait for.
    """
    among = list(actions)
    if not among:
        raise InvalidInput("wait_any(): no actions; one of them is to end")
    return _wait(among, 1, timeout)


def wait_all(actions: Iterable[A], timeout: float | str | None = None) -> list[A]:
    """Wait until all of ``actions`` have ended; return them. ``timeout`` and errors are those of :func:`wait_any`."""
    among = list(actions)
    return _wait(among, len(among), timeout)


def _wait(actions: Sequence[A], wanted: int, timeout: float | str | None) -> list[A]:
    seconds = None if timeout is None else parse_duration(timeout)
    settled = False
    for action in actions:
        action._refuse_unstarted("wait")
        settled |= action._refuse_deadlock()
    if not settled and sum(action._done.done() for action in actions) < wanted:
        countdown = _Countdown(actions, wanted)
        thread = io_thread()
        thread.call(countdown.begin)
        try:
            countdown.over.wait(seconds)
        finally:
            thread.call(countdown.give_up)
    ended = [action for action in actions if action.ended]
    if len(ended) < wanted:
        left = {id(leaf): leaf for action in actions for leaf in action.processes if leaf.running}
        going_on = f"{len(actions) - len(ended)} of {len(actions)} still running after {seconds:g} s"
        raise WaitTimeout(going_on, list(left.values()))
    return ended


class _Countdown:
    """Sets :attr:`over` when enough actions have ended. Its methods are called on the I/O thread."""

    def __init__(self, actions: Sequence[Action], wanted: int) -> None:
        self._actions = actions
        self._left = wanted
        self.over: threading.Event = threading.Event()

    def begin(self) -> None:
        for action in self._actions:
            action._watch(self._one_ended)

    def _one_ended(self, _: Action) -> None:
        self._left -= 1
        if self._left <= 0:
            self.over.set()

    def give_up(self) -> None:
        for action in self._actions:
            action._unwatch(self._one_ended)
