"""When to ask again: often at first and around the predicted date, seldom in between.

EnOSlib came to 150 seconds because more hurt the platform; that is the longest pause here too.
"""

from __future__ import annotations

import random

__all__ = ("Polling",)

# So that a clock that runs very fast does not make a loop that never sleeps.
_SHORTEST = 0.02


class Polling:
    """Pauses between two questions about the same thing. It sleeps never itself.

    Dates are of the testbed's clock. The pauses are for this machine's: an emulator whose clock runs ``speed`` times
    faster is asked that much more often.

    :param first: the first pause, in seconds of the testbed's clock.
    :param longest: the longest pause, likewise.
    :param growth: by what each pause is longer than the one before.
    :param margin: how long after the predicted date the question comes at the latest: forecasts are of whole seconds,
        and a job takes some to be launched.
    :param speed: how much faster the testbed's clock runs than this machine's.
    :param seed: of the jitter, by which many who began at once do not ask at once for ever. ``None``: any.
    """

    def __init__(
        self,
        *,
        first: float = 5.0,
        longest: float = 150.0,
        growth: float = 1.5,
        margin: float = 3.0,
        speed: float = 1.0,
        seed: int | None = None,
    ) -> None:
        if not (0 < first <= longest and growth >= 1 and margin >= 0 and speed > 0):
            raise ValueError("write 0 < first <= longest, growth >= 1, margin >= 0, speed > 0")
        self._first = first
        self._longest = longest
        self._growth = growth
        self._margin = margin
        self._speed = speed
        self._random = random.Random(seed)
        self._next = first
        self._passed: float | None = None

    def delay(self, now: float, predicted: float | None = None) -> float:
        """Return how many seconds to sleep before the next question.

        :param now: the date.
        :param predicted: when what is waited for should happen; ``None``: nobody knows. The pause ends at most the
            margin after it. Once it has passed, pauses begin short again.
        """
        if predicted is not None and now >= predicted and predicted != self._passed:
            self._passed = predicted
            self._next = self._first
        pause = self._next * self._random.uniform(0.8, 1.0)
        self._next = min(self._next * self._growth, self._longest)
        if predicted is not None and now < predicted:
            pause = min(pause, predicted - now + self._margin * self._random.uniform(0.5, 1.0))
        return max(pause / self._speed, _SHORTEST)

    def reset(self) -> None:
        """Begin again with the first pause: something has changed."""
        self._next = self._first
        self._passed = None
