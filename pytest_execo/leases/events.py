"""What people who do not watch want to hear of a run, and who brings it to them.

A notification is a convenience: it never holds up a run, never fails one, and is never the only place of what it says.
How it is delivered: :mod:`.delivering`.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..units import iso_date
from .delivering import Command, Undelivered, Webhook, check_target, scheme

__all__ = ("KINDS", "Event", "Notifier", "check_target")

_log = logging.getLogger(__name__)
#: What an event can be.
KINDS: tuple[str, ...] = ("started", "lease-taken", "lease-lost", "node-lost", "finished", "needs-help")
_SCHEMA = "pytest-execo/event/1"
# Events that wait for their delivery. A run has few; more come when something turns in circles.
_MOST = 100
# Seconds before the one other try.
_PAUSE = 1.0
# Characters of a text; a variable of a process can't be much longer than 100 000 bytes.
_LONGEST = 2000


@dataclass(frozen=True)
class Event:
    """Something that happened in a run.

    :param kind: one of :data:`KINDS`.
    :param text: a line for people; made one, and cut after 2000 characters.
    :param date: Unix date.
    :param campaign: the name of the campaign; ``None``: of none.
    :param data: what programs want to know of it, as JSON. No secrets.
    :raises ValueError: for another kind.
    """

    kind: str
    text: str
    date: float
    campaign: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of event; there are: {', '.join(KINDS)}")
        object.__setattr__(self, "text", _one_line(self.text))

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object, the date as text as well."""
        return {
            "schema": _SCHEMA,
            "kind": self.kind,
            "text": self.text,
            "date": self.date,
            "at": iso_date(self.date),
            "campaign": self.campaign,
            "data": dict(self.data),
        }


def _one_line(text: str) -> str:
    # What is left over of names that are no UTF-8 can neither be sent nor be put into an environment.
    text = text.encode("utf-8", "replace").decode("utf-8")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


class Notifier:
    """Brings events to one target, in their order, by a thread of its own.

    A URL gets each event by POST, as JSON; anything else is a command for the shell, which gets the JSON on its
    standard input, and kind and text in ``EXECO_EVENT`` and ``EXECO_TEXT``. What the command prints is not shown.

    Life cycle: :meth:`send` as often as wished, from any thread; :meth:`close` at the end. The thread begins with the
    first event, and does not keep the process from ending.

    :param target: see :func:`check_target`. It may be a secret (whoever knows the URL of a webhook can use it) and
        appears in no message.
    :param warn: told in a line what was not delivered, once for each kind of failure; from any thread.
    :param timeout: seconds for a connection, for each part of an answer, and for a command, which is ended then with
        all that it has started.
    :raises ValueError: for a target that can't be one.
    """

    def __init__(self, target: str, warn: Callable[[str], None], *, timeout: float = 10.0) -> None:
        check_target(target)
        self._warn_user = warn
        self._warned: set[str] = set()
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Event, bytes]] = deque()
        self._delivering: Event | None = None
        self._closing = False
        self._given_up = threading.Event()
        self._thread: threading.Thread | None = None
        kind = Command if scheme(target) is None else Webhook
        self._target: Command | Webhook = kind(target.strip(), timeout, self._given_up.is_set)

    def __repr__(self) -> str:
        return f"<Notifier by {self._target.name}>"

    def send(self, event: Event) -> None:
        """Have an event delivered, some time soon. Returns at once and raises nothing."""
        try:
            body = json.dumps(_finite(event.as_json()), default=str).encode()
            with self._changed:
                if self._closing:
                    reason = "notifications have ended"
                elif len(self._waiting) >= _MOST:
                    reason = f"{_MOST} wait already"
                else:
                    if self._thread is None:
                        thread = threading.Thread(target=self._work, name="execo-notifier", daemon=True)
                        thread.start()
                        self._thread = thread
                    self._waiting.append((event, body))
                    self._changed.notify_all()
                    return
        except Exception as error:  # a run does not fail because somebody was not told of it
            reason = f"{type(error).__name__}: {_one_line(str(error))}"
        self._warn(f"notification {event.kind!r} not sent: {reason}", reason)

    def close(self, timeout: float = 15.0) -> None:
        """Deliver what waits, or say what was not delivered after ``timeout`` seconds. A second call does nothing."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        if self._thread is None:
            return
        self._thread.join(timeout)
        with self._changed:
            left = [event.kind for event in (self._delivering, *(event for event, _ in self._waiting)) if event]
            self._waiting.clear()
            self._given_up.set()
        # A command that still runs is ended, which takes a moment. For a webhook nobody waits.
        self._thread.join(self._target.ending)
        if left:
            self._warn(f"notifications not delivered within {timeout:g} s: {', '.join(left)}", "close")

    def _warn(self, line: str, reason: str) -> None:
        with self._changed:
            if reason in self._warned:
                return
            self._warned.add(reason)
        try:
            self._warn_user(line)
        except Exception:  # who is told may be gone already
            _log.debug("a warning could not be given: %s", line, exc_info=True)

    # the thread

    def _work(self) -> None:
        while True:
            with self._changed:
                self._delivering = None
                while not self._waiting:
                    if self._closing:
                        return
                    self._changed.wait()
                event, body = self._waiting.popleft()
                self._delivering = event
            self._deliver(event, body)
            if self._given_up.is_set():
                return

    def _deliver(self, event: Event, body: bytes) -> None:
        reason = self._tried(event, body, again=True)
        # What was given up is for close() to say.
        if reason is not None and not self._given_up.is_set():
            self._warn(f"notification {event.kind!r} not delivered: {reason}", reason)

    def _tried(self, event: Event, body: bytes, *, again: bool) -> str | None:
        """Return why it was not delivered."""
        try:
            self._target.deliver(event.kind, event.text, body)
        except Undelivered as failure:
            if failure.again and again and not self._given_up.wait(_PAUSE):
                return self._tried(event, body, again=False)
            return str(failure)
        except Exception as error:  # the next one is to be tried all the same; what it says may have the target in it
            return f"{self._target.name} failed: {type(error).__name__}"
        return None


def _finite(value: Any) -> Any:
    """Return JSON without the numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
