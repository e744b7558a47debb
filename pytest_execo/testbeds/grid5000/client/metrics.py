"""Measurements of nodes, from Kwollect."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ....errors import InvalidRequest
from ..answers import Measurement
from .calls import Calls, path_of

__all__ = ("MetricCalls",)

# Names go into the address of the question, which is bounded.
_NODES_AT_ONCE = 100


class MetricCalls(Calls):
    """Verbs about metrics."""

    def metrics(
        self,
        site: str,
        *,
        nodes: Sequence[str] = (),
        metrics: Sequence[str] = (),
        start: float | None = None,
        end: float | None = None,
        job_id: int | None = None,
    ) -> list[Measurement]:
        """Return what was measured, in the order of dates.

        :param nodes: short or full names. :param metrics: their names; none: all metrics.
        :param start: of this date and later; ``None``: the server's default, the last five minutes.
        :param end: of this date and earlier.
        :param job_id: of the nodes of this job and for its time, instead of ``nodes``, ``start`` and ``end``.
        """
        if job_id is not None and (nodes or start is not None or end is not None):
            raise InvalidRequest("metrics of a job have its nodes and dates; give job_id alone, or the others")
        if job_id is None and not nodes:
            raise InvalidRequest("metrics of no node; give nodes or job_id")
        path = path_of(site, "metrics")
        common: dict[str, str | None] = {
            "metrics": ",".join(metrics) or None,
            "job_id": None if job_id is None else str(job_id),
            # Whole seconds, which every version takes; what is too early or late is left out below.
            "start_time": None if start is None else str(math.floor(start)),
            "end_time": None if end is None else str(math.ceil(end)),
        }
        short = list(dict.fromkeys(node.partition(".")[0] for node in nodes))
        found: list[Measurement] = []
        for first in range(0, max(1, len(short)), _NODES_AT_ONCE):
            group = ",".join(short[first : first + _NODES_AT_ONCE]) or None
            data = self._get(path, {"nodes": group, **common})
            found += self._read("GET", path, _measurements, data)
        low, high = -math.inf if start is None else start, math.inf if end is None else end
        return sorted((each for each in found if low <= each.date <= high), key=lambda each: each.date)


def _measurements(data: Any) -> list[Measurement]:
    if not isinstance(data, list):
        raise ValueError("it is not a list")
    return list(map(Measurement.from_json, _with_value(data)))


def _with_value(data: Iterable[Any]) -> Iterable[dict[str, Any]]:
    """Leave out samples of a sensor that had nothing to say: one must not cost the series."""
    return (entry for entry in data if entry["value"] is not None)
