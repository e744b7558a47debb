"""What a request gets out of what is free (§3.1, §3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_nodes_are_whole_and_in_the_order_of_the_table(bench: Any) -> None:
    bench.run("core=1")
    assert bench.nodes(bench.run("nodes=2")) == ["taurus-2", "taurus-3"]


def test_cores_take_what_others_leave(bench: Any) -> None:
    first, second = bench.run("core=3"), bench.run("core=2")
    assert bench.nodes(first) == ["taurus-1"]
    assert bench.nodes(second) == ["taurus-1", "taurus-2"]


def test_so_many_cores_on_each_of_so_many_nodes(bench: Any) -> None:
    job = bench.run("/host=3/core=2")
    assert len(bench.oar.predicted(bench.oar.job(job))) == 6
    assert len(bench.nodes(job)) == 3


def test_on_one_switch(make_bench: Callable[..., Any], small: dict[str, Any]) -> None:
    for number, node in enumerate(small["clusters"]["taurus"]["nodes"]):
        node["network_adapters"][0]["switch"] = f"sw-{number // 2}"
    bench = make_bench(small)
    bench.run("nodes=1")
    assert bench.nodes(bench.run("/switch=1/nodes=2")) == ["taurus-3", "taurus-4"]


@pytest.mark.parametrize(
    ("request_", "nodes"),
    [
        ("{cluster='taurus'}/nodes=ALL", 4),
        ("{cluster='taurus'}/nodes=BEST", 4),
        ("{cluster='taurus'}/nodes=BESTHALF", 2),
        ("{host in ('taurus-2.lyon.grid5000.fr','taurus-4')}/nodes=2", 2),
    ],
)
def test_counts_that_depend_on_what_is_there(bench: Any, request_: str, nodes: int) -> None:
    assert len(bench.nodes(bench.run(request_))) == nodes


def test_as_many_as_are_free(bench: Any) -> None:
    bench.run("nodes=1")
    assert len(bench.nodes(bench.run("nodes=BEST"))) == 3


def test_all_waits_until_all_are_free(bench: Any) -> None:
    first = bench.run("nodes=1,walltime=0:10")
    every = bench.submit("nodes=ALL")
    bench.until(every, "Running")
    assert bench.oar.job(first).over
    assert len(bench.nodes(every)) == 4


def test_groups_do_not_share_a_node(bench: Any) -> None:
    job = bench.run("nodes=2+nodes=2")
    assert len(bench.nodes(job)) == 4


def test_a_broad_group_leaves_a_narrow_one_its_node(bench: Any) -> None:
    job = bench.run("{cluster='taurus'}/nodes=3+{host='taurus-1'}/nodes=1")
    assert len(bench.nodes(job)) == 4


def test_nodes_with_vlan_and_subnets(bench: Any) -> None:
    job = bench.oar.job(bench.run("{type='kavlan'}/vlan=1+slash_21=1+nodes=2"))
    kinds = [r.type for r in bench.oar.predicted(job)]
    assert kinds == ["default"] * 8 + ["kavlan"] + ["subnet"] * 2
    two = {r.properties["slash_21"] for r in bench.oar.predicted(job) if r.type == "subnet"}
    assert len(two) == 1


@pytest.mark.parametrize("level", ["nodes", "host", "network_address"])
def test_a_node_with_its_disks(make_bench: Callable[..., Any], small: dict[str, Any], level: str) -> None:
    small["clusters"]["taurus"]["nodes"][0]["storage_devices"] = [{"id": "disk1", "reservation": True}]
    bench = make_bench(small)
    job = bench.oar.job(bench.run(f"{{(type='default' or type='disk') AND cluster='taurus'}}/{level}=1"))
    assert [r.type for r in bench.oar.predicted(job)] == ["default"] * 4 + ["disk"]
    alone = bench.run("{type='default' and host='taurus-2'}/host=1")
    assert [r.type for r in bench.oar.predicted(bench.oar.job(alone))] == ["default"] * 4


def test_moldable_jobs_take_what_starts_first(bench: Any) -> None:
    bench.run("nodes=2,walltime=1:00")
    wide = bench.submit(["nodes=3,walltime=0:10", "nodes=1,walltime=0:30"])
    bench.until(wide, "Running")
    assert (len(bench.nodes(wide)), bench.oar.job(wide).walltime) == (1, 1800)
    first = bench.submit(["nodes=1,walltime=0:10", "nodes=1,walltime=0:30"])
    bench.until(first, "Running")
    assert bench.oar.job(first).walltime == 600


def test_an_alternative_that_can_never_be_is_left_out(bench: Any) -> None:
    job = bench.run(["nodes=100,walltime=0:10", "nodes=2,walltime=0:20"])
    assert bench.oar.job(job).walltime == 1200


def test_nodes_that_sleep_come_last(bench: Any) -> None:
    bench.oar.set_node_state("taurus-1.lyon.grid5000.fr", "Standby")
    assert bench.nodes(bench.run("nodes=1")) == ["taurus-2"]
    assert "taurus-1" in bench.nodes(bench.run("nodes=3"))


def test_conditions_on_the_state_are_not_remembered(bench: Any) -> None:
    assert bench.nodes(bench.run("{state='Alive'}/nodes=1,walltime=0:1")) == ["taurus-1"]
    bench.oar.set_node_state("taurus-2.lyon.grid5000.fr", "Standby")
    assert bench.nodes(bench.run("{state='Alive'}/nodes=1")) == ["taurus-3"]
