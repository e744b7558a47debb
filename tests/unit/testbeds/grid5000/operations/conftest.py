"""A platform in memory behind the client's verbs: what it answers is scripted, and its time is the test's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_execo.errors import ApiError
from pytest_execo.testbeds.grid5000.answers import Deployment, DeploymentOrder, Job, Measurement, Submission
from pytest_execo.testbeds.grid5000.operations import Waiting

START = 1_790_000_000.0


def refusal(status: int | None, reason: str) -> ApiError:
    """Return what the client raises."""
    return ApiError("POST", "http://api", status, reason)


@dataclass
class Platform:
    """Answers like the client. ``now`` goes on when somebody sleeps."""

    now: float = START
    #: What ``submit`` does at a site: a refusal, or nothing.
    refusals: dict[str, list[ApiError | None]] = field(default_factory=dict)
    jobs_of: dict[tuple[str, int], Job] = field(default_factory=dict)
    #: Called with each job that is asked for: returns what it is by now.
    life: Callable[[Job, float], Job] = lambda job, now: job
    submitted: list[tuple[str, Submission]] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    #: What each deployment comes to: node → state, or a status.
    outcomes: list[Any] = field(default_factory=list)
    deployments_of: dict[str, Deployment] = field(default_factory=dict)
    ordered: list[tuple[str, ...]] = field(default_factory=list)
    canceled: list[str] = field(default_factory=list)
    #: Raised by the next questions, one each.
    trouble: list[ApiError | None] = field(default_factory=list)
    vlan_of: dict[str, str] = field(default_factory=dict)
    attach_says: dict[str, str] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    walltimes: list[float] = field(default_factory=list)
    #: Whether what ``submit`` refuses was done all the same.
    loses_answers: bool = False
    #: How many deployments are ordered without an answer.
    lost_orders: int = 0
    _begun: Deployment | None = None
    user: str = "me"

    @property
    def waiting(self) -> Waiting:
        """Its clock; who sleeps lets it go on."""
        return Waiting(clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        """Go on."""
        assert seconds > 0
        self.now += seconds

    def _answer(self) -> None:
        if self.trouble and (error := self.trouble.pop(0)) is not None:
            raise error

    # the client's verbs

    def submit(self, site: str, submission: Submission) -> Job:
        refused = self.refusals.get(site, [])
        self.submitted.append((site, submission))
        error = refused.pop(0) if refused else None
        number = len(self.submitted)
        job = Job(site, number, "waiting", walltime=3600.0, name=submission.name)
        if error is None or self.loses_answers:
            self.jobs_of[site, number] = job
        if error is not None:
            raise error
        return job

    def job(self, site: str, job_id: int) -> Job:
        self._answer()
        return self.life(self.jobs_of[site, job_id], self.now)

    def jobs(self, site: str, *, state: Sequence[str] = (), name: str | None = None, **_: Any) -> list[Job]:
        found = [self.life(job, self.now) for (where, _), job in self.jobs_of.items() if where == site]
        return [job for job in found if job.state in state and job.name == name]

    def delete_job(self, site: str, job_id: int) -> None:
        self._answer()
        self.deleted.append(job_id)

    def change_walltime(self, site: str, job_id: int, walltime: float, *, add: bool = False) -> str:
        self._answer()
        assert add
        self.walltimes.append(walltime)
        return "accepted"

    def deploy(self, site: str, order: DeploymentOrder) -> Deployment:
        self.ordered.append(order.nodes)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, ApiError):
            raise outcome
        uid = f"D-{len(self.ordered)}"
        begun = Deployment(site, uid, "processing", order.nodes, order.environment)
        if isinstance(outcome, str):
            self.deployments_of[uid] = dataclasses.replace(begun, status=outcome)
        else:
            self.deployments_of[uid] = dataclasses.replace(begun, status="terminated", result=outcome)
        if self.lost_orders:
            self.lost_orders -= 1
            self._begun = begun
            raise ApiError("POST", "http://api", None, "no answer")
        return begun

    def deployments(self, site: str, *, user: str | None = None, status: str | None = None) -> list[Deployment]:
        self._answer()
        return [] if self._begun is None else [self._begun]

    def deployment(self, site: str, uid: str) -> Deployment:
        self._answer()
        return self.deployments_of[uid]

    def cancel_deployment(self, site: str, uid: str) -> None:
        self.canceled.append(uid)

    def vlans(self, site: str) -> dict[str, str]:
        return {"4": "kavlan", "DEFAULT": "kavlan"}

    def vlan_nodes(self, site: str, vlan: str | None = None) -> dict[str, str]:
        return self.vlan_of

    def attach(self, site: str, vlan: str, nodes: Sequence[str]) -> dict[str, str]:
        said = {name: self.attach_says.get(name, "success") for name in nodes}
        self.vlan_of.update({name: vlan for name, word in said.items() if word == "success"})
        return said

    def metrics(self, site: str, **_: Any) -> list[Measurement]:
        return [each for each in self.measurements if each.date <= self.now]


@pytest.fixture
def platform() -> Platform:
    """Nothing has happened there."""
    return Platform()
