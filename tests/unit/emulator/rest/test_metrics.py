"""§2.12 and §6.2: metrics."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

METRICS = "/sites/lyon/metrics"
POWER, TEMPERATURE = "wattmetre_power_watt", "bmc_ambient_temp_celsius"


def dates(values: Any) -> list[float]:
    return [dt.datetime.fromisoformat(value["timestamp"]).timestamp() for value in values]


def test_6_2_a_bare_list_of_the_last_five_minutes(api: Any) -> None:
    found = api.json(f"{METRICS}?nodes=taurus-1,taurus-2&metrics={POWER}", user=None)
    assert isinstance(found, list)
    assert len(found) in range(598, 603)
    assert set(found[0]) == {"timestamp", "device_id", "metric_id", "value", "labels"}
    assert api.clock.now() - 301 <= min(dates(found)) <= max(dates(found)) <= api.clock.now()
    assert {value["device_id"] for value in found} == {"taurus-1", "taurus-2"}


@pytest.mark.parametrize("form", ["unix", "iso", "utc"])
def test_6_2_dates_are_unix_or_iso(api: Any, form: str) -> None:
    start = api.clock.now() - 1000
    moments = [dt.datetime.fromtimestamp(date, dt.UTC) for date in (start, start + 10)]
    paris = dt.timezone(dt.timedelta(hours=2))
    first, last = {
        "unix": [str(moment.timestamp()) for moment in moments],
        "iso": [moment.astimezone(paris).replace(tzinfo=None).isoformat() for moment in moments],
        "utc": [moment.isoformat() for moment in moments],
    }[form]
    found = api.json(f"{METRICS}?nodes=taurus-1&metrics={POWER}&start_time={first}&end_time={last}")
    assert len(found) in (9, 10, 11)
    assert all(start - 1 <= date <= start + 11 for date in dates(found))


def test_6_2_the_future_is_not_measured(api: Any) -> None:
    now = api.clock.now()
    assert api.json(f"{METRICS}?nodes=taurus-1&start_time={now + 10}&end_time={now + 20}") == []


def test_6_2_a_job_instead_of_nodes_and_dates(api: Any) -> None:
    job = api.submit(resources="{cluster='taurus'}/nodes=1,walltime=1:00:00", wait=60)
    found = api.json(f"{METRICS}?job_id={job['uid']}&metrics={POWER}")
    assert {f"{value['device_id']}.lyon.grid5000.fr" for value in found} == set(job["assigned_nodes"])
    assert all(date >= job["started_at"] - 1 for date in dates(found))
    assert len(found) in range(50, 62)
    assert api.get(f"{METRICS}?job_id=17").status_code == 404


def test_6_2_a_job_that_never_ran_has_nothing(api: Any) -> None:
    api.submit(resources="{cluster='taurus'}/nodes=3,walltime=1:00:00")
    waiting = api.submit(resources="{cluster='taurus'}/nodes=3,walltime=1:00:00")
    assert api.json(f"{METRICS}?job_id={waiting['uid']}") == []


@pytest.mark.parametrize(
    ("types", "measured"), [([], False), (["monitor"], True), (["monitor=bmc_.*"], True), (["monitor=prom"], False)]
)
def test_6_2_period_0_is_measured_for_jobs_of_type_monitor(api: Any, types: list[str], measured: bool) -> None:
    job = api.submit(resources="{cluster='taurus'}/nodes=1,walltime=1:00:00", types=types, wait=60)
    assert bool(api.json(f"{METRICS}?job_id={job['uid']}&metrics={TEMPERATURE}")) is measured


def test_6_2_load_shows(api: Any) -> None:
    before = api.json(f"{METRICS}?nodes=taurus-1&metrics={POWER}")
    api.submit(resources="{cluster='taurus'}/nodes=3,walltime=1:00:00", wait=400)
    after = api.json(f"{METRICS}?nodes=taurus-1&metrics={POWER}")
    assert max(value["value"] for value in before) < min(value["value"] for value in after)


def test_6_2_a_summary(api: Any) -> None:
    found = api.json(f"{METRICS}?nodes=taurus-1&metrics={POWER}&summary=true&start_time={api.clock.now() - 1200}")
    assert len(found) in (4, 5)


def test_6_2_clusters_without_metrics_have_none(api: Any) -> None:
    assert api.json(f"{METRICS}?nodes=nova-1,unknown-1") == []


@pytest.mark.parametrize(
    "query", ["start_time=yesterday", "end_time=-5", "start_time=1e99", "start_time=0&nodes=taurus-1"]
)
def test_6_2_what_can_not_be_answered_is_400(api: Any, query: str) -> None:
    assert api.get(f"{METRICS}?{query}").status_code == 400
