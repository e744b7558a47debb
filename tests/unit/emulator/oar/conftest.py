"""A site small enough to count by hand, and an OAR on it whose clock stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.emulator.oar.engine import Oar
from pytest_execo.emulator.oar.jobs import Change
from pytest_execo.emulator.oar.resources import resources_of
from pytest_execo.emulator.oar.settings import OarSettings

# 2027-01-15 09:00:00 in Paris, a Friday.
NOON = 1_800_000_000.0


class Hand:
    """A clock that is moved by hand."""

    def __init__(self, date: float) -> None:
        self.date = date

    def now(self) -> float:
        return self.date


class Bench:
    """An OAR, its clock, and what a test asks of them again and again."""

    def __init__(self, site: dict[str, Any], settings: OarSettings | None = None, **more: Any) -> None:
        self.clock = Hand(NOON)
        self.begin = NOON
        self.resources = resources_of(site)
        self.oar = Oar(site["uid"], self.resources, self.clock, settings=settings, **more)
        self.changes: list[Change] = self.oar.advance()

    def go(self, seconds: float) -> list[Change]:
        """Let time pass."""
        self.clock.date += seconds
        new = self.oar.advance()
        self.changes += new
        return new

    def until(self, job: int, *states: str, within: float = 10 * 86400) -> float:
        """Let time pass, from date to date, until a job is in one of the states; return the date."""
        end = self.clock.date + within
        self.changes += self.oar.advance()
        while self.oar.job(job).state not in states:
            due = self.oar.next_date()
            assert due is not None, f"nothing is due, and job {job} is {self.oar.job(job).state}"
            assert due <= end, f"job {job} is {self.oar.job(job).state}"
            self.clock.date = due
            self.changes += self.oar.advance()
        return self.clock.date

    def submit(
        self, resources: Any = "nodes=1", *, user: str = "alice", command: str | None = "run", **more: Any
    ) -> int:
        """Submit a job."""
        return self.oar.submit(user, resources=resources, command=command, **more)

    def run(self, resources: Any = "nodes=1", **more: Any) -> int:
        """Submit a job and wait until it runs."""
        job = self.submit(resources, **more)
        self.until(job, "Running")
        return job

    def nodes(self, job: int) -> list[str]:
        """Return the short names of a job's nodes."""
        return [name.partition(".")[0] for name in self.oar.nodes(self.oar.job(job))]

    def states(self, job: int) -> list[str]:
        """Return all states that a job has been in."""
        return [change.new for change in self.changes if change.job_id == job]

    def events(self, job: int) -> list[str]:
        """Return the types of a job's events, without those of its admission."""
        return [event.type for event in self.oar.job(job).events if event.type != "ADMISSION_RULE"]


def node(uid: str, **more: Any) -> dict[str, Any]:
    """Return the description of a node: 2 CPUs of 4 cores, 64 GiB, 10 Gb/s."""
    return {
        "uid": uid,
        "architecture": {"nb_cores": 8, "nb_procs": 2, "nb_threads": 16, "platform_type": "x86_64"},
        "main_memory": {"ram_size": 64 << 30},
        "processor": {"model": "Intel Xeon", "version": 5218, "clock_speed": 2300000000},
        "network_adapters": [
            {"device": "eth0", "mounted": True, "mountable": True, "kavlan": True, "rate": 10**10, "switch": "sw-1"},
            {"device": "bmc", "management": True, "rate": 10**9},
        ],
        "storage_devices": [{"id": "disk0", "interface": "SATA", "storage": "SSD"}],
        "supported_job_types": {"deploy": True, "besteffort": True, "virtual": "ivt", "max_walltime": 0},
        "exotic": False,
        **more,
    }


def cluster(uid: str, count: int, *, queues: tuple[str, ...] = ("default", "admin"), **more: Any) -> dict[str, Any]:
    """Return a cluster of equal nodes."""
    nodes = [node(f"{uid}-{number}", **more) for number in range(1, count + 1)]
    return {"uid": uid, "queues": list(queues), "metrics": [], "nodes": nodes}


@pytest.fixture
def small() -> dict[str, Any]:
    """lyon: 4 nodes of taurus, 2 of the exotic sirius, 2 of abaca's hydra; VLANs and a /20 for subnets."""
    exotic = cluster("sirius", 2, exotic=True)
    exotic["exotic"] = True
    return {
        "uid": "lyon",
        "clusters": {
            "taurus": {**cluster("taurus", 4), "metrics": [{"name": "wattmetre_power_watt", "period": 1000}]},
            "sirius": exotic,
            "hydra": cluster("hydra", 2, queues=("abaca", "admin", "production")),
        },
        "kavlans": {str(number): {} for number in (1, 2, 3, 4, 5, 13, "default")},
        "g5ksubnet": {"gateway": "10.159.255.254", "network": "10.156.0.0/20"},
    }


@pytest.fixture
def bench(small: dict[str, Any]) -> Bench:
    """An OAR on the small site."""
    return Bench(small)


@pytest.fixture
def make_bench(small: dict[str, Any]) -> Callable[..., Bench]:
    """Make an OAR on the small site, with settings, or on another site."""

    def make(site: dict[str, Any] | None = None, **settings: Any) -> Bench:
        return Bench(site or small, OarSettings(**settings))

    return make


@pytest.fixture
def make_cluster() -> Callable[..., dict[str, Any]]:
    """Make the description of a cluster."""
    return cluster
