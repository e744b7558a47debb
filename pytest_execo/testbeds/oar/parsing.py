"""What OAR's programs print, as values. Nothing here asks anybody.

Where OAR prints JSON, dates are Unix seconds and durations seconds. Everywhere else dates are text in the frontend's
own time zone, which only the frontend can read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = (
    "BOOKKEEPING",
    "FINAL_STATES",
    "Gantt",
    "Job",
    "JobEvent",
    "Occupation",
    "Resource",
    "Submitted",
    "read_gantt",
    "read_jobs",
    "read_properties",
    "read_states",
    "read_submission",
    "reasons",
)

#: States of a job that is over. A job that was killed, by its owner or its walltime, ends in ``Error``.
FINAL_STATES: tuple[str, ...] = ("Terminated", "Error")
#: Properties by which OAR keeps its books; the others say what a resource is.
BOOKKEEPING: frozenset[str] = frozenset(
    [
        "available_upto",
        "cpuset",
        "desktop_computing",
        "drain",
        "expiry_date",
        "finaud_decision",
        "last_available_upto",
        "last_job_date",
        "next_finaud_decision",
        "next_state",
        "resource_id",
        "scheduler_priority",
        "state_num",
        "suspended_jobs",
    ]
)
# Before these a job has no nodes; in them they are its own.
_HOLDING = ("Running", "Resuming")

_JOB_ID = re.compile(r"^OAR_JOB_ID=(\d+)\s*$", re.M)
_KO = re.compile(r"^Reservation not valid --> KO(?: \((.*)\))?\s*$", re.M)
_PROPERTY = re.compile(r"(\w+) = '(.*?)'\s*(?:,\s|$)")
_STATE = re.compile(r"^(\d+): (\w+)\s*$", re.M)
# What says nothing to a person: where in OAR's source, that rules did their work, that there is an error.
_NOISE = re.compile(
    r"^(?:OAR_JOB_ID=.*|\[ADMISSION RULE\] Modify .*|\[ERROR\] Oarsub failed.*|Reservation mode: waiting.*"
    r"|# ?(?:INFO|ADMISSION RULE).*|LINE \d+: .*|\^.*|[\s^.)]*)$"
)
_PERL = re.compile(r"^DBD::\S+ \S+ failed: (?:ERROR:\s+)?(?P<said>.*?)(?: at \S+ line \d+\.)?$")


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to a job, in OAR's words: ``FRAG_JOB_REQUEST``, ``WALLTIME``…"""

    type: str
    description: str
    date: float | None


@dataclass(frozen=True)
class Job:
    """A job as ``oarstat -f`` has it.

    :param state: in OAR's spelling: ``Hold``, ``Waiting``, ``toLaunch``, ``Launching``, ``Running``, ``Finishing``,
        ``Suspended``, ``Resuming``, ``toAckReservation``, ``toError``, or one of :data:`FINAL_STATES`.
    :param start: when it started, or, for an advance reservation, will; ``None``: not yet.
    :param forecast: when OAR's scheduler expects it to start; ``None``: it does not say.
    :param nodes: names of its nodes, in OAR's order; empty before it runs.
    :param resubmission_of: the job in whose place OAR submitted this one by itself.
    """

    id: int
    state: str
    owner: str = ""
    name: str | None = None
    walltime: float | None = None
    start: float | None = None
    stop: float | None = None
    forecast: float | None = None
    nodes: tuple[str, ...] = ()
    message: str = ""
    exit_code: int | None = None
    events: tuple[JobEvent, ...] = ()
    resubmission_of: int | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL_STATES

    @property
    def has_nodes(self) -> bool:
        """Whether its nodes are its own now. A suspended job's are somebody else's."""
        return self.state in _HOLDING

    @property
    def end(self) -> float | None:
        """When it stopped, or when its walltime will be over."""
        if self.stop is not None:
            return self.stop
        return None if self.start is None or self.walltime is None else self.start + self.walltime

    def last_words(self) -> str:
        """Return OAR's own explanation of its state, as far as there is one."""
        for event in reversed(self.events):
            # That it goes to Error says what is known; that a signal was sent, how.
            if event.type not in ("SWITCH_INTO_ERROR_STATE", "SEND_KILL_JOB", "SWITCH_INTO_TERMINATE_STATE"):
                return f"{event.type}: {event.description.strip()}"
        return self.message


@dataclass(frozen=True)
class Resource:
    """One row of OAR's table of resources, mostly a core. ``node`` is its network address."""

    id: int
    node: str
    state: str
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Occupation:
    """Nodes that a job has, or is planned to have, from ``start`` to ``stop``."""

    job: int
    nodes: frozenset[str]
    start: float
    stop: float
    besteffort: bool


