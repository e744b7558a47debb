"""Sweep directories that execo itself has written (data/execo/make.py), and what can happen to them."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.errors import CheckpointError
from pytest_execo.sweeps.sweeper.execo_files import read_execo

DATA = Path(__file__).parent / "data" / "execo"

DONE = ({"size": 1, "tool": "cp", "sync": True}, {"size": 1, "tool": "dd", "block": [4, "KiB"], "sync": True})
DOING = ({"size": 2.5, "tool": "cp", "sync": True},)
LAST = {"size": 2.5, "tool": "dd", "block": [4, "KiB"], "sync": True}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A copy of the directory with nothing special in it."""
    return Path(shutil.copytree(DATA / "plain", tmp_path / "plain"))


@pytest.mark.parametrize("name", ["plain", "old"])
def test_what_execo_wrote_is_read(name: str) -> None:
    before = {path.name: path.read_bytes() for path in (DATA / name).iterdir()}
    found = read_execo(DATA / name)
    assert found.done == DONE
    assert found.inprogress == DOING
    assert set(map(repr, found.sweeps)) == set(map(repr, [*DONE, *DOING, LAST]))
    assert not found.problems
    assert {path.name: path.read_bytes() for path in (DATA / name).iterdir()} == before


def test_a_foreign_class_costs_its_combination_only() -> None:
    found = read_execo(DATA / "foreign")
    assert found.done == ({"x": 1}, {"x": 2})
    assert found.inprogress == ({"x": 3},)
    assert set(map(repr, found.sweeps)) == {"{'x': 1}", "{'x': 2}", "{'x': 3}"}
    assert sorted(map(str, found.problems)) == [
        "done, byte 207: a combination left out: a call of fractions.Fraction",
        "done, byte 305: a combination left out: a call of pathlib.PurePosixPath",
        "sweeps, byte 158: a combination left out: a call of pathlib.PurePosixPath",
        "sweeps, byte 90: a combination left out: a call of fractions.Fraction",
    ]
    data = (DATA / "foreign" / "done").read_bytes()
    assert data[207:208] == data[305:306] == pickle.REDUCE


@pytest.mark.parametrize("cut", range(1, 105, 13))
def test_a_torn_tail_is_told_and_the_rest_read(plain: Path, cut: int) -> None:
    data = (plain / "done").read_bytes()
    first = data.index(b".", 40) + 1
    (plain / "done").write_bytes(data[:-cut])
    found = read_execo(plain)
    assert found.done == DONE[:1]
    (problem,) = found.problems
    assert (problem.file, problem.offset) == ("done", first)
    assert problem.what.startswith(f"{len(data) - first - cut} bytes left out")
    assert (plain / "done").read_bytes() == data[:-cut]


@pytest.mark.parametrize("cut", range(1, 70, 3))
def test_what_stands_behind_a_torn_one_is_read(plain: Path, cut: int) -> None:
    data = (plain / "done").read_bytes()
    first = data.index(b".", 40) + 1
    (plain / "done").write_bytes(data[:first] + data[:cut] + data[first:])
    found = read_execo(plain)
    assert found.done == DONE
    (problem,) = found.problems
    assert problem.offset == first
    assert problem.what.startswith(f"{cut} bytes left out")


@pytest.mark.parametrize("garbage", [b"\0" * 5000, b"\xff\xfe garbage", b"\x80\x09junk"])
def test_garbage_in_the_middle_is_told_and_left_out(plain: Path, garbage: bytes) -> None:
    data = (plain / "done").read_bytes()
    (plain / "done").write_bytes(garbage + data)
    found = read_execo(plain)
    assert found.done == DONE
    assert [problem.offset for problem in found.problems] == [0]


def test_a_file_of_beginnings_does_not_take_for_ever(plain: Path) -> None:
    (plain / "done").write_bytes(b"\x80\x04" * 500_000)
    found = read_execo(plain)
    assert found.done == ()
    assert len(found.problems) == 100


def test_no_flood_of_problems(plain: Path) -> None:
    (plain / "done").write_bytes(pickle.dumps(1) * 5000)
    found = read_execo(plain)
    assert len(found.problems) == 1001
    assert "only the first 1000" in found.problems[-1].what


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1, 2], "a list, not a combination"),
        ("text", "a str, not a combination"),
        ({1, 2}, "a set, which has no order"),
        ({"x": b"bytes"}, "bytes"),
        ({"x": float("inf")}, "inf"),
        ({"x": 1 << 20_000}, "too large"),
        ({1: "x"}, "a name that is not text"),
        (os.system, "posix.system"),
    ],
)
def test_what_is_no_combination_is_told(plain: Path, value: Any, words: str) -> None:
    data = (plain / "done").read_bytes()
    (plain / "done").write_bytes(pickle.dumps(value) + data)
    found = read_execo(plain)
    assert found.done == DONE
    (problem,) = found.problems
    assert words in str(problem)
    assert "\n" not in str(problem)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pickle.dumps([1]), "a list, not a set of combinations"),
        (b"cos\nsystem\n(S'touch ran'\ntR.", "a call of os.system, not a set"),
        (b"\x80\x04\x8f(", "all of the file is left out"),
        (pickle.dumps(set()) + b"more", "4 bytes after the end"),
    ],
)
def test_what_is_no_set_is_told(plain: Path, data: bytes, words: str) -> None:
    (plain / "inprogress").write_bytes(data)
    found = read_execo(plain)
    assert (found.done, found.inprogress) == (DONE, ())
    (problem,) = found.problems
    assert words in str(problem)


def test_an_empty_sweep(tmp_path: Path) -> None:
    (tmp_path / "done").touch()
    (tmp_path / "inprogress").touch()
    found = read_execo(tmp_path)
    assert (found.done, found.inprogress, found.sweeps, found.problems) == ((), (), (), ())


def test_each_combination_is_there_once(plain: Path) -> None:
    (plain / "done").write_bytes((plain / "done").read_bytes() * 3)
    assert read_execo(plain).done == DONE


def test_what_is_no_directory_of_execo_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match="no such directory; give"):
        read_execo(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="no sweep of execo"):
        read_execo(tmp_path)
    (tmp_path / "done").mkdir()
    with pytest.raises(CheckpointError, match="can't be read: Is a directory"):
        read_execo(tmp_path)
    (tmp_path / "done").rmdir()
    (tmp_path / "done").write_bytes(b"x" * 100)
    monkeypatch.setattr("pytest_execo.sweeps.sweeper.execo_files.MAX_BYTES", 99)
    with pytest.raises(CheckpointError, match="larger than"):
        read_execo(tmp_path)
