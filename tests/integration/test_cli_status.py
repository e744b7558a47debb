"""``pytest-execo status`` and ``import-execo`` from the shell."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.cli import main
from pytest_execo.sweeps import ParamSweeper

pytestmark = pytest.mark.integration

EXECO = Path(__file__).parents[1] / "unit" / "sweeps" / "sweeper" / "data" / "execo"


@pytest.fixture
def sweeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ParamSweeper]:
    """A sweep of six, one done, one skipped, one taken, in ``sweep`` of the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXECO_CHECKPOINT", raising=False)
    with ParamSweeper("sweep", {"size": [1, 10, 100], "tool": ["cp", "d\x1b[31md é"]}) as one:
        one.done(one.get_next())
        one.skip(one.get_next())
        one.get_next()
        yield one


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_campaign(pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    pytester.makepyfile("from pytest_execo import sweep\n@sweep(x=[1, 2, 3])\ndef test_it(trial, x): assert x != 2\n")
    pytester.runpytest_inprocess()
    code, out, err = run(capsys, "status")
    assert (code, err) == (0, "")
    assert "site local (embedded), 1 session\n" in out
    assert "3 trials: 2 passed, 1 failed; 100 % done" in out
    assert re.search(r"^x +total  passed  failed skipped claimed    todo    done$", out, re.MULTILINE)
    assert re.search(r"^2 +1       0       1       0       0       0   100 %$", out, re.MULTILINE)
    (campaign,) = Path("execo-results").iterdir()
    assert json.loads((campaign / "campaign.json").read_text())["sessions"][0]["counts"] == {"passed": 2, "failed": 1}
    assert run(capsys, "status", str(campaign))[1].splitlines()[:2] == out.splitlines()[:2]


def test_a_sweep(sweeper: ParamSweeper, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "status", "sweep")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == ["sweep", "6 trials: 1 passed, 1 skipped, 1 claimed, 3 todo; 33 % done"]
    assert all(len(line) <= 80 and line.isprintable() for line in lines)
    assert re.search(rf"^\S+ +{os.getpid()}  sweeper-\w+ +1 +0 s ago$", out, re.MULTILINE)
    rows = {line.split()[0]: line.split()[-8:-2] for line in lines if line.endswith("%")}
    assert rows["10"] == ["2", "0", "0", "0", "1", "1"]
    assert "d?[31md é" in out


def test_a_terminal_that_has_only_ascii(sweeper: ParamSweeper) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    done = subprocess.run(
        [sys.executable, "-m", "pytest_execo", "status", "sweep"], env=environment, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def test_json(sweeper: ParamSweeper, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "status", "sweep", "--json", "--by", "size")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["counts"] == {"todo": 3, "claimed": 1, "passed": 1, "failed": 0, "skipped": 1}
    assert list(document["factors"]) == ["size"]
    assert [level["level"] for level in document["factors"]["size"]] == ["1", "10", "100"]
    assert document["owners"][0]["pid"] == os.getpid()


def test_a_factor_of_many_levels_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ParamSweeper(tmp_path, {"x": range(30), "y": [1]}):
        _, out, _ = run(capsys, "status", str(tmp_path))
        assert "x: 30 levels; --by x counts by each of them" in out
        assert len(out.splitlines()) < 12
        _, out, _ = run(capsys, "status", str(tmp_path), "--by", "x")
        assert len([line for line in out.splitlines() if line.endswith("0 %")]) == 30


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status"], "execo-results: no campaign in there; name a campaign directory"),
        (["status", "nowhere"], "nowhere/campaign.json: can't be read"),
        (["status", "."], "campaign.json"),
        (["status", "sweep", "--by", "tol"], "did you mean 'tool'?"),
        (["status", "sweep", "--by", "zzz"], "there are size, tool"),
        (["status", "sweep", "--watch=often"], "--watch often: write seconds"),
        (["status", "sweep", "--watch=0"], "--watch 0: write seconds"),
        (["status", "--name=x"], "--checkpoint=postgresql://"),
        (["import-execo", "nowhere", "--into=there"], "nowhere: no such directory"),
        (["import-execo", ".", "--into=there"], "no sweep of execo"),
        (["import-execo", str(EXECO / "plain"), "--into=mysql://x/y", "--name=z"], "no such kind of store"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], words: str, sweeper: ParamSweeper, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert err.startswith("pytest-execo: ")
    assert words in err
    assert len(err.splitlines()) == 1
    assert not Path("there").exists()


def watch(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest_execo", "status", "sweep", *arguments]
    return subprocess.Popen(command, text=True, **options)


def test_watching_ends_when_all_is_done(sweeper: ParamSweeper) -> None:
    with watch("--watch=0.1", stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        first = watching.stdout.readline()
        assert re.fullmatch(r"20\d\d-.*Z 6 trials: 1 passed, 1 skipped, 1 claimed, 3 todo; 33 % done; .*\n", first)
        sweeper.done_batch(list(sweeper.get_sweeps()))
        lines = watching.stdout.read().splitlines()
        assert watching.wait(30) == 0
    assert lines[-1].endswith("6 trials: 6 passed; 100 % done")


def test_watching_ends_with_an_interrupt_and_is_json_if_wanted(sweeper: ParamSweeper) -> None:
    with watch("--watch", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["total"] == 6
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 0
        assert watching.stderr is not None
        assert watching.stderr.read() == ""


def test_watching_redraws_in_a_terminal(sweeper: ParamSweeper, eventually: Callable[..., None]) -> None:
    ours, theirs = pty.openpty()
    try:
        with watch("--watch=0.1", stdout=theirs) as watching:
            seen = b""

            def redrawn() -> bool:
                nonlocal seen
                seen += os.read(ours, 10_000)
                return seen.count(b"\x1b[H\x1b[2J") >= 3

            eventually(redrawn)
            watching.send_signal(signal.SIGINT)
            assert watching.wait(30) == 0
        assert seen.count(b"6 trials: 1 passed") >= 2
    finally:
        os.close(ours)
        os.close(theirs)


def test_watch_before_the_directory(sweeper: ParamSweeper, capsys: pytest.CaptureFixture[str]) -> None:
    sweeper.done_batch(list(sweeper.get_sweeps()))
    code, out, _ = run(capsys, "status", "--watch", "sweep")
    assert (code, len(out.splitlines())) == (0, 1)


# import-execo


def test_import_execo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "import-execo", str(EXECO / "plain"), "--into", str(tmp_path / "new"))
    assert (code, err) == (0, "")
    assert out.splitlines() == ["2 done", "1 in progress, to do again", "4 in the saved sweep"]
    with ParamSweeper(tmp_path / "new") as sweeper:
        assert len(sweeper.get_done()) == 2


def test_import_execo_names_what_it_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "import-execo", str(EXECO / "foreign"), "--into", str(tmp_path))
    assert code == 1
    assert f"{EXECO}/foreign/done, byte 207: a combination left out: a call of fractions.Fraction" in out
    assert "2 done" in out.splitlines()