@dataclass(frozen=True)
class Gantt:
    """All resources, and the jobs on them."""

    resources: tuple[Resource, ...]
    occupations: tuple[Occupation, ...]


@dataclass(frozen=True)
class Submitted:
    """What ``oarsub`` answered.

    :param job: the job's id; ``None``: there is none.
    :param reasons: why there is none, or why the reservation is not valid; OAR's own sentences.
    """

    job: int | None
    reasons: tuple[str, ...] = ()


def reasons(*texts: str) -> tuple[str, ...]:
    """Return OAR's own sentences from what its programs printed: no noise, no place in its source, each once."""
    found: dict[str, None] = {}
    for line in "\n".join(texts).splitlines():
        text = line.strip()
        if _NOISE.match(text):
            continue
        if perl := _PERL.match(text):
            text = perl["said"]
        if text.startswith("Bad resource request"):  # the same once more
            continue
        found[text] = None
    return tuple(found)


def read_submission(stdout: str, stderr: str) -> Submitted:
    """Read what ``oarsub`` printed. A number below 0, or none, stands for no job."""
    match = _JOB_ID.search(stdout)
    refused = _KO.search(stdout)
    if refused:
        return Submitted(int(match[1]) if match else None, (refused[1] or "Reservation not valid",))
    if match:
        return Submitted(int(match[1]))
    said = reasons(stderr) or reasons(stdout) or ("oarsub gave no job and no reason",)
    # OAR's database complains about one mistake many times; the first line is the mistake.
    return Submitted(None, said[:3])


def read_jobs(text: str) -> tuple[Job, ...]:
    """Read ``oarstat -J``, with or without ``-f``. No job: it prints nothing.

    :raises ValueError: when it is something else.
    """
    try:
        return tuple(_job(int(number), data) for number, data in _json(text).items())
    except (TypeError, AttributeError) as error:
        raise ValueError(f"not jobs of OAR: {error!r}") from error


def read_states(text: str) -> dict[int, str]:
    """Read ``oarstat -s``: the state of each job asked for that there is."""
    return {int(number): state for number, state in _STATE.findall(text)}


def read_gantt(text: str) -> Gantt:
    """Read ``oarstat -g … -J``.

    :raises ValueError: when it is something else.
    """
    data = _json(text)
    try:
        resources = tuple(
            Resource(int(r["resource_id"]), r.get("network_address") or "", str(r.get("state", "")), r)
            for r in sorted(data["resources"], key=lambda r: int(r["resource_id"]))
        )
        occupations = tuple(
            Occupation(
                int(job["job_id"]),
                frozenset(node for node in job.get("network_address") or () if node),
                float(job["start_time"]),
                float(job["stop_time"]),
                job.get("queue_name") == "besteffort" or "besteffort" in (job.get("types") or ()),
            )
            for job in (data.get("jobs") or {}).values()
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a Gantt diagram of OAR: {error!r}") from error
    return Gantt(resources, occupations)


def read_properties(text: str) -> dict[str, dict[str, Any]]:
    """Read ``oarstat -p``: node → the properties that all its resources share, and ``resources``, their number."""
    nodes: dict[str, list[dict[str, str]]] = {}
    for line in text.splitlines():
        properties = dict(_PROPERTY.findall(line))
        if node := properties.get("network_address"):
            nodes.setdefault(node, []).append(properties)
    return {
        node: {
            **{
                name: value
                for name, value in sorted(rows[0].items())
                if value and name not in BOOKKEEPING and all(row.get(name) == value for row in rows)
            },
            "resources": len(rows),
        }
        for node, rows in nodes.items()
    }


def _json(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError(f"a JSON object was expected, not {type(data).__name__}")
    return data


def _job(number: int, data: Mapping[str, Any]) -> Job:
    return Job(
        id=number,
        state=str(data.get("state", "")),
        owner=data.get("owner") or data.get("job_user") or "",
        name=data.get("name"),
        walltime=_number(data.get("walltime")),
        start=_number(data.get("startTime")),
        stop=_number(data.get("stopTime")),
        forecast=_number(data.get("scheduledStart")),
        nodes=tuple(dict.fromkeys(data.get("assigned_network_address") or ())),
        message=data.get("message") or "",
        exit_code=None if data.get("exit_code") in (None, "") else int(data["exit_code"]),
        events=tuple(
            JobEvent(str(e.get("type", "")), str(e.get("description", "")), _number(e.get("date")))
            for e in data.get("events") or ()
        ),
        resubmission_of=int(data.get("resubmit_job_id") or 0) or None,
        raw=data,
    )


def _number(value: object) -> float | None:
    """Return what Perl wrote as a number or as text; 0, nothing and "no prediction" are none."""
    try:
        return float(value) or None  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
