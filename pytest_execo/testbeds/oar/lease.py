"""Nodes that one job of OAR's holds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ...connectors.host_keys import host_keys
from ...errors import InvalidRequest, ReservationFailed, TestbedError
from ...hosts import Hosts
from ...units import format_duration
from ..contract import Lease
from . import cli, parsing
from .frontend import Frontend, Unreachable
from .parsing import Job
from .waiting import successor, wait_until_over

__all__ = ("OarLease", "end_job")

_log = logging.getLogger("pytest_execo.testbeds.oar")

#: Seconds that an answer of OAR's about the job's state is good for.
FRESH = 5.0
#: Seconds that it may take to answer.
_STATE_TIMEOUT = 20.0
#: Seconds after which more time that was accepted has to be given: OAR's scheduler runs once in a minute at least.
_GRANT_TIMEOUT = 90.0
#: Seconds that the end of a deleted job may take: OAR gives its processes 20, and as long again if a node is stuck.
_END_TIMEOUT = 120.0
_TRIES = (2.0, 10.0, None)


class OarLease(Lease):
    """The nodes of one job. They end with :meth:`release`, or with the job's walltime.

    :param job: the job, which runs. :param nodes: its nodes, as they are reached.
    """

    def __init__(self, frontend: Frontend, job: Job, nodes: Hosts) -> None:
        self.frontend: Frontend = frontend
        #: OAR's number of the job.
        self.job_id: int = job.id
        #: Unix date of the job's start.
        self.start: float = job.start if job.start is not None else frontend.clock.now()
        #: Seconds, as OAR has granted them so far.
        self.walltime: float | None = job.walltime
        self.end: float | None = None if job.walltime is None else self.start + job.walltime
        self.nodes: Hosts = nodes
        # One changes the job at a time, and one asks; who asks does not wait for a change.
        self._changing = threading.Lock()
        self._asking = threading.Lock()
        self._giving_back = False
        self._released = False
        self._ours = True
        self._asked = frontend.clock.now()

    def alive(self) -> bool:
        """Tell whether the job has its nodes, as OAR said within the last 5 seconds.

        While the frontend can't be asked, the nodes are believed to be ours until :attr:`end`.
        """
        if self._giving_back or not self._ours or not self._asking.acquire(blocking=False):
            return self._ours and not self._giving_back
        try:
            now = self.frontend.clock.now()
            if now - self._asked >= FRESH:
                self._ours = self._still_ours(now)
                self._asked = now
        finally:
            self._asking.release()
        return self._ours and not self._giving_back

    def _still_ours(self, now: float) -> bool:
        try:
            # Not `ask`, which tries for long: the next call is the next try.
            answer = self.frontend.run(["oarstat", "-s", "-j", str(self.job_id)], timeout=_STATE_TIMEOUT)
            state = parsing.read_states(answer.stdout).get(self.job_id)
        except Exception:  # not asked, for whatever reason
            _log.debug("%s: no answer about job %s", self.frontend.name, self.job_id, exc_info=True)
        else:
            if state is not None:
                # Finishing: its processes are being ended. Suspended: another job has its nodes.
                return Job(self.job_id, state).has_nodes
            if answer.exit_code == 0:  # OAR knows no such job
                return False
        return self.end is None or now < self.end

    def extend(self, seconds: float) -> float:
        """Ask OAR for more walltime, and return the new end when it is granted.

        :raises ReservationFailed: with OAR's sentence when it refuses, and with what it gave when that is less than
            ``seconds``, because another job is planned on the nodes; :attr:`end` is right in each case.
        """
        if seconds <= 0:
            raise InvalidRequest(f"extend({seconds:g}): write how many seconds more, 1 at least")
        with self._changing:
            clock = self.frontend.clock
            wanted = (self._granted() or 0) + seconds
            answer = self.frontend.run(cli.change(self.job_id, seconds))
            if answer.exit_code != 0:
                raise ReservationFailed(
                    f"{self.frontend.name}: job {self.job_id} was not given more time: {answer.said()}"
                )
            deadline, pause = clock.now() + _GRANT_TIMEOUT, 0.5
            before = self.walltime
            while True:
                granted = self._granted() or 0
                if granted >= wanted and self.end is not None:
                    return self.end
                # OAR goes on trying to give the rest, which nobody can count on.
                if granted != before or clock.now() >= deadline:
                    given = format_duration(max(0.0, granted - wanted + seconds))
                    raise ReservationFailed(
                        f"{self.frontend.name}: job {self.job_id} was given {given} of {format_duration(seconds)}:"
                        " what follows is planned for others"
                    )
                clock.sleep(pause)
                pause = min(5.0, pause * 1.5)

    def _granted(self) -> float | None:
        job = self.frontend.job(self.job_id)
        if job is None or job.is_over:
            raise ReservationFailed(f"{self.frontend.name}: job {self.job_id} is over")
        self.walltime = job.walltime
        self.end = None if job.walltime is None else self.start + job.walltime
        return job.walltime

    def release(self) -> None:
        """Delete the job and wait for its end, 2 minutes at most. That it is over already is no error.

        :raises TestbedError: when it can't be deleted; the message says how to do it by hand. Another call tries anew.
        """
        with self._changing:
            if self._released:
                return
            self._giving_back = True
            host_keys.forget(self.nodes)
            end_job(self.frontend, self.job_id)
            self._released = True

    def describe(self) -> Mapping[str, Any]:
        """Return the lease as JSON for the campaign's description: no secrets."""
        job = {"frontend": self.frontend.name, "job": self.job_id, "start": self.start, "walltime": self.walltime}
        return {"testbed": "oar", **job, **super().describe()}


def end_job(frontend: Frontend, number: int) -> None:
    """Delete a job, and what OAR may have submitted in its place; return when they are over.

    :raises TestbedError: when that can't be done; the message says how to do it by hand.
    """
    try:
        _persistently(frontend, lambda: frontend.delete(number))
        ended = wait_until_over(frontend, number, timeout=_END_TIMEOUT)
        if (again := successor(frontend, number)) is not None:
            end_job(frontend, again.id)
    except ReservationFailed as error:
        raise TestbedError(f"{error}; by hand, on {frontend.name}: oardel {number}") from error
    if not ended:
        _log.warning("%s: job %s is deleted, and not over yet after %g s", frontend.name, number, _END_TIMEOUT)


def _persistently(frontend: Frontend, delete: Callable[[], None]) -> None:
    for pause in _TRIES:
        try:
            delete()
            return
        except Unreachable:
            if pause is None:
                raise
            frontend.clock.sleep(pause)
