"""The stock ssh, scp and sftp programs against the nodes: what they do with OpenSSH's own server, they do here."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.testbeds.embedded import EmbeddedLease

pytestmark = pytest.mark.integration

Ssh = Callable[..., subprocess.CompletedProcess[bytes]]
EVERY_BYTE = bytes(range(256)) * 4096


def test_streams_and_exit_code(lease: EmbeddedLease, ssh: Ssh) -> None:
    result = ssh(lease, "node-1.local", "echo out; echo err >&2; exit 3")
    assert (result.returncode, result.stdout, result.stderr) == (3, b"out\n", b"err\n")


def test_signal_ends_command(lease: EmbeddedLease, ssh: Ssh) -> None:
    result = ssh(lease, "-v", "node-1", "kill -TERM $$")
    assert result.returncode == 255
    assert b"rtype exit-signal" in result.stderr


def test_every_byte_through_stdin_and_stdout(lease: EmbeddedLease, ssh: Ssh) -> None:
    result = ssh(lease, "node-1", "cat", input=EVERY_BYTE)
    assert result.stdout == EVERY_BYTE


def test_end_of_stdin_is_passed_on_and_output_still_comes(lease: EmbeddedLease, ssh: Ssh) -> None:
    result = ssh(lease, "node-1", "wc -c; echo later", input=b"12345")
    assert result.stdout.split() == [b"5", b"later"]


def test_reader_that_leaves_early(lease: EmbeddedLease, ssh: Ssh) -> None:
    result = ssh(lease, "node-1", "head -c 3", input=EVERY_BYTE)
    assert (result.returncode, result.stdout) == (0, EVERY_BYTE[:3])


def test_login_shell(lease: EmbeddedLease, ssh: Ssh) -> None:
    result = ssh(lease, "-T", "node-1", input=b"echo $0; exit 4\n")
    assert result.returncode == 4
    assert result.stdout.startswith(b"-")


def test_command_leads_its_own_session_and_group(lease: EmbeddedLease, ssh: Ssh) -> None:
    pid, pgid, sid = ssh(lease, "node-1", "echo $$; ps -o pgid=,sid= -p $$").stdout.split()
    assert pid == pgid == sid


def test_environment_is_small(lease: EmbeddedLease, ssh: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ssh(lease, "-o", "SetEnv=GIVEN=yes", "node-2", "env").stdout.decode().splitlines()
    environment = dict(line.split("=", 1) for line in lines)
    assert environment["GIVEN"] == "yes"
    assert environment["HOSTNAME"] == "node-2.local"
    assert environment["HOME"] == environment["PWD"]
    assert environment["SSH_CONNECTION"].split()[2:] == [lease.nodes[1].address, str(lease.nodes[1].port)]
    known = {
        "GIVEN",
        "HOSTNAME",
        "HOME",
        "PATH",
        "LANG",
        "TZ",
        "USER",
        "LOGNAME",
        "SHELL",
        "SSH_CONNECTION",
        "SSH_CLIENT",
    }
    of_the_shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert {name for name in environment if not name.startswith("LC_")} <= known | of_the_shell


def test_terminal(lease: EmbeddedLease, ssh: Ssh) -> None:
    result = ssh(lease, "-tt", "node-1", "tty; echo $TERM; ps -o tty= -p $$", env={**os.environ, "TERM": "vt220"})
    tty, term, process_tty = result.stdout.split()
    assert re.fullmatch(rb"/dev/pts/\d+", tty)
    assert tty == b"/dev/" + process_tty
    assert term == b"vt220"


def test_interrupt_character_reaches_the_program_in_front(lease: EmbeddedLease, ssh: Ssh) -> None:
    script = "trap 'echo got; exit 7' INT; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(
        ["ssh", "-F", lease.ssh_config, "-tt", "node-1", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"ready"
        process.stdin.write(b"\x03")
        process.stdin.flush()
        assert b"got" in process.stdout.read()
    assert process.returncode == 7


def test_leaving_ends_what_runs_on_a_terminal_only(
    lease: EmbeddedLease, ssh: Ssh, eventually: Callable[..., Any]
) -> None:
    def leave(*options: str) -> str:
        command = ["ssh", "-F", lease.ssh_config, *options, "node-1", "echo $$; exec sleep 1000"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            pid = process.stdout.readline().strip().decode()
            process.kill()
        return pid

    on_terminal, without = leave("-tt"), leave()
    eventually(lambda: ssh(lease, "node-1", f"kill -0 {on_terminal}").returncode == 1)
    assert ssh(lease, "node-1", f"kill -9 {without}").returncode == 0


def test_daemon_that_keeps_output_open_keeps_the_channel(lease: EmbeddedLease, ssh: Ssh) -> None:
    # As with OpenSSH: closed output is what ends a session, and the exit code is the command's.
    result = ssh(lease, "node-1", "(sleep 0.5; echo late) & exit 5")
    assert (result.returncode, result.stdout) == (5, b"late\n")
    assert ssh(lease, "node-1", "sleep 0.5 >/dev/null 2>&1 & exit 6").returncode == 6


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-O"]], ids=["sftp", "legacy"])
def test_scp(lease: EmbeddedLease, openssh: Callable[..., Any], ssh: Ssh, tmp_path: Path, options: list[str]) -> None:
    tree = tmp_path / "tree"
    (tree / "deep er").mkdir(parents=True)
    (tree / "deep er" / "bytes").write_bytes(EVERY_BYTE)
    (tree / "script").write_text("#!/bin/sh\n")
    (tree / "script").chmod(0o750)
    name = f"copy{''.join(options)}"
    assert openssh(lease, "scp", *options, "-rp", str(tree), f"node-1:{name}").returncode == 0
    assert ssh(lease, "node-1", f"stat -c %a {name}/script").stdout == b"750\n"
    back = tmp_path / "back"
    assert openssh(lease, "scp", *options, "-rp", f"node-1:{name}", str(back)).returncode == 0
    assert (back / "deep er" / "bytes").read_bytes() == EVERY_BYTE
    assert openssh(lease, "scp", *options, "node-1:absent", str(back)).returncode == 1


def test_sftp(lease: EmbeddedLease, openssh: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(EVERY_BYTE)
    batch = (
        f"pwd\nput {tmp_path}/here there\nmkdir dir\nrename there dir/there\nls dir\nget dir/there {tmp_path}/back\n"
    )
    result = openssh(lease, "sftp", "-b", "-", "node-3", input=batch.encode())
    assert result.returncode == 0, result.stderr
    assert b"/nodes/node-3/home" in result.stdout
    assert (tmp_path / "back").read_bytes() == EVERY_BYTE


@contextmanager
def _echo_server(family: int, address: Any) -> Iterator[Any]:
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()
        thread.join(30)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def _forwarding(lease: EmbeddedLease, *options: str) -> Iterator[None]:
    """Forward until the end of the block; fails at once when the server refuses."""
    command = ["ssh", "-v", "-F", lease.ssh_config, "-o", "ExitOnForwardFailure=yes", *options, "node-1"]
    command.append("echo up; cat")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield
        process.stdin.close()
        assert process.wait(30) == 0


def _echoes(family: int, address: Any) -> bool:
    with socket.socket(family) as client:
        client.settimeout(30)
        client.connect(address)
        sender = threading.Thread(target=lambda: (client.sendall(EVERY_BYTE), client.shutdown(socket.SHUT_WR)))
        sender.start()
        received = b""
        while data := client.recv(65536):
            received += data
        sender.join(30)
        return received == EVERY_BYTE


def test_local_forwarding(lease: EmbeddedLease) -> None:
    port = _free_port()
    with (
        _echo_server(socket.AF_INET, ("127.0.0.1", 0)) as (host, target),
        _forwarding(lease, "-L", f"127.0.0.1:{port}:{host}:{target}"),
    ):
        assert _echoes(socket.AF_INET, ("127.0.0.1", port))


def test_remote_forwarding(lease: EmbeddedLease) -> None:
    port = _free_port()
    with (
        _echo_server(socket.AF_INET, ("127.0.0.1", 0)) as (host, target),
        _forwarding(lease, "-R", f"127.0.0.1:{port}:{host}:{target}"),
    ):
        assert _echoes(socket.AF_INET, ("127.0.0.1", port))


def test_forwarding_to_a_unix_socket_of_the_node(lease: EmbeddedLease, ssh: Ssh, tmp_path: Path) -> None:
    # Through the node and back: what listens at the far end is a socket file on the node, made by a second session.
    home = ssh(lease, "node-1", "pwd").stdout.decode().strip()
    local = str(tmp_path / "local")
    with (
        _echo_server(socket.AF_UNIX, str(tmp_path / "target")) as target,
        _forwarding(lease, "-R", f"{home}/far.sock:{target}"),
        _forwarding(lease, "-L", f"{local}:{home}/far.sock"),
    ):
        assert ssh(lease, "node-1", "test -S far.sock").returncode == 0
        assert _echoes(socket.AF_UNIX, local)
    assert ssh(lease, "node-1", "rm -f far.sock").returncode == 0


def test_only_the_lease_key_and_name_log_in(lease: EmbeddedLease, ssh: Ssh, tmp_path: Path) -> None:
    assert b"Permission denied" in ssh(lease, "-l", "somebody", "node-1", "true").stderr
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=30)
    assert (
        b"Permission denied"
        in ssh(lease, "-o", f"IdentityFile={key}", "-i", str(key), "-F", "none", *_where(lease)).stderr
    )


def _where(lease: EmbeddedLease) -> list[str]:
    node = lease.nodes[0]
    known = os.path.join(os.path.dirname(lease.ssh_config), "known_hosts")
    options = ["-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes"]
    return [*options, "-p", str(node.port), f"{node.user}@{node.address}", "true"]


def test_files_of_the_lease_are_private(lease: EmbeddedLease) -> None:
    directory = Path(lease.directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_long_streams_take_bounded_memory(lease: EmbeddedLease, ssh: Ssh, node: Any) -> None:
    if shutil.which("dd") is None:
        pytest.skip("no dd program")
    # A reader that is 100 MB behind: somebody would have to hold it.
    slow_reader = "sleep 0.5; md5sum"
    upload = f"dd if=/dev/zero bs=1M count=100 status=none | ssh -F {lease.ssh_config} node-1 '{slow_reader}'"
    total = subprocess.run(upload, shell=True, capture_output=True, timeout=60, check=True).stdout.split()[0]
    download = f"ssh -F {lease.ssh_config} node-1 'dd if=/dev/zero bs=1M count=100 status=none' | (sleep 0.5; md5sum)"
    assert subprocess.run(download, shell=True, capture_output=True, timeout=60).stdout.split()[0] == total
    # The server of a session is the parent of its shell.
    peak = ssh(lease, "node-1", "grep VmHWM /proc/$PPID/status").stdout.split()
    assert int(peak[1]) < 100 * 1024
