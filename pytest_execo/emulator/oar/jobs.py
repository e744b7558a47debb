"""A job, what happened to it, and where the scheduler plans it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .grammar import Wanted

__all__ = ("ACTIVE", "FINAL", "HOLDING", "Change", "OarEvent", "OarJob", "Order", "Plan", "WalltimeChange")

#: States in which a job has its resources.
HOLDING: frozenset[str] = frozenset(
    ("toLaunch", "Launching", "Running", "Suspended", "Resuming", "Finishing")
)  # fmt: skip
#: States in which a job is over.
FINAL: frozenset[str] = frozenset(("Terminated", "Error"))
#: All other states.
ACTIVE: frozenset[str] = HOLDING | {"Waiting", "Hold", "toAckReservation", "toError"}


@dataclass(frozen=True)
class Change:
    """A job went from one state into another. ``old`` is empty for a new job."""

    date: float
    job_id: int
    old: str
    new: str


@dataclass(frozen=True)
class OarEvent:
    """Something that OAR has noted about a job."""

    id: int
    type: str
    description: str
    date: float


@dataclass(frozen=True)
class Order:
    """What was asked for, after the admission rules: enough to submit it again.

    :param wanted: the alternatives of a moldable job; one of any other.
    :param walltime: seconds, of each alternative.
    :param notes: what the admission rules have to say.
    """

    user: str
    wanted: tuple[Wanted, ...]
    walltime: tuple[int, ...]
    types: tuple[str, ...]
    properties: str
    queue: str
    command: str | None = None
    start: float | None = None
    project: str = "default"
    name: str | None = None
    directory: str | None = None
    notes: tuple[str, ...] = ()

    def type(self, name: str) -> str | None:
        """Return the value of ``name`` or ``name=value``, empty without one; ``None``: it has no such type."""
        for text in self.types:
            head, _, value = text.partition("=")
            if head == name:
                return value
        return None


@dataclass(frozen=True)
class Plan:
    """When and where the scheduler wants a job to run.

    :param until: when its resources can be others', the security time after its walltime.
    :param alternative: which one of a moldable job.
    """

    start: float
    until: float
    mask: int
    walltime: int
    alternative: int = 0


@dataclass
class WalltimeChange:
    """What was asked of a running job's walltime, and what was given. All durations are seconds, to be added."""

    pending: int = 0
    force: bool = False
    delay_next_jobs: bool = False
    whole: bool = False
    timeout: int = 0
    asked: float = 0.0
    granted: int = 0
    granted_with_force: int = 0
    granted_with_delay: int = 0
    granted_with_whole: int = 0


@dataclass
class OarJob:
    """A job, in OAR's words and spelling.

    :param started: when it was launched; the date of an advance reservation; 0 while there is none.
    :param scheduled: the forecast of its start; ``None``: there is none.
    :param stopped: when it was over; ``None`` before that.
    :param exit_code: as ``wait`` has it: 256 times the code of the command; ``None``: not known.
    :param reservation: ``None``, ``toSchedule`` or ``Scheduled``.
    :param assigned: the resources that it has or had, as bits of the site's table.
    :param plan: while it waits.
    :param fragged: somebody has asked for its end: its owner, its walltime, a normal job that needs its nodes.
    """

    id: int
    order: Order
    submitted: float
    state: str
    walltime: int
    started: float = 0.0
    scheduled: float | None = None
    stopped: float | None = None
    exit_code: int | None = None
    message: str = ""
    reservation: str = "None"
    events: list[OarEvent] = field(default_factory=list)
    assigned: int = 0
    plan: Plan | None = None
    until: float = 0.0
    fragged: bool = False
    walltime_change: WalltimeChange | None = None

    @property
    def user(self) -> str:
        """Who submitted it."""
        return self.order.user

    @property
    def name(self) -> str | None:
        """The name that its owner gave it."""
        return self.order.name

    @property
    def project(self) -> str:
        """``default``, or what was said."""
        return self.order.project

    @property
    def queue(self) -> str:
        """Where the admission rules put it."""
        return self.order.queue

    @property
    def types(self) -> tuple[str, ...]:
        """``deploy``, ``container``, ``inner=12``…"""
        return self.order.types

    @property
    def properties(self) -> str:
        """The condition on its resources, with what the admission rules have added."""
        return self.order.properties

    @property
    def command(self) -> str:
        """What it runs; empty: nothing."""
        return self.order.command or ""

    @property
    def directory(self) -> str:
        """Where it runs that."""
        return self.order.directory or f"/home/{self.order.user}"

    @property
    def mode(self) -> str:
        """``PASSIVE``; ``INTERACTIVE`` without a command and without a date."""
        return "PASSIVE" if self.order.command or self.order.start is not None else "INTERACTIVE"

    @property
    def holding(self) -> bool:
        """Whether it has its resources at this time."""
        return self.state in HOLDING

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL

    @property
    def waiting(self) -> bool:
        """Whether the scheduler has to find it a place and a date: it waits, and is no advance reservation."""
        return self.state == "Waiting" and self.reservation == "None" and not self.fragged

    @property
    def besteffort(self) -> bool:
        """Whether it gives way to other jobs."""
        return self.order.queue == "besteffort"

    @property
    def noop(self) -> bool:
        """Whether it only holds its resources, and runs nothing."""
        return self.order.type("noop") is not None

    @property
    def container(self) -> int | None:
        """The job in which it runs; ``None``: in none."""
        inner = self.order.type("inner")
        return int(inner) if inner and inner.isdigit() else None

    @property
    def mask(self) -> int:
        """Its resources, or those that the scheduler plans for it."""
        return self.assigned or (self.plan.mask if self.plan else 0)
