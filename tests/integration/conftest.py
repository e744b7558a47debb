"""Real far ends: the embedded node server and a stock OpenSSH server."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_execo import Host, Lease
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.embedded import EmbeddedTestbed

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


def require(program: str, package: str) -> None:
    """Skip the test without ``program``; in CI, where it can be installed, fail it."""
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin") is None:
        message = f"{program} is not installed (apt-get install {package})"
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


@pytest.fixture(scope="session")
def embedded() -> Iterator[Lease]:
    """Four embedded nodes for the whole session."""
    lease = EmbeddedTestbed().reserve(Request(nodes=4))
    yield lease
    lease.release()


@pytest.fixture(scope="session")
def openssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A stock sshd on loopback, with keys of its own, as the user who runs the tests."""
    require("sshd", "openssh-server")
    require("ssh-keygen", "openssh-client")
    assert SSHD is not None
    home = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True, timeout=30)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = home / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nAuthorizedKeysFile {home}/user.pub\n"
        f"PidFile {home}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        # bash started by sshd reads ~/.bashrc unless it is told that it is an inner shell. What somebody has in there,
        # and what it says when 25 log in at once, is not what is tested.
        "SetEnv SHLVL=1\n"
        "PermitRootLogin prohibit-password\nUseDNS no\nPrintMotd no\nSubsystem sftp internal-sftp\nLogLevel ERROR\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd insists on it when it is root; Debian's service makes it
    log = (home / "log").open("wb")
    with subprocess.Popen([SSHD, "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log) as sshd:
        try:
            _answers(port, sshd, home / "log")
            yield Host(
                "127.0.0.1",
                name="openssh",
                user=pwd.getpwuid(os.getuid()).pw_name,
                port=port,
                keyfile=str(home / "user"),
                host_key=" ".join((home / "host.pub").read_text().split()[:2]),
            )
        finally:
            sshd.terminate()
            log.close()


def _answers(port: int, sshd: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as connection:
                assert connection.recv(4) == b"SSH-"
                return
        except OSError:
            assert sshd.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)


@pytest.fixture
def silent() -> Iterator[Host]:
    """A host that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield Host("127.0.0.1", name="silent", user="nobody", port=listener.getsockname()[1])


@pytest.fixture
def closed() -> Host:
    """A port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return Host("127.0.0.1", name="closed", user="nobody", port=unused.getsockname()[1])
