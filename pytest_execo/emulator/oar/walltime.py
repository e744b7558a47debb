"""The change of a running job's walltime: what may be asked, and what the scheduler grants of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from .grammar import hms
from .jobs import OarJob, WalltimeChange
from .settings import OarRefused, OarSettings

__all__ = ("grant", "request", "shown")

_CHANGE = re.compile(r"([+-]?)(\d{1,9})(?::(\d{1,9})(?::(\d{1,9}))?)?")


def shown(job: OarJob, settings: OarSettings) -> dict[str, Any]:
    """Return the state of a walltime as the API has it, without links. Durations are there while the job runs."""
    change = job.walltime_change or WalltimeChange()
    item: dict[str, Any] = {"uid": job.id}
    if job.state == "Running":
        limit = settings.walltime_max_increase
        item |= {
            "walltime": hms(job.walltime),
            "possible": "UNLIMITED" if limit is None else _signed(max(0, limit - change.granted)),
            "pending": _signed(change.pending),
            "timeout": change.timeout,
        }
    item |= {
        "force": _word(change.force, _may(job.user, settings.users_to_force)),
        "delay_next_jobs": _word(change.delay_next_jobs, _may(job.user, settings.users_to_delay)),
        "whole": _word(change.whole, True),
    }
    if job.state == "Running":
        item |= {
            "granted": _signed(change.granted),
            "granted_with_force": _signed(change.granted_with_force),
            "granted_with_delay_next_jobs": _signed(change.granted_with_delay),
            "granted_with_whole": _signed(change.granted_with_whole),
        }
    return item


def request(
    job: OarJob,
    user: str,
    text: str,
    settings: OarSettings,
    date: float,
    *,
    force: bool,
    delay_next_jobs: bool,
    whole: bool,
    timeout: int | None,
) -> str:
    """Note what is wanted, instead of what was wanted before and was not granted. Return OAR's sentence.

    :raises OarRefused: with OAR's reason.
    """
    match = _CHANGE.fullmatch(text.strip())
    if match is None:
        raise OarRefused(1, "Syntax error")
    if not settings.walltime_change:
        raise _forbidden("Walltime change is not enabled")
    if job.user != user:
        raise _forbidden(f"Job {job.id} does not belong to you")
    if job.state != "Running" or job.fragged:
        raise _forbidden(f"Job {job.id} is not running")
    if job.walltime < settings.walltime_min:
        raise _forbidden(f"Walltime change is not allowed for a job with walltime < {hms(settings.walltime_min)}")
    sign, *clock = match.groups()
    hours, minutes, seconds = (int(part or 0) for part in clock)
    value = hours * 3600 + minutes * 60 + seconds
    delta = value - job.walltime if not sign else -value if sign == "-" else value
    if delta < 0 and not settings.walltime_reduction:
        raise OarRefused(1, "Walltime reduction is not allowed")
    if force and not _may(user, settings.users_to_force):
        raise _forbidden("Walltime change for this job is not allowed to be forced")
    if delay_next_jobs and not _may(user, settings.users_to_delay):
        raise _forbidden("Walltime change for this job is not allowed to delay other jobs")
    change = job.walltime_change or WalltimeChange()
    limit = settings.walltime_max_increase
    if limit is not None and delta > 0 and change.granted + delta > limit:
        raise _forbidden(
            "Walltime change request cannot be updated because the walltime cannot increase by more than "
            f"{_signed(limit)}"
        )
    change.pending, change.asked, change.timeout = delta, date, timeout or 0
    change.force, change.delay_next_jobs, change.whole = force, delay_next_jobs, whole
    job.walltime_change = change
    return f"Walltime change request updated for job {job.id}, it will be handled shortly"


def grant(job: OarJob, others: Iterable[OarJob], settings: OarSettings, date: float, *, until: float) -> int:
    """Give a running job what it can have of what it waits for; return the seconds, 0 for nothing.

    A longer walltime ends before the next job on one of its resources. ``delay_next_jobs`` counts only advance
    reservations among these; ``whole`` takes all or nothing.

    :param others: the jobs that have a place where this one could be in their way.
    :param until: the end of the container in which it runs; infinity without one.
    """
    change = job.walltime_change
    if change is None or not change.pending or job.state != "Running" or job.fragged:
        return 0
    if change.timeout and date > change.asked + change.timeout:
        change.pending = 0
        return 0
    if change.pending < 0:
        elapsed = math.ceil(date - job.started)
        given = max(change.pending, min(0, elapsed - job.walltime))
        change.pending = 0
    else:
        patient = min(until, _next_start(job, others, ("Scheduled", "None"))) - job.until
        pushing = min(until, _next_start(job, others, ("Scheduled",))) - job.until
        room = max(0.0, pushing if change.delay_next_jobs else patient)
        given = change.pending if room >= change.pending else 0 if change.whole else int(room)
        change.pending -= given
        if given > patient:
            change.granted_with_delay += given - max(0, int(patient))
    job.walltime += given
    job.until += given
    change.granted += given
    change.granted_with_force += given if change.force else 0
    change.granted_with_whole += given if change.whole else 0
    return given


def _next_start(job: OarJob, others: Iterable[OarJob], kinds: tuple[str, ...]) -> float:
    starts = (
        other.plan.start
        for other in others
        if other.plan is not None and other.reservation in kinds and other.plan.mask & job.assigned
    )
    return min(starts, default=math.inf)


def _may(user: str, allowed: tuple[str, ...]) -> bool:
    return user in allowed or "*" in allowed


def _word(chosen: bool, allowed: bool) -> str:
    return "FORBIDDEN" if not allowed else "YES" if chosen else "NO"


def _signed(seconds: int) -> str:
    return f"{'-' if seconds < 0 else '+'}{hms(abs(seconds))}"


def _forbidden(message: str) -> OarRefused:
    return OarRefused(3, message, 403)
