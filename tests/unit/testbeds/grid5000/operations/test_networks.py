"""VLANs and subnets."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.errors import TestbedError
from pytest_execo.testbeds.grid5000.answers import Job
from pytest_execo.testbeds.grid5000.operations import Subnets, Vlan, attach, detach, in_vlan, vlans_of

NODE = "gros-1-eth1.nancy.grid5000.fr"
VLAN = Vlan("nancy", "4", "kavlan")


def test_the_vlans_of_a_job(platform: Any) -> None:
    assert vlans_of(platform, Job("nancy", 1, "running", vlans=("4",))) == [VLAN]
    assert vlans_of(platform, Job("nancy", 1, "running")) == []


def test_the_name_in_a_vlan() -> None:
    assert in_vlan("gros-1.nancy.grid5000.fr", "4") == "gros-1-kavlan-4.nancy.grid5000.fr"


def test_in_and_out(platform: Any) -> None:
    attach(platform, VLAN, [NODE])
    assert platform.vlan_of == {NODE: "4"}
    detach(platform, "nancy", [NODE])
    assert platform.vlan_of == {NODE: "DEFAULT"}


def test_unchanged_is_fine_where_it_is_true(platform: Any) -> None:
    platform.attach_says = {NODE: "unchanged"}
    platform.vlan_of = {NODE: "4"}
    attach(platform, VLAN, [NODE])


@pytest.mark.parametrize("word", ["unchanged", "failure"])
def test_what_silently_fails_is_told(platform: Any, word: str) -> None:
    # The API says "unchanged" of errors as well.
    platform.attach_says = {NODE: word}
    platform.vlan_of = {NODE: "DEFAULT"}
    with pytest.raises(TestbedError, match=rf"VLAN 4 of nancy: not in it: {NODE} \({word}\)"):
        attach(platform, VLAN, [NODE])


def test_addresses_and_macs() -> None:
    pool = Subnets("lyon", ["10.140.0.0/22"], gateway="10.140.1.7", prefix=14)
    assert len(pool) == 4 * 254 - 1
    assert pool.netmask == "255.252.0.0"
    assert pool.take(2) == [("10.140.0.1", "00:16:3E:8C:00:01"), ("10.140.0.2", "00:16:3E:8C:00:02")]
    rest = {address for address, _ in pool.take(len(pool))}
    assert not rest & {"10.140.1.7", "10.140.0.0", "10.140.0.255", "10.140.1.0", "10.140.3.255"}
    with pytest.raises(TestbedError, match="asks for 1 addresses, 0 of 1015 are left"):
        pool.take()
    pool.give_back(["10.140.0.2"])
    assert pool.take() == [("10.140.0.2", "00:16:3E:8C:00:02")]


@settings(max_examples=20)
@given(st.lists(st.integers(1, 30), max_size=10))
def test_no_address_is_given_twice(counts: list[int]) -> None:
    pool = Subnets("lyon", ["10.140.0.0/24", "10.140.4.0/24"])
    given_out = [address for count in counts for address, _ in pool.take(count)]
    assert len(set(given_out)) == len(given_out)


def test_threads_share_it() -> None:
    pool = Subnets("lyon", ["10.140.0.0/22"])
    taken: list[str] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(a for _ in range(50) for a, _ in pool.take())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(taken) == len(set(taken)) == 200
