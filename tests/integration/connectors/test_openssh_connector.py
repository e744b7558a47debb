"""The user's own ssh program: what is told of it, what only it can do, and what it leaves behind: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_execo import ConnectionFailed, ConnectionLost, Get, Host, Lease, Process, Put, Remote, State
from pytest_execo.connectors.contract import Command, End
from pytest_execo.connectors.host_keys import CHANGED, host_keys
from pytest_execo.connectors.openssh import OpensshConnector, options
from pytest_execo.processes.io_thread import io_thread

pytestmark = pytest.mark.integration

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def stock(openssh: Host) -> Iterator[Host]:
    """The stock server, reached by the program; no connection is left to it."""
    host = dataclasses.replace(openssh, connector="openssh")
    yield host
    host.disconnect()


@pytest.fixture
def node(embedded: Lease) -> Iterator[Host]:
    """An embedded node, reached by the program."""
    host = dataclasses.replace(embedded.nodes[3], connector="openssh")
    yield host
    host.disconnect()


def new_key(directory: Path) -> str:
    """Make a key pair and return the public one."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / "other"], check=True, timeout=30)
    return " ".join((directory / "other.pub").read_text().split()[:2])


def masters(host: Host) -> list[int]:
    """Return the pids of the masters of the connections that are open to a host."""
    pool = io_thread().connector("openssh")._pools.get(host)  # type: ignore[attr-defined]
    return [link.connection.master._child.pid for link in pool.links] if pool else []


def failure(host: Host, **options: object) -> Process:
    return Process("true", host, **{"timeout": 30, **options}).run(check=False)  # type: ignore[arg-type]


