"""Faults: how they are written, when they strike, and that they end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.emulator.fault import API_ANSWERS, KINDS, Fault, read_fault, read_faults
from pytest_execo.emulator.faults import Faults
from pytest_execo.errors import InvalidRequest

NODES = ("taurus-1.lyon.grid5000.fr", "taurus-2.lyon.grid5000.fr", "taurus-3.lyon.grid5000.fr")


def begun(text: str = "", now: float = 1000.0) -> Faults:
    faults = Faults.parse(text)
    faults.begin(now)
    return faults


def test_text_has_several_faults_with_what_and_when() -> None:
    api, dies = read_faults("api=503:times=3:path=jobs, node-dies=taurus-1:at=+60")
    assert (api.kind, api.answer, api.how_often, api.path) == ("api", "503", 3, "jobs")
    assert (dies.kind, dies.nodes, dies.date(1000)) == ("node-dies", ("taurus-1",), 1060)


@pytest.mark.parametrize("text", KINDS.values(), ids=KINDS)
def test_each_kind_has_an_example_that_can_be_read(text: str) -> None:
    (fault,) = read_faults(text)
    assert fault.kind == text.partition("=")[0]
    assert read_fault(fault.to_json()) == fault


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("rain=1", "rain"),
        ("api=418", "500, 502"),
        ("api=503:times=often", "times"),
        ("api=503:colour=red", "colour"),
        ("api=503:path=(", "regular expression"),
        ("node-dies=taurus-1:at=soon", "+60"),
        ("node-dies=taurus-1:at=+nan", "+60"),
        ("deployment-ko", "deployment-ko=2"),
        ("api=503:times", "KEY=VALUE"),
        ("api=503:for=-1", "not negative"),
    ],
)
def test_what_can_not_be_understood_is_one_clear_line(text: str, hint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_faults(text)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_api_fault_strikes_as_often_as_said_and_where() -> None:
    faults = begun("api=503:times=2:path=/jobs")
    paths = ("/stable/sites", "/stable/sites/lyon/jobs", "/stable/sites/lyon/jobs/1", "/stable/sites/lyon/jobs")
    answers = [faults.answer("GET", path, 1000) for path in paths]
    assert [fault and fault.answer for fault in answers] == [None, "503", "503", None]
    assert [entry["whom"] for entry in faults.happened] == [f"GET {path}" for path in paths[1:3]]


def test_a_fault_with_a_duration_begins_and_ends() -> None:
    faults = begun("api=502:at=+10:for=20")
    assert [faults.answer("GET", "/", date) is not None for date in (1009, 1010, 1029, 1030)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_date_of_its_own_is_told_and_stays_due_until_done() -> None:
    faults = begun("job-killed=any:at=+60")
    assert (faults.next_date(1000), faults.due(1059)) == (1060, [])
    ((number, fault),) = faults.due(1061)
    assert fault.job is None
    assert faults.due(1062)
    faults.done(number, 1062, "17")
    assert (faults.due(1063), faults.next_date(1000)) == ([], None)


def test_a_deployment_meets_what_was_said_for_its_nodes() -> None:
    faults = begun("deployment-ko=taurus-1+taurus-9:times=2,deployment-stuck=1,deployment-canceled=1:after=30")
    first = faults.deployment(NODES, 1000, "D-1")
    assert (first.ko, first.stuck, first.canceled_after) == ({NODES[0]}, True, None)
    second = faults.deployment(NODES, 1000, "D-2")
    assert (second.ko, second.stuck, second.canceled_after) == ({NODES[0]}, False, 30)
    third = faults.deployment(NODES, 1000, "D-3")
    assert (third.ko, third.stuck, third.canceled_after) == (set(), False, None)


def test_a_deployment_of_other_nodes_spends_nothing() -> None:
    faults = Faults().deployment_ko([NODES[0]])
    faults.begin(0)
    assert faults.deployment(NODES[1:], 0, "D-1").ko == set()
    assert faults.deployment(NODES[:1], 0, "D-2").ko == {NODES[0]}


def test_the_first_so_many_nodes_of_a_deployment_fail() -> None:
    faults = Faults().deployment_ko(2)
    faults.begin(0)
    assert faults.deployment(NODES, 0, "D").ko == set(NODES[:2])


def test_a_site_is_unreachable_and_others_are_not() -> None:
    faults = Faults().frontend_unreachable("lyon", for_seconds=60)
    faults.begin(1000)
    assert [faults.unreachable("lyon", 1000), faults.unreachable("rennes", 1000), faults.unreachable("lyon", 1060)] == [
        True,
        False,
        False,
    ]


def test_what_is_added_later_counts_from_then() -> None:
    faults = begun()
    faults.add([Fault("node-dies", at="+60")], now=5000)
    assert faults.next_date(0) == 5060
    assert faults.to_json()[0]["date"] == 5060
    faults.clear()
    assert faults.to_json() == []


@given(seed=st.integers(0, 10**6), horizon=st.floats(1, 10**5))
@settings(max_examples=60)
def test_what_is_drawn_is_the_same_again_and_ends(seed: int, horizon: float) -> None:
    faults, again = Faults.random(seed, horizon), Faults.random(seed, horizon)
    assert faults.to_json() == again.to_json()
    for fault in map(read_fault, faults.to_json()):
        assert fault.how_often is not None or fault.during is not None
        assert 0 <= fault.date(0) <= horizon + 1
        assert fault.answer in ("", *API_ANSWERS)


def test_seeds_differ() -> None:
    assert len({str(Faults.random(seed, 1000).to_json()) for seed in range(50)}) > 45
    kinds = {fault["kind"] for seed in range(100) for fault in Faults.random(seed, 1000).to_json()}
    assert kinds == set(KINDS)
