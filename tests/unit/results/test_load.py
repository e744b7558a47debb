from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped, unused-ignore]
import pytest

import pytest_execo.results
import pytest_execo.sweeps
from pytest_execo.errors import CampaignError
from pytest_execo.results import Record, RecordWriter, load

MakeRecord = Callable[..., Record]


def write(directory: Path, *records: Record) -> Path:
    with RecordWriter(directory / "records" / "s.jsonl") as writer:
        for record in records:
            writer.write(record)
    return directory


def test_a_row_for_each_trial_is_its_last_attempt(tmp_path: Path, make_record: MakeRecord) -> None:
    write(
        tmp_path,
        make_record(2, measurements={"rate": 2.0}),
        make_record(1, attempt=2, measurements={"rate": 1.5}),
        make_record(1, attempt=1, outcome="failed"),
    )
    table = load(tmp_path)
    assert list(table.columns) == [
        *("trial", "test", "repetition", "attempt", "outcome", "started_at", "ended_at", "nodes"),
        *("x", "rate"),
    ]
    assert table[["x", "attempt", "rate"]].to_dict("list") == {"x": [2, 1], "attempt": [1, 2], "rate": [2.0, 1.5]}
    assert isinstance(table.started_at.dtype, pd.DatetimeTZDtype)
    assert str(table.ended_at.dtype.tz) == "UTC"
    assert (table.ended_at - table.started_at).dt.total_seconds().tolist() == [0.5, 0.5]
    every = load(str(tmp_path), attempts=True)
    assert every[["x", "attempt"]].to_numpy().tolist() == [[1, 1], [2, 1], [1, 2]]


def test_names_get_a_prefix_only_when_they_are_taken(tmp_path: Path, make_record: MakeRecord) -> None:
    params: dict[str, Any] = {"nodes": 3, "duration": 4, "size": 1, "speed": 2}
    write(tmp_path, make_record(params=params, measurements={"attempt": 7, "size": 8, "rate": 9}))
    (row,) = load(tmp_path).to_dict("records")
    assert (row["params.nodes"], row["duration"]) == (3, 4)
    assert (row["params.size"], row["measurements.size"]) == (1, 8)
    assert row["measurements.attempt"] == 7
    assert (row["speed"], row["rate"]) == (2, 9)
    assert "size" not in row


def test_numbers_that_are_not_finite_are_numbers_again(tmp_path: Path, make_record: MakeRecord) -> None:
    values = ["NaN", "Infinity", "-Infinity", 1.0]
    write(tmp_path, *(make_record(n, measurements={"x.y": value, "l": [value]}) for n, value in enumerate(values)))
    table = load(tmp_path)
    assert table["x.y"].dtype == float
    assert math.isnan(table["x.y"][0])
    assert table["x.y"][1:].tolist() == [math.inf, -math.inf, 1.0]
    assert table["l"][1] == [math.inf]


def test_what_a_trial_does_not_have_is_missing(tmp_path: Path, make_record: MakeRecord) -> None:
    write(tmp_path, make_record(params={"a": 1}), make_record(params={"b": "x"}))
    table = load(tmp_path)
    assert table[["a", "b"]].isna().to_numpy().tolist() == [[False, True], [True, False]]


def test_what_was_run_is_told_on_demand(tmp_path: Path, make_record: MakeRecord) -> None:
    source = {"digest": "abc", "commit": "123", "dirty": True}
    write(tmp_path, make_record(1, source=source), make_record(2), make_record(3, source="nonsense"))
    assert not [name for name in load(tmp_path).columns if "source" in name]
    table = load(tmp_path, source=True)
    assert list(table.columns)[-3:] == ["source.digest", "source.commit", "source.dirty"]
    assert table.iloc[0, -3:].tolist() == ["abc", "123", True]
    assert table.iloc[1:, -3:].isna().to_numpy().all()


def test_attempts_recorded_twice_are_one_and_bad_lines_are_told(
    tmp_path: Path, make_record: MakeRecord, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, make_record(1), make_record(1, attempt=2))
    path = tmp_path / "records" / "s.jsonl"
    (tmp_path / "records" / "copy.jsonl").write_bytes(path.read_bytes())
    with path.open("a") as file:
        file.write("garbage\n")
    assert load(tmp_path, attempts=True).attempt.tolist() == [1, 2]
    assert caplog.messages == [f"{path}:3: not JSON; skipped"]
    assert not (tmp_path / "quarantine").exists()  # reading writes nothing


def test_a_campaign_without_records_is_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    table = load(tmp_path)
    assert len(table) == 0
    assert "outcome" in table.columns


def test_what_is_no_campaign_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="not a campaign's directory"):
        load(tmp_path)


def test_without_pandas_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'pytest-execo\[report\]'"):
        load(tmp_path)


@pytest.mark.parametrize("package", [pytest_execo.results, pytest_execo.sweeps])
def test_the_front_door_has_what_it_promises(package: Any) -> None:
    assert list(package.__all__) == sorted(
        package.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    for name in package.__all__:
        assert getattr(package, name).__class__ is not type(sys), name
    assert dir(package) == sorted(package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.slow
def test_importing_costs_nothing() -> None:
    code = (
        "import sys, pytest_execo.sweeps, pytest_execo.results; "
        "print([name for name in ('sqlite3', 'pandas', 'hashlib', 'subprocess', 'pytest') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