def is_there(pid: int) -> bool:
    """Whether a process runs; zombies do not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# connections


def test_one_connection_is_shared_and_closed(stock: Host, eventually: Eventually) -> None:
    stock.disconnect()
    others = set(masters(stock))  # of the same server under another description
    clients = {p.stdout for p in Remote("echo $SSH_CLIENT", [stock] * 5, timeout=60).run()}
    clients |= {stock.run("echo $SSH_CLIENT").stdout}
    assert len(clients) == 1
    [master] = set(masters(stock)) - others
    assert is_there(master)
    stock.disconnect()
    assert not is_there(master)
    assert set(masters(stock)) == others
    assert stock.run("echo again").stdout == "again\n"


@pytest.mark.parametrize("expected", [10, 40])
def test_more_processes_than_the_server_takes_on_one_connection(
    stock: Host, eventually: Eventually, expected: int
) -> None:
    host = dataclasses.replace(stock, max_sessions=expected)
    group = Remote("read line; echo $line", [host] * 25, timeout=100).start()
    eventually(lambda: all(p.state is State.RUNNING for p in group), timeout=60)  # type: ignore[call-arg]
    group.write("hello\n").wait(60)
    assert [p.stdout for p in group] == ["hello\n"] * 25
    assert [p.stderr for p in group] == [""] * 25
    assert group.ok, group.summary()
    assert len(masters(host)) == 3
    host.disconnect()


def test_disconnect_ends_what_runs(stock: Host, eventually: Eventually) -> None:
    p = stock.start("echo up; exec sleep 1000")
    eventually(lambda: p.stdout == "up\n")
    stock.disconnect()
    p.wait(10)
    assert isinstance(p.error, ConnectionLost)
    assert (p.stdout, p.stderr) == ("up\n", "")
    assert p.pid is not None
    eventually(lambda: not is_there(p.pid or 0))  # this machine is the host


def test_a_master_that_is_killed(stock: Host, eventually: Eventually) -> None:
    p = stock.start("echo up; exec sleep 1000")
    eventually(lambda: p.stdout == "up\n")
    [master] = masters(stock)
    os.kill(master, signal.SIGKILL)
    p.wait(10)
    assert isinstance(p.error, ConnectionLost)
    assert "killed by SIGKILL" in str(p.error)
    assert p.stderr == ""
    eventually(lambda: not is_there(p.pid or 0))
    assert stock.run("echo again").stdout == "again\n"


def test_a_client_that_is_killed_says_nothing_of_the_command(stock: Host, eventually: Eventually) -> None:
    p = stock.start("echo up; exec sleep 1000")
    eventually(lambda: p.stdout == "up\n")
    pool = io_thread().connector("openssh")._pools[stock]  # type: ignore[attr-defined]
    clients = [c for c in pool.links[0].connection._clients if c._receiver is not pool.links[0].guard]
    os.kill(clients[0]._child.pid, signal.SIGKILL)
    p.wait(10)
    assert isinstance(p.error, ConnectionLost)
    assert "killed by signal 9" in str(p.error)


def test_a_socket_that_was_removed(stock: Host) -> None:
    stock.run("true")
    [master] = masters(stock)
    pool = io_thread().connector("openssh")._pools[stock]  # type: ignore[attr-defined]
    pool.links[0].connection.master.socket.unlink()
    assert isinstance(failure(stock).error, ConnectionLost)
    assert stock.run("echo again").stdout == "again\n"
    assert not is_there(master)


def test_power_cut_in_mid_stream(embedded: Lease, node: Host, eventually: Eventually) -> None:
    p = node.start("yes", keep="1MiB")
    eventually(lambda: p.stdout_size > 100_000)
    with embedded.nodes[3].power_off():  # type: ignore[attr-defined]
        p.wait(15)
        assert isinstance(p.error, ConnectionLost)
        assert p.stderr == ""
        assert isinstance(failure(node).error, ConnectionFailed)
    assert node.run("echo back").stdout == "back\n"


# what can be wrong


def test_nobody_listens(closed: Host) -> None:
    p = failure(dataclasses.replace(closed, connector="openssh"))
    assert isinstance(p.error, ConnectionFailed)
    assert "refused" in str(p.error)
    assert p.error.host == "closed"


def test_no_such_name() -> None:
    p = failure(Host("no-such-host.invalid", connector="openssh"))
    assert isinstance(p.error, ConnectionFailed)
    assert "no-such-host.invalid" in str(p.error)


def test_accepts_and_never_answers(silent: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host = dataclasses.replace(silent, connector="openssh")
    p = failure(host, timeout=0.3)
    assert p.timed_out
    assert not p.ok
    host.disconnect()
    monkeypatch.setattr(options, "LOGIN_TIMEOUT", 0.3)
    p = failure(host)
    assert isinstance(p.error, ConnectionFailed)
    assert "no answer" in str(p.error)


def test_wrong_host_key(stock: Host, tmp_path: Path) -> None:
    p = failure(dataclasses.replace(stock, host_key=new_key(tmp_path)))
    assert isinstance(p.error, ConnectionFailed)
    assert "host key" in str(p.error)


def test_a_changed_host_key(stock: Host, tmp_path: Path) -> None:
    host = dataclasses.replace(stock, host_key="accept-new")
    host_keys.forget([host])
    try:
        host_keys.check(host, new_key(tmp_path))
        p = failure(host)
        assert isinstance(p.error, ConnectionFailed)
        assert CHANGED in str(p.error)
    finally:
        host_keys.forget([host])


def test_a_first_contact_is_pinned(stock: Host) -> None:
    host = dataclasses.replace(stock, host_key="accept-new")
    host_keys.forget([host])
    try:
        host.run("true")
        assert host_keys.known(host) == stock.host_key
        host.disconnect()
        assert host.run("true").ok
    finally:
        host.disconnect()
        host_keys.forget([host])


def test_wrong_user_key(stock: Host, tmp_path: Path) -> None:
    new_key(tmp_path)
    p = failure(dataclasses.replace(stock, keyfile=str(tmp_path / "other")))
    assert isinstance(p.error, ConnectionFailed)
    assert "authentication refused" in str(p.error)


def test_no_key_file(stock: Host, tmp_path: Path) -> None:
    p = failure(dataclasses.replace(stock, keyfile=str(tmp_path / "missing")))
    assert isinstance(p.error, ConnectionFailed)
    assert "missing" in str(p.error)


def test_no_program(stock: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    p = failure(stock)
    assert isinstance(p.error, ConnectionFailed)
    assert "apt-get install openssh-client" in str(p.error)


# the user's configuration


@pytest.fixture
def configured(stock: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Host]]:
    """Gives a host that only a configuration file knows, with one more line of it."""
    hosts: list[Host] = []
    known = tmp_path / "known"
    known.write_text(f"# a comment\n[127.0.0.1]:{stock.port} {stock.host_key}\n")

    def make(extra: str) -> Host:
        config = tmp_path / "config"
        config.write_text(
            f"Host *\n  HostName 127.0.0.1\n  Port {stock.port}\n  User {stock.user}\n  IdentityFile {stock.keyfile}\n"
            f"  UserKnownHostsFile {known}\n  GlobalKnownHostsFile /dev/null\n  LogLevel QUIET\n"
            f"  RequestTTY force\n  ControlPersist 10m\nHost alias\n  {extra}\n"
        )
        monkeypatch.setenv("EXECO_OPENSSH", f"ssh -F {shlex.quote(str(config))}")
        hosts.append(Host("alias", connector="openssh"))
        return hosts[-1]

    yield make
    for host in hosts:
        host.disconnect()
    host_keys.forget(hosts)


def test_a_configuration_file_decides(configured: Callable[[str], Host], stock: Host) -> None:
    host = configured("SetEnv LC_EXECO=seen")
    p = host.run("test -t 0 || echo 'no terminal'")
    assert p.stdout == "no terminal\n"
    assert host_keys.known(host) == stock.host_key, "what its known hosts accepted is pinned"
    host.disconnect()
    assert host.run("true").ok


def test_a_key_that_the_users_known_hosts_do_not_have(configured: Callable[[str], Host]) -> None:
    host = configured("HostKeyAlias somebody-else")
    p = failure(host)
    assert isinstance(p.error, ConnectionFailed)
    assert "known_hosts" in str(p.error)


def test_a_host_behind_another(configured: Callable[[str], Host], eventually: Eventually) -> None:
    host = configured("ProxyJump 127.0.0.1")
    assert host.run("echo through").stdout == "through\n"
    [master] = masters(host)
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    assert children
    host.disconnect()
    eventually(lambda: not any(is_there(int(child)) for child in children))


# what goes through it


def test_a_slow_reader_of_ten_megabytes(stock: Host) -> None:
    data = os.urandom(10_000_000)
    reader = "import hashlib, sys, time\nh = hashlib.sha256()\n"
    reader += "while piece := sys.stdin.buffer.read(500_000): h.update(piece); time.sleep(0.01)\nprint(h.hexdigest())"
    p = Process([sys.executable, "-c", reader], stock, stdin=data, timeout=60).run()
    assert p.stdout.strip() == hashlib.sha256(data).hexdigest()


def test_a_terminal_without_an_escape_character(stock: Host) -> None:
    p = Process('stty -echo; echo ready; read line; echo "got $line"; tty', stock, pty=True, timeout=30).start()
    p.expect("ready")
    p.write("~.\n").wait(20)
    assert p.stdout.splitlines()[1] == "got ~."
    assert "/dev/" in p.stdout


def test_a_kill_reaches_what_runs_on_a_terminal(stock: Host, eventually: Eventually) -> None:
    p = Process("echo up; sleep 1000", stock, pty=True, timeout=60).start()
    p.expect("up")
    p.kill()
    assert p.ended
    assert p.signal == signal.SIGTERM
    eventually(lambda: not is_there(p.pid or 0))


def test_a_line_of_a_megabyte(stock: Host) -> None:
    assert stock.run(f"printf %s {'x' * 1_000_000} | wc -c").stdout == "1000000\n"


def test_files_both_ways(stock: Host, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "big").write_bytes(os.urandom(3_000_000))
    (source / "inner" / "empty").touch(mode=0o600)
    (source / "link").symlink_to("inner/empty")
    assert Put([stock], source, tmp_path / "there", timeout=60).run().ok
    assert Get([stock], tmp_path / "there", tmp_path / "back", timeout=60).run().ok
    back = next(path for path in (tmp_path / "back", tmp_path / "back" / "there") if (path / "big").exists())
    assert (back / "big").read_bytes() == (source / "big").read_bytes()
    assert (back / "link").readlink() == Path("inner/empty")
    assert (back / "inner" / "empty").stat().st_mode & 0o777 == 0o600


def test_tcp(stock: Host, closed: Host) -> None:
    async def main() -> None:
        connector = OpensshConnector()
        try:
            with socket.create_server(("127.0.0.1", 0)) as server:
                reader, writer = await connector.open_tcp(stock, "127.0.0.1", server.getsockname()[1])
                peer, _ = server.accept()
                with peer:
                    writer.write(b"ping" * 100_000)
                    writer.write_eof()
                    received = await asyncio.to_thread(lambda: b"".join(iter(lambda: peer.recv(65536), b"")))
                    assert received == b"ping" * 100_000
                    peer.sendall(b"pong")
                    peer.shutdown(socket.SHUT_WR)
                    assert await reader.read(100) == b"pong"
                    assert await reader.read(100) == b""
                writer.close()
            with pytest.raises(ConnectionFailed, match=r"port \d+: .*refused"):
                await connector.open_tcp(stock, "127.0.0.1", closed.port or 0)
        finally:
            await connector.close()

    asyncio.run(main())


# what is left


class Told:
    """A receiver that waits."""

    def __init__(self) -> None:
        self.output = b""
        self.end: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    def started(self, pid: int | None) -> None:
        """It runs."""

    def received(self, stream: str, data: bytes) -> None:
        """Keep it."""
        self.output += data

    def ended(self, end: End) -> None:
        """Note it."""
        self.end.set_result(end)


def children() -> set[str]:
    """Return the children of this process."""
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found |= set((task / "children").read_text().split())
    return found


@pytest.fixture
def own_temporary_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place for sockets that no other test uses, with a name that is short enough for them."""
    with tempfile.TemporaryDirectory(prefix="execo-") as path:
        monkeypatch.setattr(tempfile, "tempdir", path)
        yield


