"""When and where a request fits: what is busy, what is free, which nodes to take, and a picture of it.

Pure logic. What the sites answer becomes an :class:`Occupation` each (:mod:`.occupation`); :mod:`.sweep` walks over the
dates at which something changes, and :mod:`.demand` says how much of what is wanted can be had at each; :mod:`.slots`
lists and searches them; :mod:`.distribution` splits a number of nodes over clusters; :mod:`.plan` puts it together for
several sites at one date, with :mod:`.search` and, where nothing fits, :mod:`.reasons`; :mod:`.gantt` draws it, on the
marks of :mod:`.axis`. Nothing here asks a network or a clock: dates come from the caller.
"""

from __future__ import annotations

from .distribution import distribute
from .gantt import gantt_svg, gantt_text
from .occupation import Interval, Occupation, occupation
from .plan import GridPlan, SitePlan, plan
from .slots import Slot, earliest, find_first_slot, find_free_slot, find_max_slot, slots

__all__ = (
    "GridPlan",
    "Interval",
    "Occupation",
    "SitePlan",
    "Slot",
    "distribute",
    "earliest",
    "find_first_slot",
    "find_free_slot",
    "find_max_slot",
    "gantt_svg",
    "gantt_text",
    "occupation",
    "plan",
    "slots",
)
