"""Jobs: submitted together, found again, waited for, extended, deleted."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import zoneinfo
from collections.abc import Callable, Mapping

from ....errors import ApiError, ReservationFailed, TestbedError
from ....units import format_duration
from ...undoing import undone
from ..answers import ACTIVE_STATES, Job, Submission
from ..client import Grid5000Client, Polling
from .waiting import Waiting

__all__ = ("delete", "extend", "find_job", "reload", "retry_at", "submit_together", "wait_for_start")

_PARIS = zoneinfo.ZoneInfo("Europe/Paris")
_COULD = re.compile(r"could run at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
# Dates that sites propose one after the other before we give up.
_PROPOSALS = 5
# Seconds for which an API may be away while we wait for a job; longer than a server's restart.
_OUTAGE = 900.0
# Seconds for OAR to decide about a walltime.
_DECISION = 300.0
# A job whose submission had no answer may show so much later, seconds: the server goes on when we have hung up.
_UNSEEN = 30.0
# What has to reach an API that is away is tried again for so long, seconds.
_INSISTENCE = 300.0


def submit_together(
    client: Grid5000Client, submissions: Mapping[str, Submission], *, waiting: Waiting
) -> dict[str, Job]:
    """Submit a job to each site, all or none.

    When a site refuses a date and proposes another one, all sites are asked for the proposal, at most five times. A job
    whose submission had no answer is looked for by its name, which has to be its own.

    :raises ReservationFailed: with the site and its own sentence; nothing stays submitted then.
    """
    wanted = dict(submissions)
    for _ in range(_PROPOSALS):
        try:
            return _submit(client, wanted, waiting)
        except _Refused as refused:
            date = retry_at(refused.error, waiting.clock())
            if left := getattr(refused, "__notes__", None):  # not all could be taken back: no other try beside it
                raise ReservationFailed("; ".join([f"{refused.site}: {refused.error.reason}", *left])) from refused
            if date is None or all(each.reservation is None for each in wanted.values()):
                raise ReservationFailed(f"{refused.site}: {refused.error.reason}") from refused.error
            text = dt.datetime.fromtimestamp(date, _PARIS).strftime("%Y-%m-%d %H:%M:%S")
            last = refused
            wanted = {site: dataclasses.replace(each, reservation=text) for site, each in wanted.items()}
    raise ReservationFailed(f"{last.site}: {last.error.reason}; {_PROPOSALS} dates were tried") from last.error


class _Refused(Exception):
    def __init__(self, site: str, error: ApiError) -> None:
        super().__init__(site)
        self.site = site
        self.error = error


def _submit(client: Grid5000Client, submissions: Mapping[str, Submission], waiting: Waiting) -> dict[str, Job]:
    made: dict[str, Job] = {}
    for site, submission in submissions.items():
        with undone(lambda: delete(client, made, waiting=waiting)):
            try:
                made[site] = client.submit(site, submission)
            except ApiError as error:
                found = _made_all_the_same(client, site, submission, error, waiting)
                if found is None:
                    raise _Refused(site, error) from error
                made[site] = found
    return made


def _made_all_the_same(
    client: Grid5000Client, site: str, submission: Submission, error: ApiError, waiting: Waiting
) -> Job | None:
    """Return the job whose submission had no answer: only that may have been lost. Its name has to be its own."""
    if not error.may_pass or submission.name is None:
        return None
    waiting = waiting.until(_INSISTENCE)
    polling = Polling()
    shows_by = waiting.clock() + _UNSEEN
    while True:
        try:
            found = find_job(client, site, submission.name, user=client.user)
        except ApiError:
            found = None
        else:
            if found is not None or waiting.clock() >= shows_by:
                return found
        if not waiting.pause(polling.delay(waiting.clock())):
            return None


def retry_at(error: ApiError, now: float) -> float | None:
    """Return the date that OAR proposes instead of the one that was asked for; ``None``: it proposes none."""
    if found := _COULD.search(error.reason):
        return dt.datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=_PARIS).timestamp()
    return now + 60 if "Reservation too old" in error.reason else None


def find_job(client: Grid5000Client, site: str, name: str, *, user: str | None) -> Job | None:
    """Return the job of this name that runs, or may still.

    :raises ReservationFailed: when there are several.
    """
    named = [job for job in client.jobs(site, name=name, user=user, state=ACTIVE_STATES) if job.name == name]
    found = [job for each in named if not (job := client.job(site, each.id)).is_being_deleted]
    if len(found) > 1:
        numbers = ", ".join(str(job.id) for job in found)
        raise ReservationFailed(f"{site}: several jobs are called {name!r}: {numbers}; delete all but one")
    return found[0] if found else None


def reload(client: Grid5000Client, site: str, job_id: int) -> Job:
    """Return a job by its number: after a crash, or when something about it has changed."""
    return client.job(site, job_id)


def wait_for_start(
    client: Grid5000Client,
    jobs: Mapping[str, Job],
    *,
    waiting: Waiting,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Job]:
    """Wait until all jobs run; return them as they are then.

    An API that does not answer for a while is waited for as well.

    :param progress: told in a line what a job waits for, when that changes.
    :raises ReservationFailed: a job ended, with OAR's message; or they did not start before the deadline. The jobs are
        as they are then: whoever submitted them deletes them.
    """
    current = dict(jobs)
    polling = Polling()
    told: dict[str, str] = {}
    heard = waiting.clock()
    while True:
        try:
            for site, job in current.items():
                if job.state != "running":
                    current[site] = job = client.job(site, job.id)
                if job.state != "running" and (job.is_over or job.state == "toerror"):
                    when = "before it ran" if job.started_at is None else "before its start was seen"
                    raise ReservationFailed(f"{site}: job {job.id} ended {when}: {_ending(job)}")
                _tell(site, job, waiting, told, progress)
            heard = waiting.clock()
        except ApiError as error:
            if not error.may_pass:
                raise ReservationFailed(error.reason) from error
            if waiting.clock() - heard > _OUTAGE:
                raise ReservationFailed(f"the API was away for {format_duration(_OUTAGE)}: {error}") from error
        waits = [job for job in current.values() if job.state != "running"]
        if not waits:
            return current
        dates = [job.begin for job in waits if job.begin is not None]
        if not waiting.pause(polling.delay(waiting.clock(), max(dates) if len(dates) == len(waits) else None)):
            states = ", ".join(f"{job.site} {job.id}: {job.state}" for job in waits)
            raise ReservationFailed(f"not started in time: {states}")


def _ending(job: Job) -> str:
    words = [job.message, *(event.description for event in job.events)]
    return "; ".join(word for word in words if word) or job.state


def _tell(site: str, job: Job, waiting: Waiting, told: dict[str, str], progress: Callable[[str], None] | None) -> None:
    if progress is None:
        return
    line = f"{site} {job.id}: {job.state}"
    if job.state != "running" and job.begin is not None:
        at = dt.datetime.fromtimestamp(job.begin, _PARIS).strftime("%Y-%m-%d %H:%M")
        line += f", starts in about {format_duration(max(0.0, job.begin - waiting.clock()))} ({at} in Paris)"
        key = f"{job.state} {at}"
    else:
        key = job.state
    if told.get(site) != key:
        told[site] = key
        progress(line)


def delete(client: Grid5000Client, jobs: Mapping[str, Job], *, waiting: Waiting | None = None) -> None:
    """Have jobs deleted: they end a little later. One that is gone is no error.

    An API that does not answer is told again, for five minutes: a job that stays is nodes for nobody.

    :raises TestbedError: when a job could not be deleted; the others were.
    """
    waiting = (waiting or Waiting()).until(_INSISTENCE)
    errors: list[str] = []
    for site, job in jobs.items():
        polling = Polling()
        while True:
            try:
                client.delete_job(site, job.id)
                break
            except ApiError as error:
                if error.status == 404:
                    break
                if not error.may_pass or not waiting.pause(polling.delay(waiting.clock())):
                    errors.append(f"{site}: job {job.id} could not be deleted: {error}")
                    break
    if errors:
        raise TestbedError("; ".join(errors))


def extend(client: Grid5000Client, site: str, job_id: int, seconds: float, *, waiting: Waiting) -> float:
    """Ask for a longer walltime and wait until OAR has decided; return the new end.

    :raises ReservationFailed: refused, or less was given; with OAR's sentence.
    """
    before = client.job(site, job_id)
    try:
        client.change_walltime(site, job_id, seconds, add=True)
    except ApiError as error:
        raise ReservationFailed(f"{site}: job {job_id}: {error.reason}") from error
    wanted = (before.walltime or 0.0) + seconds
    waiting = waiting.until(_DECISION)
    polling = Polling(longest=20.0)
    while True:
        job = client.job(site, job_id)
        if job.is_over:
            raise ReservationFailed(f"{site}: job {job_id} has ended: {_ending(job)}")
        if (job.walltime or 0.0) >= wanted and job.end is not None:
            return job.end
        if not waiting.pause(polling.delay(waiting.clock())):
            given = format_duration((job.walltime or 0.0) - (before.walltime or 0.0))
            raise ReservationFailed(f"{site}: job {job_id}: asked for {format_duration(seconds)} more, got {given}")
