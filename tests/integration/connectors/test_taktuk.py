"""What is TakTuk's own: trees, hosts that are tried again, what is left behind, and what its users can set."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_execo import ConnectionFailed, ConnectionLost, Host, InvalidInput, Lease, Process, ProcessError, Remote
from pytest_execo.processes.io_thread import io_thread

from ..conftest import SSHD, _answers, require

pytestmark = pytest.mark.integration

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture(autouse=True)
def _taktuk() -> None:
    require("taktuk", "taktuk")


def over_taktuk(host: Host, **changes: object) -> Host:
    return dataclasses.replace(host, connector="taktuk", **changes)  # type: ignore[arg-type]


@pytest.fixture
def far(openssh: Host) -> Iterator[Host]:
    """A stock server."""
    host = over_taktuk(openssh)
    yield host
    host.disconnect()


@pytest.fixture
def node(embedded: Lease) -> Iterator[Host]:
    """A node whose power and network can be cut."""
    host = over_taktuk(embedded.nodes[3])
    yield host
    host.disconnect()


@pytest.fixture(scope="module")
def farm(openssh: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    """Hosts that are addresses of one server, which is on all of loopback."""
    home = tmp_path_factory.mktemp("farm")
    assert openssh.keyfile is not None
    assert SSHD is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lines = (Path(openssh.keyfile).parent / "sshd_config").read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("Port", "ListenAddress", "PidFile"))]
    own = [f"ListenAddress 0.0.0.0:{port} rdomain lo", f"PidFile {home}/pid", "MaxStartups 500"]
    (home / "config").write_text("\n".join([*kept, *own, ""]))
    log = (home / "log").open("wb")
    command = [SSHD, "-D", "-e", "-f", home / "config"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as sshd:
        try:
            _answers(port, sshd, home / "log")
            hosts = [
                over_taktuk(openssh, address=f"127.0.1.{number}", name=f"h{number}", port=port)
                for number in range(1, 31)
            ]
            yield hosts
            io_thread().disconnect(hosts)
        finally:
            sshd.terminate()
            log.close()


def parent(pid: int) -> int:
    """Return the parent of a process; 0 when there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def reached_by(pid: int, words: str) -> int:
    """Count the ssh programs with ``words`` among their arguments that descend from a process here."""
    count = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        above = int(entry.parent.name)
        if line.startswith("ssh ") and words in line:
            while above > 1 and above != pid and "sshd" not in Path(f"/proc/{above}/comm").read_text():
                above = parent(above)
            count += above == pid
    return count


def trees() -> set[object]:
    return set(io_thread().connector("taktuk")._trees)  # type: ignore[attr-defined]


def failure(host: Host, **options: object) -> Process:
    return Process("true", host, **{"timeout": 40, **options}).run(check=False)  # type: ignore[arg-type]


# trees


def test_what_starts_together_shares_a_tree(farm: list[Host]) -> None:
    before = trees()
    group = Remote("echo {{{host}}} $SSH_CONNECTION", farm, timeout=60).run()
    assert len(trees() - before) == 1
    assert [p.stdout.split()[0] for p in group] == [host.name for host in farm]
    assert [p.stdout.split()[3] for p in group] == [host.address for host in farm]


def test_a_second_command_finds_the_tree(farm: list[Host]) -> None:
    Remote("true", farm[:5], timeout=60).run()
    before = trees()
    assert Remote("echo again", farm[:5], timeout=60).run().ok
    assert trees() <= before


def test_hosts_help_each_other(
    farm: list[Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., None]
) -> None:
    # What all of them know of each other is in the configuration of ssh; the shape of the tree is seen from inside.
    first = farm[0]
    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host *\n Port {first.port}\n User {first.user}\n IdentityFile {first.keyfile}\n IdentitiesOnly yes\n"
        " StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n"
    )
    monkeypatch.setenv("EXECO_TAKTUK_SSH", f"ssh -F {config}")
    monkeypatch.setenv("EXECO_TAKTUK_ARITY", "2")
    hosts = [Host(host.address, connector="taktuk") for host in farm[:9]]
    before = trees()
    group = Remote("echo up; cat; exit 3", hosts, timeout=60).start()
    eventually(lambda: all(p.stdout for p in group), 30)
    (tree,) = trees() - before
    assert 0 < reached_by(tree._transport.get_pid(), str(config)) <= 2  # type: ignore[attr-defined]
    group.write(b"\0!  \xff").close_stdin().wait(30)
    assert group.summary() == "9 exit 3"
    assert {p.stdout_bytes for p in group} == {b"up\n\0!  \xff"}
    io_thread().disconnect(hosts)


