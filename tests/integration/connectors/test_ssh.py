"""What only a network can do to a process, and how connections are shared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from pytest_execo import ConnectionLost, Host, Lease, Process, Remote, State
from pytest_execo.processes.io_thread import io_thread

pytestmark = pytest.mark.integration

Eventually = Callable[[Callable[[], object]], None]


def connections(host: Host) -> int:
    """Count the connections that are open to a host."""
    pool = io_thread().connector("ssh")._pools.get(host)  # type: ignore[attr-defined]
    return len(pool.links) if pool else 0


def test_one_connection_is_shared(embedded: Lease) -> None:
    node = embedded.nodes[1]
    node.disconnect()
    clients = {node.run("echo $SSH_CLIENT").stdout for _ in range(3)}
    clients |= {p.stdout for p in Remote("echo $SSH_CLIENT", [node] * 20).run()}
    assert len(clients) == 1
    assert connections(node) == 1


def test_a_full_connection_gets_a_neighbour(openssh: Host, eventually: Eventually) -> None:
    openssh.disconnect()
    group = Remote("read line", [openssh] * 25).start()
    eventually(lambda: all(p.state is State.RUNNING for p in group))
    group.write("\n").wait(60)
    assert group.ok
    assert connections(openssh) == 3
    openssh.disconnect()
    assert connections(openssh) == 0


def test_a_server_with_fewer_sessions_than_expected(openssh: Host, eventually: Eventually) -> None:
    hopeful = dataclasses.replace(openssh, max_sessions=40)
    group = Remote("read line", [hopeful] * 25).start()
    eventually(lambda: all(p.state is State.RUNNING for p in group))
    group.write("\n").wait(60)
    assert group.ok, group.summary()
    assert connections(hopeful) == 3
    hopeful.disconnect()


def test_disconnect_ends_what_runs(embedded: Lease, eventually: Eventually) -> None:
    node = embedded.nodes[2]
    p = node.start("echo up; sleep 1000")
    eventually(lambda: p.stdout == "up\n")
    node.disconnect()
    p.wait(10)
    assert isinstance(p.error, ConnectionLost)
    assert p.stdout == "up\n"
    assert not p.ok
    assert node.run("echo again").stdout == "again\n"


def test_disconnect_while_starting_is_an_error(silent: Host, eventually: Eventually) -> None:
    p = Process("true", silent, timeout=30).start()
    eventually(lambda: io_thread().connector("ssh")._pools.get(silent))  # type: ignore[attr-defined]
    silent.disconnect()
    p.wait(10)
    assert isinstance(p.error, ConnectionLost)
    assert not p.ok


def test_an_old_failure_is_not_a_new_ones(
    silent: Host, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr("pytest_execo.connectors.ssh.options.CONNECT_TIMEOUT", 0.5)
    assert failure(silent, timeout=0.1).timed_out
    pool = io_thread().connector("ssh")._pools[silent]  # type: ignore[attr-defined]
    eventually(lambda: pool._opening is None)
    assert failure(silent, timeout=0.1).timed_out


def test_killed_while_starting_leaves_nothing_there(embedded: Lease, eventually: Eventually) -> None:
    node = embedded.nodes[2]
    node.run("true")
    with node.slow(latency=0.7):  # type: ignore[attr-defined]
        p = node.start("sleep 4711")
        p.kill(wait=True)
        assert p.ended
    eventually(lambda: node.run("ps ax | grep -c '[s]leep 4711'", check=False).stdout == "0\n")


def failure(host: Host, **options: object) -> Process:
    return Process("true", host, **{"timeout": 30, **options}).run(check=False)  # type: ignore[arg-type]


def test_a_cut_network_does_not_hold_a_kill_for_ever(embedded: Lease, eventually: Eventually) -> None:
    node = embedded.nodes[3]
    p = node.start("echo up; sleep 1000", timeout=2)
    eventually(lambda: p.stdout == "up\n")
    with node.cut():  # type: ignore[attr-defined]
        p.wait(40)
        assert p.timed_out
        assert isinstance(p.error, ConnectionLost)
    node.disconnect()
    assert node.run("echo back").stdout == "back\n"
