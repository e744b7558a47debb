"""A lease from its beginning to its end, however it ends: nothing is left."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pytest_execo
from pytest_execo.errors import LeaseLost, RequestNotMet, ReservationFailed
from pytest_execo.testbeds.contract import Request
from pytest_execo.testbeds.embedded import EmbeddedLease, EmbeddedNode, EmbeddedTestbed

pytestmark = pytest.mark.integration

Ssh = Callable[..., subprocess.CompletedProcess[bytes]]

#: What a controller runs in a process of its own: reserve, start daemons on a node, say so, wait.
CONTROLLER = """
import json, subprocess, sys
from pytest_execo.testbeds.contract import Request
from pytest_execo.testbeds.embedded import EmbeddedTestbed
lease = EmbeddedTestbed("local", isolation={isolation}).reserve(Request(nodes=2))
daemons = "setsid sh -c 'echo $$ > sleeper; exec sleep {mark}' >/dev/null 2>&1 & while ! test -s sleeper; do :; done"
for node in lease.nodes:
    subprocess.run(["ssh", "-F", lease.ssh_config, node.name, daemons], check=True, stdin=subprocess.DEVNULL)
print(json.dumps({{"directory": lease.directory, "manager": lease._client.pid}}), flush=True)
sys.stdin.read()
"""


def _processes(mark: str) -> list[int]:
    """Return the processes of this machine that have ``mark`` on their command line."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if mark.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                found.append(int(name))
    return found


def _marker() -> str:
    """Return an argument for sleep that nobody else uses."""
    return f"9{os.getpid()}{time.monotonic_ns() % 10**6:06d}"


def _package_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(pytest_execo.__file__).parent.parent)}


@contextlib.contextmanager
def _controller(isolation: bool, mark: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    script = CONTROLLER.format(isolation=isolation, mark=mark)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_package_path()
    ) as controller:
        assert controller.stdout is not None
        line = controller.stdout.readline()
        assert line, "the controller failed"
        yield controller, json.loads(line)
        controller.kill()


@pytest.mark.parametrize("isolation", [True, False], ids=["isolated", "shared"])
def test_release_ends_daemons_and_removes_everything(
    reserve: Callable[..., EmbeddedLease], ssh: Ssh, isolation: bool
) -> None:
    lease, mark = reserve(2, isolation=isolation), _marker()
    daemons = f"nohup sleep {mark} >/dev/null 2>&1 & setsid sh -c 'sleep {mark} & sleep {mark}' >/dev/null 2>&1 &"
    for node in lease.nodes:
        assert ssh(lease, node.name, daemons).returncode == 0
    assert lease.alive()
    assert len(_processes(mark)) >= 4
    lease.release()
    assert not _processes(mark)
    assert not os.path.exists(lease.directory)
    assert not lease.alive()
    assert lease.directory not in Path("/proc/self/mounts").read_text()
    lease.release()


