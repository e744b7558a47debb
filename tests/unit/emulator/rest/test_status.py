"""§2.10: the state of a site and of a cluster."""

from __future__ import annotations

from typing import Any

import pytest

STATUS = "/sites/lyon/status"
TAURUS = tuple(f"taurus-{number}.lyon.grid5000.fr" for number in (1, 2, 3))


def test_2_10_a_free_site(api: Any, links: Any) -> None:
    status = api.json(STATUS)
    assert status["uid"] == int(api.clock.now())
    assert links(status) == {"self": f"/stable{STATUS}", "parent": "/stable/sites/lyon"}
    assert status["nodes"][TAURUS[0]] == {
        "hard": "alive", "soft": "free", "reservations": [], "free_slots": 4, "freeable_slots": 0, "busy_slots": 0,
        "comment": status["nodes"][TAURUS[0]]["comment"],
    }  # fmt: skip
    assert status["vlans"]["4"] == {"hard": "alive", "soft": "free", "type": "kavlan", "reservations": []}
    assert status["vlans"]["1"]["type"] == "kavlan-local"
    assert status["subnets"]["10.140.0.0/22"] == {"hard": "alive", "soft": "free", "reservations": []}
    assert "disks" in status


@pytest.mark.parametrize("section", ["nodes", "disks", "vlans", "subnets"])
def test_2_10_a_section_is_left_out_when_asked(api: Any, section: str) -> None:
    assert section not in api.json(f"{STATUS}?{section}=no")
    assert section in api.json(f"{STATUS}?{section}=yes")


def test_2_10_a_cluster_has_nodes_and_disks_only(api: Any) -> None:
    status = api.json("/sites/lyon/clusters/taurus/status")
    assert set(status) == {"uid", "links", "nodes", "disks"}
    assert set(status["nodes"]) == set(TAURUS)
    assert api.get("/sites/lyon/clusters/x/status").status_code == 404


def test_2_10_one_node(api: Any) -> None:
    assert list(api.json(f"{STATUS}?network_address={TAURUS[1]}")["nodes"]) == [TAURUS[1]]


def test_2_10_running_jobs_make_busy_and_all_active_ones_are_listed(api: Any) -> None:
    running = api.submit(resources="{cluster='taurus'}/nodes=3,walltime=1:00:00")
    waiting = api.submit(resources="{cluster='taurus'}/nodes=3,walltime=1:00:00")
    node = api.json(STATUS)["nodes"][TAURUS[0]]
    assert (node["soft"], node["busy_slots"], node["free_slots"]) == ("busy", 4, 0)
    assert sorted(job["uid"] for job in node["reservations"]) == [running["uid"], waiting["uid"]]
    assert all({"events", "links"}.isdisjoint(job) for job in node["reservations"])
    (job,) = api.json(f"{STATUS}?waiting=no")["nodes"][TAURUS[0]]["reservations"]
    assert (job["uid"], job["state"]) == (running["uid"], "running")


def test_2_10_best_effort_is_freeable(api: Any) -> None:
    api.submit(resources="{cluster='taurus'}/nodes=3,walltime=1:00:00", types=["besteffort"])
    node = api.json(STATUS)["nodes"][TAURUS[0]]
    assert (node["soft"], node["busy_slots"], node["freeable_slots"], node["free_slots"]) == (
        "busy_besteffort", 0, 4, 0,
    )  # fmt: skip


def test_2_10_a_dead_node_has_no_slots(api: Any) -> None:
    with api.platform.at_now():
        api.platform.sites["lyon"].oar.set_node_state(TAURUS[0], "Dead")
    node = api.json(STATUS)["nodes"][TAURUS[0]]
    assert (node["hard"], node["soft"]) == ("dead", "unknown")
    assert (node["busy_slots"], node["freeable_slots"], node["free_slots"]) == (0, 0, 0)


def test_2_10_a_node_in_standby(api: Any) -> None:
    with api.platform.at_now():
        api.platform.sites["lyon"].oar.set_node_state(TAURUS[0], "Standby")
    assert api.json(STATUS)["nodes"][TAURUS[0]]["hard"] == "standby"


@pytest.mark.parametrize(
    ("user", "query", "shown"),
    [
        ("alice", "", True),
        ("alice", "?job_details=no", False),
        (None, "", False),
        ("anonymous", "", False),
        ("unknown", "", True),
    ],
)
def test_2_10_who_sees_reservations(api: Any, user: str | None, query: str, shown: bool) -> None:
    node = api.json(f"{STATUS}{query}", user=user)["nodes"][TAURUS[0]]
    assert ("reservations" in node) is shown
