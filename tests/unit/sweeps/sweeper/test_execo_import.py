"""Going on with a sweep that execo began; what its files may hold is in test_execo_files.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_execo.errors import CheckpointError, InvalidInput
from pytest_execo.sweeps import ParamSweeper
from pytest_execo.sweeps.sweeper.execo_import import ExecoImport, import_execo

DATA = Path(__file__).parent / "data" / "execo"

SWEEP = {"size": [1, 2.5], "tool": {"dd": {"block": [(4, "KiB")]}, "cp": {}}, "sync": [True]}


def test_into_a_directory(tmp_path: Path) -> None:
    assert import_execo(DATA / "plain", tmp_path) == ExecoImport(2, 0, 1, 4, 0, ())
    with ParamSweeper(tmp_path) as sweeper:
        assert len(sweeper.get_sweeps()) == 4
        assert sweeper.get_done() == {*(comb for comb in sweeper.get_sweeps() if comb["size"] == 1)}
        assert len(sweeper.get_remaining()) == 2
        assert not sweeper.get_inprogress()


def test_again_changes_nothing(tmp_path: Path) -> None:
    import_execo(DATA / "plain", tmp_path)
    with ParamSweeper(tmp_path) as sweeper:
        before = list(sweeper.get_sweeps()), sweeper.stats()
    assert import_execo(DATA / "plain", tmp_path) == ExecoImport(0, 2, 1, 4, 0, ())
    with ParamSweeper(tmp_path) as sweeper:
        assert (list(sweeper.get_sweeps()), sweeper.stats()) == before


def test_the_script_goes_on_in_the_same_directory(tmp_path: Path) -> None:
    directory = shutil.copytree(DATA / "plain", tmp_path / "sweep")
    files = {path: path.read_bytes() for path in directory.iterdir()}
    import_execo(directory, directory)
    with ParamSweeper(directory, SWEEP) as sweeper:
        assert [(comb["size"], comb["tool"]) for comb in sweeper] == [(2.5, "dd"), (2.5, "cp")]
    assert {path: path.read_bytes() for path in files} == files


def test_into_a_sweeper_with_a_sweep_of_its_own(tmp_path: Path) -> None:
    with ParamSweeper(tmp_path, {"size": [1], "tool": ["cp", "scp"], "sync": [True]}, retries=1) as sweeper:
        # {dd, block 4 KiB} is not in it.
        assert import_execo(DATA / "plain", sweeper) == ExecoImport(2, 0, 1, 4, 1, ())
        assert sweeper.get_done() == {*(comb for comb in sweeper.get_sweeps() if comb["tool"] == "cp")}
        assert [comb["tool"] for comb in sweeper] == ["scp"]


def test_what_is_done_here_already_counts_as_known(tmp_path: Path) -> None:
    with ParamSweeper(tmp_path, SWEEP) as sweeper:
        sweeper.done({"size": 1, "tool": "cp", "sync": True})
        sweeper.skip({"size": 1, "tool": "dd", "block": [4, "KiB"], "sync": True})
        assert import_execo(DATA / "plain", sweeper) == ExecoImport(1, 1, 1, 4, 0, ())
        assert len(sweeper.get_done()) == 2
        assert not sweeper.get_skipped()


def test_what_is_not_understood_is_told_and_to_do(tmp_path: Path) -> None:
    found = import_execo(DATA / "foreign", tmp_path)
    assert (found.done, found.inprogress, len(found.problems)) == (2, 1, 4)


def test_what_is_not_execos_is_refused_and_nothing_made(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no sweep of execo"):
        import_execo(tmp_path, tmp_path / "into")
    with pytest.raises(InvalidInput, match="needs a name"):
        import_execo(DATA / "plain", "postgresql://nowhere/x")
    assert not (tmp_path / "into").exists()
