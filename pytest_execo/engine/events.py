"""What people who do not watch are told: code of their own, webhooks and commands."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..leases.events import Event, Notifier

__all__ = ("Events",)

# What is worth a line on the terminal at once, because what follows does not show it.
_SHOWN = ("lease-lost", "needs-help")


class Events:
    """Takes events from any thread; code of the user's is called in the main one. Ended by :meth:`close`.

    :param targets: webhooks and commands.
    :param campaign: returns the name of the campaign, when there is one.
    :param call: called with each event: under pytest, the hook ``pytest_execo_event``.
    :param say: told lines for the terminal.
    """

    def __init__(
        self,
        targets: Sequence[str],
        campaign: Callable[[], str | None],
        call: Callable[[Event], object],
        say: Callable[[str], None],
    ) -> None:
        self._campaign = campaign
        self._call = call
        self._say = say
        self._notifiers = [Notifier(target, self._warn) for target in targets]
        self._waiting: collections.deque[Event] = collections.deque()

    def tell(self, kind: str, text: str, data: Mapping[str, Any]) -> None:
        """Tell of something; see :data:`~pytest_execo.leases.events.KINDS`. Never raises, never waits."""
        event = Event(kind, text, time.time(), self._campaign(), data)
        for notifier in self._notifiers:
            notifier.send(event)
        self._waiting.append(event)
        if kind in _SHOWN:
            self._say(event.text)
        if threading.current_thread() is threading.main_thread():
            self.call_back()

    def call_back(self) -> None:
        """Call the user's code for what came from other threads. An error in it is a warning."""
        while self._waiting:
            event = self._waiting.popleft()
            try:
                self._call(event)
            except Exception as error:
                name = getattr(self._call, "__name__", event.kind)
                self._warn(f"{name}: {type(error).__name__}: {error}")

    def close(self) -> None:
        """Deliver what waits; what takes longer than some seconds is said and dropped."""
        self.call_back()
        for notifier in self._notifiers:
            notifier.close()

    def _warn(self, line: str) -> None:
        self._say(f"warning: {line}")
