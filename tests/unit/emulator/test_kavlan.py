"""VLANs: ids and kinds, who may use them, where interfaces are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_execo.emulator.kavlan import DEFAULT, Kavlan
from pytest_execo.emulator.site import nodes_of, remote_vlans, sites_of

NODE = "paradoxe-1.rennes.grid5000.fr"
SECOND = "paradoxe-1-eth1.rennes.grid5000.fr"


@pytest.fixture
def kavlan(small_reference: Mapping[str, Any]) -> Kavlan:
    """The one of rennes, where alice holds VLAN 4 and has the first node."""
    sites = sites_of(small_reference)
    nodes = [node for _, node in nodes_of(sites["rennes"])]
    return Kavlan(
        sites["rennes"],
        nodes,
        remote_vlans(sites, "rennes"),
        holders=lambda: [("alice", "4")],
        owners=lambda: {NODE: "alice"},
    )


def test_all_kinds_are_there_in_order(kavlan: Kavlan) -> None:
    kinds = {uid: vlan.kind for uid, vlan in kavlan.vlans.items()}
    assert list(kinds) == [DEFAULT, *map(str, range(1, 10)), "16", "13"]
    assert [kinds[uid] for uid in ("1", "3", "4", "9", "16", "13")] == [
        "kavlan-local",
        "kavlan-local",
        "kavlan",
        "kavlan",
        "kavlan-global",
        "kavlan-global-remote",
    ]


def test_both_interfaces_of_a_node_can_be_moved(kavlan: Kavlan) -> None:
    assert kavlan.vlan_of(SECOND) == DEFAULT
    assert kavlan.move([SECOND, "nobody"], "4") == {SECOND: "success", "nobody": "unknown"}
    assert kavlan.move([SECOND], "4") == {SECOND: "unchanged"}
    assert (kavlan.vlan_of(SECOND), kavlan.vlan_of(NODE)) == ("4", DEFAULT)
    kavlan.reset([NODE])
    assert kavlan.vlan_of(SECOND) == DEFAULT
    with pytest.raises(KeyError):
        kavlan.vlan_of("nobody")


@pytest.mark.parametrize(
    ("user", "interfaces", "vlan", "may"),
    [
        ("alice", [NODE, SECOND], "4", True),
        ("alice", [NODE], "5", False),
        ("alice", [NODE], DEFAULT, True),
        ("bob", [NODE], DEFAULT, False),
        ("alice", ["paradoxe-2.rennes.grid5000.fr"], "4", False),
        ("alice", ["nobody"], "4", True),
    ],
)
def test_who_may_move_what(kavlan: Kavlan, user: str, interfaces: list[str], vlan: str, may: bool) -> None:
    assert kavlan.may_move(user, interfaces, vlan) is may


def test_users_are_holders_and_those_who_were_let_in(kavlan: Kavlan) -> None:
    kavlan.let_in("bob", "4")
    assert (kavlan.users("4"), kavlan.all_users()) == (["alice", "bob"], {"alice": ["4"], "bob": ["4"]})
    kavlan.shut_out("bob", "4")
    assert kavlan.users("4") == ["alice"]


def test_dhcp_runs_until_it_is_stopped(kavlan: Kavlan) -> None:
    kavlan.set_dhcp("4", running=False)
    assert kavlan.without_dhcp == {"4"}
    kavlan.set_dhcp("4", running=True)
    assert kavlan.without_dhcp == set()
