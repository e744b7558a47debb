"""What people who do not watch are told: the hook ``pytest_execo_event``, webhooks and commands."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from ..leases.events import Event, Notifier
from . import terminal

__all__ = ("Events",)

# What is worth a line on the terminal at once, because what follows does not show it.
_SHOWN = ("lease-lost", "needs-help")


class Events:
    """Takes events from any thread; the hook is called in the main one. Ended by :meth:`close`.

    :param targets: webhooks and commands.
    :param campaign: returns the name of the campaign, when there is one.
    """

    def __init__(self, config: pytest.Config, targets: Sequence[str], campaign: Callable[[], str | None]) -> None:
        self._config = config
        self._campaign = campaign
        self._notifiers = [Notifier(target, self._warn) for target in targets]
        self._waiting: collections.deque[Event] = collections.deque()

    def tell(self, kind: str, text: str, data: Mapping[str, Any]) -> None:
        """Tell of something; see :data:`~pytest_execo.leases.events.KINDS`. Never raises, never waits."""
        event = Event(kind, text, time.time(), self._campaign(), data)
        for notifier in self._notifiers:
            notifier.send(event)
        self._waiting.append(event)
        if kind in _SHOWN:
            terminal.write_line(self._config, f"execo: {event.text}")
        if threading.current_thread() is threading.main_thread():
            self.call_hooks()

    def call_hooks(self) -> None:
        """Call the hook for what came from other threads. An error in it is a warning."""
        while self._waiting:
            event = self._waiting.popleft()
            try:
                self._config.hook.pytest_execo_event(config=self._config, event=event)
            except Exception as error:
                self._warn(f"pytest_execo_event: {type(error).__name__}: {error}")

    def close(self) -> None:
        """Deliver what waits; what takes longer than some seconds is said and dropped."""
        self.call_hooks()
        for notifier in self._notifiers:
            notifier.close()

    def _warn(self, line: str) -> None:
        terminal.write_line(self._config, f"execo: warning: {line}")
