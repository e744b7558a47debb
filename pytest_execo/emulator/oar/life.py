"""What happens to jobs as time goes on: launched, ended, killed, and the scheduler's passes in between."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from . import walltime
from .jobs import Change, OarEvent, OarJob, Order, Plan
from .resources import STANDBY, Resource
from .scheduler import Scheduler
from .settings import QUEUES, OarSettings
from .table import Table

__all__ = ("Life",)

# Jobs whose script runs elsewhere, or nowhere: nobody looks at their nodes when they are launched.
_NODES_NOT_TOUCHED = ("deploy", "cosystem", "noop")
_SLEEP = re.compile(r"\s*(?:exec\s+)?sleep\s+(\d+(?:\.\d+)?)([smhd]?)\s*")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Life:
    """The jobs of one site and all that is still to happen to them, in order of date."""

    def __init__(
        self, resources: Sequence[Resource], settings: OarSettings, chance: random.Random, *, first_job: int
    ) -> None:
        self.table: Table = Table(resources)
        self.settings: OarSettings = settings
        self.scheduler: Scheduler = Scheduler(self.table, settings)
        self.jobs: dict[int, OarJob] = {}
        #: Those that are not over, so that a long history costs nothing.
        self.active: dict[int, OarJob] = {}
        self.date: float = -math.inf
        self._chance = chance
        self._numbers = itertools.count(first_job)
        self._events = itertools.count(1)
        self._turns = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._passes: set[float] = set()
        self._compress = False
        self._changes: list[Change] = []

    # -- time

    def run(self, now: float) -> None:
        """Let all happen that is due, and be at ``now``."""
        while self._due and self._due[0][0] <= now:
            date, _, action = heapq.heappop(self._due)
            self.date = max(self.date, date)
            action()
        self.date = max(self.date, now)

    def next_date(self) -> float | None:
        """Return when something is due; ``None``: nothing is."""
        return self._due[0][0] if self._due else None

    def drain(self) -> list[Change]:
        """Return the changes since the last call, oldest first."""
        changes, self._changes = self._changes, []
        return changes

    def _at(self, date: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (date, next(self._turns), action))

    # -- jobs

    def add(self, order: Order) -> OarJob:
        """Take a job: it is in ``Hold`` for a moment, as every one, and then waits."""
        job = OarJob(next(self._numbers), order, self.date, "", order.walltime[0])
        self.jobs[job.id] = self.active[job.id] = job
        for note in order.notes:
            self.note(job, "ADMISSION_RULE", note)
        self.move(job, "Hold")
        self.move(job, "Waiting")
        return job

    def move(self, job: OarJob, state: str) -> None:
        """Put a job into a state."""
        self._changes.append(Change(self.date, job.id, job.state, state))
        job.state = state

    def note(self, job: OarJob, kind: str, description: str) -> None:
        """Add an event to a job."""
        job.events.append(OarEvent(next(self._events), kind, description, self.date))

    def frag(self, job: OarJob, user: str) -> None:
        """Ask for the end of a job. It has effect some time later."""
        job.fragged = True
        self.note(job, "FRAG_JOB_REQUEST", f"User {user} requested to frag the job {job.id}")
        self._at(self.date + self.settings.deletion, lambda: self._kill(job))

    def refuse(self, job: OarJob, message: str) -> None:
        """End a job that never ran."""
        job.message = message
        self.move(job, "toError")
        self._over(job, "Error")

    def command_ended(self, job: OarJob, code: int) -> None:
        """The command of a job has come to its end."""
        if job.state == "Running" and not job.fragged:
            job.exit_code = (code & 0xFF) << 8
            self._finish(job, "Terminated")

    def _start(self, job: OarJob, plan: Plan) -> None:
        asleep = bool(plan.mask & self.table.standby)
        job.assigned, job.plan, job.until = plan.mask, None, plan.until
        job.walltime, job.started, job.scheduled = plan.walltime, self.date, self.date
        self.move(job, "toLaunch")
        self.move(job, "Launching")
        duration = self.settings.launch * (1 + self.settings.jitter * self._chance.random())
        self._at(self.date + duration + (self.settings.wake if asleep else 0), lambda: self._launched(job))
        self._at(job.started + job.walltime, lambda: self._expire(job))

    def _launched(self, job: OarJob) -> None:
        if job.state != "Launching" or job.fragged:
            return
        if job.assigned & self.table.standby:
            for resource in self.table.of(job.assigned & self.table.standby):
                resource.state, resource.available_upto = "Alive", STANDBY
            self.table.refresh()
        lost = job.assigned & ~self.table.usable
        if lost and all(job.order.type(kind) is None for kind in _NODES_NOT_TOUCHED):
            names = ", ".join(self.table.hosts_in(lost))
            self.note(job, "CPUSET_ERROR", f"[bipbip {job.id}] OAR suspects nodes for the job {job.id}: {names}")
            self.refuse(job, f"nodes could not be prepared: {names}")
            return
        self.move(job, "Running")
        length = _SLEEP.fullmatch(job.command)
        if length and not job.noop:
            seconds = float(length[1]) * _UNITS[length[2]]
            self._at(self.date + seconds, lambda: self.command_ended(job, 0))

    def _expire(self, job: OarJob) -> None:
        if not job.holding or job.fragged or job.state == "Finishing":
            return
        end = job.started + job.walltime
        if self.date < end:  # the walltime has been extended meanwhile
            self._at(end, lambda: self._expire(job))
            return
        self.note(
            job,
            "WALLTIME",
            f"[sarko] Job [{job.id}] from {int(job.started)} with {job.walltime}; "
            f"current time={int(self.date)} (Elapsed)",
        )
        self.frag(job, "root")

    def _kill(self, job: OarJob) -> None:
        if job.over or job.state == "Finishing":
            return
        if not job.holding:
            self.refuse(job, "Job killed by Leon directly")
            return
        self.note(job, "SEND_KILL_JOB", f"[Leon] Send kill signal to oarexec on the first node for job {job.id}")
        self._finish(job, "Terminated" if job.noop else "Error")

    def _finish(self, job: OarJob, outcome: str) -> None:
        self.move(job, "Finishing")
        self._at(self.date + self.settings.end, lambda: self._over(job, outcome))

    def _over(self, job: OarJob, outcome: str) -> None:
        if outcome == "Error":
            self.note(job, "SWITCH_INTO_ERROR_STATE", f"[bipbip {job.id}] Ask to change the job state")
        had = job.assigned or job.plan is not None
        self.move(job, outcome)
        job.stopped, job.plan = self.date, None
        self.active.pop(job.id, None)
        self.scheduler.forget(job)
        for inner in [other for other in self.active.values() if other.container == job.id and not other.fragged]:
            self.frag(inner, "root")
        preempted = any(event.type == "BESTEFFORT_KILL" for event in job.events)
        if job.order.type("idempotent") is not None and (preempted or job.exit_code == 99 << 8):
            again = self.add(job.order)
            self.note(job, "RESUBMIT_JOB_AUTOMATICALLY", f"The job {job.id} is resubmitted as {again.id}")
        self._compress |= bool(had)
        self.ask_for_pass()

    # -- the scheduler

    def ask_for_pass(self, *, compress: bool = False) -> None:
        """Let the scheduler have a look, soon. :param compress: something may have become free."""
        self._compress |= compress
        self._pass_at(self.date + self.settings.scheduler_latency)

    def _pass_at(self, date: float) -> None:
        if date not in self._passes:
            self._passes.add(date)
            self._at(date, lambda: self._pass(date))

    def _pass(self, asked: float) -> None:
        self._passes.discard(asked)
        for job in [job for job in self.active.values() if job.walltime_change]:
            self._change_walltime(job)
        self.scheduler.plan(self.active.values(), self.date, compress=self._compress)
        self._compress = False
        planned = sorted(
            (job for job in self.active.values() if job.state == "Waiting" and job.plan and not job.fragged),
            key=lambda job: (job.plan.start if job.plan else 0, -QUEUES[job.queue], job.id),
        )
        # What best-effort jobs need to be gone, and the scheduler to see it.
        lead = self.settings.deletion + self.settings.end + self.settings.scheduler_latency + 1
        preemptible = any(job.besteffort and job.holding for job in self.active.values())
        for job in planned:
            assert job.plan is not None
            if job.plan.start <= self.date:
                self._start_if_possible(job, job.plan)
            elif not job.besteffort and preemptible and job.plan.start - lead <= self.date:
                self._make_room(job, job.plan.mask)
        for job in planned:
            if job.plan is not None and job.plan.start > self.date:
                early = job.plan.start - lead
                self._pass_at(early if early > self.date and not job.besteffort and preemptible else job.plan.start)

    def _start_if_possible(self, job: OarJob, plan: Plan) -> None:
        outer = job.container
        if outer is not None and (outer not in self.active or self.active[outer].state != "Running"):
            self._pass_at(self.date + max(1.0, self.settings.launch))
            return
        if job.reservation == "Scheduled":
            reduced = self._with_what_is_left(job, plan)
            if reduced is None:
                return
            plan = reduced
        if not job.besteffort:
            self._make_room(job, plan.mask)
        held = 0
        for other in self.active.values():
            if other.holding and other.container == outer:
                held |= other.assigned
        if not held & plan.mask:  # else there will be a pass when it is given back
            self._start(job, plan)

    def _make_room(self, job: OarJob, mask: int) -> None:
        for other in list(self.active.values()):
            if other.besteffort and other.holding and other.assigned & mask and not other.fragged:
                self.note(other, "BESTEFFORT_KILL", f"[MetaSched] kill the besteffort job {other.id} for job {job.id}")
                self.frag(other, "oar")

    def _with_what_is_left(self, job: OarJob, plan: Plan) -> Plan | None:
        """Return the plan of an advance reservation at its date; ``None``: it waits for its nodes, or is over."""
        alive = plan.mask & self.table.usable
        if alive != plan.mask:
            patience = plan.start + self.settings.reservation_timeout
            if self.date < patience:
                self._pass_at(patience)
                return None
            if not alive or (not self.table.hosts_in(alive) and self.table.hosts_in(plan.mask)):
                self.note(job, "RESERVATION_NO_NODE", f"[MetaSched] No node is alive for the reservation {job.id}")
                self.refuse(job, "There is no alive resource for the reservation")
                return None
            self.note(
                job,
                "SCHEDULER_REDUCE_NB_NODES_FOR_RESERVATION",
                f"[MetaSched] Reduce the number of resources for the job {job.id}.",
            )
        late = int(self.date - plan.start)
        if late <= 0:
            return replace(plan, mask=alive)
        if late >= plan.walltime:
            self.refuse(job, "Reservation too old")
            return None
        self.note(job, "REDUCE_RESERVATION_WALLTIME", f"Change walltime from {plan.walltime} to {plan.walltime - late}")
        return replace(plan, mask=alive, walltime=plan.walltime - late)

    def _change_walltime(self, job: OarJob) -> None:
        outer = self.active.get(job.container) if job.container is not None else None
        others = [o for o in self.active.values() if o.container == job.container and not o.besteffort and o is not job]
        given = walltime.grant(job, others, self.settings, self.date, until=outer.until if outer else math.inf)
        if given < 0:
            self._compress = True
            self._at(job.started + job.walltime, lambda: self._expire(job))
        change = job.walltime_change
        if change and change.pending and change.timeout:
            self._pass_at(change.asked + change.timeout + 1)
