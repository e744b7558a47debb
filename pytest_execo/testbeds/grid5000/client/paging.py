"""Pages of a list that changes while it is read.

The newest comes first. An item that is new moves the others on, so that some come twice; one that leaves the list moves
them back, so that a plain reader misses some. Each page therefore begins with what should be the last items of the page
before; when none of them is there, the reader steps back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ("LARGEST_PAGE", "pages")

#: The most that the API gives at once.
LARGEST_PAGE: int = 500
_OVERLAP = 5
# In all. A list whose items go faster than they are read is read as far as it goes.
_STEPS_BACK = 20


def pages(
    fetch: Callable[[int, int], tuple[list[dict[str, Any]], int | None]], *, size: int = LARGEST_PAGE
) -> Iterator[dict[str, Any]]:
    """Yield each item of a list once, in the order of the list.

    :param fetch: returns the items from an offset on, at most as many as the second argument says, and how many there
        are in all, if the server says. Items are told apart by ``uid``.
    :param size: how many to ask for at once; the server may give fewer.
    """
    seen: set[Any] = set()
    offset, steps, overlaps = 0, 0, False
    while True:
        items, total = fetch(offset, size)
        new = [item for item in items if item["uid"] not in seen]
        if overlaps and len(new) == len(items) and offset > 0 and steps < _STEPS_BACK:
            steps += 1
            offset = max(0, offset - max(1, size // 2))
            continue
        for item in new:
            seen.add(item["uid"])
            yield item
        end = offset + len(items)
        if not items or (end >= total if total is not None else len(items) < size):
            return
        overlap = min(_OVERLAP, len(items) // 2)
        offset, overlaps = end - overlap, overlap > 0
