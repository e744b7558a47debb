"""Ctrl-C while workers wait for nodes: the jobs that they wait for are deleted."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_execo.emulator.embedded import EmbeddedMachines
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer
from pytest_execo.emulator.testbed import DEFAULT_ACCOUNT
from pytest_execo.testbeds.grid5000.answers import Submission
from pytest_execo.testbeds.grid5000.client import Credentials, Grid5000Client

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

TEST = """
import pytest

@pytest.mark.execo(nodes=6, cluster="taurus", walltime="0:30:00")
def test_it(nodes): nodes.run("true")

@pytest.mark.execo(nodes=4, cluster="nova", walltime="0:30:00")
def test_other(nodes): nodes.run("true")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_jobs_that_wait_are_deleted(
    tmp_path: Path,
    lease_files: Path,
    eventually: Callable[..., None],
    workers: tuple[str, ...],
    number: signal.Signals,
) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    with EmulatorServer.start(
        sample_reference(), machines=EmbeddedMachines(), speed=10.0, users=dict([DEFAULT_ACCOUNT])
    ) as server:
        client = Grid5000Client(server.uri, Credentials(*DEFAULT_ACCOUNT))
        others = [
            client.submit(
                "lyon", Submission(f"{{cluster='{name}'}}/nodes={count},walltime=1:00:00", command="sleep 9d")
            )
            for name, count in (("taurus", 6), ("nova", 4))
        ]
        command = [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *workers, "--execo-testbed=emulator",
            "--execo-site=lyon", f"--execo-option=uri={server.uri}", f"--execo-option=key={server.key}",
        ]  # fmt: skip
        jobs = server.platform.sites["lyon"].oar.jobs

        def ours(*states: str) -> list[int]:
            known = {job.id for job in others}
            return [job.id for job in jobs() if job.id not in known and job.state.lower() in states]

        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as run:
            eventually(lambda: len(ours("waiting", "tolaunch")) == (2 if workers else 1) or run.poll() is not None, 60)
            run.send_signal(number)
            output, _ = run.communicate(timeout=90)
        client.close()
        assert run.returncode == (2 if number == signal.SIGINT else 143), output
        assert len(ours("error", "terminated")) == (2 if workers else 1), output
        assert not list(lease_files.glob("*.json")), output
        assert "2 trials left" in output
