"""What the admission rules do with a submission (§2.7, §3.3), one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.emulator.oar.dates import text_of
from pytest_execo.emulator.oar.engine import OarRefused

HOUR = 3600


def notes(bench: Any, job: int) -> list[str]:
    return [event.description for event in bench.oar.job(job).events if event.type == "ADMISSION_RULE"]


def refused(bench: Any, *args: Any, **more: Any) -> OarRefused:
    with pytest.raises(OarRefused) as caught:
        bench.submit(*args, **more)
    return caught.value


def test_defaults(bench: Any) -> None:
    job = bench.oar.job(bench.submit(""))
    assert (job.queue, job.project, job.types, job.walltime) == ("default", "default", (), HOUR)
    assert job.properties == "(exotic = 'NO') AND maintenance = 'NO'"
    assert notes(bench, job.id) == [
        "[ADMISSION RULE] Modify resource description with type constraints",
        "# Filtering out exotic resources (sirius).",
        "# Set walltime to default (3600 s).",
    ]


def test_a_walltime_that_is_given_stays(bench: Any) -> None:
    job = bench.submit("nodes=1,walltime=25:00:00")
    assert bench.oar.job(job).walltime == 25 * HOUR
    assert not any("walltime" in note for note in notes(bench, job))


def test_properties_are_wrapped_as_the_rules_do(bench: Any) -> None:
    job = bench.oar.job(bench.submit("nodes=1", properties='(cluster="taurus")', types=["deploy", "exotic"]))
    assert job.properties == "(((cluster=\"taurus\")) AND deploy = 'YES') AND maintenance = 'NO'"


def test_default_type_is_added_where_none_is_named(bench: Any) -> None:
    job = bench.oar.job(bench.submit("slash_22=1+{cluster='taurus'}/nodes=1+{type='kavlan'}/vlan=1+vlan=1"))
    assert [group.sql for group in job.order.wanted[0].groups] == [
        "type = 'subnet'",
        "(cluster='taurus') AND type = 'default'",
        "type='kavlan'",
        "type = 'kavlan'",
    ]


@pytest.mark.parametrize(
    ("given", "queue", "types"),
    [
        ({}, "default", ()),
        ({"types": ["besteffort"]}, "besteffort", ("besteffort",)),
        ({"queue": "besteffort"}, "besteffort", ("besteffort",)),
        ({"types": ["besteffort"], "queue": "default"}, "besteffort", ("besteffort",)),
        ({"queue": "production"}, "production", ()),
        ({"queue": "abaca"}, "abaca", ()),
        ({"queue": "admin"}, "admin", ()),
    ],
)
def test_best_effort_is_a_type_and_a_queue(
    bench: Any, given: dict[str, Any], queue: str, types: tuple[str, ...]
) -> None:
    job = bench.oar.job(bench.submit(**given))
    assert (job.queue, job.types) == (queue, types)


@pytest.mark.parametrize(
    ("queue", "clusters"),
    [("default", {"taurus"}), ("abaca", {"hydra"}), ("production", {"hydra"}), ("admin", {"taurus", "hydra"})],
)
def test_a_queue_has_the_clusters_that_are_in_it(bench: Any, queue: str, clusters: set[str]) -> None:
    job = bench.run("nodes=ALL", queue=queue)
    assert {name.partition("-")[0] for name in bench.nodes(job)} == clusters


def test_exotic_clusters_need_the_type(bench: Any) -> None:
    no = refused(bench, "{cluster='sirius'}/nodes=1")
    assert (no.exit_code, no.http) == (8, 400)
    assert "# Filtering out exotic resources (sirius)." in no.message
    assert "There are not enough resources for your request" in no.message
    assert bench.nodes(bench.run("{cluster='sirius'}/nodes=1", types=["exotic"])) == ["sirius-1"]


def test_nodes_that_cannot_be_deployed_are_not_given_to_deploy_jobs(
    make_bench: Callable[..., Any], small: dict[str, Any]
) -> None:
    small["clusters"]["taurus"]["nodes"][0]["supported_job_types"]["deploy"] = False
    bench = make_bench(small)
    assert bench.nodes(bench.run("{cluster='taurus'}/nodes=ALL", types=["deploy"])) == [
        "taurus-2",
        "taurus-3",
        "taurus-4",
    ]


@pytest.mark.parametrize(
    "kind",
    [
        "deploy", "allow_classic_ssh", "day", "night", "exotic", "destructive", "noop", "cosystem", "container",
        "idempotent", "timesharing=user,name", "monitor", "monitor=prom_.*", "origin=pytest-execo",
    ],
)  # fmt: skip
def test_types_that_are_known(bench: Any, kind: str) -> None:
    assert bench.oar.job(bench.submit(types=[kind])).types == (kind,)


RESERVED = {"reservation": text_of(1_800_000_000 + 600)}


@pytest.mark.parametrize(
    ("given", "exit_code", "sentence"),
    [
        ({"types": ["nosuch"]}, 254, "[ADMISSION RULE] Error: unknown job type: nosuch"),
        ({"types": ["inner=99"]}, 254, "[ADMISSION RULE] Error: inner job is requesting an invalid container id."),
        ({"types": ["inner=x"]}, 254, "[ADMISSION RULE] Error: inner job is requesting an invalid container id."),
        ({"types": ["deploy"], "resources": "core=1"}, 254, "'core' resource is not allowed"),
        ({"types": ["noop"], "resources": "nodes=1/core=2"}, 254, "'core' resource is not allowed"),
        ({"types": ["deploy", "besteffort"]}, 254, "cannot both be of type besteffort and deploy"),
        ({"resources": "nodes=1,walltime=168:00:01"}, 254, "at most 168 hours"),
        ({"resources": "nodes=1,walltime=0"}, 254, "above 0"),
        ({"types": ["besteffort"], **RESERVED}, 254, "advance reservations are not allowed in queue besteffort"),
        ({"queue": "production", **RESERVED}, 254, "advance reservations are not allowed in queue production"),
        ({"queue": "nosuch"}, 8, "the queue nosuch does not exist"),
        ({"reservation": "soon"}, 7, "syntax error in the date"),
        ({"reservation": "2027-01-16 10:00:00, 2027-01-16 09:00:00"}, 7, "ends before it starts"),
        ({"resources": "nodes=2cores"}, 18, "# Error: cannot recognize -- nodes=2cores -- resource"),
        ({"resources": "{cluster='taurus'}/nodes=9"}, 8, "There are not enough resources for your request"),
        ({"resources": "nodes=0"}, 8, "There are not enough resources for your request"),
        ({"resources": "{clustr='x'}/nodes=1"}, 8, 'Bad resource request (column "clustr" does not exist)'),
        ({"resources": "blade=1"}, 8, 'Bad resource request (column "blade" does not exist)'),
        ({"properties": "memnode >"}, 8, "Bad resource request (syntax error"),
    ],
)
def test_what_is_refused(bench: Any, given: dict[str, Any], exit_code: int, sentence: str) -> None:
    no = refused(bench, **given)
    assert (no.exit_code, no.http) == (exit_code, 400)
    assert sentence in no.message
    assert bench.oar.jobs() == []  # and no job is left


def test_nodes_that_are_dead_are_not_counted(bench: Any) -> None:
    bench.oar.set_node_state("taurus-1.lyon.grid5000.fr", "Dead")
    bench.oar.set_node_state("taurus-2.lyon.grid5000.fr", "Absent")
    assert bench.submit("{cluster='taurus'}/nodes=3")  # an absent one may come back
    assert "not enough resources" in refused(bench, "{cluster='taurus'}/nodes=4").message


def test_not_more_than_so_many_waiting_jobs_per_user(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(max_waiting_jobs=3)
    for _ in range(3):
        bench.submit()
    assert "more than 3 waiting jobs" in refused(bench).message
    assert bench.submit(user="bob")
    bench.go(5)
    assert bench.submit()  # they run by now


def test_not_more_than_two_reservations_that_are_far_ahead(bench: Any) -> None:
    def reserve(hours: float, **more: Any) -> int:
        return int(bench.submit("nodes=1,walltime=0:10", reservation=text_of(bench.clock.date + hours * HOUR), **more))

    reserve(2)
    reserve(3)
    with pytest.raises(OarRefused, match="more than 2 waiting reservations"):
        reserve(4)
    assert reserve(0.5)
    assert reserve(4, user="bob")


def test_a_reservation_takes_its_walltime_from_its_end(bench: Any) -> None:
    start, end = bench.clock.date + 600, bench.clock.date + 900
    job = bench.submit("nodes=1", reservation=f"{text_of(start)}, {text_of(end)}")
    assert bench.oar.job(job).walltime == 300
    job = bench.submit("nodes=1,walltime=0:2", reservation=f"{text_of(start)}, {text_of(end)}")
    assert bench.oar.job(job).walltime == 120
