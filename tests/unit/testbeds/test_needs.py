"""The marker's keywords become a request: what is right, and the line for what is not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.needs import KEYS, request_of


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ({}, {}),
        ({"nodes": 2, "walltime": "25:00:00"}, {"nodes": 2, "walltime": 90000.0}),
        ({"nodes": None, "cluster": None}, {}),
        ({"nodes": {"lyon": 2, "gros": 1}}, {"nodes": 3, "shares": (("lyon", 2), ("gros", 1))}),
        ({"hosts": "taurus-1.lyon"}, {"nodes": 1, "hosts": ("taurus-1.lyon",)}),
        ({"hosts": ["taurus-1", "taurus-2"], "nodes": 2}, {"nodes": 2, "hosts": ("taurus-1", "taurus-2")}),
        ({"nodes": 4, "min_nodes": 3}, {"nodes": 4, "min_nodes": 3}),
        ({"properties": {"cores": ">=16", "gpu": 1}}, {"properties": (("cores", ">=16"), ("gpu", 1))}),
        ({"environment": "debian12-min"}, {"environment": "debian12-min"}),
        ({"vlan": True}, {"vlan": "kavlan"}),
        ({"vlan": False}, {}),
        ({"vlan": "kavlan-global"}, {"vlan": "kavlan-global"}),
        ({"subnets": "slash_22"}, {"subnets": (("slash_22", 1),)}),
        ({"subnets": {"slash_16": 2}}, {"subnets": (("slash_16", 2),)}),
        ({"start": "2026-11-27 19:00+01:00"}, {"start": 1795802400.0}),
        ({"start": dt.datetime(2026, 11, 27, 18, tzinfo=dt.UTC)}, {"start": 1795802400.0}),
        ({"start": 1795802400}, {"start": 1795802400.0}),
        ({"types": ("night", "besteffort")}, {"types": ("night", "besteffort")}),
        ({"types": "night"}, {"types": ("night",)}),
        ({"monitor": True}, {"monitor": ""}),
        ({"metrics": "wattmetre_power_watt"}, {"metrics": ("wattmetre_power_watt",)}),
        ({"monitor": "wattmetre_.*"}, {"monitor": "wattmetre_.*"}),
        ({"monitor": False, "disks": True, "same_switch": True}, {"disks": True, "same_switch": True}),
    ],
)
def test_what_is_asked_for(wanted: dict[str, Any], fields: dict[str, Any]) -> None:
    request = request_of(wanted)
    assert request == Request(**fields)
    hash(request)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"node": 2}, ["node=2", "did you mean 'nodes'?"]),
        ({"nodes": 0}, ["nodes=0", "1 or more"]),
        ({"nodes": True}, ["nodes=True", "a number"]),
        ({"nodes": {}}, ["nodes={}", "'lyon': 2"]),
        ({"nodes": {"lyon": 0}}, ["1 or more of each"]),
        ({"nodes": {1: 2}}, ["'lyon': 2"]),
        ({"nodes": {"lyon": 1}, "cluster": "taurus"}, ["cluster='taurus'", "nodes= says"]),
        ({"nodes": 3, "hosts": ["taurus-1"]}, ["nodes=3", "1 are named by hosts="]),
        ({"hosts": []}, ["hosts=[]", "name of a node"]),
        ({"hosts": [1]}, ["hosts=[1]"]),
        ({"min_nodes": 2}, ["min_nodes=2", "up to nodes="]),
        ({"min_nodes": 2, "nodes": 1}, ["min_nodes=2", "1"]),
        ({"properties": {"cores": [1]}}, ["'cores': '>=16'"]),
        ({"properties": {}}, ["'cores': '>=16'"]),
        ({"environment": ""}, ["environment=''", "debian12-min"]),
        ({"vlan": "kavlan-locl"}, ["vlan='kavlan-locl'", "kavlan-local"]),
        ({"subnets": 1}, ["slash_22"]),
        ({"disks": 1}, ["disks=1", "True or False"]),
        ({"start": "tomorrow"}, ["start='tomorrow'", "'2026-11-27 19:00'"]),
        ({"start": True}, ["start=True"]),
        ({"walltime": -1}, ["walltime=-1"]),
        ({"monitor": 1}, ["monitor=1", "regular expression"]),
        ({"types": [""]}, ["types=['']"]),
    ],
)
def test_what_is_wrong_is_said_in_a_line(wanted: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        request_of(wanted)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("@pytest.mark.execo(")
    for word in words:
        assert word in str(caught.value)


def test_every_field_of_a_request_has_a_keyword() -> None:
    # Shares are counts by site in nodes=; nodes to be left out are what a run has found dead.
    assert set(KEYS) == set(Request.__dataclass_fields__) - {"shares", "without"}
