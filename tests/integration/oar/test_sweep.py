"""The whole way: ``pytest --execo-testbed=oar`` runs a sweep on nodes of a real OAR, over ssh."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_execo.testbeds import registry
from pytest_execo.testbeds.oar.frontend import Frontend
from tests.integration.oar.lab.site import OarLab

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SWEEP = """
import pytest
from pytest_execo import Hosts, Trial, sweep

@pytest.mark.execo(nodes=2, walltime="5m")
@sweep(words=["one", "two"], repeat=2)
def test_sweep(nodes: Hosts, trial: Trial, words: str) -> None:
    group = nodes.run(["sh", "-c", "echo $0 $(hostname)", words])
    assert [p.stdout.strip() for p in group] == [f"{words} {name}" for name in nodes.names]
    trial.record(nodes=len(nodes))
"""


@pytest.fixture
def home(oar_lab: OarLab, tmp_path: Path) -> Path:
    """A home directory whose ssh configuration leads to the lab, as a user's would to a site."""
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    config, known = [], []
    for name in ("frontend", *oar_lab.node_names):
        host = oar_lab.host(name)
        config += [f"Host {name}", " HostName 127.0.0.1", f" Port {host.port}", " User alice"]
        config += [f" IdentityFile {host.keyfile}"]
        known.append(f"[127.0.0.1]:{host.port} {oar_lab.host_key}")
    (ssh / "config").write_text("\n".join(config) + "\n")
    (ssh / "known_hosts").write_text("\n".join(known) + "\n")
    return ssh.parent


def test_a_sweep_on_the_nodes_of_a_job(oar_lab: OarLab, home: Path, tmp_path: Path) -> None:
    assert "oar" in registry.testbed_names(), (
        "this package was installed before it had the testbed oar: pip install -e ."
    )
    (tmp_path / "test_it.py").write_text(SWEEP)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SSH_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_it.py", "--execo-testbed=oar", "--execo-site=frontend"],
        cwd=tmp_path,
        env={**environment, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{oar_lab.log()}"
    assert "4 passed" in done.stdout
    assert Frontend(oar_lab.host(), "frontend").own_jobs() == ()
