"""Jobs: list, look at, submit, delete, and change their walltime."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from ....errors import ApiError, InvalidRequest
from ....nearest import nearest
from ..answers import ACTIVE_STATES, FINAL_STATES, Job, Submission, WalltimeState
from .calls import Calls, path_of
from .paging import LARGEST_PAGE

__all__ = ("JobCalls",)

_STATES = (*ACTIVE_STATES, *FINAL_STATES, "toerror")
# The server capitalizes what it is asked for, and OAR writes toLaunch.
_NOT_FILTERED = frozenset({"tolaunch", "toerror", "toackreservation"})
# OAR may take 300 s to answer an advance reservation, and the API waits that long.
_SUBMISSION_TIMEOUT = 330.0


class JobCalls(Calls):
    """Verbs about jobs."""

    def jobs(
        self,
        site: str,
        *,
        state: Sequence[str] = (),
        user: str | None = None,
        name: str | None = None,
        queue: str | None = None,
        project: str | None = None,
        resources: bool = False,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Return a site's jobs one by one, newest first. Pages are asked for as they are needed.

        :param state: any of these. The server can't look for ``tolaunch``, ``toerror`` and ``toackreservation``: with
            them it is asked for jobs of any state, which takes long unless ``user`` or ``name`` makes them few.
        :param resources: with their nodes, VLANs, subnets and disks, which is slower.
        :param limit: at most so many.
        """
        wanted = frozenset(word.lower() for word in state)
        for word in sorted(wanted.difference(_STATES)):
            raise InvalidRequest(f"state={word!r}: no state of a job{nearest(word, _STATES)}")
        if limit is not None and limit < 1:
            return iter(())
        here = bool(wanted & _NOT_FILTERED)
        params = {
            "state": ",".join(sorted(wanted)) if wanted and not here else None,
            "user": user,
            "name": name,
            "queue": queue,
            "project": project,
            "resources": "yes" if resources else None,
        }
        path = path_of(site, "jobs")
        size = LARGEST_PAGE if limit is None or here else min(limit, LARGEST_PAGE)
        found = (self._job(site, "GET", path, item) for item in self._pages(path, params, size))
        return itertools.islice((job for job in found if not here or job.state in wanted), limit)

    def job(self, site: str, job_id: int) -> Job:
        """Return a job."""
        path = path_of(site, "jobs", str(job_id))
        return self._job(site, "GET", path, self._get(path))

    def submit(self, site: str, submission: Submission) -> Job:
        """Submit a job and return it. With an advance reservation the answer comes when OAR has decided.

        :raises ApiError: with OAR's sentence when it refuses. When no answer came (``status`` is ``None``) and the
            reason does not say that there was no connection, the job may have been made.
        """
        path = path_of(site, "jobs")
        data = self._http.json("POST", path, body=submission.to_json(), timeout=_SUBMISSION_TIMEOUT)
        return self._job(site, "POST", path, data)

    def delete_job(self, site: str, job_id: int) -> None:
        """Ask for the end of a job, which comes some seconds later. One that is being ended already is no error.

        :raises ApiError: 404 when there is none; 403 when it is somebody else's.
        """
        try:
            self._http.text("DELETE", path_of(site, "jobs", str(job_id)))
        except ApiError as error:
            if "already killed" not in error.reason:
                raise

    def walltime(self, site: str, job_id: int) -> WalltimeState:
        """Return a job's walltime and how it may change."""
        path = path_of(site, "jobs", str(job_id), "walltime")
        return self._read("GET", path, WalltimeState.from_json, self._get(path))

    def change_walltime(
        self,
        site: str,
        job_id: int,
        walltime: float,
        *,
        add: bool = False,
        force: bool = False,
        delay_next_jobs: bool = False,
        whole: bool = False,
        timeout: int | None = None,
    ) -> str:
        """Ask for another walltime of a running job; return the server's sentence. OAR handles it some time later.

        :param walltime: seconds. :param add: they are in addition to what it has.
        :param force: at once, whatever delay OAR's configuration has for changes.
        :param delay_next_jobs: even if jobs that follow start later; advance reservations never do.
        :param whole: all of it at once, or nothing; otherwise OAR may grant it in parts.
        :param timeout: seconds after which OAR gives up what it could not grant.
        """
        if not math.isfinite(walltime) or walltime <= 0:
            raise InvalidRequest(f"walltime={walltime}: write a number of seconds above 0")
        body: dict[str, Any] = {"walltime": f"{'+' if add else ''}{_clock(walltime)}"}
        body |= {
            key: True
            for key, value in (("force", force), ("delay_next_jobs", delay_next_jobs), ("whole", whole))
            if value
        }
        if timeout is not None:
            body["timeout"] = timeout
        return self._http.text("POST", path_of(site, "jobs", str(job_id), "walltime"), body=body)

    def _job(self, site: str, method: str, path: str, data: Any) -> Job:
        return self._read(method, path, lambda data: Job.from_json(site, data), data)


def _clock(seconds: float) -> str:
    """Return ``H:M:S``, as OAR has it: 25 hours are 25:00:00."""
    whole = math.ceil(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
