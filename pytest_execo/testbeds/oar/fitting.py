"""Whether a request fits on what OAR has, and when: OAR's scheduler in small, for a forecast before submitting."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..contract import Request
from .cli import COLUMN, split_condition, unquotable
from .parsing import BOOKKEEPING, Gantt, Resource

__all__ = ("Fitting",)

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
# What OAR says of a node that is there until further notice. One that sleeps has a date before it.
_FOREVER = 2147483647


class Fitting:
    """A request held against a Gantt diagram.

    :param where: the site, for messages. :param walltime: seconds that the nodes are needed.
    """

    def __init__(self, request: Request, gantt: Gantt, *, where: str, now: float, walltime: float) -> None:
        self.request: Request = request
        self._gantt = gantt
        self._where = where
        self._now = now
        self._walltime = walltime
        self._nodes: dict[str, list[Resource]] = defaultdict(list)
        for resource in gantt.resources:
            if resource.node and resource.properties.get("type", "default") == "default":
                self._nodes[resource.node].append(resource)
        self._columns = {name for resource in gantt.resources for name in resource.properties}

    def full_names(self, hosts: Iterable[str]) -> tuple[str, ...]:
        """Return OAR's names of nodes, which may be given by their short names; one that is not known stays."""
        short = {name.partition(".")[0]: name for name in self._nodes}
        return tuple(host if host in self._nodes else short.get(host, host) for host in hosts)

    def unmet(self) -> list[str]:
        """Return a line for each requirement that is not met."""
        wrong = [*self._words(), *self._names()]
        if wrong:
            return wrong
        lines = []
        for cluster, count in self._groups():
            there = self._matching(cluster)
            usable = [node for node in there if self._usable(node)]
            what = f" of cluster {cluster}" if cluster else ""
            if count > len(usable):
                broken = (
                    f", and {len(there) - len(usable)} that are absent or broken" if len(usable) < len(there) else ""
                )
                like = " like that" if self.request.properties or self.request.hosts or self.request.without else ""
                lines.append(f"asks for {count} nodes{what}, {self._where} has {len(usable)}{like or what}{broken}")
            elif self.request.same_switch and not self._enough([(cluster, count)], set(usable)):
                lines.append(f"asks for {count} nodes{what} behind one switch, {self._where} has no such switch")
        return lines

    def start(self) -> float | None:
        """Return when it fits, by what OAR plans now; ``None``: not within what OAR planned."""
        besteffort = self.request.queue == "besteffort" or "besteffort" in self.request.types
        busy = [o for o in self._gantt.occupations if besteffort or not o.besteffort]
        usable = {node for node in self._nodes if self._usable(node)}
        dates = [self._now, *sorted({o.stop for o in busy if o.stop > self._now})]
        for date in dates:
            taken = {n for o in busy if o.start < date + self._walltime and o.stop > date for n in o.nodes}
            if self._enough(self._groups(), usable - taken):
                return date
        return None

    def _words(self) -> Iterable[str]:
        """What could not be said to OAR."""
        for name, value in self.request.properties:
            if not COLUMN.fullmatch(name) or name not in self._columns:
                there = ", ".join(sorted(self._columns - BOOKKEEPING))
                yield f"asks for property {name!r}, {self._where} has {there}"
            elif unquotable(split_condition(value)[1]):
                yield f"asks for {name} {value!r}, and OAR takes no quotes, braces, backslashes, $ and ; in a value"
        request = self.request
        for what, text in (
            *(("cluster", name) for name, _ in request.shares),
            ("cluster", request.cluster),
            ("queue", request.queue),
            ("project", request.project),
            *(("type", kind) for kind in request.types),
            *(("node", host) for host in (*request.hosts, *request.without)),
        ):
            if text is not None and (unquotable(text) or text.startswith("-")):
                yield f"asks for {what} {text!r}, which OAR would misread"
        if request.same_switch and "switch" not in self._columns:
            yield f"asks for nodes behind one switch, {self._where} does not say what is behind which"

    def _names(self) -> Iterable[str]:
        """Clusters and nodes that there are not."""
        clusters = {str(r.properties.get("cluster") or "") for rows in self._nodes.values() for r in rows} - {""}
        wanted = [name for name, _ in self.request.shares or ((self.request.cluster, 0),)]
        for cluster in wanted:
            if cluster is not None and cluster not in clusters:
                names = ", ".join(sorted(clusters)) or "no clusters"
                yield f"asks for cluster {cluster!r}, {self._where} has {names}"
        for host in self.full_names(self.request.hosts):
            if host not in self._nodes:
                yield f"asks for node {host!r}, which {self._where} does not have"

    def _groups(self) -> list[tuple[str, int]]:
        return list(self.request.shares) or [(self.request.cluster or "", self.request.nodes or 1)]

    def _matching(self, cluster: str) -> list[str]:
        hosts = self.full_names(self.request.hosts)
        return [
            node
            for node, rows in self._nodes.items()
            if (not hosts or node in hosts)
            and node not in self.request.without
            and any(self._suits(row, cluster) for row in rows)
        ]

    def _suits(self, row: Resource, cluster: str) -> bool:
        if cluster and row.properties.get("cluster") != cluster:
            return False
        return all(_holds(row.properties.get(name), *split_condition(v)) for name, v in self.request.properties)

    def _usable(self, node: str) -> bool:
        """Alive, or asleep and woken for a job. What is suspected may come back, and nobody knows when."""
        return any(
            r.state == "Alive"
            or (r.state == "Absent" and self._now < float(r.properties.get("available_upto") or 0) < _FOREVER)
            for r in self._nodes[node]
        )

    def _enough(self, groups: list[tuple[str, int]], free: set[str]) -> bool:
        for cluster, count in groups:
            candidates = [node for node in self._matching(cluster) if node in free]
            if self.request.same_switch:
                switches: dict[Any, int] = defaultdict(int)
                for node in candidates:
                    switches[self._nodes[node][0].properties.get("switch")] += 1
                best = max(switches.values(), default=0)
            else:
                best = len(candidates)
            if best < count:
                return False
        return True


def _holds(there: Any, compare: str, wanted: str) -> bool:
    """Compare as the database does: numbers as numbers; what is not known holds for nothing."""
    if there is None:
        return False
    try:
        return _COMPARE[compare](float(there), float(wanted))
    except ValueError:
        return _COMPARE[compare](str(there), wanted)
