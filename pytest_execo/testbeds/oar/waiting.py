"""Waiting for a job: until it runs, until it is over. Polite to the frontend, and never without end."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...errors import ReservationFailed
from .frontend import Frontend, Unreachable
from .parsing import FINAL_STATES, Job

__all__ = ("successor", "wait_until_over", "wait_until_running")

#: Seconds between two questions: at first, at most, and at most while the start is predicted for later.
_FIRST, _LAST, _FAR = 0.5, 10.0, 60.0
_GROWTH = 1.3
#: Seconds that a frontend may be out of reach, restarted for instance, while we wait.
_OUT_OF_REACH = 600.0


def wait_until_running(frontend: Frontend, number: int, *, deadline: float, say: Callable[[str], None]) -> Job:
    """Return the job once its nodes are its own.

    A job that OAR could not launch, because a node failed, is submitted again by OAR itself: that one is waited for
    then, and returned.

    :param deadline: Unix date by which it has to run.
    :raises ReservationFailed: when it ended before it ran, or did not run in time. It may exist still.
    """
    clock = frontend.clock
    pause, told, unreachable_since = _FIRST, "", None
    while True:
        try:
            job = frontend.job(number)
            unreachable_since = None
        except Unreachable as error:
            unreachable_since = clock.now() if unreachable_since is None else unreachable_since
            if clock.now() - unreachable_since > _OUT_OF_REACH:
                raise
            job, text = None, str(error)
        else:
            if job is None:
                raise ReservationFailed(f"{frontend.name}: OAR does not know job {number} any more")
            if job.has_nodes:
                return job
            if job.is_over:
                if (again := successor(frontend, number)) is None:
                    raise ReservationFailed(
                        f"{frontend.name}: job {number} ended before it ran ({job.state}): {job.last_words()}"
                    )
                say(f"job {number} on {frontend.name} could not be launched; OAR submitted it again as {again.id}")
                number, pause = again.id, _FIRST
                continue
            text = _described(job, frontend)
        if text != told:
            say(text)
            told = text
        if clock.now() >= deadline:
            raise ReservationFailed(f"{text}; it had to run by now")
        ahead = job.forecast - clock.now() if job is not None and job.forecast is not None else 0.0
        # A quarter of what is left: a start that comes earlier, because somebody's job ended, is not missed by long.
        wait = min(_FAR, ahead / 4) if ahead / 4 > pause else pause
        clock.sleep(min(wait, max(deadline - clock.now(), _FIRST)))
        pause = min(_LAST, pause * _GROWTH)


def wait_until_over(frontend: Frontend, number: int, *, timeout: float) -> bool:
    """Tell whether the job was over within ``timeout`` seconds.

    :raises Unreachable: when the frontend can't be asked.
    """
    clock = frontend.clock
    deadline, pause = clock.now() + timeout, _FIRST
    while frontend.state(number) not in (*FINAL_STATES, None):
        if clock.now() >= deadline:
            return False
        clock.sleep(pause)
        pause = min(_LAST, pause * _GROWTH)
    return True


def successor(frontend: Frontend, number: int) -> Job | None:
    """Return the job that OAR submitted by itself in place of ``number``, if it did."""
    return next((job for job in frontend.own_jobs() if job.resubmission_of == number), None)


def _described(job: Job, frontend: Frontend) -> str:
    text = f"job {job.id} on {frontend.name} is {job.state}"
    if job.forecast is not None:
        # By the clock, so that the line is the same at the next question.
        return f"{text}, start expected at {time.strftime('%Y-%m-%d %H:%M', time.localtime(job.forecast))}"
    return f"{text}: {job.message}" if job.message else text
