"""The hosts: one stock OpenSSH server that answers on every address of 127.0.0.0/8.

As many servers as hosts would cost 15 to 30 ms of CPU and 1.5 MB each before anything is measured, and a client can't
tell the difference: every address is a host to it, with a connection of its own.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import trees

__all__ = ("Farm", "farm")

_SERVER = """\
Port {port}
# Bound to the loopback interface: all of 127.0.0.0/8, nothing from outside. A list of addresses ends at 16.
ListenAddress 0.0.0.0:{port} rdomain lo
HostKey {directory}/host
AuthorizedKeysFile {directory}/user.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
PrintLastLog no
LogLevel ERROR
Subsystem sftp internal-sftp
# Each of many servers would see one connection; this one sees all of them, and would drop most (10:30:100).
MaxStartups 10000
# On a busy machine a thousand logins take longer than the stock two minutes.
LoginGraceTime 600
# One key exchange for every client: sntrup761, OpenSSH's first choice, costs 0.1 s of CPU on either side, and not
# every client has it.
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
# bash started by sshd reads ~/.bashrc unless it is told that it is an inner shell: what is in somebody's rc file is
# not to be measured.
SetEnv SHLVL=1
"""

_CLIENT = """\
Host *
    User {user}
    Port {port}
    IdentityFile {directory}/user
    IdentitiesOnly yes
    UserKnownHostsFile {directory}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    BatchMode yes
    LogLevel ERROR
"""


@dataclass(frozen=True)
class Farm:
    """A server that is up. ``directory`` has ``user`` (private key), ``known_hosts`` and ``ssh_config``."""

    directory: Path
    pid: int
    user: str
    port: int
    host_key: str

    def addresses(self, count: int) -> list[str]:
        """Return the addresses of ``count`` hosts."""
        return [f"127.1.{index // 250}.{index % 250 + 1}" for index in range(count)]

    def quiet(self, within: float = 60) -> int:
        """Wait until no connection is left, so that the end of one peer is not the load of the next.

        Return how many are left after ``within`` seconds; those are ended.
        """
        deadline = time.monotonic() + within
        while left := trees.descendants(self.pid):
            if time.monotonic() > deadline:
                trees.end(left)
                return len(left)
            time.sleep(0.02)
        return 0


@contextlib.contextmanager
def farm() -> Iterator[Farm]:
    """Start the server with keys of its own; at the end it, its connections and its files are gone."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if sshd is None or shutil.which("ssh-keygen") is None:
        sys.exit("sshd and ssh-keygen are needed (apt-get install openssh-server openssh-client)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # Debian's service makes it; a server of root insists on it
    user = pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="process-control-") as name:
        directory = Path(name)
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / key], check=True)
        with socket.socket() as probe:
            probe.bind(("0.0.0.0", 0))
            port = probe.getsockname()[1]
        host_key = " ".join((directory / "host.pub").read_text().split()[:2])
        (directory / "known_hosts").write_text(f"[127.*]:{port} {host_key}\n")
        (directory / "ssh_config").write_text(_CLIENT.format(user=user, port=port, directory=directory))
        (directory / "sshd_config").write_text(_server(sshd, directory, port))
        with (
            (directory / "log").open("wb") as log,
            subprocess.Popen(
                [sshd, "-D", "-e", "-f", directory / "sshd_config"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; the server goes last
            ) as server,
        ):
            try:
                _answers(server, port, directory / "log")
                yield Farm(directory, server.pid, user, port, host_key)
            finally:
                connections = trees.descendants(server.pid)
                server.kill()
                server.wait()
                trees.end(connections)


def _server(sshd: str, directory: Path, port: int) -> str:
    text = _SERVER.format(directory=directory, port=port)
    # Since 9.8 a server makes an address wait after failures, and older ones refuse the word.
    try_out = directory / "try"
    try_out.write_text(penalties := text + "PerSourcePenalties no\n")
    known = subprocess.run([sshd, "-t", "-f", try_out], capture_output=True).returncode == 0
    return penalties if known else text


def _answers(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 15
    while server.poll() is None and time.monotonic() < deadline:
        # Two addresses, for a server that took the first one only would look well.
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.1.0.1", port), 2) as one,
            socket.create_connection(("127.1.3.250", port), 2) as other,
        ):
            if one.recv(4) == other.recv(4) == b"SSH-":
                return
        time.sleep(0.02)
    sys.exit(f"sshd does not answer on 127.1.0.1:{port}: {log.read_text().strip() or 'it said nothing'}")
