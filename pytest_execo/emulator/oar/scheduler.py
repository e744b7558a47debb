"""The scheduler: first come, first served, with conservative backfilling.

A job that waits has a place in the diagram, and every pass can only make that place earlier: others come in between
where they delay nobody who came before. What does push it back is what does so at OAR, too: an advance reservation, a
queue of higher priority, a node that is lost, a walltime that was extended with ``delay_next_jobs``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from .dates import day_window, night_window
from .gantt import Gantt
from .jobs import OarJob, Order, Plan
from .matching import Need, Patterns
from .settings import QUEUES, OarSettings
from .table import Table

__all__ = ("Scheduler",)


class Scheduler:
    """Plans the jobs of one site. It changes their plans, forecasts and messages, never their states."""

    def __init__(self, table: Table, settings: OarSettings) -> None:
        self._table = table
        self._settings = settings
        self.patterns: Patterns = Patterns(table)
        self._queues: dict[str, int] = {}
        self._needs: dict[int, tuple[Need, ...]] = {}

    def needs(self, order: Order) -> tuple[Need, ...]:
        """Return what each alternative of an order needs. :raises BadProperties: when a condition can't be read."""
        scope = self._queue(order.queue) & self.patterns.mask(order.properties)
        return tuple(self.patterns.need(wanted.groups, scope) for wanted in order.wanted)

    def _needs_of(self, order: Order, job_id: int) -> tuple[Need, ...]:
        needs = self._needs.get(job_id)
        if needs is None:
            needs = self.needs(order)
            # A condition on the state of resources means others from time to time.
            if "state" not in f"{order.properties}{order.wanted}".lower():
                self._needs[job_id] = needs
        return needs

    def _queue(self, name: str) -> int:
        """Return the resources of a queue: a cluster is in some of them, and best effort and admin see them all."""
        if name not in self._queues:
            mask = self._table.everything
            if name not in ("besteffort", "admin") and "queues" in self._table.columns:
                for text, these in self._table.column("queues").items():
                    if name not in str(text).split(","):
                        mask &= ~these
            self._queues[name] = mask
        return self._queues[name]

    def forget(self, job: OarJob) -> None:
        """Let go of what was kept of a job that is over."""
        self._needs.pop(job.id, None)

    def plan(self, jobs: Iterable[OarJob], now: float, *, compress: bool) -> None:
        """Give all jobs that wait a place, or find that they have none.

        :param jobs: all that are not over.
        :param compress: look for earlier places as well, for jobs that have one: something has become free.
        """
        jobs = sorted(jobs, key=lambda job: job.id)
        by_id = {job.id: job for job in jobs}
        diagrams = _Diagrams(self._table, by_id, now)
        normal = [job for job in jobs if not job.besteffort]
        for job in normal:
            diagrams.take(job)
        # Rather nodes that are awake, and that nobody has to leave.
        avoided = self._table.standby
        for job in jobs:
            if job.besteffort and job.holding:
                avoided |= job.assigned
        waiting = [job for job in normal if job.waiting]
        for priority in sorted({QUEUES[job.queue] for job in waiting}, reverse=True):
            queue = [job for job in waiting if QUEUES[job.queue] == priority]
            homeless: list[OarJob] = []
            for job in queue:
                planned = job.plan is not None
                if self._keep(job, diagrams, now):
                    continue
                homeless.append(job)
                if planned:
                    # What took its place away may not turn the order around: who came later looks anew as well.
                    later = [other for other in queue if other.id > job.id]
                    for other in later:
                        other.plan = None
                    homeless += later
                    break
            for job in queue if compress else homeless:
                self._place(job, diagrams, now, ~avoided)
        for job in jobs:
            if job.besteffort:
                diagrams.take(job)
        for job in jobs:
            if job.besteffort and job.waiting:
                job.plan = None  # no promise to those
                self._place(job, diagrams, now, ~self._table.standby)

    def _keep(self, job: OarJob, diagrams: _Diagrams, now: float) -> bool:
        """Put a job where it was planned; ``False``: that is no longer possible."""
        plan = job.plan
        if plan is None:
            return False
        # One that could not start at its date, because a best-effort job had to go first, has the slack of the
        # security time; after that it needs a new place.
        if now - plan.start > self._settings.security_time / 2:
            length = plan.until - plan.start
            plan = replace(plan, start=now, until=now + length)
        diagram = diagrams.of(job)
        if diagram is None or plan.mask & ~self._table.usable or not diagram.is_free(plan.start, plan.until, plan.mask):
            job.plan = None
            return False
        diagram.add(plan.start, plan.until, plan.mask)
        job.plan = plan
        return True

    def _place(self, job: OarJob, diagrams: _Diagrams, now: float, rather: int) -> None:
        """Find the earliest place of a job; the one that it has is given back first."""
        diagram = diagrams.of(job)
        old = job.plan
        if diagram is not None and old is not None:
            diagram.remove(old.start, old.until, old.mask)
        found = None if diagram is None else self.earliest(job.order, job.id, diagram, now, rather=rather)
        if old is not None and (found is None or found.start >= old.start):
            found = old  # nothing better: the nodes that were told stay
        job.plan = found
        job.scheduled = None if found is None else found.start
        if found is None:
            job.message = "No enough matching resources (no_matching_slot)"
            return
        assert diagram is not None
        diagram.add(found.start, found.until, found.mask)
        job.walltime = found.walltime
        job.message = "FIFO scheduling OK"
        if found is not old:
            diagrams.moved(job)

    def earliest(
        self, order: Order, job_id: int, diagram: Gantt, since: float, *, rather: int = -1, at_once: bool = False
    ) -> Plan | None:
        """Return the place at which one of the alternatives starts first."""
        best: Plan | None = None
        for number, (need, walltime) in enumerate(zip(self._needs_of(order, job_id), order.walltime, strict=True)):
            duration = walltime + self._settings.security_time
            found = diagram.find(
                since,
                duration,
                need.mask & self._table.usable,
                need.least,
                lambda free, need=need: need.take(free, self._table.usable, rather=rather),  # type: ignore[misc]
                _allowed(order, walltime),
                at_once=at_once,
            )
            if found is not None and (best is None or found[0] < best.start):
                best = Plan(found[0], found[0] + duration, found[1], walltime, number)
        return best

    def for_reservations(self, jobs: Iterable[OarJob], order: Order, now: float) -> Gantt | None:
        """Return the diagram that an advance reservation is decided on: running jobs and other reservations.

        Jobs that only wait have no say in it, as at OAR: their places are found anew.
        """
        listed = list(jobs)
        diagrams = _Diagrams(self._table, {job.id: job for job in listed}, now)
        for job in listed:
            if not job.besteffort:
                diagrams.take(job)
        return diagrams.named(order.type("inner"))


