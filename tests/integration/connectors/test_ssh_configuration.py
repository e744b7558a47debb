"""The user's ssh configuration, agent and known hosts, as the default connector sees them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_execo import ConnectionFailed, Host, Lease, Process
from pytest_execo.connectors.host_keys import host_keys

from ..conftest import require

pytestmark = pytest.mark.integration


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with nothing in it but what the test puts there, and no agent."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


@pytest.fixture
def agent(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, openssh: Host) -> Iterator[None]:
    """An agent that has the key for ``openssh``."""
    require("ssh-agent", "openssh-client")
    assert openssh.keyfile is not None
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            subprocess.run(["ssh-add", "-q", openssh.keyfile], check=True, timeout=30)
            yield
        finally:
            process.terminate()


def known(home: Path, *entries: str) -> None:
    (home / ".ssh" / "known_hosts").write_text("".join(f"{entry}\n" for entry in entries))


def entry(host: Host) -> str:
    return f"[{host.address}]:{host.port} {host.host_key}"


def test_an_alias_has_everything(home: Path, openssh: Host) -> None:
    (home / ".ssh" / "config").write_text(
        f"Host frontend\n HostName {openssh.address}\n Port {openssh.port}\n User {openssh.user}\n"
        f" IdentityFile {openssh.keyfile}\n"
    )
    known(home, entry(openssh))
    alias = Host("frontend")
    assert Process("echo there", alias, timeout=30).run().stdout == "there\n"
    alias.disconnect()


def test_an_unknown_host_is_refused(home: Path, openssh: Host) -> None:
    unknown = Host(openssh.address, user=openssh.user, port=openssh.port, keyfile=openssh.keyfile)
    host_keys.forget([unknown])  # of tests before this one
    p = Process("true", unknown, timeout=30).run(check=False)
    assert isinstance(p.error, ConnectionFailed)
    assert "host key not verified" in str(p.error)
    assert "known_hosts" in str(p.error)


@pytest.mark.usefixtures("agent")
def test_the_agent(home: Path, openssh: Host) -> None:
    known(home, entry(openssh))
    host = Host(openssh.address, name="by agent", user=openssh.user, port=openssh.port)
    assert Process("echo there", host, timeout=30).run().stdout == "there\n"
    host.disconnect()


def test_a_jump(home: Path, openssh: Host, embedded: Lease) -> None:
    node = embedded.nodes[1]
    key = home / "key"
    key.write_bytes(Path(node.keyfile or "").read_bytes())
    os.chmod(key, 0o600)
    (home / ".ssh" / "config").write_text(
        f"Host gateway\n HostName {openssh.address}\n Port {openssh.port}\n User {openssh.user}\n"
        f" IdentityFile {openssh.keyfile}\n"
        f"Host inside\n HostName {node.address}\n Port {node.port}\n User {node.user}\n IdentityFile {key}\n"
        " ProxyJump gateway\n"
    )
    known(home, entry(openssh), entry(node))
    inside = Host("inside")
    said = Process("hostname; echo $SSH_CLIENT", inside, timeout=30).run().stdout.split()
    assert said[0] == Process("hostname", node).run().stdout.strip()
    inside.disconnect()
