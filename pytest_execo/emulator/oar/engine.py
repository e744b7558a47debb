"""An OAR that lives in memory: what its users can ask of it, and what goes wrong with it on request."""

from __future__ import annotations

import math
import random as chances
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from . import status as statuses
from . import walltime as walltimes
from .admission import Facts, Submitted, admit
from .dates import text_of
from .jobs import Change, OarJob, Order
from .life import Life
from .matching import Need
from .resources import STANDBY, Resource
from .settings import Clock, OarRefused, OarSettings
from .sql import BadProperties
from .table import Table

__all__ = ("Oar", "OarRefused", "OarSettings")

_NO_JOB = "OAR_JOB_ID=-5\n# Error: please verify your job submission syntax."
_STATES = ("Alive", "Absent", "Suspected", "Dead", "Standby")


class Oar:
    """The OAR of one site. It moves when :meth:`advance` is called, in order of date, and is the same for the same
    calls at the same dates. It is for one thread at a time.

    A job's command is not run: ``sleep N`` ends after N seconds, any other one when :meth:`end_command` says so or its
    walltime is over.

    :param random: for what happens by chance (:attr:`OarSettings.jitter`); the default is the same every time.
    """

    def __init__(
        self,
        site: str,
        resources: Sequence[Resource],
        clock: Clock,
        *,
        settings: OarSettings | None = None,
        first_job: int = 1,
        random: chances.Random | None = None,
    ) -> None:
        self.site: str = site
        self.settings: OarSettings = settings or OarSettings()
        self._clock = clock
        self._life = Life(resources, self.settings, random or chances.Random(0), first_job=first_job)

    @property
    def resources(self) -> tuple[Resource, ...]:
        """All resources of the site, in the order of OAR's table."""
        return self._life.table.resources

    @property
    def table(self) -> Table:
        """The same, by property."""
        return self._life.table

    # -- time

    def advance(self) -> list[Change]:
        """Bring everything to the clock's date. Return what changed since the last call, oldest first."""
        self._life.run(self._clock.now())
        return self._life.drain()

    def next_date(self) -> float | None:
        """Return when something is due next; ``None``: nothing happens until somebody asks for something."""
        return self._life.next_date()

    # -- jobs

    def job(self, job_id: int) -> OarJob:
        """Return a job. :raises KeyError: there is none of this number."""
        return self._life.jobs[job_id]

    def jobs(self) -> list[OarJob]:
        """Return all jobs, newest first."""
        return sorted(self._life.jobs.values(), key=lambda job: -job.id)

    def predicted(self, job: OarJob) -> list[Resource]:
        """Return the resources that a job has or had, or those that the scheduler plans for it."""
        return self._life.table.of(job.mask)

    def nodes(self, job: OarJob) -> list[str]:
        """Return the full names of the nodes of :meth:`predicted`; the first one is the head node."""
        return self._life.table.hosts_in(job.mask)

    def submit(
        self,
        user: str,
        *,
        resources: str | Sequence[str] = "",
        command: str | None = None,
        reservation: str | None = None,
        types: Sequence[str] = (),
        properties: str = "",
        queue: str | None = None,
        project: str = "default",
        name: str | None = None,
        directory: str | None = None,
        **other: Any,
    ) -> int:
        """Submit a job, and return its number. An advance reservation is decided at once.

        :param resources: OAR's request; several of them are the alternatives of a moldable job.
        :param reservation: ``YYYY-MM-DD HH:MM:SS`` in the time of the site, with an end if one likes, or ``now``.
        :param other: what oarsub knows as well, and this one has no use for: ``stdout``, ``notify``…
        :raises OarRefused: with what oarsub would have printed. A refused reservation leaves a job in ``Error``.
        """
        life = self._life
        life.run(self._clock.now())
        asked = Submitted(
            user=user,
            resources=(resources,) if isinstance(resources, str) else tuple(resources),
            command=command,
            reservation=reservation,
            types=tuple(types),
            properties=properties,
            queue=queue,
            project=project,
            name=name,
            directory=directory,
        )
        order = self._possible(admit(asked, self._facts(user), life.table, self.settings))
        job = life.add(order)
        if order.start is not None:
            self._reserve(job, order, order.start)
        life.ask_for_pass()
        return job.id

    def delete(self, user: str, job_id: int) -> str:
        """Ask for the end of a job; it comes a little later. Return what oardel says.

        :raises OarRefused: it is not the user's, was killed before, or does not exist.
        """
        self._life.run(self._clock.now())
        job = self._life.jobs.get(job_id)
        if job is None:
            raise _not_deleted(job_id, 1024, "This job does not exist.", 404)
        if job.user != user and user not in ("root", "oar"):
            raise _not_deleted(job_id, 256, "You are not the right user.", 403)
        if job.fragged:
            raise _not_deleted(job_id, 1536, "This job was already killed.", 400)
        self._life.frag(job, user)
        return f"Deleting the job = {job_id} ...REGISTERED. The job(s) [ {job_id} ] will be deleted in a near future."

    def walltime(self, job_id: int) -> dict[str, Any]:
        """Return the walltime of a job and how it may change. :raises KeyError: there is no such job."""
        return walltimes.shown(self.job(job_id), self.settings)

    def change_walltime(
        self,
        user: str,
        job_id: int,
        walltime: str,
        *,
        force: bool = False,
        delay_next_jobs: bool = False,
        whole: bool = False,
        timeout: int | None = None,
    ) -> str:
        """Ask for another walltime, ``+1:30`` or ``2:00:00``: the scheduler's next pass decides. Return OAR's sentence.

        :raises OarRefused: with OAR's reason.
        """
        life = self._life
        life.run(self._clock.now())
        job = life.jobs.get(job_id)
        if job is None:
            raise OarRefused(4, f"Job {job_id} does not exist", 404)
        answer = walltimes.request(
            job,
            user,
            walltime,
            self.settings,
            life.date,
            force=force,
            delay_next_jobs=delay_next_jobs,
            whole=whole,
            timeout=timeout,
        )
        life.ask_for_pass()
        return answer

    def status(self) -> dict[str, Any]:
        """Return nodes, disks, VLANs and subnets as the API has them, without links."""
        return statuses.status(self)

    # -- what goes wrong, and what happens outside

    def end_command(self, job_id: int, exit_code: int = 0) -> None:
        """The command of a running job has ended by itself. :raises KeyError: there is no such job."""
        self._life.run(self._clock.now())
        self._life.command_ended(self.job(job_id), exit_code)

    def kill(self, job_id: int, reason: str) -> None:
        """End a job early, as an administrator or a broken node would; one that is over stays as it is.

        :raises KeyError: there is no such job.
        """
        self._life.run(self._clock.now())
        job = self.job(job_id)
        if not job.over and not job.fragged:
            self._life.note(job, "LOG_KILL", f"[emulator] {reason}")
            self._life.frag(job, "root")

    def set_node_state(self, host: str, state: str) -> None:
        """Put a node into a state. Jobs that run on it go on, new ones avoid it unless it is alive or in standby.

        :param state: ``Alive``, ``Absent``, ``Suspected``, ``Dead``; ``Standby``: absent, but can be switched on.
        :raises KeyError: there is no such node.
        :raises ValueError: there is no such state.
        """
        if state not in _STATES:
            raise ValueError(f"{state!r} is no state of a node; write one of {', '.join(_STATES)}")
        life = self._life
        life.run(self._clock.now())
        for resource in life.table.of(life.table.hosts[host]):
            resource.state = "Absent" if state == "Standby" else state
            resource.available_upto = STANDBY if state == "Standby" else 0
        life.table.refresh()
        life.ask_for_pass(compress=True)

    # -- inside

    def _facts(self, user: str) -> Facts:
        active = self._life.active
        waiting = [job for job in active.values() if job.user == user and job.state in ("Waiting", "Hold")]
        return Facts(
            now=self._life.date,
            waiting_jobs=sum(1 for job in waiting if job.reservation == "None"),
            waiting_reservations=[job.started for job in waiting if job.reservation == "Scheduled"],
            is_container=lambda number: number in active and active[number].order.type("container") is not None,
        )

    def _possible(self, order: Order) -> Order:
        """Return the order without alternatives that can never be. :raises OarRefused: when none is left."""
        table = self._life.table
        try:
            needs = self._life.scheduler.needs(order)
        except BadProperties as error:
            raise OarRefused(8, "\n".join((*order.notes, f"Bad resource request ({error})", _NO_JOB))) from None
        here = table.everything & ~table.dead
        inner = order.type("inner")
        if inner is not None:
            here &= self._life.jobs[int(inner)].mask or here

        def exists(need: Need) -> bool:
            return bool(need.take(here, table.everything & ~table.dead))

        kept = [number for number, need in enumerate(needs) if exists(need)]
        if not kept and inner is None:
            message = "There are not enough resources for your request"
            raise OarRefused(8, "\n".join((*order.notes, message, _NO_JOB)))
        if not kept or len(kept) == len(needs):
            return order  # too big for its container: it waits there for ever, as at OAR
        return replace(
            order,
            wanted=tuple(order.wanted[number] for number in kept),
            walltime=tuple(order.walltime[number] for number in kept),
        )

    def _reserve(self, job: OarJob, order: Order, start: float) -> None:
        life = self._life
        walltime = order.walltime[0]
        job.reservation, job.started = "toSchedule", start
        life.move(job, "toAckReservation")
        if start < life.date:
            walltime -= math.ceil(life.date - start)
            start = life.date
        if walltime <= 0:
            self._refuse(job, "Reservation too old")
        order = replace(order, walltime=(walltime,))
        scheduler = life.scheduler
        diagram = scheduler.for_reservations(life.active.values(), order, life.date)
        plan = None if diagram is None else scheduler.earliest(order, job.id, diagram, start, at_once=True)
        if plan is None:
            later = None if diagram is None else scheduler.earliest(order, job.id, diagram, start)
            could = "cannot run" if later is None else f"could run at {text_of(math.ceil(later.start))}"
            self._refuse(job, f"This reservation {could}")
        job.plan, job.reservation = plan, "Scheduled"
        job.started = job.scheduled = start
        job.walltime = walltime
        job.message = "FIFO scheduling OK"
        life.move(job, "Waiting")

    def _refuse(self, job: OarJob, reason: str) -> None:
        self._life.refuse(job, reason)
        lines = (
            *job.order.notes,
            f"OAR_JOB_ID={job.id}",
            "# Advance reservation request: waiting for validation...",
            f"# Reservation not valid --> KO ({reason})",
        )
        raise OarRefused(10, "\n".join(lines))


def _not_deleted(job_id: int, exit_status: int, reason: str, http: int) -> OarRefused:
    return OarRefused(
        exit_status >> 8,
        f"Oardel command exited with status {exit_status}: Deleting the job = {job_id} ...ERROR.\n"
        f"Cannot frag {job_id} ; {reason}",
        http,
    )
