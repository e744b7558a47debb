"""A request in OAR's words, and what the charter says to it."""

from __future__ import annotations

from .charter import forbidden, next_period, over_quota
from .expression import Expression, Group, submissions
from .validation import candidates, sites_of, unmet, wanted_of

__all__ = (
    "Expression",
    "Group",
    "candidates",
    "forbidden",
    "next_period",
    "over_quota",
    "sites_of",
    "submissions",
    "unmet",
    "wanted_of",
)
