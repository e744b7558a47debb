from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo import Host, InvalidInput, Remote
from pytest_execo.processes.substitutions import substitute

HOST = Host("127.1.0.1", name="node-1.local")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("echo {{{host}}}", "echo node-1.local"),
        ("{{server}}:{{ port }}", "s2:80"),
        ("{{size}}", "10 for node-1.local"),
        ("docker ps --format '{{.Names}}'", "docker ps --format '{{.Names}}'"),
        (r"literal \{{server}}", "literal {{server}}"),
        ("awk '{print $1}'", "awk '{print $1}'"),
        ("{{ }} {{}} {{{", "{{ }} {{}} {{{"),
    ],
)
def test_substituted(text: str, result: str) -> None:
    mapping = {"server": ["s1", "s2"], "port": 80, "size": lambda host: f"10 for {host}"}
    assert substitute(text, HOST, 1, mapping) == result


def test_lists_go_round() -> None:
    assert [substitute("{{x}}", HOST, index, {"x": ["a", "b"]}) for index in range(4)] == ["a", "b", "a", "b"]


def test_an_unknown_name_is_told_before_anything_starts() -> None:
    with pytest.raises(InvalidInput, match=r"\{\{sever\}\}.*server"):
        Remote("echo {{sever}}", [HOST], substitutions={"server": "x"})
    with pytest.raises(InvalidInput, match="empty"):
        Remote("echo {{server}}", [HOST], substitutions={"server": []})


def test_lists_are_substituted_word_by_word() -> None:
    (process,) = Remote(["echo", "{{{host}}}", "{{x}}"], [HOST], substitutions={"x": "a b"})
    assert process.command.argv == ("echo", "node-1.local", "a b")


@given(st.text())
def test_what_is_not_ours_is_left_alone(text: str) -> None:
    if "{{" not in text:
        assert substitute(text, HOST, 0, {}) == text
