"""Nothing that a run writes has the password: records, lease files, logs, reports, caches, the terminal.

The testbed is the one for the real Grid'5000, with credentials as users have them. Its API is the emulator's, and so
are the nodes, which is all that the runs' conftest changes.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from asyncssh import generate_private_key

from pytest_execo.emulator.embedded import EmbeddedMachines
from pytest_execo.emulator.faults import Faults
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LOGIN, PASSWORD = "jdoe", "Not-To-Be-Seen/any+where"
ORDINARY = ("EXECO_G5K_URI", "EXECO_G5K_USER", "EXECO_G5K_PASSWORD", "XDG_CACHE_HOME", "XDG_STATE_HOME")
LOUD = (
    "-vv", "-rA", "--showlocals", "--full-trace", "--log-level=DEBUG", "--log-file=all.log",
    "--log-file-level=DEBUG", "--junit-xml=report.xml", "-o", "junit_logging=all", "--debug=trace.log",
)  # fmt: skip

CONFTEST = """
import functools, os
from pytest_execo.emulator.testbed import EmulatorTestbed
from pytest_execo.testbeds.grid5000.testbed import Grid5000Testbed

# Nodes and the clock are the emulator's. Credentials, client, cache, plan, jobs and deployments are the real ones.
Grid5000Testbed._uri = property(lambda self: self.client.uri)
Grid5000Testbed._key = os.environ["EMULATOR_KEY"]
Grid5000Testbed._ask = EmulatorTestbed._ask
Grid5000Testbed.hosts = EmulatorTestbed.hosts
Grid5000Testbed.waiting = EmulatorTestbed.waiting
"""

TEST = """
import pytest
from pytest_execo.errors import TestbedError
from pytest_execo.testbeds.grid5000.client import Grid5000Client
from pytest_execo.testbeds.grid5000.client.http import Http

needs = pytest.mark.execo(
    nodes=2, cluster="taurus", walltime="2:00:00", environment="debian12-min", metrics="wattmetre_power_watt"
)

@needs
def test_good(deployed, lease, trial):
    trial.record(lease=repr(vars(lease)), environment=deployed[0].run("env").stdout, known=dict(lease.describe()))

@needs
def test_with_an_error_of_its_own(lease):
    testbed, client, credentials = lease._testbed, lease._testbed.client, lease._testbed.credentials
    print(lease, testbed, client, credentials, vars(lease), vars(testbed), vars(client))
    assert client is None

@needs
def test_that_the_api_refuses(lease):
    try:
        lease._testbed.client.job("lyon", 999)
    except TestbedError as error:  # else the trial is pending, without its traceback
        raise AssertionError("refused") from error

@needs
def test_that_reaches_no_api(lease):
    away = Grid5000Client(http=Http("http://127.0.0.1:1/stable", lease._testbed.credentials, sleep=print))
    try:
        away.change_walltime("lyon", 1, 60.0)
    except TestbedError as error:
        raise AssertionError("away") from error
"""

#: A test that is killed while it holds nodes.
KILLED = """
import os, signal
import pytest

@pytest.mark.execo(nodes=2, cluster="taurus", walltime="2:00:00")
def test_it(nodes):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def emulator() -> Iterator[EmulatorServer]:
    with EmulatorServer.start(
        sample_reference(), machines=EmbeddedMachines(), speed=300.0, users={LOGIN: PASSWORD}, faults=Faults()
    ) as server:
        yield server


