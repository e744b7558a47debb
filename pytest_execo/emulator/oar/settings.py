"""How an emulated OAR is set up, how it refuses, and what it reads the time from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ("QUEUES", "Clock", "OarRefused", "OarSettings")

#: Queues and their priority: the scheduler serves the highest first, and best effort when all others are served.
QUEUES: dict[str, int] = {"admin": 10, "default": 3, "production": 3, "abaca": 3, "testing": 3, "besteffort": 0}


class Clock(Protocol):
    """Where the emulated date comes from."""

    def now(self) -> float:
        """Return the emulated date, Unix seconds. It never goes back."""
        ...


class OarRefused(Exception):
    """OAR said no.

    :param exit_code: what its command line tool would have exited with: 18 for a resource description that can't be
        read, 10 for an advance reservation, 254 for an admission rule, 8 when nothing fits.
    :param message: what the tool would have printed.
    :param http: the status with which OAR's REST API relays that.
    """

    def __init__(self, exit_code: int, message: str, http: int = 400) -> None:
        super().__init__(message)
        self.exit_code: int = exit_code
        self.message: str = message
        self.http: int = http


@dataclass(frozen=True)
class OarSettings:
    """Durations in emulated seconds, limits of the admission rules, permissions of the walltime change.

    :param scheduler_latency: from a change (a job submitted, ended…) to the scheduler's pass.
    :param launch: from ``toLaunch`` to ``Running``.
    :param wake: what a launch takes in addition where a node is in standby.
    :param end: how long a job is ``Finishing``.
    :param deletion: from a request to delete to its effect.
    :param jitter: how much longer a launch may take by chance, as a share of it; 0: always the same.
    :param security_time: what the scheduler leaves between two jobs on a resource, as OAR does (its default, too).
    :param reservation_timeout: how long an advance reservation waits for nodes that are not alive at its date, before
        it goes on with less.
    :param max_waiting_reservations: of one user, that start in more than an hour.
    :param walltime_max_increase: seconds by which a walltime may grow; ``None``: without limit.
    :param walltime_min: jobs with a shorter walltime can't change it.
    :param walltime_reduction: whether a walltime may shrink.
    :param users_to_force: who may force a change of walltime; ``*`` is everybody.
    :param users_to_delay: who may delay the jobs that wait, to have a longer walltime; ``*`` is everybody.
    """

    scheduler_latency: float = 0.5
    launch: float = 1.0
    wake: float = 90.0
    end: float = 1.0
    deletion: float = 1.0
    jitter: float = 0.0
    security_time: float = 60.0
    reservation_timeout: float = 300.0
    default_walltime: int = 3600
    max_walltime: int = 168 * 3600
    max_waiting_reservations: int = 2
    max_waiting_jobs: int = 50
    walltime_change: bool = True
    walltime_max_increase: int | None = None
    walltime_min: int = 0
    walltime_reduction: bool = False
    users_to_force: tuple[str, ...] = ()
    users_to_delay: tuple[str, ...] = ("*",)
