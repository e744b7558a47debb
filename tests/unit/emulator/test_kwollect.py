"""Series: which there are, that they are always the same, and that load shows."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pytest_execo.emulator import kwollect
from pytest_execo.emulator.kwollect import Kwollect, Period, TooManyValues
from pytest_execo.emulator.site import nodes_of, sites_of

START = 1_790_000_000.0
POWER, TEMPERATURE, TRAFFIC = "wattmetre_power_watt", "bmc_ambient_temp_celsius", "network_ifacein_bytes_total"


def service(reference: Mapping[str, Any], periods: Sequence[Period] = (), seed: int = 0) -> Kwollect:
    """The one of lyon, where jobs ran on taurus-1 only."""
    nodes = nodes_of(sites_of(reference)["lyon"])
    return Kwollect(nodes, periods=lambda node: periods if node == "taurus-1" else (), seed=seed, origin=START - 86400)


def dates(values: Sequence[Mapping[str, Any]]) -> list[float]:
    return [dt.datetime.fromisoformat(value["timestamp"]).timestamp() for value in values]


def test_a_metric_comes_with_its_period_for_the_nodes_of_its_clusters_only(small_reference: Mapping[str, Any]) -> None:
    found = service(small_reference).series(
        ["taurus-1", "taurus-2.lyon.grid5000.fr", "nova-1"], [POWER], START, START + 9
    )
    assert {value["device_id"] for value in found} == {"taurus-1", "taurus-2"}
    assert len(found) in (18, 19, 20)
    assert {value["metric_id"] for value in found} == {POWER}
    assert all(re.fullmatch(r"wattmetre1-port\d+", value["labels"]["_device_orig"][0]) for value in found)


def test_only_for_names_the_nodes_that_have_a_metric(small_reference: Mapping[str, Any]) -> None:
    found = service(small_reference).series(["taurus-1", "taurus-2"], [TRAFFIC], START, START + 60)
    assert {value["device_id"] for value in found} == {"taurus-1"}
    assert found[0]["labels"] == {"interface": "eth0"}
    counts = [value["value"] for value in found]
    assert counts == sorted(counts)
    assert counts[0] > 0


def test_period_0_is_only_measured_for_a_job_that_monitors(small_reference: Mapping[str, Any]) -> None:
    ask = (["taurus-1", "taurus-2"], [TEMPERATURE], START, START + 100)
    assert service(small_reference).series(*ask) == []
    assert service(small_reference, [Period(1, START + 20, START + 60)]).series(*ask) == []
    for pattern in ("", ".*", "bmc"):
        found = service(small_reference, [Period(1, START + 20, START + 60, monitor=pattern)]).series(*ask)
        assert {value["device_id"] for value in found} == {"taurus-1"}
        assert 7 <= len(found) <= 9
        assert all(START + 20 <= date <= START + 60 for date in dates(found))
    power = (["taurus-1"], [POWER], START, START + 9)
    monitored = service(small_reference, [Period(1, START, None, monitor="")]).series(*power)
    assert len(monitored) < 12  # what is measured anyway does not become denser
    other = [Period(1, START + 20, START + 60, monitor="wattmetre")]
    assert service(small_reference, other).series(*ask) == []


def test_monitoring_makes_a_metric_denser_and_no_date_comes_twice(small_reference: Mapping[str, Any]) -> None:
    periods = [Period(1, START - 50, START - 20, monitor=".*"), Period(2, START + 2, START + 4, monitor=".*")]
    found = service(small_reference, periods).series(["taurus-1"], [POWER], START, START + 9)
    assert len(found) >= 100
    whole = [int(date) for date in dates(found)]
    assert whole == sorted(whole)
    assert len({(value["timestamp"], value["value"]) for value in found}) == len(found)


@pytest.mark.parametrize("pattern", ["(", "(a*)*b", "a*b*c*d*e*", "x" * 300])
def test_an_expression_that_would_hold_up_everybody_names_nothing(
    small_reference: Mapping[str, Any], pattern: str
) -> None:
    periods = [Period(1, START, None, monitor=pattern)]
    assert service(small_reference, periods).series(["taurus-1"], [TEMPERATURE], START, START + 60) == []


def test_a_job_shows_in_the_power(small_reference: Mapping[str, Any]) -> None:
    periods = [Period(1, START + 100, START + 200)]
    busy = service(small_reference, periods)
    idle = busy.series(["taurus-1"], [POWER], START, START + 99)
    loaded = busy.series(["taurus-1"], [POWER], START + 100, START + 199)
    assert max(value["value"] for value in idle) + 5 < min(value["value"] for value in loaded)


def test_the_same_is_measured_again_in_any_window(small_reference: Mapping[str, Any]) -> None:
    whole = service(small_reference).series(["taurus-1"], None, START, START + 20)
    part = service(small_reference).series(["taurus-1"], None, START + 5, START + 10)
    assert part
    assert all(value in whole for value in part)
    assert service(small_reference, seed=1).series(["taurus-1"], None, START, START + 20) != whole


def test_dates_are_paris_time_with_mixed_fractions(small_reference: Mapping[str, Any]) -> None:
    found = service(small_reference).series(["taurus-1"], [POWER], START, START + 9)
    shapes = {re.sub(r"\d", "0", value["timestamp"].partition(".")[2]) for value in found}
    assert shapes == {"", "000+00:00", "000000+00:00", "000000000+00:00"}
    assert all(value["timestamp"].endswith("+02:00") for value in found)


def test_a_summary_has_means_of_five_minutes(small_reference: Mapping[str, Any]) -> None:
    found = service(small_reference).series(["taurus-1"], [POWER], START, START + 599, summary=True)
    assert [date % 300 for date in dates(found)] == [0] * len(found)
    assert len(found) in (2, 3)


def test_too_much_is_refused(small_reference: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kwollect, "MOST_VALUES", 50)
    with pytest.raises(TooManyValues):
        service(small_reference).series(["taurus-1"], [POWER], 0, START)
