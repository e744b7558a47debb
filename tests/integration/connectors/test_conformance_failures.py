"""The definition of “transparent”: the same errors, whatever it is that does not carry a process."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_execo import ConnectionFailed, ConnectionLost, Host, Lease, Process, Remote
from pytest_execo.connectors.host_keys import ACCEPT_NEW, CHANGED, host_keys
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.embedded import EmbeddedNode, EmbeddedTestbed

pytestmark = pytest.mark.integration

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture(autouse=True)
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No agent: these hosts are refused whatever keys the user has."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def failure(host: Host, **options: object) -> Process:
    p = Process("true", host, **{"timeout": 40, **options}).run(check=False)  # type: ignore[arg-type]
    assert not p.ok
    assert p.exit_code is None
    return p


def by(host: Host, connector: str, **changes: object) -> Host:
    return dataclasses.replace(host, connector=connector, **changes)  # type: ignore[arg-type]


def other_key(directory: Path) -> Path:
    """Make a key pair that nobody knows."""
    path = directory / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=30)
    return path


def public(key: Path) -> str:
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])


def test_nobody_listens(connector: str, closed: Host) -> None:
    p = failure(by(closed, connector))
    assert isinstance(p.error, ConnectionFailed)
    assert "refused" in str(p.error)
    assert p.error.host == "closed"
    assert p.outcome() == "unreachable"


def test_no_such_name(connector: str) -> None:
    p = failure(Host("no-such-host.invalid", connector=connector))
    assert isinstance(p.error, ConnectionFailed)
    assert "no-such-host.invalid" in str(p.error)


def test_accepts_and_never_answers(connector: str, silent: Host) -> None:
    p = failure(by(silent, connector), timeout=0.5)
    assert p.timed_out
    assert p.duration is not None
    assert p.duration < 8


def test_wrong_host_key(connector: str, openssh: Host, tmp_path: Path) -> None:
    p = failure(by(openssh, connector, host_key=public(other_key(tmp_path))))
    assert isinstance(p.error, ConnectionFailed)
    assert "host key" in str(p.error)


def test_wrong_user_key(connector: str, openssh: Host, tmp_path: Path) -> None:
    p = failure(by(openssh, connector, keyfile=str(other_key(tmp_path))))
    assert isinstance(p.error, ConnectionFailed)
    assert "authentication refused" in str(p.error)


def test_no_key_file(connector: str, openssh: Host, tmp_path: Path) -> None:
    p = failure(by(openssh, connector, keyfile=str(tmp_path / "missing")))
    assert isinstance(p.error, ConnectionFailed)
    assert "missing" in str(p.error)


def test_the_first_key_is_pinned(connector: str, openssh: Host, tmp_path: Path) -> None:
    host = by(openssh, connector, host_key=ACCEPT_NEW)
    host_keys.forget([host])
    try:
        assert Process("true", host).run().ok
        assert host_keys.known(host) == openssh.host_key
        host.disconnect()
        assert Process("true", host).run().ok
        host.disconnect()
        # As if the machine had been replaced since: what it shows is not what it showed at the first contact.
        host_keys.forget([host])
        host_keys.check(host, public(other_key(tmp_path)))
        p = failure(host)
        assert isinstance(p.error, ConnectionFailed)
        assert CHANGED in str(p.error)
    finally:
        host_keys.forget([host])


def test_one_dead_host_does_not_stop_the_others(connector: str, embedded: Lease, closed: Host) -> None:
    hosts = [by(host, connector) for host in (embedded.nodes[0], closed, embedded.nodes[1])]
    group = Remote("echo fine", hosts).run(check=False)
    assert [p.ok for p in group] == [True, False, True]
    assert group.failed == [group[1]]
    assert group.summary() == "2 ok, 1 unreachable"


def test_power_cut_in_mid_stream(connector: str, eventually: Eventually) -> None:
    lease = EmbeddedTestbed().reserve(Request(nodes=1))
    try:
        node = lease.nodes[0]
        assert isinstance(node, EmbeddedNode)
        host = by(node, connector)
        p = Process("yes", host, keep="1MiB").start()
        eventually(lambda: p.stdout_size > 100_000)
        with node.power_off():
            p.wait(30)
            assert isinstance(p.error, ConnectionLost)
            assert p.stdout_bytes.startswith(b"y\ny\n")
            assert isinstance(failure(host).error, ConnectionFailed)
        assert Process("echo back", host).run().stdout == "back\n"
        host.disconnect()
    finally:
        lease.release()


def test_a_cut_network_does_not_hold_a_kill_for_ever(connector: str, eventually: Eventually) -> None:
    lease = EmbeddedTestbed().reserve(Request(nodes=1))
    try:
        node = lease.nodes[0]
        assert isinstance(node, EmbeddedNode)
        host = by(node, connector)
        p = Process("echo up; sleep 1000", host).start()
        eventually(lambda: p.stdout == "up\n")
        with node.cut():
            p.kill()
            assert p.ended
            assert p.killed
            assert p.duration is not None
            assert p.duration < 40
        host.disconnect()
    finally:
        lease.release()
