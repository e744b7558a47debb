"""What a node has for itself, where namespaces allow, and what it keeps from the machine and from other nodes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.testbeds.embedded import EmbeddedLease

pytestmark = pytest.mark.integration

Ssh = Callable[..., subprocess.CompletedProcess[bytes]]


def test_own_hostname(isolated: EmbeddedLease, ssh: Ssh) -> None:
    assert ssh(isolated, "node-1", "hostname; cat /etc/hostname").stdout.split() == [b"node-1.local"] * 2
    assert os.uname().nodename != "node-1.local"


def test_own_processes(isolated: EmbeddedLease, ssh: Ssh) -> None:
    pids = {int(name) for name in ssh(isolated, "node-1", "ls /proc").stdout.split() if name.isdigit()}
    assert 1 in pids
    assert len(pids) <= 5


def test_own_files(isolated: EmbeddedLease, ssh: Ssh) -> None:
    assert ssh(isolated, "node-1", "for d in ~ /tmp /var/tmp /dev/shm; do echo 1 > $d/mark; done").returncode == 0
    looking = "ls ~ /tmp /var/tmp /dev/shm"
    assert b"mark" not in ssh(isolated, "node-2", looking).stdout
    assert not any(Path(directory, "mark").exists() for directory in ("/tmp", "/var/tmp", "/dev/shm"))


def test_other_nodes_and_the_lease_are_out_of_sight(isolated: EmbeddedLease, ssh: Ssh) -> None:
    lines = ssh(isolated, "node-1", f"ls {isolated.directory} {isolated.directory}/nodes").stdout.split()
    assert b"node-1" in lines
    assert not {b"key", b"node-2"} & set(lines)


def test_nodes_reach_each_other_by_name(isolated: EmbeddedLease, ssh: Ssh) -> None:
    result = ssh(isolated, "node-1", "ssh node-2.local hostname; ssh node-2 'ssh node-1 hostname'; getent hosts node-2")
    assert result.stdout.split()[:2] == [b"node-2.local", b"node-1.local"]
    assert isolated.nodes[1].address.encode() in result.stdout


def test_killing_everything_stays_in_the_node(
    isolated: EmbeddedLease, ssh: Ssh, eventually: Callable[..., Any]
) -> None:
    first, second = isolated.nodes
    assert ssh(isolated, "node-2", "true").returncode == 0
    # The server is among what is killed: the node goes down, as a machine does.
    assert ssh(isolated, "node-1", "kill -9 -1").returncode == 255
    eventually(lambda: not first.powered)  # type: ignore[attr-defined]
    assert ssh(isolated, "node-2", "hostname").stdout == b"node-2.local\n"
    assert second.powered  # type: ignore[attr-defined]
    first.power_on()  # type: ignore[attr-defined]
    assert ssh(isolated, "node-1", "true").returncode == 0


def test_a_full_disk_of_one_node_is_not_another_ones(isolated: EmbeddedLease, ssh: Ssh) -> None:
    with isolated.nodes[0].fill_disk():  # type: ignore[attr-defined]
        assert ssh(isolated, "node-2", "head -c 1000000 /dev/zero > file").returncode == 0


def test_homes_differ_without_isolation_too(lease: EmbeddedLease, ssh: Ssh) -> None:
    homes = {ssh(lease, node.name, "pwd").stdout for node in lease.nodes}
    assert len(homes) == 3


def test_secrets_of_the_controller_stay_there(
    reserve: Callable[..., EmbeddedLease], ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "canary-value")
    for isolation in (True, False):
        lease = reserve(isolation=isolation)
        # Of the command, of its server and of the init.
        script = "cat /proc/self/environ /proc/$PPID/environ /proc/1/environ 2>/dev/null | tr '\\0' '\\n'"
        if not isolation:
            script = script.replace("/proc/1/environ", "")
        assert b"canary-value" not in ssh(lease, "node-1", script).stdout
        lease.release()
