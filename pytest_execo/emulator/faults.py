"""What goes wrong in the emulator, when, and how often: by name, by text, as JSON, or drawn from a seed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .fault import API_ANSWERS, KINDS, Fault, read_faults

__all__ = ("DeploymentFaults", "Faults")


@dataclass(frozen=True)
class DeploymentFaults:
    """What befalls one deployment: nodes that fail, an end that never comes, a cancellation after some seconds."""

    ko: frozenset[str] = frozenset()
    stuck: bool = False
    canceled_after: float | None = None


@dataclass
class _Armed:
    """A fault that waits for its date, or for something to befall."""

    fault: Fault
    number: int
    date: float
    end: float | None
    left: int | None

    def is_on(self, now: float) -> bool:
        return self.date <= now and (self.end is None or now < self.end) and (self.left is None or self.left > 0)


@dataclass
class _Log:
    """What has happened."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    lost: int = 0


class Faults:
    """All faults of one emulator. Dates are emulated; those that begin with ``+`` count from :meth:`begin`.

    Life cycle: made with what shall go wrong, :meth:`begin` by the platform, then :meth:`add` and :meth:`clear` at any
    time. Safe to use from several threads.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._planned: list[Fault] = list(faults)
        self._armed: list[_Armed] = []
        self._numbers = 0
        self._now: float | None = None
        self._happened = _Log()

    @classmethod
    def parse(cls, text: str) -> Faults:
        """Read ``"api=503:times=3,node-dies=taurus-1:at=+60"``. :raises InvalidRequest: what can't be understood."""
        return cls(read_faults(text))

    @classmethod
    def random(cls, seed: int, horizon: float) -> Faults:
        """Draw one to four faults within ``horizon`` emulated seconds. The same seed draws the same ones.

        What is drawn ends by itself: an API that fails does so a few times, a frontend comes back.
        """
        draw = random.Random(f"faults {seed}")
        return cls([_drawn(draw, horizon) for _ in range(draw.randint(1, 4))])

    # what can be injected, by name; each returns self, so that they can be chained

    def node_dies(self, node: str | None = None, at: float | str = "+0") -> Faults:
        """Let a node lose its power; ``None``: one that a job runs on, as soon as there is one."""
        return self.add([Fault("node-dies", nodes=() if node is None else (node,), at=at)])

    def deployment_ko(self, nodes: Sequence[str] | int, tries: int = 1) -> Faults:
        """Let nodes fail in their next ``tries`` deployments; a number: the first so many of each deployment."""
        if isinstance(nodes, int):
            return self.add([Fault("deployment-ko", count=nodes, times=tries)])
        return self.add([Fault("deployment-ko", nodes=tuple(nodes), times=tries)])

    def deployment_stuck(self, times: int = 1) -> Faults:
        """Let deployments stay in ``processing`` for ever."""
        return self.add([Fault("deployment-stuck", times=times)])

    def deployment_canceled(self, times: int = 1, after: float = 60.0) -> Faults:
        """Let deployments be canceled, by nobody in particular, after so many seconds."""
        return self.add([Fault("deployment-canceled", times=times, seconds=after)])

    def job_killed(self, job: int | None = None, at: float | str = "+0") -> Faults:
        """Let a job be ended before its time; ``None``: the first that runs at that date or after it."""
        return self.add([Fault("job-killed", job=job, at=at)])

    def reservation_refused(self, times: int = 1) -> Faults:
        """Let OAR refuse submissions."""
        return self.add([Fault("reservation-refused", times=times)])

    def api(
        self,
        answer: int | str,
        path: str = "",
        times: int | None = None,
        *,
        for_seconds: float | None = None,
        seconds: float | None = None,
        done: bool = False,
        at: float | str = "+0",
    ) -> Faults:
        """Let the API answer badly: see :class:`.fault.Fault`."""
        return self.add(
            [Fault("api", str(answer), path, times=times, during=for_seconds, seconds=seconds, done=done, at=at)]
        )

    def frontend_unreachable(self, site: str | None = None, *, for_seconds: float = 60.0) -> Faults:
        """Let nobody reach a site's OAR and kadeploy for a while; ``None``: those of all sites."""
        return self.add([Fault("frontend-unreachable", site=site, during=for_seconds)])

    # life cycle

    @property
    def planned(self) -> list[Fault]:
        """Those that wait for :meth:`begin`."""
        with self._lock:
            return list(self._planned)

    def begin(self, now: float) -> None:
        """Arm what was planned: dates count from ``now``."""
        with self._lock:
            self._now = now
        planned, self._planned = self._planned, []
        self.add(planned)

    def add(self, faults: Iterable[Fault], now: float | None = None) -> Faults:
        """Add some; their relative dates count from ``now`` (default: from :meth:`begin`)."""
        with self._lock:
            origin = self._now if now is None else now
            for fault in faults:
                if origin is None:
                    self._planned.append(fault)
                    continue
                date = fault.date(origin)
                self._numbers += 1
                end = None if fault.during is None else date + fault.during
                self._armed.append(_Armed(fault, self._numbers, date, end, fault.how_often))
        return self

    def clear(self) -> None:
        """Forget what has not happened yet."""
        with self._lock:
            self._armed.clear()
            self._planned.clear()

    def to_json(self) -> list[dict[str, Any]]:
        """Return what may still happen: each fault with its ``date`` and how many ``times_left`` (``None``: no end)."""
        with self._lock:
            armed = [
                {**entry.fault.to_json(), "date": entry.date, "times_left": entry.left}
                for entry in self._armed
                if entry.left != 0
            ]
            return [fault.to_json() for fault in self._planned] + armed

    @property
    def happened(self) -> list[dict[str, Any]]:
        """What has happened so far: ``date``, ``kind`` and whom it befell, in order (the first 10 000)."""
        with self._lock:
            return list(self._happened.entries)

    # what the platform asks

    def next_date(self, now: float) -> float | None:
        """Return when the next fault with a date of its own is due, after ``now``."""
        with self._lock:
            dates = [e.date for e in self._armed if e.fault.is_timed and e.left and e.date > now]
        return min(dates, default=None)

    def due(self, now: float) -> list[tuple[int, Fault]]:
        """Return the faults whose date has come, with their numbers, until they are :meth:`done`."""
        with self._lock:
            due = [e for e in self._armed if e.fault.is_timed and e.is_on(now)]
        return [(entry.number, entry.fault) for entry in sorted(due, key=lambda e: (e.date, e.number))]

    def done(self, number: int, now: float, whom: str) -> None:
        """Say that a fault that was due has happened to ``whom``."""
        with self._lock:
            for entry in self._armed:
                if entry.number == number:
                    self._spend(entry, now, whom)

    def deployment(self, nodes: Sequence[str], now: float, whom: str) -> DeploymentFaults:
        """Draw what befalls a deployment of ``nodes`` (full names) that begins."""
        ko: set[str] = set()
        stuck, canceled = False, None
        with self._lock:
            for entry in [e for e in self._armed if e.is_on(now)]:
                fault = entry.fault
                if fault.kind == "deployment-ko":
                    hit = fault.hit(nodes)
                    ko.update(hit)
                    if hit:
                        self._spend(entry, now, ", ".join(hit))
                elif fault.kind == "deployment-stuck" and not stuck and canceled is None:
                    stuck = True
                    self._spend(entry, now, whom)
                elif fault.kind == "deployment-canceled" and not stuck and canceled is None:
                    canceled = fault.seconds
                    self._spend(entry, now, whom)
        return DeploymentFaults(frozenset(ko), stuck, canceled)

    def refuses_reservation(self, now: float, whom: str) -> bool:
        """Tell whether OAR refuses this submission."""
        return self._first("reservation-refused", now, lambda _: True, whom) is not None

    def answer(self, method: str, path: str, now: float) -> Fault | None:
        """Return how the API answers badly to this request, or ``None``."""
        return self._first("api", now, lambda fault: fault.concerns(path), f"{method} {path}")

    def unreachable(self, site: str, now: float) -> bool:
        """Tell whether nobody reaches the servers of ``site``."""
        return self._first("frontend-unreachable", now, lambda f: f.site in (None, site), site) is not None

    def _first(self, kind: str, now: float, fits: Any, whom: str) -> Fault | None:
        with self._lock:
            for entry in self._armed:
                if entry.fault.kind == kind and entry.is_on(now) and fits(entry.fault):
                    self._spend(entry, now, whom)
                    return entry.fault
        return None

    def _spend(self, entry: _Armed, now: float, whom: str) -> None:
        if entry.left is not None:
            entry.left -= 1
        if len(self._happened.entries) < 10_000:
            self._happened.entries.append({"date": now, "kind": entry.fault.kind, "whom": whom})
        else:
            self._happened.lost += 1


def _drawn(draw: random.Random, horizon: float) -> Fault:
    at = f"+{draw.uniform(0, horizon):.0f}"
    kind = draw.choice(
        (*KINDS, "deployment-ko", "api", "api")  # those that happen most often in reality
    )
    if kind == "api":
        answer = draw.choice([word for word in API_ANSWERS if word != "timeout"])
        return Fault(kind, answer, times=draw.randint(1, 3), seconds=0.05, at=at)
    if kind == "deployment-ko":
        return Fault(kind, count=draw.randint(1, 2), times=draw.randint(1, 2))
    if kind == "deployment-canceled":
        return Fault(kind, times=1, seconds=draw.uniform(1, 300))
    if kind == "frontend-unreachable":
        return Fault(kind, during=draw.uniform(1, 120), at=at)
    if kind in ("deployment-stuck", "reservation-refused"):
        return Fault(kind, times=1)
    return Fault(kind, at=at)
