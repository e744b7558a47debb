"""Which trial it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ..sweeps import Planned

__all__ = ("TrialOf",)


@dataclass(frozen=True, slots=True)
class TrialOf:
    """Which trial it is: of which test, at which point, how often before."""

    id: str
    test: str
    #: The parameters as canonical JSON.
    params_json: str
    repetition: int
    #: A point of a sweep is done once and for all; any other test runs at each session, as tests do.
    resumable: bool

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as they stand in records."""
        params: dict[str, Any] = json.loads(self.params_json)
        return params

    def planned(self) -> Planned:
        """The trial as the checkpoint knows it."""
        return Planned(self.id, self.test, self.params_json, self.repetition)

    def drawn(self, seed: int) -> tuple[int, bytes]:
        """Return the place of the trial in a random order, to sort by.

        Each repetition has an order of its own, and is over before the next one begins: a randomized complete block
        design. By trial rather than by place, so that the order of the others stays when trials are added.
        """
        return self.repetition, hashlib.sha256(f"{seed}:{self.id}".encode()).digest()
