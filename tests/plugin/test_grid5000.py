"""`--execo-site=lyon`: the testbed for the real Grid'5000, as far as it can go with an API that is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_execo.emulator.machines import NoMachines
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer
from pytest_execo.testbeds.grid5000.reference import load_reference

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PASSWORD = "not-to-be-seen-anywhere"
TEST = """
import pytest

@pytest.mark.execo(nodes=2, cluster="taurus", walltime="25:00:00")
def test_it(nodes): pass
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("EXECO_G5K_URI", "EXECO_G5K_USER", "EXECO_G5K_PASSWORD", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def api(home: Path) -> Iterator[EmulatorServer]:
    """An API, and the file that says who we are there."""
    with EmulatorServer.start(sample_reference(), machines=NoMachines(), users={"jdoe": PASSWORD}) as server:
        file = home / ".python-grid5000.yaml"
        file.write_text(f"uri: {server.uri}\nusername: jdoe\npassword: {PASSWORD}\n")
        file.chmod(0o600)
        yield server


def test_a_plan(pytester: pytest.Pytester, api: EmulatorServer, home: Path) -> None:
    pytester.makepyfile(TEST)
    result = pytester.runpytest_subprocess("--execo-site=lyon", "--execo-plan")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "execo: site lyon (grid5000), 1 trial: 0 done before, 1 to run",
            "execo: 1 trial on 2 nodes of cluster taurus, walltime 1 d 1 h, start now",
            "execo: note: lyon: 2 of taurus",
        ]
    )
    assert PASSWORD not in result.stdout.str() + result.stderr.str()
    kept = list((home / ".cache" / "pytest-execo" / "grid5000").iterdir())
    assert kept  # the reference data are not asked for twice
    assert all(PASSWORD.encode() not in path.read_bytes() for path in kept if path.is_file())
    assert list(api.platform.sites["lyon"].oar.jobs()) == []


def test_the_usage_policy_is_told(pytester: pytest.Pytester, api: EmulatorServer) -> None:
    everything = len(load_reference(sample_reference()).clusters["taurus"].nodes)
    # Five days: a working day is among them whenever this runs.
    pytester.makepyfile(TEST.replace("nodes=2", f"nodes={everything}").replace("25:00:00", "120:00:00"))
    result = pytester.runpytest_subprocess("--execo-site=lyon", "--execo-plan")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.re_match_lines(
        [r"execo: note: uses \d+ core hours of taurus by day on .*; the usage policy grants \d+"]
    )


def test_a_wrong_password_leaves_trials_pending(
    pytester: pytest.Pytester, api: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXECO_G5K_USER", "jdoe")
    monkeypatch.setenv("EXECO_G5K_PASSWORD", "mistyped-one")
    pytester.makepyfile(TEST)
    result = pytester.runpytest_subprocess("--execo-site=lyon", "--execo-plan")
    assert result.ret == 75
    result.stdout.fnmatch_lines(
        ["execo: 1 trial of test_it can't run: Authorization Required: user or password are wrong*"]
    )
    assert "mistyped-one" not in result.stdout.str() + result.stderr.str()


def test_a_file_that_is_broken_is_an_error(pytester: pytest.Pytester, home: Path) -> None:
    file = home / ".python-grid5000.yaml"
    file.write_text(f"username: jdoe\npassword: [{PASSWORD}\n")
    file.chmod(0o600)
    pytester.makepyfile(TEST)
    result = pytester.runpytest_subprocess("--execo-site=lyon")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    [line] = [line for line in result.stderr.lines if line.startswith("ERROR: ")]
    assert str(file) in line
    assert PASSWORD not in result.stdout.str() + result.stderr.str()


def test_a_whole_run_writes_no_secret_anywhere(
    pytester: pytest.Pytester, api: EmulatorServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    pytester.makepyfile(
        """
        import logging, pathlib, shutil, pytest
        from pytest_execo import sweep

        @pytest.mark.execo(nodes=2, cluster="taurus", walltime="1:00:00")
        @sweep(x=[1, 2])
        def test_it(nodes, lease, trial, x):
            logging.getLogger().error("%r %r %r", nodes, lease, lease.describe())
            trial.record(lease=dict(lease.describe()))
            # What is there while the lease is held.
            shutil.copytree(pathlib.Path.home() / "state", f"state-{x}")
        """
    )
    result = pytester.runpytest_subprocess(
        "--execo-site=lyon", "--log-level=DEBUG", "--log-file=log.txt", "--junitxml=junit.xml", "-rA", "-vv"
    )
    result.assert_outcomes(passed=2)
    assert PASSWORD not in result.stdout.str() + result.stderr.str()
    written = [path for root in (Path(pytester.path), home) for path in root.rglob("*") if path.is_file()]
    names = {path.name for path in written}
    assert {"campaign.json", "log.txt", "junit.xml"} <= names
    assert any(path.parent.name == "leases" for path in written)
    holding = [path for path in written if PASSWORD.encode() in path.read_bytes()]
    assert holding == [home / ".python-grid5000.yaml"]
    assert all(job.fragged for job in api.platform.sites["lyon"].oar.jobs())  # asked to end, which they do by and by