@pytest.fixture
def home(
    request: pytest.FixtureRequest, tmp_path: Path, emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A home directory, in which all that is kept goes; credentials are in the file, unless it is said where."""
    for name in ORDINARY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EMULATOR_KEY", emulator.key)
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh" / "id_ed25519.pub").write_bytes(generate_private_key("ssh-ed25519").export_public_key())
    if getattr(request, "param", "file") == "file":
        file = tmp_path / ".python-grid5000.yaml"
        file.touch(mode=0o600)
        file.write_text(f"uri: {emulator.uri}\nusername: {LOGIN}\npassword: {PASSWORD}\n")
    else:
        monkeypatch.setenv("EXECO_G5K_URI", emulator.uri)
        monkeypatch.setenv("EXECO_G5K_USER", LOGIN)
        monkeypatch.setenv("EXECO_G5K_PASSWORD", PASSWORD)
    return tmp_path


@pytest.fixture
def seen(pytester: pytest.Pytester, home: Path) -> Callable[..., list[str]]:
    """Return where the password is, in any of its forms, of all that was written and of what else is given."""
    pair = f"{LOGIN}:{PASSWORD}".encode()
    # As it is, as HTTP sends it, and as it would be in a URL.
    forms = [PASSWORD.encode(), base64.b64encode(pair).rstrip(b"="), b"Not-To-Be-Seen%2F"]

    def look(**said: str) -> list[str]:
        texts = {name: text.encode() for name, text in said.items()}
        for top in {pytester.path, home}:
            for path in top.rglob("*"):
                if path.is_file() and path.name != ".python-grid5000.yaml":
                    texts[str(path)] = path.read_bytes()
        return [name for name, text in texts.items() if any(form in text for form in forms)]

    return look


def running(server: EmulatorServer) -> list[int]:
    """Return the numbers of the jobs that are not over."""
    return [job.id for site in server.platform.sites.values() for job in site.oar.jobs() if not job.over]


@pytest.mark.parametrize("home", ["file", "environment"], indirect=True)
def test_a_run_with_all_that_can_be_written(
    pytester: pytest.Pytester, emulator: EmulatorServer, home: Path, seen: Callable[..., list[str]]
) -> None:
    # A node that fails, and an API that is out of order now and then, make for more to say.
    emulator.platform.faults.deployment_ko(1).api(502, path="/jobs", times=2).api(500, path="/deployments")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TEST)
    result = pytester.runpytest_subprocess("--execo-site=lyon", "--execo-notify=cat >> told.json", *LOUD)
    result.assert_outcomes(passed=1, failed=3)
    output = result.stdout.str()
    assert "Couldn't find OAR::Job with 'job_id'=999" in output
    assert running(emulator) == []
    # All of it was looked at: what is not there has no password either.
    written = {path.name for path in pytester.path.rglob("*") if path.is_file()}
    assert {"campaign.json", "all.log", "report.xml", "trace.log", "told.json"} <= written
    (records,) = pytester.path.glob("execo-results/*/records/*.jsonl")
    assert LOGIN in records.read_text()  # the records do tell of the lease
    assert any((home / ".cache").rglob("*"))  # reference data
    assert seen(stdout=output, stderr=result.stderr.str()) == []


def test_what_a_killed_run_leaves_and_who_gives_it_back(
    pytester: pytest.Pytester, emulator: EmulatorServer, home: Path, seen: Callable[..., list[str]]
) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(KILLED)
    result = pytester.runpytest_subprocess("--execo-site=lyon", *LOUD)
    assert result.ret == -signal.SIGKILL
    assert len(running(emulator)) == 1
    assert list(home.rglob("leases/*.json"))
    assert seen(stdout=result.stdout.str(), stderr=result.stderr.str()) == []
    said = {}
    for command in ("leases", "release"):
        done = subprocess.run(
            [sys.executable, "-m", "pytest_execo", command], capture_output=True, text=True, timeout=60, env=os.environ
        )
        said[command] = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert seen(**said) == []
    deadline = time.monotonic() + 15
    while running(emulator) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(emulator) == []
    assert not list(home.rglob("leases/*.json"))


def test_a_password_that_is_wrong(
    pytester: pytest.Pytester, home: Path, seen: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused is as secret: mostly it is the right one of something else."""
    monkeypatch.setenv("EXECO_G5K_USER", "jane")
    monkeypatch.setenv("EXECO_G5K_PASSWORD", PASSWORD)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TEST)
    result = pytester.runpytest_subprocess("--execo-site=lyon", *LOUD)
    assert result.ret == 75
    result.stdout.fnmatch_lines(["*Authorization Required: user or password are wrong*"])
    assert seen(stdout=result.stdout.str(), stderr=result.stderr.str()) == []
