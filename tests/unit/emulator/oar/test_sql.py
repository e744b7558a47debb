"""Conditions on properties: what they select, and how they fail (§3.1, §3.2 of what OAR and Grid'5000 write)."""

from __future__ import annotations

import contextlib
import operator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.emulator.oar.resources import Resource
from pytest_execo.emulator.oar.sql import BadProperties, select
from pytest_execo.emulator.oar.table import Table, bits


def _table() -> Table:
    rows = (
        ("gros-1", "gros", 65536, "10", "YES"),
        ("gros-2", "gros", 98304, "25", "YES"),
        ("gros-10", "gros", 9216, "25", "NO"),
        ("grisou-1", "grisou", 131072, "9", "NO"),
    )
    found = [
        Resource(
            number,
            "default",
            {
                "host": f"{name}.nancy.grid5000.fr",
                "network_address": f"{name}.nancy.grid5000.fr",
                "cluster": cluster,
                "memnode": memory,
                "rate": rate,
                "wattmeter": watt,
            },
        )
        for number, (name, cluster, memory, rate, watt) in enumerate(rows, 1)
    ]
    return Table(
        [*found, Resource(5, "kavlan", {"vlan": "4"}), Resource(6, "disk", {"host": "gros-1.nancy.grid5000.fr"})]
    )


TABLE = _table()


def ids(text: str) -> list[int]:
    return [TABLE.resources[position].id for position in bits(select(TABLE, text))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("cluster='gros'", [1, 2, 3]),
        ('cluster="gros"', [1, 2, 3]),
        ("cluster=gros", [1, 2, 3]),
        ("CLUSTER = 'gros'", [1, 2, 3]),
        ("cluster!='gros'", [4]),
        ("cluster <> 'gros'", [4]),
        ("memnode >= 65536", [1, 2, 4]),
        ("memnode > '65536'", [2, 4]),
        ("memnode<9300", [3]),
        ("memnode <= 9216.5", [3]),
        ("memnode between 9000 and 70000", [1, 3]),
        ("rate > '10'", [2, 3, 4]),  # texts compare as texts
        ("rate = 25", [2, 3]),
        ("cluster = 'gros' AND wattmeter = 'YES'", [1, 2]),
        ("cluster = 'gros' & wattmeter = 'YES'", [1, 2]),
        ("cluster = 'grisou' | wattmeter = 'YES'", [1, 2, 4]),
        ("cluster = 'grisou' or cluster = 'gros' and wattmeter = 'NO'", [3, 4]),
        ("(cluster = 'grisou' or cluster = 'gros') and wattmeter = 'NO'", [3, 4]),
        ("not cluster = 'gros'", [4]),
        ("not (cluster = 'gros' or type = 'kavlan')", [4]),
        ("not not cluster = 'gros'", [1, 2, 3]),
        ("cluster in ('gros', \"grisou\")", [1, 2, 3, 4]),
        ("cluster not in ('gros')", [4]),
        ("memnode in (65536, 9216)", [1, 3]),
        ("network_address in ('gros-1.nancy.grid5000.fr','gros-10.nancy.grid5000.fr')", [1, 3]),
        ("host like 'gros-1%'", [1, 3, 6]),
        ("host like 'gros-1.%.fr'", [1, 6]),
        ("host not like 'gros-_.%' and type = 'default'", [3, 4]),
        ("vlan is null", [1, 2, 3, 4, 6]),
        ("vlan is not null", [5]),
        ("type = 'default' or type = 'disk'", [1, 2, 3, 4, 6]),
        ("host = 'gros-1'", [1, 6]),
        ("host=gros-10", [3]),
        ("gros-1", [1, 6]),
        ("gros", [1, 2, 3]),
        ("gros and memnode > 70000", [2]),
        ("resource_id <= 2", [1, 2]),
        ("state = 'Alive' and cluster = 'gros'", [1, 2, 3]),
        ("vlan = 4", [5]),
        ("cluster = 'it''s'", []),
    ],
)
def test_what_a_condition_selects(text: str, found: list[int]) -> None:
    assert ids(text) == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("clustr = 'gros'", 'column "clustr" does not exist'),
        ("nosuch", 'column "nosuch" does not exist'),
        ("memnode > 'much'", 'invalid input syntax for type integer: "much"'),
        ("cluster =", "syntax error at end of input"),
        ("cluster 'gros'", "does not exist"),
        ("(cluster = 'gros'", "syntax error at end of input"),
        ("cluster = 'gros')", 'syntax error at or near ")"'),
        ("cluster = 'gros' ; drop", "syntax error"),
        ("cluster in 'gros'", "syntax error"),
        ("AND", "does not exist"),
        ("= 4", 'syntax error at or near "="'),
        ("cluster not 'gros'", "syntax error"),
        ("(" * 60 + "gros" + ")" * 60, "too many brackets"),
        ("cluster = __import__('os')", "syntax error"),
    ],
)
def test_what_cannot_be_read(text: str, reason: str) -> None:
    with pytest.raises(BadProperties) as refused:
        select(TABLE, text)
    assert reason in str(refused.value)


def test_like_takes_no_time_whatever_the_pattern_is() -> None:
    assert ids(f"host like '{'%a' * 200}b'") == []


_OPERATORS: dict[str, Any] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_COMPARISON = st.tuples(st.just("memnode"), st.sampled_from(sorted(_OPERATORS)), st.sampled_from((9216, 65536, 70000)))
_CONDITION = st.recursive(
    _COMPARISON,
    lambda inner: st.one_of(st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(("and", "or")), inner, inner)),
    max_leaves=8,
)


def _text(tree: Any) -> str:
    if tree[0] == "not":
        return f"NOT ({_text(tree[1])})"
    if tree[0] in ("and", "or"):
        return f"({_text(tree[1])}) {tree[0].upper()} ({_text(tree[2])})"
    return f"{tree[0]} {tree[1]} {tree[2]}"


def _holds(tree: Any, row: Resource) -> bool:
    if tree[0] == "not":
        return not _holds(tree[1], row)
    if tree[0] in ("and", "or"):
        both = _holds(tree[1], row), _holds(tree[2], row)
        return all(both) if tree[0] == "and" else any(both)
    return bool(_OPERATORS[tree[1]](row.properties["memnode"], tree[2]))


@settings(max_examples=50)
@given(tree=_CONDITION)
def test_a_condition_selects_the_rows_for_which_it_is_true(tree: Any) -> None:
    assert ids(_text(tree)) == [row.id for row in TABLE.resources[:4] if _holds(tree, row)]


@settings(max_examples=50)
@given(text=st.text(alphabet="abg'\"()=<>!,% ANDORnotin&|12", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadProperties):
        assert 0 <= select(TABLE, text) <= TABLE.everything
