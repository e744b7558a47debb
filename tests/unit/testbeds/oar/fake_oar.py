"""A frontend that answers from a script, and time that passes only when somebody sleeps."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from pytest_execo.testbeds.oar.frontend import Answer, Clock, Frontend

__all__ = ("NOW", "PROPERTIES", "FakeClock", "FakeOar", "full_job", "gantt", "planned")

#: The date at which a test begins.
NOW = 1_795_393_600.0


class FakeClock(Clock):
    """Time of the test's own."""

    def __init__(self) -> None:
        self.date = NOW
        self.slept: list[float] = []

    def now(self) -> float:
        return self.date

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.date += seconds
        assert self.date < NOW + 7 * 86400, "waits without end"


class FakeOar(Frontend):
    """OAR's programs with one job, as far as the tests need them.

    ``answers`` has, by the first words of a command line, what it answers: text, an exit code with texts, an error, or
    a function. A list is taken from one by one; its last one stays.
    """

    def __init__(self) -> None:
        super().__init__(None, "front", FakeClock())
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {}

    @property
    def time(self) -> FakeClock:
        assert isinstance(self.clock, FakeClock)
        return self.clock

    def run(self, words: Sequence[str], *, timeout: float = 60) -> Answer:
        line = shlex.join(words)
        self.asked.append(line)
        key = max((key for key in self.answers if line.startswith(key)), key=len, default=None)
        assert key is not None, f"not in the script: {line}"
        answer = self.answers[key]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(list(words))
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, str):
            return Answer(answer, "", 0)
        code, stdout, stderr = answer
        return Answer(stdout, stderr, code)

    def count(self, beginning: str) -> int:
        """How often a command line was asked."""
        return sum(line.startswith(beginning) for line in self.asked)


def full_job(number: int = 7, state: str = "Running", **fields: Any) -> str:
    """What ``oarstat -f -J -j`` prints."""
    data = {
        "Job_Id": number,
        "state": state,
        "owner": "alice",
        "walltime": 3600,
        "startTime": int(NOW),
        "stopTime": 0,
        "scheduledStart": int(NOW),
        "events": [],
        "exit_code": None,
        "resubmit_job_id": 0,
        "message": "",
        "assigned_network_address": ["node-1.lab", "node-2.lab"],
    }
    return json.dumps({str(number): data | fields})


def gantt(jobs: Sequence[dict[str, Any]] = (), nodes: int = 4, **changes: dict[str, Any]) -> str:
    """What ``oarstat -J -g`` prints: nodes of two cores, two to a switch, the last one of another cluster.

    :param changes: properties of a node's resources: ``node_2={"state": "Dead"}``.
    """
    rows = []
    for n in range(1, nodes + 1):
        for core in (1, 2):
            row = {
                "resource_id": 2 * (n - 1) + core,
                "network_address": f"node-{n}.lab",
                "host": f"node-{n}.lab",
                "state": "Alive",
                "type": "default",
                "cluster": "small" if n == nodes else "big",
                "switch": f"switch-{(n + 1) // 2}",
                "core": 2 * (n - 1) + core,
                "memnode": 16 * n,
                "gpu": None,
                "deploy": "NO",
                "available_upto": 2147483647,
            }
            rows.append(row | changes.get(f"node_{n}", {}))
    rows.append({"resource_id": 99, "network_address": "", "type": "kavlan", "state": "Alive", "vlan": "4"})
    return json.dumps(
        {"resources": rows, "jobs": {str(job["job_id"]): job for job in jobs}, "dead_resources": {}}, sort_keys=True
    )


def planned(number: int, start: float, stop: float, *nodes: int, **fields: Any) -> dict[str, Any]:
    """A job of a Gantt diagram; dates in seconds from now."""
    return {
        "job_id": number,
        "start_time": int(NOW + start),
        "stop_time": int(NOW + stop),
        "network_address": [f"node-{n}.lab" for n in nodes for _ in (1, 2)],
        "queue_name": "default",
        **fields,
    }


PROPERTIES = (
    " network_address = 'node-1.lab' , cluster = 'big' , core = '1' , drain = 'NO' , gpu = '' , cpu = '1' \n"
    " cpu = '1' , cluster = 'big' , gpu = '' , core = '2' , drain = 'NO' , network_address = 'node-1.lab' \n"
    " network_address = 'node-2.lab' , cluster = 'big' , core = '3' , drain = 'NO' , gpu = '' , cpu = '2' \n"
)
