from __future__ import annotations

import datetime as dt
import enum
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pytest_execo.errors import InvalidMeasurement
from pytest_execo.results import Trial


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(
        id="0123456789abcdef",
        test="test_a.py::test_b",
        params={"memory": "2GiB", "sizes": [1, 2]},
        repetition=3,
        attempt=2,
        directory=tmp_path / "campaign" / "trials" / "0123456789abcdef",
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.write_text("hello")
    return path


class Color(enum.IntEnum):
    RED = 1


class Scalar:
    def item(self) -> float:
        return 1.5


def test_nothing_is_made_on_disk_before_it_is_used(trial: Trial, tmp_path: Path) -> None:
    trial.record(a=1)
    assert not (tmp_path / "campaign").exists()
    assert trial.directory.is_dir()


def test_parameters_are_read_only(trial: Trial) -> None:
    with pytest.raises(TypeError):
        trial.params["memory"] = 1  # type: ignore[index]
    trial.params["sizes"].append(3)  # type: ignore[union-attr]
    assert trial.params == {"memory": "2GiB", "sizes": [1, 2]}


def test_measurements_become_json(trial: Trial) -> None:
    trial.record(
        n=1, x=0.5, ok=True, none=None, text="é", pair=(1, 2), color=Color.RED, item=Scalar(), deep={"a": [math.nan]}
    )
    trial.record(scalar=np.float32(0.5), whole=np.int64(3), array=np.arange(4).reshape(2, 2), flag=np.bool_(True))
    trial.record(nan=math.nan, inf=math.inf, minus=-math.inf, gaps=np.array([1.0, np.nan]))
    assert trial.measurements == {
        "n": 1,
        "x": 0.5,
        "ok": True,
        "none": None,
        "text": "é",
        "pair": [1, 2],
        "color": 1,
        "item": 1.5,
        "deep": {"a": ["NaN"]},
        "scalar": 0.5,
        "whole": 3,
        "array": [[0, 1], [2, 3]],
        "flag": True,
        "nan": "NaN",
        "inf": "Infinity",
        "minus": "-Infinity",
        "gaps": [1.0, "NaN"],
    }


def test_a_second_value_replaces_the_first(trial: Trial) -> None:
    values = [1]
    trial.record(a=values)
    values.append(2)
    trial.record(b=2)
    assert trial.measurements == {"a": [1], "b": 2}
    trial.measurements["a"].append(3)
    trial.record(b=3)
    assert trial.measurements == {"a": [1], "b": 3}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (dt.timedelta(seconds=1), "which is not JSON; write value.total_seconds()"),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "which is not JSON; write value.isoformat()"),
        (np.datetime64("2026-01-01"), "which is not JSON"),
        ({1}, "{1}, which is not JSON; write sorted(value)"),
        ({1: 2}, "a mapping with the key 1, which is not a str"),
        ([{"a": object}], "<class 'object'>, which is not JSON"),
        (1j, "1j, which is not JSON; write numbers, text, lists"),
        (b"x", "b'x', which is not JSON"),
    ],
)
def test_what_cannot_be_recorded_is_refused_and_nothing_kept(trial: Trial, value: object, message: str) -> None:
    with pytest.raises(InvalidMeasurement) as caught:
        trial.record(good=1, bad=value)
    assert str(caught.value).startswith("measurement 'bad' is ")
    assert message in str(caught.value)
    assert trial.measurements == {}


@pytest.mark.parametrize("name", ["a b", "", "1a", "a/b"])
def test_names_are_names(trial: Trial, name: str) -> None:
    with pytest.raises(InvalidMeasurement, match="can't be a column's name"):
        trial.record(**{name: 1})


@pytest.mark.parametrize("name", ["a.b", "cpu-0", "été"])
def test_names_may_have_parts(trial: Trial, name: str) -> None:
    trial.record(**{name: 1})
    assert trial.measurements == {name: 1}


def test_attached_files_are_copied_and_never_overwritten(trial: Trial, log: Path) -> None:
    copies = [trial.attach(log), trial.attach(os.fspath(log)), trial.attach(log, "node-1/out.tar.gz")]
    where = "trials/0123456789abcdef/attempt-2"
    assert trial.attachments == [f"{where}/log.txt", f"{where}/log-2.txt", f"{where}/node-1/out.tar.gz"]
    assert [copy.read_text() for copy in copies] == ["hello"] * 3
    assert log.exists()


def test_a_directory_is_attached_with_its_links_and_without_pipes(
    trial: Trial, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a").write_text("a")
    (source / "link").symlink_to("nowhere")
    os.mkfifo(source / "pipe")
    copy = trial.attach(source)
    assert trial.attach(source).name == "out-2"
    assert (copy / "deep" / "a").read_text() == "a"
    assert os.readlink(copy / "link") == "nowhere"
    assert sorted(os.listdir(copy)) == ["deep", "link"]
    assert "out/pipe: neither a file nor a directory; not attached" in caplog.text


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "..", ".", "", "a\0b"])
def test_a_name_that_leads_out_is_refused(trial: Trial, log: Path, name: str) -> None:
    with pytest.raises(InvalidMeasurement, match="not a name inside the trial's directory"):
        trial.attach(log, name)
    assert trial.attachments == []


def test_a_link_that_leads_out_is_refused(trial: Trial, log: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "outside")
    trial.attach(tmp_path / "out")
    with pytest.raises(InvalidMeasurement, match="a link leads out"):
        trial.attach(log, "out/link/x")
    assert list((tmp_path / "outside").iterdir()) == []


def test_what_is_not_a_file_is_refused(trial: Trial, tmp_path: Path) -> None:
    with pytest.raises(InvalidMeasurement, match="No such file"):
        trial.attach(tmp_path / "nowhere")
    with pytest.raises(InvalidMeasurement, match="neither a file nor a directory"):
        trial.attach("/dev/null")
    with pytest.raises(InvalidMeasurement, match="the copy would be inside of it"):
        trial.attach(tmp_path)


FULL_DISK = """
import pathlib, resource, sys
from pytest_execo import Trial
from pytest_execo.errors import RecordError

base, source = map(pathlib.Path, sys.argv[1:])
trial = Trial(id="0" * 16, test="t", params={}, repetition=0, attempt=2, directory=base / "trials" / "0")
resource.setrlimit(resource.RLIMIT_FSIZE, (900, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    trial.attach(source)
except RecordError as error:
    assert "File too large" in str(error), error
else:
    raise AssertionError("it was copied")
assert list((trial.directory / "attempt-2").iterdir()) == []
assert trial.attachments == []
"""


@pytest.mark.slow
@pytest.mark.parametrize("directory", [False, True])
def test_a_full_disk_leaves_no_part_of_a_copy(tmp_path: Path, directory: bool) -> None:
    # In a process of its own: a limit on this one would hit pytest's own output.
    source = tmp_path / "out"
    source.mkdir()
    for number in range(3):
        (source / f"big-{number}").write_bytes(b"x" * 1000)
    what = source if directory else source / "big-0"
    subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path, what], check=True, timeout=60)
