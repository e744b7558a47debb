"""Each fault: in force when the call returns, on the node it was asked for, and gone when undone."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_execo.errors import FaultNotAvailable, LeaseLost
from pytest_execo.testbeds.embedded import EmbeddedLease, EmbeddedNode

pytestmark = pytest.mark.integration

Ssh = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def node(lease: EmbeddedLease) -> Iterator[EmbeddedNode]:
    """The second node, as it was when the test is over."""
    node = lease.nodes[1]
    assert isinstance(node, EmbeddedNode)
    yield node
    node.heal()
    node.power_on()


def _greets(node: EmbeddedNode, timeout: float) -> bool:
    """Tell whether the node's SSH server says hello to a new connection."""
    assert node.port is not None
    with socket.create_connection((node.address, node.port), timeout) as sock:
        return sock.recv(4) == b"SSH-"


def test_power(lease: EmbeddedLease, node: EmbeddedNode, ssh: Ssh) -> None:
    mark = f"7{os.getpid()}"  # without isolation, everybody's processes are in sight
    assert ssh(lease, node.name, f"echo kept > kept; sleep {mark} >/dev/null 2>&1 &").returncode == 0
    with subprocess.Popen(
        ["ssh", "-F", lease.ssh_config, node.name, "echo up; sleep 1000"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == b"up\n"
        with node.power_off():
            assert not node.powered
            assert session.wait(30) == 255
            with pytest.raises(ConnectionRefusedError):
                _greets(node, 10)
    assert node.powered
    result = ssh(lease, node.name, f"cat kept; rm kept; ps ax -o args | grep '[s]leep {mark}$'")
    assert result.stdout == b"kept\n"


def test_power_off_of_a_node_that_never_booted(reserve: Callable[..., EmbeddedLease], ssh: Ssh) -> None:
    lease = reserve()
    node = lease.nodes[0]
    assert isinstance(node, EmbeddedNode)
    assert node.powered
    node.power_off()
    node.power_off()
    with pytest.raises(ConnectionRefusedError):
        _greets(node, 10)
    node.power_on()
    node.power_on()
    assert ssh(lease, node.name, "true").returncode == 0
    lease.release()


def test_cut(lease: EmbeddedLease, node: EmbeddedNode) -> None:
    with subprocess.Popen(
        ["ssh", "-F", lease.ssh_config, node.name, "echo up; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        assert session.stdout.readline() == b"up\n"
        with node.cut():
            session.stdin.write(b"through\n")
            session.stdin.flush()
            received: list[bytes] = []
            reader = threading.Thread(target=lambda: received.append(session.stdout.readline()))  # type: ignore[union-attr]
            reader.start()
            with pytest.raises(TimeoutError):
                _greets(node, 0.5)
            reader.join(0.3)
            assert reader.is_alive()
            assert session.poll() is None
        reader.join(30)
        assert received == [b"through\n"]
        session.stdin.close()
        assert session.wait(30) == 0
    assert _greets(node, 30)


def test_cut_is_one_nodes(lease: EmbeddedLease, node: EmbeddedNode, ssh: Ssh) -> None:
    with node.cut():
        assert ssh(lease, "node-3", "true").returncode == 0


def test_a_cut_outlives_a_reboot(node: EmbeddedNode) -> None:
    node.cut()
    node.power_off()
    node.power_on()
    with pytest.raises(TimeoutError):
        _greets(node, 0.5)
    node.heal()
    assert _greets(node, 30)


def test_a_client_that_leaves_during_a_cut_leaves_nothing(
    lease: EmbeddedLease, node: EmbeddedNode, ssh: Ssh, eventually: Callable[..., Any]
) -> None:
    with subprocess.Popen(
        ["ssh", "-F", lease.ssh_config, "-tt", node.name, "echo $$; exec sleep 1000"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as session:
        assert session.stdout is not None
        pid = session.stdout.readline().strip().decode()
        with node.cut():
            session.kill()
            session.wait()
    # The FIN that was dropped is sent again.
    eventually(lambda: ssh(lease, node.name, f"kill -0 {pid}").returncode == 1)


@contextlib.contextmanager
def _conversation(lease: EmbeddedLease, node: EmbeddedNode) -> Iterator[Callable[[], float]]:
    """Yield a function that measures one round trip over an open session."""
    with subprocess.Popen(
        ["ssh", "-F", lease.ssh_config, node.name, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as session:
        assert session.stdin is not None
        assert session.stdout is not None

        def round_trip() -> float:
            start = time.monotonic()
            session.stdin.write(b"ping\n")  # type: ignore[union-attr]
            session.stdin.flush()  # type: ignore[union-attr]
            assert session.stdout.readline() == b"ping\n"  # type: ignore[union-attr]
            return time.monotonic() - start

        round_trip()
        yield round_trip
        session.stdin.close()
        assert session.wait(30) == 0


@pytest.mark.slow
def test_latency(lease: EmbeddedLease, node: EmbeddedNode) -> None:
    with _conversation(lease, node) as round_trip:
        with node.slow(latency="150ms"):
            assert round_trip() >= 0.3
        assert min(round_trip() for _ in range(20)) < 0.3


@pytest.mark.slow
def test_rate(lease: EmbeddedLease, node: EmbeddedNode, ssh: Ssh) -> None:
    size = 1_000_000
    with node.slow(rate="1MB/s"):
        start = time.monotonic()
        assert len(ssh(lease, node.name, f"head -c {size} /dev/zero").stdout) == size
        assert time.monotonic() - start >= 0.9
        start = time.monotonic()
        assert int(ssh(lease, node.name, "wc -c", input=bytes(size)).stdout) == size
        assert time.monotonic() - start >= 0.9


@pytest.mark.slow
def test_connections_share_the_rate(lease: EmbeddedLease, node: EmbeddedNode) -> None:
    size = 400_000
    with node.slow(rate="1MB/s"):
        start = time.monotonic()
        commands = [["ssh", "-F", lease.ssh_config, node.name, f"head -c {size} /dev/zero"] for _ in range(2)]
        sessions = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) for command in commands]
        assert [len(session.communicate(timeout=30)[0]) for session in sessions] == [size, size]
        assert time.monotonic() - start >= 0.7


def test_faults_are_undone_one_by_one(lease: EmbeddedLease, node: EmbeddedNode) -> None:
    with node.slow(latency=0.1), node.cut():
        pass
    with node.slow(latency=0.1):
        with node.cut():
            pass
        with _conversation(lease, node) as round_trip:
            assert round_trip() >= 0.2


def test_full_disk(lease: EmbeddedLease, node: EmbeddedNode, ssh: Ssh) -> None:
    if "mount" not in node.description["isolation"]:
        with pytest.raises(FaultNotAvailable, match="mount namespace"):
            node.fill_disk()
        return
    write = "head -c 3000000 /dev/zero > {}/file && rm {}/file"
    with node.fill_disk():
        for directory in ("~", "/tmp", "/var/tmp", "/dev/shm"):
            result = ssh(lease, node.name, write.format(directory, directory))
            assert result.returncode != 0
            assert b"No space left on device" in result.stderr
        ssh(lease, node.name, "rm -f ~/file /tmp/file /var/tmp/file /dev/shm/file")
    with node.fill_disk("4MiB"):
        assert ssh(lease, node.name, write.format("~", "~")).returncode == 0
    assert ssh(lease, node.name, "head -c 30000000 /dev/zero > file && rm file").returncode == 0


def test_a_writer_is_stopped_by_a_disk_that_fills_under_it(isolated: EmbeddedLease, ssh: Ssh) -> None:
    node = isolated.nodes[0]
    assert isinstance(node, EmbeddedNode)
    with subprocess.Popen(
        ["ssh", "-F", isolated.ssh_config, node.name, "echo up; cat /dev/zero > file"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"up\n"
        node.fill_disk()
        _, errors = writer.communicate(timeout=30)
    assert b"No space left on device" in errors


def test_faults_from_several_threads(reserve: Callable[..., EmbeddedLease]) -> None:
    lease = reserve(6)

    def torment(node: EmbeddedNode) -> bool:
        for _ in range(3):
            with node.power_off():
                assert not node.powered
            with node.cut(), node.slow(latency=0.01):
                pass
        return _greets(node, 30)

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(torment, lease.nodes))  # type: ignore[arg-type]
    lease.release()


def test_values_that_make_no_sense(node: EmbeddedNode) -> None:
    with pytest.raises(ValueError, match="cut"):
        node.slow(rate=0)
    with pytest.raises(ValueError, match="not a duration"):
        node.slow(latency="soon")
    with pytest.raises(ValueError, match="not a size"):
        node.fill_disk(free="a lot")


def test_after_the_release(reserve: Callable[..., EmbeddedLease]) -> None:
    lease = reserve()
    node = lease.nodes[0]
    assert isinstance(node, EmbeddedNode)
    with node.cut():
        lease.release()  # and the end of the block finds nothing to heal
    for call in (node.cut, node.slow, node.power_off, node.power_on, node.fill_disk, node.heal, lambda: node.powered):
        with pytest.raises(LeaseLost):
            call()
