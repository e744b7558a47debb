"""What a copy consists of, found out before anything is written."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pytest_execo.connectors.local_files import LocalFiles
from pytest_execo.errors import TransferFailed
from pytest_execo.processes.planning import Plan, Side, make_plan, own_name


def plan(sources: list[str], to: str) -> Plan:
    return asyncio.run(make_plan(Side(LocalFiles(), "here"), Side(LocalFiles(), "there"), sources, to))


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s/deep").mkdir(parents=True)
    (tmp_path / "s/f").write_text("f")
    (tmp_path / "s/deep/g").write_text("gg")
    (tmp_path / "s/l").symlink_to("f")
    (tmp_path / "t").mkdir()
    return tmp_path


def pairs(plan: Plan) -> tuple[list[tuple[str, str]], ...]:
    return tuple([(i.source, i.target) for i in items] for items in (plan.directories, plan.links, plan.files))


def test_own_name() -> None:
    names = {"a": "a", "a/b": "b", "a/b/": "b", "a/.": "", "..": "", "/": "", "": "", "a//b//": "b"}
    assert {path: own_name(path) for path in names} == names


def test_a_file(top: Path) -> None:
    assert pairs(plan(["s/f"], "x")) == ([], [], [("s/f", "x")])
    assert pairs(plan(["s/f"], "t")) == ([], [], [("s/f", "t/f")])
    made = plan(["s/f"], "new/deep/")
    assert made.parents == ["new", "new/deep"]
    assert pairs(made) == ([], [], [("s/f", "new/deep/f")])


def test_a_directory(top: Path) -> None:
    inside = [("s/deep/g", "x/deep/g"), ("s/f", "x/f")]
    assert pairs(plan(["s"], "x")) == ([("s", "x"), ("s/deep", "x/deep")], [("s/l", "x/l")], inside)
    assert pairs(plan(["s/"], "t"))[0] == [("s/", "t/s"), ("s/deep", "t/s/deep")]
    contents = plan(["s/."], "t")
    assert pairs(contents)[2] == [("s/./deep/g", "t/deep/g"), ("s/./f", "t/f")]
    assert contents.directories[0].keeps_attributes
    assert not contents.directories[1].keeps_attributes


def test_what_is_there_is_known(top: Path) -> None:
    (top / "t/f").write_text("long")
    (top / "to t").symlink_to("t")
    (item,) = plan(["s/f"], "t").files
    assert item.there is not None
    assert item.there.size == 4
    # A link to a directory takes what goes into the directory.
    assert pairs(plan(["s/f"], "to t"))[2] == [("s/f", "to t/f")]


def test_patterns(top: Path) -> None:
    assert pairs(plan(["s/*"], "t")) == (
        [("s/deep", "t/deep")],
        [("s/l", "t/l")],
        [("s/deep/g", "t/deep/g"), ("s/f", "t/f")],
    )


@pytest.mark.parametrize(
    ("sources", "to", "message"),
    [
        (["no"], "x", "here: .*no: no such file or directory"),
        (["n*"], "x", "no file matches this pattern"),
        (["s", "s/f"], "x", "no such directory; 2 sources would go into it"),
        (["s", "s/f"], "s/f", "not a directory; 2 sources"),
        (["s/f"], "s/deep/g/", "not a directory; the source"),
        (["s"], "s/f", "not a directory; s is one"),
        (["s/f", "t2/f"], "t", "s/f and t2/f would both be copied to this"),
        (["s/f"], "s", "the source and the target are the same file"),
        (["fifo"], "x", "neither file nor directory nor link"),
        (["s/f"], "fifo", "it would be written to"),
        (["s/f"], "into", "a directory; s/f is none"),
    ],
)
def test_what_cant_be(top: Path, sources: list[str], to: str, message: str) -> None:
    os.mkfifo("fifo")
    (top / "t2").mkdir()
    (top / "t2/f").write_text("x")
    (top / "into/f").mkdir(parents=True)
    before = sorted(str(path) for path in top.rglob("*"))
    with pytest.raises(TransferFailed, match=message):
        plan(sources, to)
    assert sorted(str(path) for path in top.rglob("*")) == before


def test_what_looks_the_same_is_told_apart(top: Path) -> None:
    # The same file by two ways is one copy.
    assert len(plan(["s/f", "s/f"], "t").files) == 1
