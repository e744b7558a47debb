"""The order in which a sweeper offers combinations to be taken, at a cost that does not grow with the sweep."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from ..stores.store import CheckpointStore, Known, State

__all__ = ("SweepQueue",)

_CHUNK = 500


class SweepQueue:
    """Goes through the trials of a sweep, in order, and offers those that are open.

    It stays where it stopped; so a trial that is given back, by whomever, is offered after all the others, and a
    worker that polls for the last ones asks the store for counts only.

    Not safe to use from several threads.

    :param trials: the ids, in order; they are planned in the store.
    :param is_open: whether a trial may be taken.
    :param failed_too: whether failed trials may be open.
    """

    def __init__(
        self, store: CheckpointStore, trials: Sequence[str], is_open: Callable[[Known], bool], *, failed_too: bool
    ) -> None:
        self._store = store
        self._trials = trials
        self._is_open = is_open
        self._failed_too = failed_too
        self.restart()

    def restart(self) -> None:
        """Begin again with the first trial."""
        self._next = 0
        self._ready: deque[str] = deque()

    def offers(self) -> Iterator[str]:
        """Yield open trials, from where it stopped to the end, and then once more from the beginning."""
        yield from self._rest()
        counts = self._store.stats()
        if counts[State.TODO] or (self._failed_too and counts[State.FAILED]):
            self.restart()
            yield from self._rest()

    def _rest(self) -> Iterator[str]:
        while True:
            while self._ready:
                yield self._ready.popleft()
            chunk = self._trials[self._next : self._next + _CHUNK]
            if not chunk:
                return
            self._next += len(chunk)
            known = self._store.look(chunk)
            self._ready.extend(trial for trial in chunk if self._is_open(known[trial]))
