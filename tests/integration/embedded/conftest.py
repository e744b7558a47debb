"""Leases of the embedded testbed, and the programs that talk to its nodes."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_execo.testbeds.contract import Request
from pytest_execo.testbeds.embedded import EmbeddedLease, EmbeddedNode, EmbeddedTestbed

#: Bound of everything that is waited for; a loaded machine is slow.
PATIENCE = 30


@pytest.fixture(scope="session")
def reserve() -> Iterator[Callable[..., EmbeddedLease]]:
    """Reserve nodes; whatever the test does not release is released at the end."""
    leases: list[EmbeddedLease] = []

    def reserve(nodes: int = 1, *, walltime: float | None = None, **options: Any) -> EmbeddedLease:
        testbed = EmbeddedTestbed("local", **options)
        leases.append(testbed.reserve(Request(nodes=nodes, walltime=walltime)))
        return leases[-1]

    yield reserve
    for lease in leases:
        lease.release()


@pytest.fixture(scope="session", params=[True, False], ids=["isolated", "shared"])
def lease(request: pytest.FixtureRequest, reserve: Callable[..., EmbeddedLease]) -> EmbeddedLease:
    """Three nodes, with all the isolation that there is and with none. Shared: leave the nodes as they were."""
    lease = reserve(3, isolation=request.param)
    if request.param and not lease.nodes[0].description["isolation"]:
        pytest.skip("no namespaces on this machine")
    return lease


@pytest.fixture
def isolated(reserve: Callable[..., EmbeddedLease]) -> Iterator[EmbeddedLease]:
    """Two nodes of one's own, fully isolated."""
    lease = reserve(2)
    if set(lease.nodes[0].description["isolation"]) != {"ipc", "mount", "pid", "uts"}:
        lease.release()
        pytest.skip(f"this machine isolates only {lease.nodes[0].description['isolation']}")
    yield lease
    lease.release()


@pytest.fixture
def node(lease: EmbeddedLease) -> EmbeddedNode:
    node = lease.nodes[0]
    assert isinstance(node, EmbeddedNode)
    return node


@pytest.fixture(scope="session")
def openssh() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run a stock OpenSSH program with the lease's configuration: ``openssh(lease, "scp", "-O", …)``."""

    def run(lease: EmbeddedLease, program: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        if shutil.which(program) is None:
            pytest.skip(f"no {program} program")
        options.setdefault("stdin", subprocess.DEVNULL) if "input" not in options else None
        command = [program, "-F", lease.ssh_config, *arguments]
        return subprocess.run(command, capture_output=True, timeout=PATIENCE, **options)

    return run


@pytest.fixture(scope="session")
def ssh(openssh: Callable[..., Any]) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run a command on a node with the stock client: ``ssh(lease, "node-1", "hostname")``."""

    def run(lease: EmbeddedLease, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        result: subprocess.CompletedProcess[bytes] = openssh(lease, "ssh", *arguments, **options)
        return result

    return run


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Return the first true value of a function, asked until it has one."""

    def wait(condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < deadline, "it did not come"
            time.sleep(0.01)
        return value

    return wait
