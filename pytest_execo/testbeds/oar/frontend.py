"""A frontend: the machine that has ``oarsub``, and what it is asked. Every question has a deadline.

Nothing here belongs to the test that runs: a job outlives tests, and a question to OAR must not be ended with one.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ...errors import ConnectorError, ReservationFailed
from ...hosts import Host
from ...processes import Process
from ...processes.scopes import Scope, root_scope
from . import cli, parsing

__all__ = ("Answer", "Clock", "Frontend", "Unreachable")

_T = TypeVar("_T")

#: Seconds that a program of OAR may take; each is a Perl program that asks a database, which may be busy.
TIMEOUT = 60.0
#: ``oarsub -r`` returns when the scheduler has decided, which it does once in a minute or two.
SUBMIT_TIMEOUT = 300.0
#: Seconds between tries of a question that had no answer.
_PAUSES = (1.0, 5.0)


class Clock:
    """Time, for those who wait. Tests have one of their own."""

    def now(self) -> float:
        """Return the Unix date."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


class Unreachable(ReservationFailed):
    """The frontend could not be asked, or did not answer in time; what it was asked may have been done."""


@dataclass(frozen=True)
class Answer:
    """What a program on the frontend printed, and its exit code."""

    stdout: str
    stderr: str
    exit_code: int

    def said(self) -> str:
        """Return OAR's own sentences, in one line."""
        return "; ".join(parsing.reasons(self.stderr, self.stdout)) or f"exit code {self.exit_code}, without a word"


class _Question(Process):
    """A process of the testbed's: not ended with a test, and not counted as the test's."""

    def _enlist(self, scope: Scope) -> bool:
        del scope
        return super()._enlist(root_scope)


class Frontend:
    """OAR's programs on one machine.

    :param host: how it is reached; ``None``: this machine.
    :param name: what it is called in messages.
    """

    def __init__(self, host: Host | None, name: str, clock: Clock | None = None) -> None:
        self.host: Host | None = host
        self.name: str = name
        self.clock: Clock = clock or Clock()

    def run(self, words: Sequence[str], *, timeout: float = TIMEOUT) -> Answer:
        """Run a program once and return its answer, whatever its exit code.

        :raises Unreachable: when nobody knows whether it ran: no connection, or no end in time.
        :raises ReservationFailed: when the frontend does not have it.
        """
        question = _Question(list(words), self.host, timeout=timeout, log=False).run(check=False)
        if question.timed_out:
            raise Unreachable(f"{self.name}: no end of {shlex.join(words[:3])} within {timeout:g} s")
        if question.error is not None:
            why = question.error.reason if isinstance(question.error, ConnectorError) else str(question.error)
            raise Unreachable(f"{self.name}: {words[0]} could not be run: {why}")
        if question.exit_code is None:
            raise Unreachable(f"{self.name}: {words[0]} was ended by signal {question.signal}")
        if question.exit_code == 127:
            raise ReservationFailed(f"{self.name}: there is no {words[0]}; --execo-site names a frontend of OAR's")
        return Answer(question.stdout, question.stderr, question.exit_code)

    def ask(self, words: Sequence[str], read: Callable[[str], _T]) -> _T:
        """Run a program that changes nothing, three times if need be, and return what ``read`` makes of its output.

        :raises Unreachable: when it could not be asked.
        :raises ReservationFailed: when it failed, or printed something else.
        """
        for pause in (*_PAUSES, None):
            try:
                answer = self.run(words)
                break
            except Unreachable:
                if pause is None:
                    raise
                self.clock.sleep(pause)
        if answer.exit_code != 0:
            raise ReservationFailed(f"{self.name}: {words[0]}: {answer.said()}")
        try:
            return read(answer.stdout)
        except ValueError as error:
            raise ReservationFailed(f"{self.name}: {words[0]} printed what is not OAR 2.5's: {error}") from error

    def gantt(self) -> parsing.Gantt:
        """Return all resources and who has them when."""
        return self.ask(cli.gantt(self.clock.now()), parsing.read_gantt)

    def job(self, number: int) -> parsing.Job | None:
        """Return a job; ``None``: OAR does not know it."""
        jobs = self.ask(["oarstat", "-f", "-J", "-j", str(number)], parsing.read_jobs)
        return next((job for job in jobs if job.id == number), None)

    def own_jobs(self) -> tuple[parsing.Job, ...]:
        """Return the user's jobs that are not over."""
        return self.ask(["oarstat", "-J", "-u"], parsing.read_jobs)

    def state(self, number: int) -> str | None:
        """Return a job's state alone, which costs OAR least; ``None``: OAR does not know the job."""
        return self.ask(["oarstat", "-s", "-j", str(number)], parsing.read_states).get(number)

    def properties(self, number: int) -> dict[str, dict[str, object]]:
        """Return what OAR knows of a job's nodes."""
        return self.ask(["oarstat", "-p", "-j", str(number)], parsing.read_properties)

    def submit(self, words: Sequence[str]) -> parsing.Submitted:
        """Submit, once.

        :raises Unreachable: when nobody knows whether there is a job now.
        """
        answer = self.run(words, timeout=SUBMIT_TIMEOUT)
        return parsing.read_submission(answer.stdout, answer.stderr)

    def delete(self, number: int) -> None:
        """Delete a job. That it is over, was deleted before, or is unknown by now is no error.

        :raises Unreachable: when nobody knows. :raises ReservationFailed: when OAR refused.
        """
        answer = self.run(["oardel", str(number)])
        if answer.exit_code == 0 or "already killed" in answer.stderr:
            return
        if self.state(number) in (*parsing.FINAL_STATES, None):  # whoever ended it, it is gone
            return
        raise ReservationFailed(f"{self.name}: job {number} could not be deleted: {answer.said()}")

    def date_text(self, date: float) -> str:
        """Return a date as OAR reads it: in the frontend's time zone, which it is asked for."""
        return self.ask(["date", "-d", f"@{int(date)}", "+%Y-%m-%d %H:%M:%S"], str.strip)
