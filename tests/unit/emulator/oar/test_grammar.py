"""The resource request: §3.1 for the grammar and its errors, §3.2 for what is really written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.emulator.oar.grammar import (
    ALL,
    BEST,
    BESTHALF,
    Group,
    Level,
    Wanted,
    hms,
    parse_request,
    parse_walltime,
)
from pytest_execo.emulator.oar.settings import OarRefused


def _host(count: int, sql: str = "") -> Group:
    return Group(sql, (Level("host", count),))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Wanted((_host(1),), None)),
        ("nodes=2", Wanted((_host(2),), None)),
        ("/nodes=2", Wanted((_host(2),), None)),
        ("walltime=2", Wanted((_host(1),), 7200)),
        ("nodes=2,walltime=1:0:0", Wanted((_host(2),), 3600)),
        ("nodes=2,walltime=25:00:00", Wanted((_host(2),), 90000)),
        ("network_address=1,walltime=0:30", Wanted((_host(1),), 1800)),
        ("nodes=ALL", Wanted((_host(ALL),), None)),
        ("nodes=BEST", Wanted((_host(BEST),), None)),
        ("nodes=BESTHALF", Wanted((_host(BESTHALF),), None)),
        ("core=4", Wanted((Group("", (Level("core", 4),)),), None)),
        ("/switch=1/nodes=4", Wanted((Group("", (Level("switch", 1), Level("host", 4))),), None)),
        ("{cluster='a'}", Wanted((_host(1, "cluster='a'"),), None)),
        (
            "{cluster='paradoxe'}/nodes=2+{type='kavlan'}/vlan=1,walltime=1:0:0",
            Wanted((_host(2, "cluster='paradoxe'"), Group("type='kavlan'", (Level("vlan", 1),))), 3600),
        ),
        (
            "{\"type='kavlan'\"}/vlan=1,{\"cluster='suno'\"}/nodes=3",
            Wanted((Group("type='kavlan'", (Level("vlan", 1),)), _host(3, "cluster='suno'")), None),
        ),
        (
            "{network_address in ('a.x','b.x')}/nodes=2",
            Wanted((_host(2, "network_address in ('a.x','b.x')"),), None),
        ),
        (
            "slash_22=1+{cluster='X'}/nodes=1",
            Wanted((Group("", (Level("slash_22", 1),)), _host(1, "cluster='X'")), None),
        ),
        (
            "{(type='disk' or type='default') and cluster='X'}/host=1",
            Wanted((_host(1, "(type='disk' or type='default') and cluster='X'"),), None),
        ),
    ],
)
def test_requests_that_are_really_written(text: str, wanted: Wanted) -> None:
    assert parse_request(text) == wanted


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nodes", "# Error: cannot recognize -- nodes -- resource"),
        ("nodes=two", "# Error: cannot recognize -- nodes=two -- resource"),
        ("{cluster='a'}/nodes=-1", "# Error: cannot recognize -- nodes=-1 -- resource"),
        ("nodes=1/core", "# Error: cannot recognize -- core -- resource"),
        ("nodes=1,walltime=soon", "# Error: cannot recognize walltime resource value"),
        ("nodes=1,walltime=1h", "# Error: cannot recognize walltime resource value"),
        ("nodes=1,walltime=1:0:0:0", "# Error: cannot recognize walltime resource value"),
        ("walltime=1,nodes=1", "# Error: cannot recognize the resource description: walltime=1,nodes=1"),
        ("nodes=1+", "# Error: cannot recognize the resource description: nodes=1+"),
        ("{cluster='a'/nodes=1", "# Error: cannot recognize the resource description: {cluster='a'/nodes=1"),
    ],
)
def test_what_cannot_be_recognized_is_exit_18(text: str, sentence: str) -> None:
    with pytest.raises(OarRefused) as refused:
        parse_request(text)
    assert (refused.value.exit_code, refused.value.http, refused.value.message) == (18, 400, sentence)


@settings(max_examples=50)
@given(st.integers(0, 10**7))
def test_a_walltime_is_read_as_it_is_written(seconds: int) -> None:
    assert parse_walltime(hms(seconds)) == seconds


_GROUPS = st.builds(
    Group,
    st.sampled_from(("", "cluster='a'", "host in ('a','b') and (x=1 or y<2)")),
    st.lists(
        st.builds(Level, st.sampled_from(("host", "core", "switch", "slash_22")), st.integers(0, 99)),
        min_size=1,
        max_size=3,
    ).map(tuple),
)


@settings(max_examples=50)
@given(groups=st.lists(_GROUPS, min_size=1, max_size=3), walltime=st.none() | st.integers(0, 10**6))
def test_a_request_is_read_as_it_is_written(groups: list[Group], walltime: int | None) -> None:
    texts = [
        (f"{{{group.sql}}}/" if group.sql else "") + "/".join(f"{level.name}={level.count}" for level in group.levels)
        for group in groups
    ]
    text = "+".join(texts) + ("" if walltime is None else f",walltime={hms(walltime)}")
    assert parse_request(text) == Wanted(tuple(groups), walltime)


@settings(max_examples=50)
@given(st.text(alphabet="nodes=1{}/+,'ALwti:", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        groups = parse_request(text).groups
    except OarRefused as refused:
        exit_code = refused.exit_code
    else:
        exit_code = 18 if groups else 0
    assert exit_code == 18
