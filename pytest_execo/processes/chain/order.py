"""Who sends to whom: the order of a chain, and what is done about a hop that can't be reached.

No input, no output, no clock: all of it can be tried out in a test.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ("ATTEMPTS", "Order")

N = TypeVar("N", bound=Hashable)

#: How often a link is tried before it counts against the hop that it leads to.
ATTEMPTS = 2


class Order(Generic[N]):
    """The hops of a chain in their order. In front of the first is its head, ``None``, which has everything.

    A link that was tried in vain counts against the hop that it leads to, which is then tried from another one, for
    the fault may be of either; the second who can't reach a hop decides. So one that nobody reaches is given up, and
    one that reaches nobody sinks to the end of the chain, where it need not.
    """

    def __init__(self) -> None:
        self._hops: list[N] = []
        self._strikes: dict[N, dict[N | None, str]] = {}
        self._tries: dict[tuple[N | None, N], int] = {}

    def __iter__(self) -> Iterator[N]:
        return iter(tuple(self._hops))

    def __len__(self) -> int:
        return len(self._hops)

    def __contains__(self, hop: object) -> bool:
        return hop in self._hops

    def add(self, hop: N) -> None:
        """Put ``hop`` at the end."""
        self._hops.append(hop)

    def remove(self, hop: N) -> None:
        """Take ``hop`` out. One that is not there is no error."""
        if hop in self._hops:
            self._hops.remove(hop)

    def before(self, hop: N) -> N | None:
        """Return who sends to ``hop``; ``None``: the head."""
        place = self._hops.index(hop)
        return self._hops[place - 1] if place else None

    def tries(self, hop: N) -> int:
        """Return how often the link that leads to ``hop`` now has failed since it last worked."""
        return self._tries.get((self.before(hop), hop), 0)

    def advanced(self, hop: N) -> None:
        """Take note that the link to ``hop`` works."""
        self._tries.pop((self.before(hop), hop), None)

    def failed(self, hop: N, reason: str) -> str | None:
        """Take note that the link to ``hop`` has failed, and find it another place if need be.

        :return: ``None``: try again, in the order as it is now. Otherwise why ``hop``, not removed yet, is given up.
        """
        upstream = self.before(hop)
        tries = self._tries[upstream, hop] = self.tries(hop) + 1
        if tries < ATTEMPTS:
            return None
        del self._tries[upstream, hop]
        strikes = self._strikes.setdefault(hop, {})
        first = not strikes
        strikes[upstream] = f"{upstream or 'this machine'} could not send to it ({reason})"
        if first and self._move(hop):
            return None
        return ", ".join(strikes.values())

    def _move(self, hop: N) -> bool:
        """Find ``hop`` a place after somebody else."""
        place = self._hops.index(hop)
        if place:
            self._hops[place - 1 : place + 1] = [hop, self._hops[place - 1]]
            return True
        for other in self._hops[1:]:
            if None not in self._strikes.get(other, ()):
                self._hops = [other, hop, *(each for each in self._hops[1:] if each is not other)]
                return True
        return False
