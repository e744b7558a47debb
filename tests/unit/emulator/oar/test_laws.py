"""What holds whatever is submitted, deleted and broken, in whatever order: found out by a machine of rules."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pytest_execo.emulator.oar.dates import text_of
from pytest_execo.emulator.oar.engine import Oar, OarRefused
from pytest_execo.emulator.oar.jobs import Change
from pytest_execo.emulator.oar.resources import Resource

# What a start may be late by: a pass of the scheduler, and a best-effort job that has to go first.
_SLACK = 5.0
_USERS = ("alice", "bob", "carol")


class _Clock:
    def __init__(self) -> None:
        self.date = 1_800_000_000.0

    def now(self) -> float:
        return self.date


def _resources() -> list[Resource]:
    found = [
        Resource(
            number := 2 * node + core + 1,
            "default",
            {
                "host": f"gros-{node}.nancy.grid5000.fr",
                "network_address": f"gros-{node}.nancy.grid5000.fr",
                "cluster": "gros" if node < 3 else "grisou",
                "core": number,
                "cpuset": core,
                "besteffort": "YES",
                "deploy": "YES",
                "maintenance": "NO",
            },
        )
        for node in range(5)
        for core in range(2)
    ]
    always = {"deploy": "YES", "besteffort": "YES", "maintenance": "NO", "network_address": ""}
    return found + [Resource(11 + n, "kavlan", {**always, "vlan": str(4 + n)}) for n in range(2)]


_REQUESTS = st.sampled_from(
    (
        "nodes=1", "nodes=2", "nodes=3", "nodes=5", "core=1", "core=3", "{cluster='gros'}/nodes=2", "nodes=BEST",
        "{cluster='grisou'}/nodes=1+{cluster='gros'}/nodes=1", "{type='kavlan'}/vlan=1+nodes=1", "/host=2/core=1",
    )
)  # fmt: skip


class Site(RuleBasedStateMachine):
    """Users, administrators and accidents on five nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = _Clock()
        self.oar = Oar("nancy", _resources(), self.clock)
        self.changes: list[Change] = []
        #: What the scheduler promised, by job, when it first knew.
        self.promised: dict[int, float] = {}
        #: Accepted reservations, and what may have hindered one.
        self.reserved: dict[int, float] = {}
        #: A node went, a walltime was extended at the expense of others, a reservation came: until the scheduler's
        #: next pass promises are void.
        self.disturbed = 0.0
        self.broken: set[str] = set()

    def _submit(self, user: str, resources: Any, walltime: int, **more: Any) -> int | None:
        try:
            return self.oar.submit(user, resources=f"{resources},walltime=0:{walltime}:0", command="x", **more)
        except OarRefused:
            return None

    def _disturb(self) -> None:
        self.disturbed = self.clock.date + 0.6

    @rule(user=st.sampled_from(_USERS), resources=_REQUESTS, walltime=st.integers(1, 30))
    def submit(self, user: str, resources: str, walltime: int) -> None:
        self._submit(user, resources, walltime)

    @rule(user=st.sampled_from(_USERS), resources=_REQUESTS, walltime=st.integers(1, 30))
    def submit_besteffort(self, user: str, resources: str, walltime: int) -> None:
        self._submit(user, resources, walltime, types=["besteffort"])

    @rule(nodes=st.integers(1, 3), walltime=st.integers(5, 30))
    def submit_container(self, nodes: int, walltime: int) -> None:
        self._submit("bob", f"nodes={nodes}", walltime, types=["container"])

    @rule(data=st.data(), resources=_REQUESTS, walltime=st.integers(1, 10))
    def submit_inner(self, data: st.DataObject, resources: str, walltime: int) -> None:
        containers = [job.id for job in self.oar.jobs() if "container" in job.types and not job.over]
        if containers:
            self._submit("bob", resources, walltime, types=[f"inner={data.draw(st.sampled_from(containers))}"])

    @rule(resources=_REQUESTS, walltime=st.integers(1, 30), ahead=st.integers(0, 3000))
    def reserve(self, resources: str, walltime: int, ahead: int) -> None:
        start = int(self.clock.date) + ahead
        job = self._submit("alice", resources, walltime, reservation=text_of(start))
        if job is not None:
            self.reserved[job] = start
            self._disturb()

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        active = [job for job in self.oar.jobs() if not job.over and not job.fragged]
        if active:
            job = data.draw(st.sampled_from(active))
            self.oar.delete(job.user, job.id)
            self.reserved.pop(job.id, None)
            self.promised.pop(job.id, None)

    @rule(data=st.data(), code=st.integers(0, 3))
    def command_ends(self, data: st.DataObject, code: int) -> None:
        running = [job for job in self.oar.jobs() if job.state == "Running"]
        if running:
            self.oar.end_command(data.draw(st.sampled_from(running)).id, code)

    @rule(data=st.data(), minutes=st.integers(1, 40), delay=st.booleans(), whole=st.booleans())
    def extend(self, data: st.DataObject, minutes: int, delay: bool, whole: bool) -> None:
        running = [job for job in self.oar.jobs() if job.state == "Running" and not job.fragged]
        if running:
            job = data.draw(st.sampled_from(running))
            self.oar.change_walltime(job.user, job.id, f"+0:{minutes}", delay_next_jobs=delay, whole=whole)
            if delay:
                self._disturb()

    @rule(node=st.integers(0, 4), state=st.sampled_from(("Suspected", "Alive", "Dead", "Standby")))
    def node(self, node: int, state: str) -> None:
        host = f"gros-{node}.nancy.grid5000.fr"
        self.oar.set_node_state(host, state)
        self._disturb()
        self.broken.add(host)

    @rule(seconds=st.one_of(st.floats(0.1, 5), st.integers(1, 4000)))
    def pass_time(self, seconds: float) -> None:
        end = self.clock.date + seconds
        while (due := self.oar.next_date()) is not None and due <= end:
            self._step(due)
        self._step(end)

    def _step(self, date: float) -> None:
        self.clock.date = max(self.clock.date, date)
        self.changes += self.oar.advance()
        self.nobody_shares()
        self.promises_are_kept()

    @invariant()
    def nobody_shares(self) -> None:
        held: dict[int | None, int] = {}  # in the site, and in each container
        for job in self.oar.jobs():
            if job.holding:
                assert job.assigned, f"job {job.id} runs on nothing"
                assert not held.get(job.container, 0) & job.assigned, f"job {job.id} shares resources"
                held[job.container] = held.get(job.container, 0) | job.assigned
                if job.container is not None and not job.fragged and job.state != "Finishing":
                    assert not job.assigned & ~self.oar.job(job.container).assigned, f"job {job.id} is outside"

    @invariant()
    def promises_are_kept(self) -> None:
        change = [job.walltime_change for job in self.oar.jobs() if job.state == "Running" and job.walltime_change]
        if self.broken:  # a reservation whose nodes have gone takes others, before those who only wait
            self.promised.clear()
            return
        if self.clock.date <= self.disturbed or any(one.pending and one.delay_next_jobs for one in change):
            self.promised.clear()
            return
        for job in self.oar.jobs():
            if job.besteffort or job.reservation != "None" or job.container is not None:
                continue
            if job.state == "Waiting" and job.scheduled is not None and not job.fragged:
                promised = self.promised.setdefault(job.id, job.scheduled)
                assert job.scheduled <= promised + _SLACK, f"job {job.id} was promised {promised}, now {job.scheduled}"
                assert self.clock.date <= promised + _SLACK, f"job {job.id} was promised {promised}"
            elif job.holding and job.id in self.promised:
                assert job.started <= self.promised.pop(job.id) + _SLACK

    @invariant()
    def reservations_begin(self) -> None:
        for number, start in list(self.reserved.items()):
            job = self.oar.job(number)
            hurt = any(host in self.broken for host in self.oar.nodes(job)) or any(
                event.type in ("SCHEDULER_REDUCE_NB_NODES_FOR_RESERVATION", "RESERVATION_NO_NODE")
                for event in job.events
            )
            if job.holding or (job.over and job.assigned):
                assert hurt or job.started <= max(start, job.submitted) + _SLACK
                del self.reserved[number]
            elif self.clock.date > start + _SLACK and not hurt:
                assert job.submitted + _SLACK > self.clock.date or job.over, f"reservation {number} did not begin"

    @invariant()
    def states_follow_each_other(self) -> None:
        allowed = {
            "": {"Hold"},
            "Hold": {"Waiting"},
            "Waiting": {"toLaunch", "toAckReservation", "toError"},
            "toAckReservation": {"Waiting", "toError"},
            "toLaunch": {"Launching"},
            "Launching": {"Running", "Finishing", "toError"},
            "Running": {"Finishing"},
            "Finishing": {"Terminated", "Error"},
            "toError": {"Error"},
        }
        for change in self.changes:
            assert change.new in allowed[change.old], change
        self.changes.clear()

    def teardown(self) -> None:
        for number in range(5):
            self.oar.set_node_state(f"gros-{number}.nancy.grid5000.fr", "Alive")
        last = -math.inf
        for _ in range(20000):
            due = self.oar.next_date()
            if due is None:
                break
            assert due >= last
            last = due
            self.clock.date = max(self.clock.date, due)
            self.oar.advance()
            self.nobody_shares()
        assert self.oar.next_date() is None
        assert all(job.over for job in self.oar.jobs()), [job for job in self.oar.jobs() if not job.over]


@pytest.mark.slow
def test_laws_of_the_scheduler() -> None:
    run_state_machine_as_test(
        Site,
        settings=settings(
            max_examples=120,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
            print_blob=True,
        ),
    )
