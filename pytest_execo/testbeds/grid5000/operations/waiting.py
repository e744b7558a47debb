"""How everything here waits: by a clock that may run faster than ours, and never for ever."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ("Waiting",)


@dataclass(frozen=True)
class Waiting:
    """A clock, how to sleep, and a deadline.

    :param clock: the testbed's clock, Unix seconds.
    :param sleep: told *real* seconds; an exception of it ends the wait at once.
    :param speed: how much faster the testbed's clock runs than ours.
    :param deadline: date on ``clock``; ``None``: what waits sets its own.
    """

    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    speed: float = 1.0
    deadline: float | None = None

    def until(self, seconds: float) -> Waiting:
        """Return the same with a deadline that is ``seconds`` from now, or the one that is there if it is sooner."""
        end = self.clock() + seconds
        return dataclasses.replace(self, deadline=end if self.deadline is None else min(end, self.deadline))

    @property
    def left(self) -> float:
        """Seconds until the deadline, of the testbed's clock; 0 when it is over."""
        return float("inf") if self.deadline is None else max(0.0, self.deadline - self.clock())

    def pause(self, seconds: float) -> bool:
        """Wait ``seconds`` of the testbed's clock, or until the deadline; return whether it is still to come."""
        if self.left <= 0:
            return False
        self.sleep(min(seconds, self.left) / self.speed)
        return self.left > 0
