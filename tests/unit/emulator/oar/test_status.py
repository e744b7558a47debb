"""The state of resources and the items of jobs, as the API has them (§2.6, §2.10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.emulator.oar.dates import text_of
from pytest_execo.emulator.oar.rest import job_item

ONE = "taurus-1.lyon.grid5000.fr"


def node(bench: Any, name: str = ONE) -> dict[str, Any]:
    entry: dict[str, Any] = bench.oar.status()["nodes"][name]
    return entry


def test_a_free_site(bench: Any) -> None:
    status = bench.oar.status()
    assert list(status) == ["nodes", "disks", "vlans", "subnets"]
    assert list(status["nodes"])[:2] == [ONE, "taurus-2.lyon.grid5000.fr"]
    assert status["nodes"][ONE] == {
        "hard": "alive", "soft": "free", "comment": "OK", "free_slots": 4, "freeable_slots": 0, "busy_slots": 0,
        "reservations": [],
    }  # fmt: skip
    assert status["disks"] == {}
    assert status["vlans"]["4"] == {"hard": "alive", "soft": "free", "type": "kavlan", "reservations": []}
    assert {uid: entry["type"] for uid, entry in status["vlans"].items()}["13"] == "kavlan-global"
    assert status["subnets"]["10.156.4.0/22"] == {"hard": "alive", "soft": "free", "reservations": []}


@pytest.mark.parametrize(
    ("cores", "soft", "slots"),
    [(1, "free_busy", (3, 0, 1)), (2, "free_busy", (2, 0, 2)), (3, "busy_free", (1, 0, 3)), (4, "busy", (0, 0, 4))],
)
def test_a_node_of_which_a_part_is_busy(bench: Any, cores: int, soft: str, slots: tuple[int, int, int]) -> None:
    bench.run(f"/host=1/core={cores}")
    found = node(bench)
    assert (found["soft"], (found["free_slots"], found["freeable_slots"], found["busy_slots"])) == (soft, slots)


def test_best_effort_is_freeable(bench: Any) -> None:
    bench.run("/host=1/core=1")
    bench.run("/host=1/core=1", types=["besteffort"])
    found = node(bench)
    assert (found["soft"], found["free_slots"], found["freeable_slots"], found["busy_slots"]) == (
        "free_busy_besteffort", 2, 1, 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "hard", "soft", "free"),
    [
        ("Alive", "alive", "free", 4),
        ("Absent", "absent", "free", 4),
        ("Suspected", "suspected", "free", 4),
        ("Standby", "standby", "free", 4),
        ("Dead", "dead", "unknown", 0),
    ],
)
def test_states_of_nodes(bench: Any, state: str, hard: str, soft: str, free: int) -> None:
    bench.oar.set_node_state(ONE, state)
    found = node(bench)
    assert (found["hard"], found["soft"], found["free_slots"]) == (hard, soft, free)


@pytest.mark.parametrize("types", [(), ("besteffort",)])
def test_a_job_that_is_launched_does_not_make_busy_yet(bench: Any, types: tuple[str, ...]) -> None:
    job = bench.submit("{cluster='taurus'}/nodes=4", types=types)
    bench.until(job, "Launching")
    assert (node(bench)["soft"], node(bench)["free_slots"]) == ("free", 4)


def test_only_running_jobs_make_busy_and_all_are_listed(bench: Any) -> None:
    job = bench.submit("nodes=4,walltime=0:10")
    bench.until(job, "Launching")
    assert (node(bench)["soft"], [item["uid"] for item in node(bench)["reservations"]]) == ("free", [job])
    waiting = bench.submit("nodes=4,walltime=0:10")
    later = bench.submit("nodes=1,walltime=0:10", reservation=text_of(bench.begin + 7200), user="bob")
    bench.go(10)
    found = node(bench)
    assert found["soft"] == "busy"
    assert [(item["uid"], item["state"]) for item in found["reservations"]] == [
        (job, "running"), (waiting, "waiting"), (later, "waiting"),
    ]  # fmt: skip
    assert "events" not in found["reservations"][0]
    bench.until(job, "Finishing")
    assert node(bench)["soft"] == "free"
    bench.until(job, "Error")
    assert job not in [item["uid"] for item in node(bench)["reservations"]]


def test_vlans_subnets_and_disks_are_free_or_busy(make_bench: Callable[..., Any], small: dict[str, Any]) -> None:
    small["clusters"]["taurus"]["nodes"][0]["storage_devices"] = [
        {"id": "disk1", "reservation": True, "by_path": "/dev/disk/by-path/pci-0"}
    ]
    bench = make_bench(small)
    job = bench.run("{type='kavlan'}/vlan=1+slash_22=1+{type='disk'}/disk=1", types=["besteffort"])
    status = bench.oar.status()
    assert status["disks"] == {
        "disk1.taurus-1.lyon.grid5000.fr": {
            "hard": "alive", "soft": "busy", "diskpath": "/dev/disk/by-path/pci-0",
            "reservations": status["disks"]["disk1.taurus-1.lyon.grid5000.fr"]["reservations"],
        }
    }  # fmt: skip
    assert (status["vlans"]["4"]["soft"], status["vlans"]["5"]["soft"]) == ("busy", "free")
    assert [item["uid"] for item in status["subnets"]["10.156.0.0/22"]["reservations"]] == [job]
    assert node(bench)["reservations"] == []
    item = job_item(bench.oar, bench.oar.job(job))
    assert item["assigned_nodes"] == []
    assert item["resources_by_type"] == {
        "vlans": ["4"], "subnets": ["10.156.0.0/22"], "disks": ["disk1.taurus-1.lyon.grid5000.fr"],
    }  # fmt: skip


def test_the_item_of_a_job(bench: Any) -> None:
    job = bench.run("nodes=2,walltime=2:00", name="my job", project="lab", directory="/tmp/x", types=["exotic"])
    item = job_item(bench.oar, bench.oar.job(job))
    begin = int(bench.begin)
    events = item.pop("events")
    assert item == {
        "uid": job, "user_uid": "alice", "user": "alice", "walltime": 7200, "queue": "default", "state": "running",
        "project": "lab", "name": "my job", "types": ["exotic"], "mode": "PASSIVE", "command": "run",
        "submitted_at": begin, "scheduled_at": begin, "started_at": begin, "message": "FIFO scheduling OK",
        "properties": "maintenance = 'NO'", "directory": "/tmp/x",
        "resources_by_type": {"cores": [f"taurus-{n}.lyon.grid5000.fr/{c}" for n in (1, 2) for c in range(4)]},
        "assigned_nodes": ["taurus-1.lyon.grid5000.fr", "taurus-2.lyon.grid5000.fr"],
    }  # fmt: skip
    assert events[0]["type"] == "ADMISSION_RULE"
    assert set(events[0]) == {"uid", "created_at", "type", "description"}


def test_fields_without_a_value_are_absent(bench: Any) -> None:
    bench.run("nodes=4,walltime=0:10")
    job = bench.submit("nodes=1")
    item = job_item(bench.oar, bench.oar.job(job), resources=False)
    assert not {"name", "scheduled_at", "stopped_at", "exit_code", "resources_by_type", "assigned_nodes"} & set(item)
    assert (item["started_at"], item["state"]) == (0, "waiting")
    bench.go(1)
    item = job_item(bench.oar, bench.oar.job(job))
    assert item["scheduled_at"] == int(bench.begin + 660.5)
    assert item["assigned_nodes"] == [ONE]  # what the scheduler plans


def test_a_job_that_is_over_keeps_its_nodes(bench: Any) -> None:
    job = bench.run("nodes=1")
    bench.oar.end_command(job, 2)
    bench.until(job, "Terminated")
    item = job_item(bench.oar, bench.oar.job(job))
    assert (item["state"], item["exit_code"], item["assigned_nodes"]) == ("terminated", 512, [ONE])
    assert item["stopped_at"] == int(bench.clock.date)


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ({"command": "run"}, "PASSIVE"),
        ({"command": None}, "INTERACTIVE"),
        ({"command": None, "reservation": "now"}, "PASSIVE"),
    ],
)
def test_the_mode_of_a_job(bench: Any, given: dict[str, Any], mode: str) -> None:
    assert job_item(bench.oar, bench.oar.job(bench.submit(**given)))["mode"] == mode
