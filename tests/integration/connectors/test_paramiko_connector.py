"""What is the paramiko connector's alone: its threads, its descriptors, ssh's configuration, its client."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko  # type: ignore[import-untyped, unused-ignore]
import pytest

from pytest_execo import ConnectionFailed, ConnectionLost, Host, Lease, Process, Remote, State
from pytest_execo.connectors.host_keys import CHANGED, host_keys
from pytest_execo.connectors.paramiko import ParamikoConnector
from pytest_execo.processes.handlers import OnBytes
from pytest_execo.processes.io_thread import io_thread

from ..conftest import require

pytestmark = pytest.mark.integration

Eventually = Callable[..., None]
MEGABYTE = 1_000_000


@pytest.fixture
def host(openssh: Host) -> Iterator[Host]:
    """A stock OpenSSH server."""
    host = dataclasses.replace(openssh, connector="paramiko")
    host.disconnect()  # what other tests have left open
    yield host
    host.disconnect()


@pytest.fixture
def home(openssh: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with an empty configuration; its known hosts have the server. No agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    directory = tmp_path / ".ssh"
    directory.mkdir()
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{openssh.port} {openssh.host_key}\n")
    return directory


def transports() -> set[threading.Thread]:
    """Return the threads of paramiko's connections."""
    return {thread for thread in threading.enumerate() if isinstance(thread, paramiko.Transport)}


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def connections(host: Host) -> int:
    """Count the connections that processes share."""
    pool = io_thread().connector("paramiko")._pools.get(host)  # type: ignore[attr-defined]
    return len(pool.links) if pool else 0


def settings(openssh: Host) -> str:
    """Return what an ssh configuration has to say of the server."""
    return f"HostName 127.0.0.1\nPort {openssh.port}\nUser {openssh.user}\nIdentityFile {openssh.keyfile}\n"


# threads and descriptors


def test_a_command_costs_neither_a_thread_nor_a_descriptor(host: Host, eventually: Eventually) -> None:
    io_thread()  # has three descriptors of its own
    threads, before = transports(), descriptors()
    group = Remote("read line; echo $line", [host] * 25, timeout=60).start()
    eventually(lambda: all(p.state is State.RUNNING for p in group), 60)
    assert len(transports() - threads) == connections(host) == 3  # 10 sessions on each
    assert descriptors() - before <= 3
    workers = [thread for thread in threading.enumerate() if thread.name.startswith("pytest-execo paramiko_")]
    assert len(workers) <= 32
    group.write("hello\n").wait(60)
    assert [p.stdout for p in group] == ["hello\n"] * 25
    assert group.ok, group.summary()
    host.disconnect()
    eventually(lambda: transports() <= threads)
    eventually(lambda: descriptors() <= before)


def test_a_server_with_fewer_sessions_than_expected(host: Host, eventually: Eventually) -> None:
    hopeful = dataclasses.replace(host, max_sessions=40)
    group = Remote("read line", [hopeful] * 25, timeout=60).start()
    eventually(lambda: all(p.state is State.RUNNING for p in group), 60)
    group.write("\n").wait(60)
    assert group.ok, group.summary()
    assert connections(hopeful) == 3
    hopeful.disconnect()


def test_nothing_is_left_of_commands_files_and_failures(
    host: Host, silent: Host, closed: Host, tmp_path: Path, eventually: Eventually
) -> None:
    host.run("true")
    host.disconnect()
    threads, before = transports(), descriptors()
    for _ in range(3):
        Remote("echo; exit 0", [host] * 5).run()
        (tmp_path / "file").write_bytes(b"x" * 100_000)
        host.put(tmp_path / "file", tmp_path / "copy")
        for dead in (silent, closed):
            Process("true", dataclasses.replace(dead, connector="paramiko"), timeout=0.2).run(check=False)
        with host.paramiko() as client:
            client.exec_command("true")[1].read()
        host.disconnect()
    for dead in (silent, closed):
        dataclasses.replace(dead, connector="paramiko").disconnect()
    eventually(lambda: transports() <= threads)
    eventually(lambda: descriptors() <= before)


def test_a_connector_that_is_closed_ends_its_threads(host: Host, eventually: Eventually) -> None:
    thread = io_thread()

    async def use() -> None:
        connector = ParamikoConnector()
        connection = await connector.connect(host)
        files = await connector.files(host)
        await files.stat("/")
        assert not connection.closed
        await connector.close()
        await connection.close()

    workers = {each for each in threading.enumerate() if "paramiko" in each.name}
    thread.submit(use()).result(20)
    eventually(lambda: not {each for each in threading.enumerate() if "paramiko" in each.name} - workers)