def test_a_host_that_no_other_could_reach_is_tried_from_here(
    farm: list[Host], closed: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = farm[0]
    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host 127.0.1.*\n Port {first.port}\nHost dead\n HostName 127.0.0.1\n Port {closed.port}\n"
        f"Host *\n User {first.user}\n IdentityFile {first.keyfile}\n IdentitiesOnly yes\n"
        " StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n"
    )
    monkeypatch.setenv("EXECO_TAKTUK_SSH", f"ssh -F {config}")
    monkeypatch.setenv("EXECO_TAKTUK_ARITY", "1")
    hosts = [Host(name, connector="taktuk") for name in ("127.0.1.1", "127.0.1.2", "dead", "127.0.1.3")]
    group = Remote("echo up", hosts, timeout=60).run(check=False)
    assert group.summary() == "3 ok, 1 unreachable"
    assert "refused" in str(group[2].error)
    io_thread().disconnect(hosts)


def test_settings_that_are_none(far: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    far.disconnect()
    monkeypatch.setenv("EXECO_TAKTUK_WINDOW", "many")
    p = failure(far)
    assert isinstance(p.error, InvalidInput)
    assert str(p.error) == "EXECO_TAKTUK_WINDOW=many: not a whole number"


def test_taktuk_is_missing(far: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    far.disconnect()
    monkeypatch.setenv("PATH", str(tmp_path))
    group = Remote("true", [far, over_taktuk(far, address="127.0.0.2")], timeout=20).run(check=False)
    for p in group:
        assert isinstance(p.error, ConnectionFailed)
        assert "taktuk is not installed on this machine (apt-get install taktuk)" in str(p.error)


# hosts that are not as they should be


def test_who_never_answers_is_given_up(silent: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_execo.connectors.taktuk.options.CONNECT_TIMEOUT", 2)
    p = failure(over_taktuk(silent))
    assert isinstance(p.error, ConnectionFailed)
    assert "no answer within" in str(p.error)
    assert p.duration is not None
    assert p.duration < 15  # and not the 20 s of the default


def test_who_never_answers_does_not_hold_up_others(silent: Host, farm: list[Host]) -> None:
    hosts = [farm[0], over_taktuk(silent), *farm[1:4]]
    group = Remote("read line; echo got $line", hosts, timeout=60)
    begun = time.monotonic()
    group.start().write("it\n")
    for index in (0, 2, 3, 4):
        group[index].wait(30)
    assert time.monotonic() - begun < 12
    assert [group[index].stdout for index in (0, 2, 3, 4)] == ["got it\n"] * 4
    group.kill()
    assert group[1].ended


def test_this_machine_is_not_a_host() -> None:
    p = Process("true", connector="taktuk", timeout=10).run(check=False)
    assert isinstance(p.error, ConnectionFailed)
    assert "needs a host" in str(p.error)


# what breaks later


def test_a_relay_that_is_killed(far: Host, eventually: Eventually) -> None:
    p = Process("read x; kill -9 $PPID; sleep 10", far, timeout=30).start()
    eventually(lambda: p.pid is not None)
    p.write("now\n").wait(20)
    assert isinstance(p.error, ConnectionLost)
    assert "signal 9" in str(p.error)
    assert far.run("echo again", timeout=30).stdout == "again\n"


def test_taktuk_that_is_killed(far: Host, eventually: Eventually) -> None:
    p = far.start("echo $$; sleep 1000", timeout=60)
    eventually(lambda: p.stdout)
    tree = io_thread().connector("taktuk")._nodes[far]._trunk  # type: ignore[attr-defined]
    os.kill(tree._transport.get_pid(), signal.SIGKILL)
    p.wait(15)
    assert isinstance(p.error, ConnectionLost)
    eventually(lambda: not Path(f"/proc/{p.stdout.strip()}").exists())
    assert far.run("echo again", timeout=30).stdout == "again\n"


def test_disconnect_ends_what_runs(farm: list[Host], eventually: Eventually) -> None:
    first, second = (host.start("echo $$; exec sleep 1000") for host in farm[:2])
    eventually(lambda: first.stdout and second.stdout)
    farm[0].disconnect()
    first.wait(10)
    assert isinstance(first.error, ConnectionLost)
    eventually(lambda: not Path(f"/proc/{first.stdout.strip()}").exists())
    assert second.running
    assert farm[0].run("echo again", timeout=30).stdout == "again\n"
    second.kill()


# kill


def test_a_tree_of_processes_is_killed(far: Host, eventually: Eventually) -> None:
    p = far.start("setsid sh -c 'echo $$; setsid sleep 1000 & wait' & wait", timeout=60)
    eventually(lambda: p.stdout)
    daemon = p.stdout.strip()
    p.kill(tree=True)
    assert p.killed
    eventually(lambda: not Path(f"/proc/{daemon}").exists())


def test_killed_before_it_began_leaves_nothing_there(node: Host, eventually: Eventually) -> None:
    node.run("true")
    with node.slow(latency=0.7):  # type: ignore[attr-defined]
        p = node.start("sleep 4712")
        p.kill(wait=True)
        assert p.ended
    eventually(lambda: node.run("ps ax | grep -c '[s]leep 4712'", check=False).stdout == "0\n")


def test_each_host_has_its_own_time(farm: list[Host]) -> None:
    group = Remote("sleep {{time}}; echo up", farm[:3], substitutions={"time": [0, 1000, 0]}, timeout=5)
    group.run(check=False)
    assert group.summary() == "2 ok, 1 timed out"


# what is left


def test_what_is_detached_goes_on_and_the_rest_does_not(far: Host, tmp_path: Path, eventually: Eventually) -> None:
    script = textwrap.dedent(f"""
        import time
        from pytest_execo import Host, Process
        from pytest_execo.processes.io_thread import io_thread
        host = Host({far.address!r}, user={far.user!r}, port={far.port}, keyfile={far.keyfile!r},
                    host_key={far.host_key!r}, connector="taktuk")
        tied = Process("exec sleep 1000", host).start()
        deaf = Process("trap '' TERM; while :; do sleep 0.1; done", host).start()
        free = Process("exec sleep 1000", host, detached=True).start()
        while None in (tied.pid, deaf.pid, free.pid):
            time.sleep(0.01)
        tree, = io_thread().connector("taktuk")._trees
        print(tied.pid, deaf.pid, free.pid, tree._transport.get_pid(), flush=True)
        time.sleep(1000)
    """)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        tied, deaf, free, taktuk = map(int, controller.stdout.readline().split())
        controller.kill()
    try:
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (tied, deaf, taktuk)))
        assert Path(f"/proc/{free}").exists()
        assert os.listdir(tmp_path) == []
    finally:
        os.kill(free, signal.SIGKILL)


def test_nothing_is_left_behind(
    farm: list[Host], closed: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    io_thread().disconnect(farm)
    eventually(lambda: not trees())
    descriptors = len(os.listdir("/proc/self/fd"))
    group = Remote("sleep 0.1", [*farm[:6], over_taktuk(closed)], timeout=60).run(check=False)
    assert group.summary() == "6 ok, 1 unreachable"
    (tree,) = trees()
    pid = tree._transport.get_pid()  # type: ignore[attr-defined]
    io_thread().disconnect(farm)
    eventually(lambda: not trees())
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    assert os.listdir(tmp_path) == []
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)


def test_the_end_of_the_interpreter_ends_the_tree(far: Host) -> None:
    script = textwrap.dedent(f"""
        from pytest_execo import Host, Process
        host = Host({far.address!r}, user={far.user!r}, port={far.port}, keyfile={far.keyfile!r},
                    host_key={far.host_key!r}, connector="taktuk")
        print(Process("echo $$; exec sleep 1000", host).start().expect("[0-9]+").text)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert not Path(f"/proc/{done.stdout.strip()}").exists()


def test_a_fork_does_not_keep_a_tree_alive(far: Host, eventually: Eventually) -> None:
    script = textwrap.dedent(f"""
        import os, time
        from pytest_execo import Host, Process
        from pytest_execo.processes.io_thread import io_thread
        host = Host({far.address!r}, user={far.user!r}, port={far.port}, keyfile={far.keyfile!r},
                    host_key={far.host_key!r}, connector="taktuk")
        p = Process("exec sleep 1000", host).start()
        while p.pid is None:
            time.sleep(0.01)
        tree, = io_thread().connector("taktuk")._trees
        child = os.fork()
        if child == 0:
            time.sleep(1000)
        print(child, p.pid, tree._transport.get_pid(), flush=True)
        time.sleep(1000)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        child, *others = map(int, controller.stdout.readline().split())
        controller.kill()
    try:
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in others))
    finally:
        os.kill(child, signal.SIGKILL)


def test_write_to_one_that_is_over(far: Host) -> None:
    p = far.run("true", timeout=30)
    with pytest.raises(ProcessError, match="has ended"):
        p.write("x")