def nests() -> set[Path]:
    """Return the directories for sockets."""
    return set(Path(tempfile.gettempdir()).glob("execo-ssh-*"))


@pytest.mark.usefixtures("own_temporary_directory")
@pytest.mark.parametrize("how", ["close", "disconnect", "cancel"])
def test_nothing_is_left(stock: Host, silent: Host, how: str) -> None:
    io_thread().submit(_nothing()).result()  # what it opens for itself is not counted
    before = (children(), len(os.listdir("/proc/self/fd")), nests())

    async def main() -> None:
        connector = OpensshConnector()
        told = [Told() for _ in range(15)]
        channels = [await connector.start(stock, Command(line="echo up; exec sleep 1000"), each) for each in told]
        files = await connector.files(stock)
        assert await files.stat("/") is not None
        starting = asyncio.ensure_future(connector.start(silent, Command(line="true"), Told()))
        for _ in range(3):
            await asyncio.sleep(0)  # the task, its shielded part, and the opening of the connection
        assert connector._openings
        assert nests() > before[2]
        if how == "cancel":
            starting.cancel()
            for channel in channels:
                channel.close()
        if how == "disconnect":
            await connector.disconnect(stock)
            await connector.disconnect(silent)
        else:
            await connector.close()
        ends = await asyncio.wait_for(asyncio.gather(*(each.end for each in told)), 10)
        assert [end for end in ends if not isinstance(end.error, ConnectionLost)] == []
        await asyncio.gather(starting, return_exceptions=True)
        assert children() == before[0]
        assert nests() == before[2]

    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) == before[1]


async def _nothing() -> None:
    """Do nothing."""


def test_nothing_outlives_a_controller_that_is_killed(stock: Host, eventually: Eventually) -> None:
    program = (
        "import sys, time\nfrom pytest_execo import Host\n"
        f"host = {stock!r}\n"
        "p = host.start('echo up; exec sleep 1000')\np.expect('up')\n"
        "from pytest_execo.processes.io_thread import io_thread\n"
        "master = io_thread().connector('openssh')._pools[host].links[0].connection.master\n"
        "print(p.pid, master._child.pid, master.socket, flush=True)\ntime.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        remote, master, path = controller.stdout.readline().split()
        assert is_there(int(remote))
        assert is_there(int(master))
        controller.kill()
    eventually(lambda: not is_there(int(master)))
    eventually(lambda: not is_there(int(remote)))
    eventually(lambda: not Path(path).parent.exists())
