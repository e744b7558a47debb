"""Levels at regular distances: arithmetic and geometric progressions."""

from __future__ import annotations

import math

from pytest_execo.errors import InvalidSpace

__all__ = ("geom", "igeom", "linspace")


def linspace(start: float, stop: float, steps: int) -> list[float]:
    """Return ``steps`` numbers at equal distances, both ends included and exact."""
    _check("linspace", start, stop, steps)
    if steps == 1:
        return [float(start)]
    inner = [start + (stop - start) * step / (steps - 1) for step in range(1, steps - 1)]
    return [float(start), *inner, float(stop)]


def geom(start: float, stop: float, steps: int) -> list[float]:
    """Return ``steps`` numbers at equal ratios, both ends included and exact: ``geom(1, 100, 3) == [1, 10, 100]``."""
    _check("geom", start, stop, steps)
    if start == 0 or stop == 0 or (start > 0) != (stop > 0):
        raise InvalidSpace(f"geom({start}, {stop}, …): a ratio leads from one to the other only if both have one sign")
    if steps == 1:
        return [float(start)]
    inner = [start * (stop / start) ** (step / (steps - 1)) for step in range(1, steps - 1)]
    return [float(start), *inner, float(stop)]


def igeom(start: int, stop: int, steps: int) -> list[int]:
    """Return :func:`geom` in whole numbers, sorted, each once: ``igeom(1, 20, 5) == [1, 2, 4, 9, 20]``."""
    return sorted({round(level) for level in geom(start, stop, steps)})


def _check(name: str, start: object, stop: object, steps: object) -> None:
    for end in (start, stop):
        if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
            raise InvalidSpace(f"{name}({start!r}, {stop!r}, …): write two numbers")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InvalidSpace(f"{name}(…, steps={steps!r}): write a whole number from 1")
