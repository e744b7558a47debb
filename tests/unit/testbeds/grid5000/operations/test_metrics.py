"""What was measured: series by metric and node, gaps, late values, energy."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_execo.testbeds.grid5000.answers import Measurement
from pytest_execo.testbeds.grid5000.operations import Series, energy, series
from pytest_execo.testbeds.grid5000.operations.metrics import available

NODES = ("taurus-1.lyon.grid5000.fr", "taurus-2.lyon.grid5000.fr")
POWER = "wattmetre_power_watt"
START = 1_790_000_000.0


def measured(node: str, *seconds: float) -> list[Measurement]:
    """Return a value for each second after the start."""
    return [Measurement(START + each, node, POWER, 100.0 + each) for each in seconds]


def test_series_by_metric_and_node(platform: Any) -> None:
    platform.measurements = [
        *measured("taurus-1", 0, 1, 2, 3),
        *measured("taurus-2", 0, 1, 2, 3),
        *measured("nova-1", 0),
    ]
    platform.now = START + 4
    found = series(platform, "lyon", NODES, [POWER], START, START + 3, waiting=platform.waiting)
    assert set(found[POWER]) == set(NODES)
    one = found[POWER][NODES[0]]
    assert one.dates == tuple(START + each for each in range(4))
    assert one.values == (100.0, 101.0, 102.0, 103.0)
    assert (one.unit, one.gaps) == ("W", ())


def test_values_that_come_late_are_waited_for(platform: Any) -> None:
    platform.measurements = measured("taurus-1", *range(11))
    platform.now = START + 5
    found = series(platform, "lyon", NODES, [POWER], START, START + 10, waiting=platform.waiting)
    assert len(found[POWER][NODES[0]].values) == 11
    assert platform.now < START + 20


def test_values_that_never_come_are_waited_for_ten_seconds(platform: Any) -> None:
    platform.now = START + 10
    assert series(platform, "lyon", NODES, [POWER], START, START + 10, waiting=platform.waiting) == {}
    assert platform.now == pytest.approx(START + 20, abs=0.1)


def test_gaps_are_told(platform: Any) -> None:
    platform.measurements = measured("taurus-1", 0, 1, 2, 8, 9, 10)
    platform.now = START + 12
    found = series(platform, "lyon", NODES, [POWER], START, START + 10, waiting=platform.waiting)
    assert found[POWER][NODES[0]].gaps == ((START + 2, START + 8),)


def test_energy_is_what_is_below_the_power() -> None:
    assert energy(Series((0.0, 1.0, 3.0), (100.0, 200.0, 200.0), "W")) == 150.0 + 400.0
    assert energy(Series((0.0,), (100.0,))) == 0.0


def test_what_is_measured_without_being_asked_for() -> None:
    described = [
        {"name": POWER, "period": 1000},
        {"name": "prom_node_load1", "period": 0},
        {"name": "bmc_x", "period": 0},
    ]
    assert available(described) == {POWER: True, "prom_node_load1": False, "bmc_x": False}
    assert available(described, "prom_.*")["prom_node_load1"]
    assert all(available(described, "").values())