class _Diagrams:
    """One diagram for the site, and one for each container that runs or has a place."""

    def __init__(self, table: Table, jobs: Mapping[int, OarJob], now: float) -> None:
        self._table = table
        self._jobs = jobs
        self._now = now
        self._site = Gantt(table.everything)
        self._containers: dict[int, Gantt] = {}

    def of(self, job: OarJob) -> Gantt | None:
        """Return where a job has to be; ``None``: its container has no place, or is over."""
        return self.named(job.order.type("inner"))

    def named(self, inner: str | None) -> Gantt | None:
        if inner is None:
            return self._site
        outer = self._jobs.get(int(inner))
        if outer is None or not outer.mask:
            return None
        if outer.id not in self._containers:
            begin, until = _window(outer, self._now)
            diagram = Gantt(self._table.everything, begin=begin, end=until)
            diagram.add(begin, until, self._table.everything & ~outer.mask)
            self._containers[outer.id] = diagram
        return self._containers[outer.id]

    def moved(self, job: OarJob) -> None:
        """Note that a job has got another place: if it is a container, what it holds has lost its own."""
        if job.order.type("container") is not None:
            self._containers.pop(job.id, None)
            for inner in self._jobs.values():
                if inner.container == job.id and inner.waiting:
                    inner.plan = None

    def take(self, job: OarJob) -> None:
        """Put in a job that has its resources, or is an advance reservation."""
        if job.holding or (job.reservation == "Scheduled" and job.plan is not None):
            diagram = self.of(job)
            if diagram is not None:
                begin, until = _window(job, self._now)
                diagram.add(begin, until, job.mask)


def _window(job: OarJob, now: float) -> tuple[float, float]:
    if job.holding:
        # What is held is held, even if it should have been given back by now.
        return job.started, max(job.until, now + 1)
    assert job.plan is not None
    return job.plan.start, job.plan.until


def _allowed(order: Order, walltime: int) -> Callable[[float], float | None]:
    if order.type("day") is not None:
        return lambda start: day_window(start, walltime)
    if order.type("night") is not None:
        return lambda start: night_window(start, walltime)
    return lambda start: start