def test_disconnect_while_starting_ends_the_thread(silent: Host, eventually: Eventually) -> None:
    host = dataclasses.replace(silent, connector="paramiko", keyfile=None)
    before = transports()
    p = Process("true", host, timeout=30).start()
    eventually(lambda: transports() - before)
    host.disconnect()
    p.wait(10)
    assert isinstance(p.error, ConnectionLost)
    eventually(lambda: transports() <= before)


def test_leaving_the_interpreter_during_a_handshake(silent: Host) -> None:
    program = (
        "import threading, time\nfrom pytest_execo import Host, Process\n"
        f"Process('true', Host('127.0.0.1', port={silent.port}, connector='paramiko')).start()\n"
        "while not any('paramiko 127' in thread.name for thread in threading.enumerate()): time.sleep(0.01)"
    )
    before = time.monotonic()
    left = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert time.monotonic() - before < 15
    assert "Task was destroyed" not in left.stderr
    assert "Traceback" not in left.stderr


def test_failures_are_told_by_errors_alone(
    host: Host, silent: Host, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    hopeful = dataclasses.replace(host, max_sessions=20)  # some sessions are refused
    assert Remote("true", [hopeful] * 15).run().ok
    hopeful.disconnect()
    with socket.create_server(("127.0.0.1", 0)) as server:
        liar = dataclasses.replace(host, port=server.getsockname()[1])

        def hang_up() -> None:
            with server.accept()[0] as connection:
                connection.sendall(b"SSH-2.0-x\r\nno packet, and too much of nothing\r\n" * 10)

        thread = threading.Thread(target=hang_up)
        thread.start()
        p = Process("true", liar).run(check=False)
        thread.join()
    assert isinstance(p.error, ConnectionFailed)
    assert not [record for record in caplog.records if record.name.startswith("paramiko")]
    assert "Traceback" not in capfd.readouterr().err


# streams


@pytest.mark.slow
def test_a_hundred_megabytes_of_output_in_bounded_memory(host: Host) -> None:
    digest = hashlib.sha256()

    def update(process: Process, stream: str, data: bytes) -> None:
        digest.update(data)

    line = "{ head -c 100000000 /dev/urandom | tee /proc/self/fd/3 | sha256sum >&2; } 3>&1"
    tracemalloc.start()
    try:
        p = Process(line, host, keep=0, stderr_handlers=(), stdout_handlers=OnBytes(update), timeout=100).start()
        p.wait()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert p.ok
    assert p.stdout_size == 100 * MEGABYTE
    assert peak < 30 * MEGABYTE


def test_ten_megabytes_of_input_to_a_slow_reader_hold_up_nobody(host: Host, eventually: Eventually) -> None:
    data = os.urandom(MEGABYTE) * 10
    host.run("true")
    slow = Process("read go </dev/null; echo ready; while [ ! -e $GO ]; do sleep 0.05; done; sha256sum", host,
                   env={"GO": f"/tmp/execo-go-{os.getpid()}"}, timeout=60).start()  # fmt: skip
    eventually(lambda: slow.stdout == "ready\n")
    writing = threading.Thread(target=lambda: slow.write(data).close_stdin())
    writing.start()
    # Its window is closed, and others on the connection do not wait.
    for _ in range(5):
        before = time.monotonic()
        host.run("true")
        assert time.monotonic() - before < 10
    host.run(f"touch /tmp/execo-go-{os.getpid()}")
    slow.wait()
    writing.join()
    host.run(f"rm /tmp/execo-go-{os.getpid()}")
    assert slow.stdout.split()[1] == hashlib.sha256(data).hexdigest()


def test_new_keys_in_mid_stream(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    # As after 512 MB. What is to be sent meanwhile waits, and nobody with it.
    monkeypatch.setattr("paramiko.packet.Packetizer.REKEY_BYTES", 2 * MEGABYTE)
    data = os.urandom(MEGABYTE) * 12
    group = [Process("cat", host, stdin=data, keep="64MiB", timeout=60).start() for _ in range(2)]
    for p in group:
        assert p.wait().ok
        assert p.stdout_bytes == data


def test_the_end_of_the_output_makes_nobody_busy(host: Host, eventually: Eventually) -> None:
    p = Process("exec >&- 2>&-; read x; exit 4", host).start()
    eventually(lambda: p.state is State.RUNNING)
    before = time.process_time()
    time.sleep(0.5)  # the subject of the test: what is used while nothing happens
    assert time.process_time() - before < 0.25
    p.write("\n").wait()
    assert p.exit_code == 4


def test_tcp_streams(host: Host) -> None:
    size = 3 * MEGABYTE

    def serve(server: socket.socket) -> None:
        with server.accept()[0] as connection:
            got = b""
            while piece := connection.recv(65536):
                got += piece
            connection.sendall(hashlib.sha256(got).hexdigest().encode() + got)

    async def talk(port: int) -> bytes:
        connector = io_thread().connector("paramiko")
        reader, writer = await connector.open_tcp(host, "127.0.0.1", port)
        for _ in range(3):
            writer.write(os.urandom(1) * MEGABYTE)
            await writer.drain()
        writer.write_eof()
        answer = b""
        while piece := await reader.read(65536):
            answer += piece
        writer.close()
        return answer

    async def fail(port: int) -> None:
        await io_thread().connector("paramiko").open_tcp(host, "127.0.0.1", port)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        answer = io_thread().submit(talk(port)).result(30)
        thread.join()
    assert len(answer) == 64 + size
    assert answer[:64].decode() == hashlib.sha256(answer[64:]).hexdigest()
    with pytest.raises(ConnectionFailed, match=f"127.0.0.1 port {port}"):
        io_thread().submit(fail(port)).result(30)


def test_a_silent_network_is_noticed(embedded: Lease, eventually: Eventually, monkeypatch: pytest.MonkeyPatch) -> None:
    node = embedded.nodes[3]
    host = dataclasses.replace(node, connector="paramiko")
    monkeypatch.setattr("pytest_execo.connectors.paramiko.connection._KEEPALIVE_INTERVAL", 0.3)
    monkeypatch.setattr("pytest_execo.connectors.paramiko.connection._SILENCE", 2.0)
    p = host.start("echo up; sleep 1000")
    eventually(lambda: p.stdout == "up\n")
    time.sleep(2.5)  # the subject of the test: an idle connection is not a silent one
    assert p.running
    with node.cut():  # type: ignore[attr-defined]
        p.wait(20)
        assert isinstance(p.error, ConnectionLost)
        assert "no answer for 2" in str(p.error)
    host.disconnect()


# ssh's configuration


def test_an_alias_of_the_configuration(home: Path, openssh: Host) -> None:
    (home / "config").write_text(f"Host alias\n{settings(openssh)}")
    host = Host("alias", connector="paramiko")
    assert host.run("echo $SSH_CONNECTION").stdout.split()[3] == str(openssh.port)
    host.disconnect()
    host_keys.forget([host])


def test_a_host_that_is_not_known(home: Path, openssh: Host) -> None:
    (home / "known_hosts").write_text(f"elsewhere {openssh.host_key}\n")
    stranger = dataclasses.replace(openssh, host_key=None, connector="paramiko", address="localhost")
    p = Process("true", stranger).run(check=False)
    assert isinstance(p.error, ConnectionFailed)
    assert "host key not verified" in str(p.error)
    assert "known_hosts" in str(p.error)


def test_a_hashed_and_a_revoked_key(home: Path, openssh: Host) -> None:
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", home / "known_hosts"], check=True, timeout=30, capture_output=True)
    assert "127.0.0.1" not in (home / "known_hosts").read_text()
    host = dataclasses.replace(openssh, host_key=None, connector="paramiko")
    host_keys.forget([host])
    assert host.run("true").ok
    host.disconnect()
    host_keys.forget([host])
    with (home / "known_hosts").open("a") as known:
        known.write(f"@revoked * {openssh.host_key}\n")
    p = Process("true", host).run(check=False)
    assert "host key not verified" in str(p.error)


def test_an_agent(home: Path, openssh: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    require("ssh-agent", "openssh-client")
    where = home / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", where], stdout=subprocess.DEVNULL) as agent:
        try:
            host = dataclasses.replace(openssh, keyfile=None, connector="paramiko")
            p = Process("true", host).run(check=False)
            assert "authentication refused (no key to offer" in str(p.error)
            with pytest.raises(ConnectionFailed, match="no key to offer"):
                host.paramiko()
            deadline = time.monotonic() + 15
            while not where.exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            monkeypatch.setenv("SSH_AUTH_SOCK", str(where))
            assert openssh.keyfile is not None
            subprocess.run(["ssh-add", "-q", openssh.keyfile], check=True, timeout=30)
            assert host.run("true").ok
            host.disconnect()
        finally:
            agent.terminate()


def test_through_other_hosts(home: Path, openssh: Host, eventually: Eventually) -> None:
    alias = settings(openssh)
    (home / "config").write_text(
        f"Host first\n{alias}\nHost second\n{alias}\nHost target\n{alias}ProxyJump first,second\n"
    )
    before, threads = descriptors(), transports()
    target = Host("target", connector="paramiko")
    assert target.run("cat", stdin=b"x" * MEGABYTE).stdout == "x" * MEGABYTE
    assert len(transports() - threads) == 3
    with target.paramiko() as client:
        assert client.exec_command("echo client")[1].read() == b"client\n"
    target.disconnect()
    eventually(lambda: transports() <= threads)
    eventually(lambda: descriptors() <= before)
    host_keys.forget([target, Host("first"), Host("second")])


def test_a_way_that_is_closed(home: Path, openssh: Host, closed: Host) -> None:
    (home / "config").write_text(
        f"Host dead\nHostName 127.0.0.1\nPort {closed.port}\n"
        f"Host target\n{settings(openssh)}ProxyJump dead\n"
        f"Host round\nProxyJump about\nHost about\nProxyJump round\n"
    )
    p = Process("true", Host("target", connector="paramiko")).run(check=False)
    assert isinstance(p.error, ConnectionFailed)
    assert str(p.error) == "target: connection failed: through dead: Connection refused"
    p = Process("true", Host("round", connector="paramiko")).run(check=False)
    assert "in a circle" in str(p.error)


def test_through_a_program(home: Path, openssh: Host, eventually: Eventually) -> None:
    ssh = shutil.which("ssh")
    require("ssh", "openssh-client")
    assert ssh is not None
    (home / "jump").write_text(f"Host gateway\n{settings(openssh)}UserKnownHostsFile {home}/known_hosts\n")
    (home / "config").write_text(
        f"Host target\n{settings(openssh)}ProxyCommand {ssh} -F {home}/jump -W %h:%p gateway\n"
        f"Host nowhere\n{settings(openssh)}ProxyCommand {sys.executable} -c pass\n"
    )
    before = descriptors()
    target = Host("target", connector="paramiko")
    assert target.run("echo hello").stdout == "hello\n"
    target.disconnect()
    eventually(lambda: descriptors() <= before)
    eventually(lambda: not _children(b"-W"))
    p = Process("true", Host("nowhere", connector="paramiko")).run(check=False)
    assert isinstance(p.error, ConnectionFailed)
    host_keys.forget([target])


def _children(word: bytes) -> list[str]:
    """Return the children of this process whose command lines have ``word``."""
    found = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError):
            for child in Path(f"/proc/self/task/{task}/children").read_text().split():
                with contextlib.suppress(FileNotFoundError):
                    if word in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                        found.append(child)
    return found


# the client


def test_a_client_runs_commands_and_copies(openssh: Host, tmp_path: Path, eventually: Eventually) -> None:
    threads, before = transports(), descriptors()
    client = openssh.paramiko()  # whatever connector the host has
    assert isinstance(client, paramiko.SSHClient)
    _stdin, stdout, stderr = client.exec_command("echo out; echo err >&2; exit 3")
    assert (stdout.read(), stderr.read(), stdout.channel.recv_exit_status()) == (b"out\n", b"err\n", 3)
    with client.open_sftp() as sftp:
        (tmp_path / "here").write_text("content")
        sftp.put(str(tmp_path / "here"), str(tmp_path / "there"))
    assert (tmp_path / "there").read_text() == "content"
    openssh.disconnect()
    assert client.exec_command("echo still")[1].read() == b"still\n"
    client.close()
    eventually(lambda: transports() <= threads)
    eventually(lambda: descriptors() <= before)


def test_a_client_of_an_embedded_node(embedded: Lease) -> None:
    node = embedded.nodes[0]
    with node.paramiko() as client:
        assert client.exec_command("hostname")[1].read().decode() == node.run("hostname").stdout
        with client.open_sftp() as sftp:
            assert sftp.stat(".").st_mode is not None


def test_a_client_that_is_refused(openssh: Host, silent: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = transports()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True, timeout=30)
    other = " ".join((tmp_path / "other.pub").read_text().split()[:2])
    with pytest.raises(ConnectionFailed, match="host key not verified"):
        dataclasses.replace(openssh, host_key=other).paramiko()
    with pytest.raises(ConnectionFailed, match="authentication refused"):
        dataclasses.replace(openssh, keyfile=str(tmp_path / "other")).paramiko()
    with pytest.raises(ConnectionFailed, match="missing"):
        dataclasses.replace(openssh, keyfile=str(tmp_path / "missing")).paramiko()
    with pytest.raises(ConnectionFailed, match="host key of a type"):
        dataclasses.replace(openssh, host_key="sk-ssh-ed25519@openssh.com AAAA").paramiko()
    monkeypatch.setattr("pytest_execo.connectors.ssh.options.CONNECT_TIMEOUT", 0.3)
    with pytest.raises(ConnectionFailed, match="no answer within"):
        dataclasses.replace(silent, keyfile=openssh.keyfile).paramiko()
    assert transports() <= threads


def test_a_client_takes_the_pinned_key_alone(openssh: Host, tmp_path: Path) -> None:
    host = dataclasses.replace(openssh, host_key="accept-new")
    host_keys.forget([host])
    try:
        host.paramiko().close()
        assert host_keys.known(host) == openssh.host_key
        host_keys.forget([host])
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "x"], check=True, timeout=30)
        host_keys.check(host, (tmp_path / "x.pub").read_text())
        with pytest.raises(ConnectionFailed, match=CHANGED):
            host.paramiko()
    finally:
        host_keys.forget([host])
