"""What the Grid'5000 API answers, and what it is asked, as values.

Each class is made from JSON by ``from_json``; a field that the API leaves out (it omits what is null) is ``None`` or
empty. Dates are Unix seconds, durations seconds. ``raw`` keeps the answer as it came, for records.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = (
    "ACTIVE_STATES",
    "FINAL_STATES",
    "Deployment",
    "DeploymentOrder",
    "Environment",
    "Job",
    "JobEvent",
    "Measurement",
    "NodeStatus",
    "ResourceStatus",
    "SiteStatus",
    "Submission",
    "WalltimeState",
)

#: States of a job that may still run, or runs, in the API's spelling (lower case).
ACTIVE_STATES: tuple[str, ...] = (
    "waiting", "hold", "tolaunch", "toackreservation", "launching", "running", "suspended", "resuming", "finishing",
)  # fmt: skip
#: States of a job that is over. A job that was killed, by its owner or its walltime, is in ``error``.
FINAL_STATES: tuple[str, ...] = ("terminated", "error")


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to a job, in OAR's words: ``FRAG_JOB_REQUEST``, ``WALLTIME``…"""

    type: str
    description: str
    date: float | None = None


@dataclass(frozen=True)
class Job:
    """A job of one site's OAR.

    :param state: lower case: one of :data:`ACTIVE_STATES`, :data:`FINAL_STATES`, or ``toerror``.
    :param scheduled_at: the scheduler's forecast of the start; ``None``: there is none.
    :param started_at: ``None`` while it has not started, where the API says 0; an advance reservation that waits has
        its date here.
    :param nodes: full names of the nodes that it has, or that the scheduler plans for it.
    """

    site: str
    id: int
    state: str
    walltime: float | None = None
    user: str | None = None
    name: str | None = None
    project: str | None = None
    queue: str | None = None
    types: tuple[str, ...] = ()
    submitted_at: float | None = None
    scheduled_at: float | None = None
    started_at: float | None = None
    stopped_at: float | None = None
    nodes: tuple[str, ...] = ()
    vlans: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()
    message: str = ""
    properties: str = ""
    command: str = ""
    exit_code: int | None = None
    events: tuple[JobEvent, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_json(cls, site: str, data: Mapping[str, Any]) -> Job:
        """Read an item of ``/sites/SITE/jobs``, or of ``reservations`` in a status."""
        resources = data.get("resources_by_type") or {}
        return cls(
            site=site,
            id=int(data["uid"]),
            state=str(data.get("state", "")).lower(),
            walltime=_number(data.get("walltime")),
            user=data.get("user") or data.get("user_uid"),
            name=data.get("name"),
            project=data.get("project"),
            queue=data.get("queue"),
            types=tuple(data.get("types") or ()),
            submitted_at=_date(data.get("submitted_at")),
            scheduled_at=_date(data.get("scheduled_at")),
            started_at=_date(data.get("started_at")),
            stopped_at=_date(data.get("stopped_at")),
            nodes=tuple(data.get("assigned_nodes") or ()),
            vlans=tuple(map(str, resources.get("vlans") or ())),
            subnets=tuple(resources.get("subnets") or ()),
            disks=tuple(resources.get("disks") or ()),
            message=data.get("message") or "",
            properties=data.get("properties") or "",
            command=data.get("command") or "",
            exit_code=data.get("exit_code"),
            events=tuple(
                JobEvent(e.get("type", ""), e.get("description", ""), _date(e.get("created_at")))
                for e in data.get("events") or ()
            ),
            raw=data,
        )

    @property
    def begin(self) -> float | None:
        """When it started, will start by reservation, or is forecast to start; ``None``: nobody knows."""
        return self.started_at if self.started_at is not None else self.scheduled_at

    @property
    def end(self) -> float | None:
        """When it stopped, or when its walltime will be over."""
        if self.stopped_at is not None:
            return self.stopped_at
        return None if self.begin is None or self.walltime is None else self.begin + self.walltime

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in FINAL_STATES

    @property
    def is_being_deleted(self) -> bool:
        """Whether its end was asked for: it runs on until OAR comes round to it. Known of jobs asked for one by one."""
        return any(event.type == "FRAG_JOB_REQUEST" for event in self.events)

    @property
    def is_besteffort(self) -> bool:
        """Whether a normal job may take its nodes away."""
        return self.queue == "besteffort" or "besteffort" in self.types


@dataclass(frozen=True)
class ResourceStatus:
    """A VLAN, subnet or disk at one moment. ``kind`` is its OAR type (``kavlan-local``…), empty where it has none."""

    name: str
    hard: str
    soft: str
    kind: str = ""
    jobs: tuple[Job, ...] = ()


@dataclass(frozen=True)
class NodeStatus:
    """A node at one moment.

    :param hard: ``alive``, ``standby`` (off, and switched on for a job), ``absent``, ``suspected``, ``dead``.
    :param soft: ``free``, ``busy``… of running jobs only; :attr:`jobs` has those that wait as well.
    """

    name: str
    hard: str
    soft: str
    comment: str = ""
    jobs: tuple[Job, ...] = ()
    free_slots: int = 0
    freeable_slots: int = 0
    busy_slots: int = 0


@dataclass(frozen=True)
class SiteStatus:
    """All resources of a site at one moment, by name."""

    site: str
    date: float | None
    nodes: Mapping[str, NodeStatus]
    vlans: Mapping[str, ResourceStatus] = field(default_factory=dict)
    subnets: Mapping[str, ResourceStatus] = field(default_factory=dict)
    disks: Mapping[str, ResourceStatus] = field(default_factory=dict)

    @classmethod
    def from_json(cls, site: str, data: Mapping[str, Any]) -> SiteStatus:
        """Read ``/sites/SITE/status``."""
        known: dict[int, Job] = {}

        def jobs(entry: Mapping[str, Any]) -> tuple[Job, ...]:
            found = []
            for item in entry.get("reservations") or ():
                number = int(item["uid"])
                if number not in known:  # a job on 100 nodes comes 100 times
                    known[number] = Job.from_json(site, item)
                found.append(known[number])
            return tuple(found)

        def others(section: str) -> dict[str, ResourceStatus]:
            return {
                name: ResourceStatus(name, e.get("hard", ""), e.get("soft", ""), e.get("type", ""), jobs(e))
                for name, e in (data.get(section) or {}).items()
            }

        nodes = {
            name: NodeStatus(
                name,
                e.get("hard", ""),
                e.get("soft", ""),
                e.get("comment") or "",
                jobs(e),
                e.get("free_slots") or 0,
                e.get("freeable_slots") or 0,
                e.get("busy_slots") or 0,
            )
            for name, e in (data.get("nodes") or {}).items()
        }
        return cls(site, _date(data.get("uid")), nodes, others("vlans"), others("subnets"), others("disks"))


@dataclass(frozen=True)
class Submission:
    """What one site's OAR is asked for.

    :param resources: the OAR expression with its walltime, ``{cluster='taurus'}/nodes=2,walltime=1:0:0``.
    :param reservation: ``YYYY-MM-DD HH:MM:SS`` in Europe/Paris; ``None``: as soon as possible.
    """

    resources: str
    command: str | None = None
    reservation: str | None = None
    types: tuple[str, ...] = ()
    properties: str | None = None
    queue: str | None = None
    project: str | None = None
    name: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the body of ``POST /sites/SITE/jobs``. The walltime is in ``resources``: its own field is broken."""
        data = {
            "resources": self.resources,
            "command": self.command,
            "reservation": self.reservation,
            "types": list(self.types) or None,
            "properties": self.properties,
            "queue": self.queue,
            "project": self.project,
            "name": self.name,
        }
        return {key: value for key, value in data.items() if value is not None}


@dataclass(frozen=True)
class WalltimeState:
    """The walltime of a running job and how it may change; durations in OAR's words."""

    walltime: str
    possible: str
    pending: str
    granted: str
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WalltimeState:
        """Read ``/sites/SITE/jobs/ID/walltime``."""
        walltime, possible, pending, granted = (
            str(data.get(key, "")) for key in ("walltime", "possible", "pending", "granted")
        )
        return cls(walltime, possible, pending, granted, data)


@dataclass(frozen=True)
class DeploymentOrder:
    """What kadeploy is asked for, on nodes of one site.

    :param environment: a name, ``name@user``, or the URL of a description.
    :param key: public keys for root, as text or a URL.
    :param vlan: id of the VLAN in which the nodes come up.
    """

    nodes: tuple[str, ...]
    environment: str
    key: str | None = None
    vlan: str | None = None
    version: int | None = None
    arch: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the body of ``POST /sites/SITE/deployments``."""
        data = {
            "nodes": list(self.nodes),
            "environment": self.environment,
            "key": self.key,
            "vlan": self.vlan,
            "version": self.version,
            "arch": self.arch,
            **self.options,
        }
        return {key: value for key, value in data.items() if value is not None}


@dataclass(frozen=True)
class Deployment:
    """A deployment. ``terminated`` only says that kadeploy is done: each node's state is in ``result``.

    :param status: ``waiting``, ``processing``, ``terminated``, ``canceled``, ``error``.
    :param result: node → ``OK``, ``KO``…; empty until kadeploy has told.
    :param reasons: node → what kadeploy says of it, where it says something.
    """

    site: str
    id: str
    status: str
    nodes: tuple[str, ...]
    environment: str = ""
    result: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    output: str = ""
    user: str | None = None
    created_at: float | None = None
    updated_at: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_json(cls, site: str, data: Mapping[str, Any]) -> Deployment:
        """Read an item of ``/sites/SITE/deployments``."""
        result = {name: entry or {} for name, entry in (data.get("result") or {}).items()}
        return cls(
            site=site,
            id=str(data["uid"]),
            status=str(data.get("status", "")),
            nodes=tuple(data.get("nodes") or ()),
            environment=str(data.get("environment", "")),
            result={name: str(entry.get("state", "")).upper() for name, entry in result.items()},
            reasons={name: _reason(entry) for name, entry in result.items() if _reason(entry)},
            output=str(data.get("output") or ""),
            user=data.get("user_uid"),
            created_at=_date(data.get("created_at")),
            updated_at=_date(data.get("updated_at")),
            raw=data,
        )

    @property
    def is_over(self) -> bool:
        """Whether kadeploy works on it no more."""
        return self.status in ("terminated", "canceled", "error")


@dataclass(frozen=True)
class Environment:
    """A system that kadeploy can put on nodes."""

    name: str
    version: int | None = None
    arch: str | None = None
    user: str | None = None
    visibility: str = ""
    description: str = ""
    alias: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Environment:
        """Read an item of ``/sites/SITE/environments``."""
        words = ("name", "version", "arch", "user")
        name, version, arch, user = (data.get(key) for key in words)
        return cls(
            str(name),
            None if version is None else int(version),
            arch,
            user,
            str(data.get("visibility") or ""),
            str(data.get("description") or ""),
            data.get("alias"),
            data,
        )


@dataclass(frozen=True)
class Measurement:
    """One value of a metric. ``node`` is the short name, as Kwollect has it."""

    date: float
    node: str
    metric: str
    value: float
    labels: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        """Read an element of ``/sites/SITE/metrics``; its date has 0, 3, 6 or 9 digits after the second."""
        return cls(
            date=_parse_date(str(data["timestamp"])),
            node=str(data["device_id"]),
            metric=str(data["metric_id"]),
            value=float(data["value"]),
            labels=data.get("labels") or {},
        )


def _parse_date(text: str) -> float:
    head, dot, rest = text.partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        return dt.datetime.fromisoformat(head + rest[digits:]).timestamp() + float(f"0.{rest[:digits] or 0}")
    return dt.datetime.fromisoformat(text).timestamp()


def _reason(entry: Mapping[str, Any]) -> str:
    error = entry.get("error")
    where = "/".join(str(entry[key]) for key in ("macro", "micro") if entry.get(key))
    return f"{where}: {error}" if error and where else str(error or "")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _date(value: object) -> float | None:
    """Return a date; the API writes 0 for none."""
    return float(value) if isinstance(value, int | float) and value else None
