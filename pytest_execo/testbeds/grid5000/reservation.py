"""The jobs of a reservation: submitted so that they are found again, whatever happens to us; or somebody's own."""

from __future__ import annotations

import dataclasses
import getpass
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import ApiError, RequestNotMet, ReservationFailed, TestbedError
from ..contract import Remember, Request
from ..undoing import undone
from .answers import ACTIVE_STATES, Job
from .operations import delete, find_job, submit_together
from .requests import submissions

if TYPE_CHECKING:
    from .planning import GridPlan
    from .testbed import Grid5000Testbed

__all__ = ("found", "reclaim", "submit")

# Seconds for deleted jobs to end.
_ENDS = 120.0


def found(testbed: Grid5000Testbed, request: Request) -> dict[str, Job] | None:
    """Return the jobs of the name that was given, when they run and have what is asked for."""
    name = testbed.options.get("job")
    if name is None:
        return None
    sites = testbed.asked_sites(request)
    # Inside the platform the API knows us, and we have to know ourselves.
    user = testbed.client.user or getpass.getuser()
    found = {site: find_job(testbed.client, site, name, user=user) for site in sites}
    jobs = {site: job for site, job in found.items() if job is not None}
    if not jobs:
        return None
    nodes = sum(len(job.nodes) for job in jobs.values())
    if nodes < (request.nodes or 1):
        raise RequestNotMet([f"asks for {request.nodes} nodes, the job {name!r} has {nodes}"])
    return jobs


def submit(testbed: Grid5000Testbed, request: Request, grid: GridPlan, remember: Remember) -> dict[str, Job]:
    """Submit a job to each site of a slot, and return them. They are found again by what was remembered.

    :raises ReservationFailed: when OAR refused, with its own sentence; none is left.
    """
    if len(grid.sites) > 1:
        _wait_for_ends(testbed)
    wanted = {cluster: count for part in grid.sites for cluster, count in part.clusters.items()}
    start = grid.start if request.start is not None or len(grid.sites) > 1 else None
    made = submissions(request, testbed.reference, wanted, start=start)
    # A name of its own, by which a job is found again whose number was lost on the way.
    mark = f"pytest-execo-{secrets.token_hex(4)}"
    name = testbed.options.get("job") or mark
    made = {site: dataclasses.replace(each, name=name) for site, each in made.items()}
    remains: dict[str, Any] = {"name": name, "sites": sorted(made), "asked_at": time.time()}
    if name != mark:
        # Other jobs may get this name later. The shell that runs the command takes it for a remark.
        made = {site: dataclasses.replace(each, command=f"{each.command} # {mark}") for site, each in made.items()}
        remains["mark"] = mark
    remember(remains)
    try:
        jobs = submit_together(testbed.client, made, waiting=testbed.waiting)
    except (ApiError, ReservationFailed) as error:
        # Who looks for jobs later knows that none is on its way. After Ctrl-C one may be.
        remember({**remains, "jobs": {}})
        raise ReservationFailed(error.reason if isinstance(error, ApiError) else str(error)) from error
    with undone(lambda: delete(testbed.client, jobs, waiting=testbed.waiting)):
        remember({**remains, "jobs": {site: job.id for site, job in jobs.items()}})
    return jobs


def _wait_for_ends(testbed: Grid5000Testbed) -> None:
    """Wait for the ends of jobs that were deleted: OAR refuses a date at which they may still hold nodes."""
    waiting = testbed.waiting.until(_ENDS)
    for number, site in list(testbed.deleted.items()):
        while not testbed.client.job(site, number).is_over and waiting.pause(2.0):
            pass
        del testbed.deleted[number]


def reclaim(testbed: Grid5000Testbed, remains: Mapping[str, Any]) -> Sequence[str]:
    """Delete the jobs of a reservation that are not over; they end a little later, and their VLANs with them.

    :raises TestbedError: when the API can't be asked, or a job not be deleted; the others have been.
    """
    try:
        sites, name, numbers = list(remains["sites"]), str(remains["name"]), remains.get("jobs")
        mark, seen = remains.get("mark"), float(remains["asked_at"]) + testbed.unseen
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TestbedError(f"{testbed.site}: this tells of no jobs: {error!r}") from None
    lines, errors = [], []
    for site in sites:
        try:
            # Its process was killed while it submitted: the job may be on its way through the API.
            while not (jobs := _left(testbed, site, name, mark)) and numbers is None and time.time() < seen:
                time.sleep(min(1.0, testbed.unseen))
            for job in jobs:
                delete(testbed.client, {site: job})
                lines.append(f"job {job.id} at {site} deleted")
        except TestbedError as error:
            errors.append(error)
    if errors:
        for note in [*map(str, errors[1:]), *lines]:
            errors[0].add_note(note)
        raise errors[0]
    return lines


def _left(testbed: Grid5000Testbed, site: str, name: str, mark: str | None) -> list[Job]:
    """Return the jobs of a submission that are not over.

    :param mark: what only their command has, where others may have the name.
    """
    # Inside the platform the API knows us, and we have to know ourselves.
    user = testbed.client.user or getpass.getuser()
    found = list(testbed.client.jobs(site, name=name, user=user, state=(*ACTIVE_STATES, "toerror")))
    return [job for job in found if job.name == name and (mark is None or mark in job.command)]
