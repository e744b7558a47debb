"""Which requests are made again after a failure, and when.

A request may be made again when the first can't have done anything, or when twice does the same as once:

==========================================  =====  ============  ======
what happened                               GET    PUT, DELETE   POST
==========================================  =====  ============  ======
no connection was made                      again  again         again
the connection broke; 429, 502, 503, 504    again  again         error
500; no answer in time; an answer cut short again  error         error
anything else                               error  error         error
==========================================  =====  ============  ======
"""

from __future__ import annotations

import datetime as dt
import email.utils
import enum
import random
from dataclasses import dataclass

__all__ = ("Failure", "Retrying", "Stage", "retry_after")

_FIRST = 0.5
_LONGEST = 30.0
_IDEMPOTENT = ("PUT", "DELETE")


class Stage(enum.Enum):
    """How far a request came."""

    UNREACHED = "no connection was made"
    BROKEN = "the connection broke"
    LATE = "no answer came in time"
    GARBLED = "the answer can't be read"
    ANSWERED = "the server refused"
    FINAL = "another time would not be better"


@dataclass(frozen=True)
class Failure:
    """A request that came to nothing. ``after`` is the ``Retry-After`` of the server in seconds."""

    stage: Stage
    reason: str
    status: int | None = None
    after: float | None = None


class Retrying:
    """At most ``retries`` further attempts, each pause about twice the one before, at most 30 s.

    :param patience: a server that asks for more seconds than this is not waited for; neither are attempts begun
        later than three times this after the first.
    :param seed: of the jitter; ``None``: any.
    """

    def __init__(self, retries: int = 5, *, patience: float = 120.0, seed: int | None = None) -> None:
        self._retries = retries
        self._patience = patience
        self._random = random.Random(seed)

    def pause(self, method: str, failure: Failure, attempt: int, elapsed: float) -> float | None:
        """Return the seconds to wait before the next attempt; ``None``: there is to be none.

        :param attempt: how many attempts were made. :param elapsed: seconds since the first began.
        """
        if attempt > self._retries or elapsed > 3 * self._patience or not _may_repeat(method, failure):
            return None
        pause = min(_FIRST * 2.0 ** (attempt - 1), _LONGEST) * self._random.uniform(0.5, 1.0)
        if failure.after is None:
            return pause
        return max(failure.after, pause) if failure.after <= self._patience else None


def _may_repeat(method: str, failure: Failure) -> bool:
    if failure.stage is Stage.UNREACHED:
        return True
    if failure.stage is Stage.ANSWERED:
        if method == "GET":
            return failure.status in (429, 500, 502, 503, 504)
        return method in _IDEMPOTENT and failure.status in (429, 502, 503, 504)
    if method == "GET":
        return failure.stage is not Stage.FINAL
    return method in _IDEMPOTENT and failure.stage is Stage.BROKEN


def retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds of a ``Retry-After``, which has a number or a date; ``None``: there is none, or nonsense."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=dt.UTC)
    return max(0.0, date.timestamp() - now)
