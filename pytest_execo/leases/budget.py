"""How many failures of a testbed are borne: it stops what is hopeless, and lets a long campaign lose many leases."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable

__all__ = ("Budget",)

# Groups given up in a row after which the testbed is taken to be broken.
_GROUPS = 3


class Budget:
    """Failures in a row, with no trial done between them. Thread-safe.

    :param limit: how many a group may have, each of its holders for itself, since one loss is met by all who share a
        lease; and how often the nodes of one trial may be lost under it.
    """

    def __init__(self, limit: int) -> None:
        self.limit: int = limit
        self._groups: dict[Hashable, Counter[str]] = {}
        self._trials: Counter[str] = Counter()
        #: Groups given up in a row.
        self._given_up: set[Hashable] = set()
        self._lock = threading.Lock()

    @property
    def spent(self) -> bool:
        """Whether the whole testbed is to be left alone."""
        return len(self._given_up) >= _GROUPS

    def failed(self, group: Hashable, holder: str = "") -> bool:
        """Count a failure; tell whether the group may try again."""
        with self._lock:
            failures = self._groups.setdefault(group, Counter())
            failures[holder] += 1
            if failures[holder] <= self.limit:
                return not self.spent
            self._given_up.add(group)
            return False

    def is_hopeless(self, group: Hashable, holder: str = "") -> bool:
        """Tell whether a group is beyond its limit by more than what one trial can do that kills its own nodes."""
        with self._lock:
            return self._groups.get(group, Counter[str]())[holder] > self.limit + 1

    def interrupted(self, trial: str) -> bool:
        """Count that a trial lost its nodes; tell whether it may run again."""
        with self._lock:
            self._trials[trial] += 1
            return self._trials[trial] <= self.limit

    def progressed(self, group: Hashable) -> None:
        """A trial of the group has come to its end: the testbed works."""
        with self._lock:
            self._given_up.clear()
            self._groups.pop(group, None)
