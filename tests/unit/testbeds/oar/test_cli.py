"""The words that OAR is asked with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.testbeds import Request
from pytest_execo.testbeds.oar import cli


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request(nodes=2, walltime=3600), "/nodes=2,walltime=1:00:00"),
        (Request(nodes=2, walltime=90, cluster="big"), "{cluster = 'big'}/nodes=2,walltime=0:01:30"),
        (
            Request(nodes=3, walltime=60, shares=(("big", 2), ("small", 1))),
            "{cluster = 'big'}/nodes=2+{cluster = 'small'}/nodes=1,walltime=0:01:00",
        ),
        (
            Request(nodes=2, walltime=60, hosts=("node-1.lab", "node-2.lab")),
            "{network_address in ('node-1.lab', 'node-2.lab')}/nodes=2,walltime=0:01:00",
        ),
        (
            Request(nodes=1, walltime=60, cluster="big", without=("node-1.lab",)),
            "{cluster = 'big' and network_address not in ('node-1.lab')}/nodes=1,walltime=0:01:00",
        ),
        (
            Request(nodes=1, walltime=25 * 3600, properties=(("memnode", ">=16"), ("gpu", 1), ("deploy", True))),
            "{memnode >= '16' and gpu = '1' and deploy = 'YES'}/nodes=1,walltime=25:00:00",
        ),
        (
            Request(nodes=2, walltime=60, cluster="big", same_switch=True),
            "{cluster = 'big'}/switch=1/nodes=2,walltime=0:01:00",
        ),
    ],
)
def test_resources(request_: Request, expected: str) -> None:
    assert cli.resources(request_) == expected


def test_a_submission_has_all_that_was_asked() -> None:
    request = Request(nodes=1, walltime=60, queue="production", project="lab", types=("night", "inner=12"))
    assert cli.submission(request, name="n", reservation="2026-11-23 01:27:20") == [
        *("oarsub", "-n", "n", "-l", "/nodes=1,walltime=0:01:00", "-O", "/dev/null", "-E", "/dev/null"),
        *("-r", "2026-11-23 01:27:20", "-q", "production", "--project", "lab", "-t", "night", "-t", "inner=12"),
        "sleep infinity",
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (16, "p = '16'"),
        (1.5, "p = '1.5'"),
        ("x", "p = 'x'"),
        ("== x", "p = 'x'"),
        ("<>x", "p != 'x'"),
        (">= 2", "p >= '2'"),
        ("<2", "p < '2'"),
        (False, "p = 'NO'"),
    ],
)
def test_conditions(value: str | float | bool, expected: str) -> None:
    assert cli.condition("p", value) == expected


@given(st.floats(min_value=0, max_value=1e8))
def test_a_duration_is_never_shorter_than_asked(seconds: float) -> None:
    hours, minutes, secs = map(int, cli.duration(seconds).split(":"))
    assert minutes < 60
    assert secs < 60
    assert seconds <= hours * 3600 + minutes * 60 + secs <= seconds + 1


@pytest.mark.parametrize("text", ["it's", 'a"b', "a}b", "a\\b", "a;b", "$HOME", "`id`", "a\nb"])
def test_what_oar_would_misread(text: str) -> None:
    assert cli.unquotable(text)


@pytest.mark.parametrize("text", ["big", "Xeon E5-2630 v3", "node-1.lab", "inner=12", "10.0/8", "é"])
def test_what_it_would_not(text: str) -> None:
    assert not cli.unquotable(text)


def test_the_gantt_diagram_spans_a_day_before_for_whatever_time_zone() -> None:
    assert cli.gantt(1_795_393_600) == ["oarstat", "-J", "-g", "2026-11-22 00:26:40, 2027-11-24 00:26:40"]