def test_release_from_several_threads(reserve: Callable[..., EmbeddedLease]) -> None:
    lease = reserve()
    threads = [threading.Thread(target=lease.release) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not os.path.exists(lease.directory)


@pytest.mark.parametrize("isolation", [True, False], ids=["isolated", "shared"])
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_death_of_the_controller(isolation: bool, signum: signal.Signals, eventually: Callable[..., Any]) -> None:
    mark = _marker()
    with _controller(isolation, mark) as (controller, lease):
        assert _processes(f"{mark}")
        controller.send_signal(signum)
        controller.wait(30)
        eventually(lambda: not os.path.exists(lease["directory"]))
        eventually(lambda: not os.path.exists(f"/proc/{lease['manager']}"))
        assert not [pid for pid in _processes(mark) if pid != controller.pid]


@pytest.mark.parametrize("isolation", [True, False], ids=["isolated", "shared"])
def test_death_of_the_manager(isolation: bool, reserve: Callable[..., EmbeddedLease], ssh: Ssh) -> None:
    lease, mark = reserve(isolation=isolation), _marker()
    assert ssh(lease, "node-1", f"setsid sleep {mark} >/dev/null 2>&1 &").returncode == 0
    os.kill(lease._client.pid, signal.SIGKILL)
    lease.release()
    assert not _processes(mark)
    assert not os.path.exists(lease.directory)


def test_the_manager_ignores_ctrl_c_and_obeys_sigterm(
    reserve: Callable[..., EmbeddedLease], ssh: Ssh, eventually: Callable[..., Any]
) -> None:
    lease = reserve()
    os.kill(lease._client.pid, signal.SIGINT)
    assert ssh(lease, "node-1", "true").returncode == 0
    os.kill(lease._client.pid, signal.SIGTERM)
    eventually(lambda: not lease.alive())
    assert not os.path.exists(lease.directory)
    lease.release()


def test_a_forgotten_lease_ends_with_its_last_reference() -> None:
    lease = EmbeddedTestbed("local").reserve(Request())
    directory = lease.directory
    del lease
    gc.collect()
    assert not os.path.exists(directory)


def test_the_end_of_the_walltime(
    reserve: Callable[..., EmbeddedLease], ssh: Ssh, eventually: Callable[..., Any]
) -> None:
    lease = reserve(walltime=0.5)
    assert lease.end is not None
    eventually(lambda: not lease.alive())
    eventually(lambda: not os.path.exists(lease.directory))
    lease.release()


def test_a_fork_of_the_controller_does_not_keep_the_nodes_alive(eventually: Callable[..., Any]) -> None:
    script = (
        "import os, time\n"
        "from pytest_execo.testbeds.contract import Request\n"
        "from pytest_execo.testbeds.embedded import EmbeddedTestbed\n"
        "lease = EmbeddedTestbed('local').reserve(Request())\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os.close(1)\n"
        "    time.sleep(60)\n"
        "print(child, lease.directory, flush=True)\n"
        "os._exit(0)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=60, env=_package_path(), check=True
    )
    child, directory = result.stdout.split()
    try:
        eventually(lambda: not os.path.exists(directory))
        os.kill(int(child), 0)
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_several_leases_at_once(reserve: Callable[..., EmbeddedLease], ssh: Ssh) -> None:
    first, second = reserve(2), reserve(2)
    assert ssh(first, "node-1", "echo first > which").returncode == 0
    assert ssh(second, "node-1", "test -e which").returncode == 1
    first.release()
    assert ssh(second, "node-1", "true").returncode == 0
    second.release()


def test_asking_for_too_much() -> None:
    testbed = EmbeddedTestbed("local", nodes=2)
    with pytest.raises(RequestNotMet) as caught:
        testbed.reserve(Request(nodes=5, cluster="x"))
    assert caught.value.reasons == (
        "asks for 5 nodes, local has 2",
        "asks for cluster 'x', local has no clusters",
    )


def test_a_manager_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(ReservationFailed, match="nonexistent"):
        EmbeddedTestbed("local").reserve(Request())
    assert not list(tmp_path.iterdir())


def test_the_last_words_of_a_manager_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\necho this machine is too small >&2\nexit 1\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    with pytest.raises(ReservationFailed, match="this machine is too small"):
        EmbeddedTestbed("local").reserve(Request())


@pytest.mark.slow
def test_a_directory_with_blanks_and_percent_signs(
    tmp_path: Path, reserve: Callable[..., EmbeddedLease], ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a 100% odd place"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    lease = reserve(2)
    assert lease.directory.startswith(str(place))
    inner = "ssh -o ConnectTimeout=10 node-2 pwd" if lease.nodes[0].description["isolation"] else "pwd"
    assert b"100%" in ssh(lease, "node-1", inner).stdout
    lease.release()


@pytest.mark.slow
def test_two_hundred_nodes(reserve: Callable[..., EmbeddedLease], capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    import asyncssh

    start = time.monotonic()
    lease = reserve(200)
    up = time.monotonic() - start

    async def hostname(node: Any) -> str:
        async with asyncssh.connect(
            node.address, node.port, username=node.user, client_keys=[node.keyfile], known_hosts=None, config=None
        ) as connection:
            return str((await connection.run("echo $HOSTNAME", check=True)).stdout).strip()

    async def everywhere() -> list[str]:
        return await asyncio.gather(*(hostname(node) for node in lease.nodes))

    start = time.monotonic()
    names = asyncio.run(asyncio.wait_for(everywhere(), 100))
    ran = time.monotonic() - start
    assert names == lease.nodes.names
    start = time.monotonic()
    lease.release()
    released = time.monotonic() - start
    with capsys.disabled():
        print(f"\n200 nodes: up {up:.2f} s, a command on each {ran:.2f} s, released {released:.2f} s")
    assert not os.path.exists(lease.directory)


def test_what_a_node_says_of_itself(lease: EmbeddedLease) -> None:
    description = lease.describe()
    assert json.loads(json.dumps(description)) == description
    assert "PRIVATE" not in json.dumps(description)
    node = lease.nodes[0]
    assert isinstance(node, EmbeddedNode)
    assert str(node) == "node-1.local"
    assert node == node
    assert len({*lease.nodes}) == 3
    assert "_client" not in repr(node)


def test_a_node_in_another_process_is_a_host(lease: EmbeddedLease) -> None:
    node = lease.nodes[0]
    copy = pickle.loads(pickle.dumps(node))
    assert copy == node
    assert copy.keyfile == node.keyfile
    with pytest.raises(LeaseLost):
        copy.power_off()


def test_a_controller_that_dies_while_it_starts_a_manager(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "pytest_execo.testbeds.embedded.manager", str(tmp_path / "lease")]
    (tmp_path / "lease").mkdir()
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=_package_path(), timeout=60)
    assert (result.returncode, result.stdout) == (0, b"")
    assert not list(tmp_path.iterdir())


def test_a_kept_lease_is_used_and_released_as_before(reserve: Callable[..., EmbeddedLease]) -> None:
    lease = reserve(1)
    assert lease.end is None
    before = time.time()
    lease.keep()
    assert lease.end is not None
    assert before + 8 * 3600 <= lease.end + 1 <= time.time() + 8 * 3600 + 2
    assert lease.alive()
    lease.nodes.run("true")
    lease.release()
    assert not os.path.exists(lease.directory)
    with pytest.raises(LeaseLost):
        lease.keep()


def test_a_kept_lease_ends_with_its_walltime(
    reserve: Callable[..., EmbeddedLease], eventually: Callable[[Callable[[], Any]], Any]
) -> None:
    lease = reserve(1, walltime=1.0)
    end = lease.end
    lease.keep()
    assert lease.end == end
    eventually(lambda: not os.path.exists(lease.directory))
