"""The chain over real hosts: every tool and shell, whatever dies, and nothing left behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_execo import ChainPut, Host, Hosts, InvalidInput
from pytest_execo.errors import ConnectionLost, ConnectorError
from pytest_execo.processes import ChainTransfer, State
from pytest_execo.processes.chain import hop as hops
from pytest_execo.processes.chain.head import proof
from pytest_execo.processes.chain.hop import Hop
from pytest_execo.processes.chain.link import Link
from pytest_execo.processes.chain.source import Source
from pytest_execo.processes.io_thread import io_thread
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.embedded import EmbeddedLease, EmbeddedNode, EmbeddedTestbed

from ..conftest import require

pytestmark = pytest.mark.integration

Eventually = Callable[[Callable[[], object]], None]

TOOLS = ("python3", "perl", "nc")
SHELLS = {"dash": "dash", "bash": "bash --posix", "busybox": "busybox sh"}
# What the agents need besides: for hosts that have this and no more.
PROGRAMS = "cat chmod dd dirname ls mkdir mkfifo mv od rm rmdir sed sleep tar touch awk cksum"
MEGABYTE = 1 << 20
# What is left on a host: its files, and the processes of a chain, whose patterns do not match themselves.
LEFT = "ls -A; pgrep -fa 'execo[-]chain|python3 [-]IS|perl [-] |n[c] ' || true"


@pytest.fixture(scope="module")
def lease() -> Iterator[EmbeddedLease]:
    """Eight nodes, connected: what is measured in seconds here is not their boot."""
    lease = EmbeddedTestbed().reserve(Request(nodes=8))
    lease.nodes.run("true")
    yield lease
    lease.release()


@pytest.fixture
def nodes(lease: EmbeddedLease) -> Iterator[Hosts]:
    """Its nodes, as they were when the test is over, and with nothing of a chain on them."""
    yield lease.nodes
    for node in lease.nodes:
        assert isinstance(node, EmbeddedNode)
        node.heal()
        node.power_on()
    left = lease.nodes.run(
        f"find . -mindepth 1 -maxdepth 1 ! -name .ssh ! -name '.execo-*' -exec rm -rf {{}} +; {LEFT}"
    )
    lease.nodes.run("rm -rf .execo-*")
    assert {p.stdout for p in left} == {".ssh\n"}


def outcomes(group: Any) -> dict[str, list[str]]:
    """Return what became of whom, errors included: for an assertion that tells why it failed."""
    return {outcome: [str(t.error or t.host) for t in some] for outcome, some in group.by_outcome().items()}


def random_file(path: Path, size: int) -> Path:
    path.write_bytes(random.Random(size).randbytes(size))
    return path


def sums(hosts: Hosts, target: str = "copy") -> set[str]:
    return {p.stdout.split()[0] for p in hosts.run(f"sha256sum {target}")}


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shell(monkeypatch: pytest.MonkeyPatch, hosts: Hosts, command: str = "sh", only: str = "", **links: str) -> None:
    """Have agents run by a shell of ours: ``links`` come first in its path, and ``only`` these may be all of it."""
    require(command.split()[0], command.split()[0])
    path = "$HOME/bin" if only else "$HOME/bin:$PATH"
    made = [f"ln -s {target} bin/{name}" for name, target in links.items()]
    made += [f"ln -s $(command -v {name}) bin/" for name in only.split()]
    script = f'#!/bin/sh\nPATH={path} exec {shutil.which(command.split()[0])} {" ".join(command.split()[1:])} "$@"\n'
    hosts.run(
        ["sh", "-c", f"mkdir bin; {'; '.join(made) or ':'}; cat >bin/agent-shell; chmod +x bin/agent-shell"],
        stdin=script,
    )
    monkeypatch.setattr(hops, "SHELL", "bin/agent-shell")


# what arrives


@pytest.mark.parametrize("size", [0, 1, 65_537, 3 * MEGABYTE + 1])
def test_a_file(nodes: Hosts, tmp_path: Path, size: int) -> None:
    source = random_file(tmp_path / "file", size)
    source.chmod(0o741)
    os.utime(source, (1_000_000_000, 1_600_000_001.5))
    group = ChainPut(nodes, source, "copy").run()
    assert sums(nodes) == {sum_of(source)}
    assert {p.stdout for p in nodes.run("stat -c '%a %Y %s' copy")} == {f"741 1600000001 {size}\n"}
    assert [(t.state, t.ok, t.tool, t.bytes_done, t.verified) for t in group] == [
        (State.ENDED, True, "python3", size, True)
    ] * 8
    assert group.summary() == "8 ok"


@pytest.mark.slow
def test_thirty_megabytes_to_eight(nodes: Hosts, tmp_path: Path) -> None:
    source = random_file(tmp_path / "file", 30 * MEGABYTE)
    ChainPut(nodes, source, "copy").run()
    assert sums(nodes) == {sum_of(source)}


@pytest.mark.parametrize("shell_name", SHELLS)
@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_with_every_shell(
    nodes: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, shell_name: str
) -> None:
    shell(monkeypatch, nodes, SHELLS[shell_name])
    source = random_file(tmp_path / "file", 300_001)
    nodes = nodes[:6]
    group = ChainPut(nodes, source, "copy", tools=[tool]).run()
    assert {t.tool for t in group} == {tool}
    assert sums(nodes) == {sum_of(source)}


# The netcats there are, and Debian's packages of them.
PACKAGES = {"nc.openbsd": "netcat-openbsd", "nc.traditional": "netcat-traditional", "busybox": "busybox"}


@pytest.mark.parametrize("kind", PACKAGES)
def test_every_kind_of_nc(nodes: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    require(kind, PACKAGES[kind])
    program = shutil.which(kind)
    assert program is not None
    shell(monkeypatch, nodes, nc=program)
    for size in (0, 2 * MEGABYTE + 1):
        source = random_file(tmp_path / "file", size)
        group = ChainPut(nodes[:6], source, "copy", tools=["nc"]).run()
        assert {t.tool for t in group} == {"nc"}
        assert sums(nodes[:6]) == {sum_of(source)}


def test_all_tools_in_one_chain(nodes: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell(monkeypatch, nodes, only=PROGRAMS)
    programs = {"python3": sys.executable, "perl": shutil.which("perl"), "nc": shutil.which("nc")}
    for index, (name, program) in enumerate([*programs.items()] * 2):
        nodes[index].run(f"ln -s {os.path.realpath(program or '')} bin/{name}")
    source = random_file(tmp_path / "file", 2 * MEGABYTE + 7)
    group = ChainPut(nodes, source, "copy", log=False).run(check=False)
    assert [t.tool for t in group] == ["python3", "perl", "nc"] * 2 + [None] * 2
    assert sums(nodes[:6]) == {sum_of(source)}
    assert group.by_outcome() == {"ok": group[:6], "not copied": group[6:]}
    assert {t.error.reason for t in group[6:] if isinstance(t.error, ConnectorError)} == {
        "none of python3 perl nc works on the host"
    }


def test_a_host_that_no_chain_can_use_gets_it_by_sftp(
    nodes: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell(monkeypatch, nodes[:1], only=PROGRAMS)
    shell(monkeypatch, nodes[1:4])
    source = random_file(tmp_path / "file", 100_000)
    group = ChainPut(nodes[:4], source, "copy", fallback=True).run()
    assert [t.tool for t in group] == ["sftp", "python3", "python3", "python3"]
    assert {(t.bytes_done, t.verified) for t in group} == {(100_000, True)}
    assert sums(nodes[:4]) == {sum_of(source)}


def tree(directory: Path) -> Path:
    (directory / "tree/empty").mkdir(parents=True)
    (directory / "tree/.hidden").write_text("x")
    (directory / "tree/deep/er").mkdir(parents=True)
    (directory / "tree/deep/er/-a b\nc").write_bytes(b"odd")
    (directory / "tree/program").write_text("#!/bin/sh\n")
    (directory / "tree/program").chmod(0o755)
    (directory / "tree/link").symlink_to("deep/er")
    os.utime(directory / "tree", (1_000_000_000, 1_000_000_000))
    return directory / "tree"


LISTING = "find . -printf '%P|%M|%l\\n' | sort | sha256sum; stat -c %Y ."


@pytest.mark.parametrize("target", ["copy", "there/", "new/deep/", "~/new"])
def test_a_directory(nodes: Hosts, tmp_path: Path, target: str) -> None:
    source = tree(tmp_path)
    nodes.run("mkdir there")
    ChainPut(nodes[:3], source, target, tools=["perl"]).run()
    place = {"there/": "there/tree", "new/deep/": "new/deep/tree", "~/new": "new"}.get(target, target)
    here = Host("here", connector="local").run(LISTING, cwd=str(source)).stdout
    assert {p.stdout for p in nodes[:3].run(f"cd {place} && {LISTING}")} == {here}
    (source / "more").write_text("more")
    ChainPut(nodes[:3], source, target, tools=["perl"]).run()  # now into what is there
    inside = f"{place}/tree" if target in ("copy", "~/new") else place
    assert nodes[0].run(f"cd {inside} && cat more").stdout == "more"


def test_several_sources_and_a_target_for_each(nodes: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tree(tmp_path), random_file(tmp_path / "b", 10_000)
    monkeypatch.chdir(tmp_path)
    ChainPut(nodes[:3], [first.name, "b"], "to-{{{host}}}-{{n}}/", substitutions={"n": [1, 2, 3]}).run()
    for index, node in enumerate(nodes[:3], 1):
        assert node.run(f"cd to-{node}-{index} && ls").stdout == "b\ntree\n"
    assert sum_of(second) in sums(nodes[:1], f"to-{nodes[0]}-1/b")


def test_names_of_any_kind(nodes: Hosts, tmp_path: Path) -> None:
    for name in ("-n", "a b\n$(id)'\"* caf\udce9"):
        source = random_file(tmp_path / name, 100)
        ChainPut(nodes[:2], source, "./", tools=["perl"]).run()
        assert nodes[0].run(["cat", f"./{name}"]).stdout_bytes == source.read_bytes()


def test_the_same_host_twice_is_one_hop(nodes: Hosts, tmp_path: Path) -> None:
    source = random_file(tmp_path / "file", 10)
    assert len(ChainPut([*nodes[:2], nodes[0]], source, "copy").run()) == 2
    assert len(ChainPut([nodes[0]] * 2, source, "c{{n}}", substitutions={"n": [1, 2]}).run()) == 2
    assert nodes[0].run("ls").stdout == "c1\nc2\ncopy\n"


# what goes wrong


# Most of these tests are not about the tool, and Perl starts fastest.
PERL = ("perl",)


def in_the_middle(group: ChainPut, eventually: Eventually, at: int) -> None:
    """Wait until the last of the chain has some of the file and the first does not have all."""
    eventually(lambda: group[-1].bytes_done > at)
    assert group[0].running


def survivors(group: ChainPut, *dead: int) -> list[ChainTransfer]:
    return [t for index, t in enumerate(group) if index not in {d % len(group) for d in dead}]


SIZE = 6 * MEGABYTE
RATE = "2MiB/s"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "dead"),
    [("perl", (0,)), ("perl", (3,)), ("perl", (-1,)), ("perl", (2, 3)), ("python3", (3,)), ("nc", (3,))],
)
def test_hops_that_are_switched_off(
    nodes: Hosts, tmp_path: Path, eventually: Eventually, dead: tuple[int, ...], tool: str
) -> None:
    source = random_file(tmp_path / "file", SIZE)
    with ChainPut(nodes, source, "copy", rate=RATE, tools=[tool], hop_timeout=2, log=False) as group:
        in_the_middle(group, eventually, SIZE // 5)
        for index in dead:
            node = nodes[index]
            assert isinstance(node, EmbeddedNode)
            node.power_off()
        group.wait(60)
    alive = survivors(group, *dead)
    assert {t.outcome() for t in alive} == {"ok"}, outcomes(group)
    assert sums(Hosts([t.host for t in alive if t.host])) == {sum_of(source)}
    for index in dead:
        assert isinstance(group[index].error, ConnectorError)
        assert not group[index].ok
        assert group[index].bytes_done < SIZE
        nodes[index].power_on()  # type: ignore[attr-defined]
        nodes[index].run("rm .execo-*")  # nobody could


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["execo-chain", "perl - receive"])
def test_an_agent_that_is_killed(nodes: Hosts, tmp_path: Path, eventually: Eventually, victim: str) -> None:
    source = random_file(tmp_path / "file", SIZE)
    with ChainPut(nodes, source, "copy", rate=RATE, tools=PERL, hop_timeout=2, log=False) as group:
        in_the_middle(group, eventually, SIZE // 5)
        nodes[2].run(f"pkill -KILL -f '{victim[:-1]}[{victim[-1]}]'")
        group.wait(60)
    assert {t.outcome() for t in survivors(group, 2)} == {"ok"}, outcomes(group)
    assert sums(Hosts([t.host for t in survivors(group, 2) if t.host])) == {sum_of(source)}
    if victim == "execo-chain":
        assert group[2].outcome() == "not copied"
    else:  # its tool alone: the agent makes another
        assert group[2].ok


@pytest.mark.slow
def test_a_hop_that_falls_silent(nodes: Hosts, tmp_path: Path, eventually: Eventually) -> None:
    source = random_file(tmp_path / "file", SIZE)
    node = nodes[3]
    assert isinstance(node, EmbeddedNode)
    with ChainPut(nodes, source, "copy", rate=RATE, tools=PERL, hop_timeout=1, log=False) as group:
        in_the_middle(group, eventually, SIZE // 5)
        with node.cut():
            group.wait(60)
    assert {t.outcome() for t in survivors(group, 3)} == {"ok"}, outcomes(group)
    assert isinstance(group[3].error, ConnectionLost)
    assert sums(Hosts([t.host for t in survivors(group, 3) if t.host])) == {sum_of(source)}
    eventually(lambda: node.run(LEFT).stdout == ".ssh\n")


@pytest.mark.slow
def test_a_full_disk(nodes: Hosts, tmp_path: Path) -> None:
    source = random_file(tmp_path / "file", 3 * MEGABYTE)
    full = [nodes[index] for index in (1, 4)]
    for node in full:
        assert isinstance(node, EmbeddedNode)
        node.fill_disk(MEGABYTE)
    for tool in TOOLS:
        group = ChainPut(nodes, source, "copy", tools=[tool], log=False).run(check=False)
        assert {t.outcome() for t in survivors(group, 1, 4)} == {"ok"}, outcomes(group)
        assert all("No space left on device" in str(group[index].error) for index in (1, 4))
        assert sums(Hosts([t.host for t in survivors(group, 1, 4) if t.host])) == {sum_of(source)}


def test_hosts_that_are_not_there(nodes: Hosts, closed: Host, tmp_path: Path) -> None:
    source = random_file(tmp_path / "file", 10_000)
    group = ChainPut([closed, *nodes[:3]], source, "copy", tools=PERL, log=False).run(check=False)
    assert group.summary() == "3 ok, 1 unreachable"
    assert ChainPut([closed], source, "copy", tools=PERL, log=False).run(check=False).summary() == "1 unreachable"


def test_places_that_are_not_there(nodes: Hosts, tmp_path: Path) -> None:
    source = random_file(tmp_path / "file", 10)
    nodes[1].run("mkdir -p there/copy/file; touch no")
    group = ChainPut(nodes[:3], source, "there/copy", log=False).run(check=False)
    assert [str(t.error and t.error.args[0]).partition(": transfer failed: ")[2] for t in group] == [
        "no directory ./there",
        "./there/copy/file is a directory",
        "no directory ./there",
    ]
    group = ChainPut(nodes[:2], tmp_path / "missing", "copy", tools=PERL, log=False).run(check=False)
    assert all("missing: No such file or directory" in str(t.error) for t in group)
    group = ChainPut(nodes[1:2], source, "no/", log=False).run(check=False)
    assert "cannot make ./no/" in str(group[0].error)


def test_a_source_that_changes_is_found_out(nodes: Hosts, tmp_path: Path, eventually: Eventually) -> None:
    source = random_file(tmp_path / "file", MEGABYTE)
    with ChainPut(nodes[:4], source, "copy", rate="1MiB/s", tools=PERL, log=False) as group:
        in_the_middle(group, eventually, MEGABYTE // 5)
        with source.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(bytes([source.read_bytes()[-1] ^ 1]))
        group.wait(60)
    assert all("it has another sha256sum than the source" in str(t.error) for t in group)
    assert not any(t.verified or t.ok for t in group)


def test_what_was_damaged_on_a_disk_is_found_out(nodes: Hosts, tmp_path: Path, eventually: Eventually) -> None:
    source = random_file(tmp_path / "file", 2 * MEGABYTE)
    with ChainPut(nodes[:4], source, "copy", rate="1MiB/s", tools=["nc"], log=False) as group:
        in_the_middle(group, eventually, MEGABYTE)
        nodes[3].run("printf '\\0\\0\\0\\0\\0' | dd of=$(echo .execo-*) conv=notrunc bs=1 2>/dev/null")
        group.wait(60)
    assert [t.outcome() for t in group] == ["ok"] * 3 + ["not copied"]
    assert nodes[3].run("ls").stdout == ""


@pytest.mark.slow
def test_kill_leaves_nothing(nodes: Hosts, tmp_path: Path, eventually: Eventually) -> None:
    source = random_file(tmp_path / "file", 20 * MEGABYTE)
    for tool in TOOLS:
        group = ChainPut(nodes, source, "copy", rate=RATE, tools=[tool]).start()
        eventually(lambda: group[-1].bytes_done > 0)  # noqa: B023
        group[3].kill()
        assert group[3].outcome() == "killed"
        assert group[4].running
        group.kill()
        assert group.summary() == "8 killed"
        left = nodes.run(LEFT)
        assert {p.stdout for p in left} == {".ssh\n"}


@pytest.mark.slow
def test_a_timeout_is_each_hosts_own(nodes: Hosts, tmp_path: Path) -> None:
    source = random_file(tmp_path / "file", 20 * MEGABYTE)
    group = ChainPut(nodes[:3], source, "copy", rate=RATE, tools=PERL, timeout=1.5, log=False).run(check=False)
    assert group.summary() == "3 timed out"


def tasks_here() -> int:
    async def count() -> int:
        return len(asyncio.all_tasks())

    return io_thread().submit(count()).result(10)


@pytest.mark.slow
def test_nothing_leaks_here(nodes: Hosts, closed: Host, tmp_path: Path, eventually: Eventually) -> None:
    source, odd = random_file(tmp_path / "file", MEGABYTE), tree(tmp_path)

    def all_kinds() -> None:
        ChainPut(nodes[:4], source, "copy").run()
        ChainPut(nodes[:4], odd, "tree").run()
        ChainPut([nodes[0], closed], source, "copy", tools=PERL, log=False).run(check=False)
        ChainPut(nodes[:4], tmp_path / "missing", "copy", tools=PERL, log=False).run(check=False)
        group = ChainPut(nodes[:4], source, "copy", rate="500KiB/s").start()
        eventually(lambda: group[-1].bytes_done > 0)
        group.kill()

    all_kinds()
    fds, tasks = len(os.listdir("/proc/self/fd")), tasks_here()
    all_kinds()
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= fds and tasks_here() <= tasks)


# strangers


class Heard:
    """Takes what an agent says."""

    def __init__(self) -> None:
        self.said_: list[tuple[Any, ...]] = []

    def said(self, hop: Hop, what: str, link: int, rest: str) -> None:
        self.said_.append((what, link, rest))

    def whole(self, hop: Hop, program: str, checksum: str) -> None:
        self.said_.append(("whole", program, checksum))

    def placed(self, hop: Hop) -> None:
        self.said_.append(("placed",))


def talk(port: int, *lines: str) -> list[bytes]:
    """Connect, say each line after the answer to the one before; return the answers up to the end."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection, connection.makefile("rb") as answers:
        heard = []
        for line in lines:
            connection.sendall(f"{line}\n".encode())
            heard.append(answers.readline())
        return heard


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_who_does_not_know_the_secret_is_refused(
    nodes: Hosts, tmp_path: Path, eventually: Eventually, tool: str
) -> None:
    source = Source([str(random_file(tmp_path / "file", 1000))])
    secret, heard = "5e" * 32, Heard()

    async def begin() -> Hop:
        hop = Hop(nodes[0], 0, "copy", heard, connector="ssh", tools=[tool], hop_timeout=5)
        await hop.start(source, secret)
        return hop

    def listen(number: int) -> Link:
        link = Link(number, None, "127.0.0.1", 0, 0.0)
        io_thread().call(hop.listen, link)
        eventually(lambda: any(said[:2] == ("listening", number) for said in heard.said_))
        link.port = next(int(said[2]) for said in heard.said_ if said[:2] == ("listening", number))
        return link

    hop = io_thread().submit(begin()).result(30)
    try:
        link = listen(1)
        assert talk(link.port, "GET / HTTP/1.1") == [b""]
        if tool == "nc":  # takes one caller
            link = listen(2)
        challenge = f"execo-chain 1 {link.number} {link.caller_nonce}"
        # The right answer in the other role, with another secret, or for another link, is none.
        nonce, shown = talk(link.port, challenge)[0].split()
        assert shown.decode() == proof(secret, "listen", link.number, link.caller_nonce, link.listener_nonce)
        assert nonce.decode() == link.listener_nonce
        for index, answer in enumerate(
            [
                shown.decode(),
                proof("ff" * 32, "connect", link.number, link.caller_nonce, link.listener_nonce),
                proof(secret, "connect", 99, link.caller_nonce, link.listener_nonce),
            ]
        ):
            if tool == "nc":
                link = listen(3 + index)
                challenge = f"execo-chain 1 {link.number} {link.caller_nonce}"
            assert talk(link.port, challenge, answer)[1] == b""
        assert not any(said[0] in ("linked", "whole") for said in heard.said_)
        if tool == "nc":
            link = listen(9)
            challenge = f"execo-chain 1 {link.number} {link.caller_nonce}"
        right = proof(secret, "connect", link.number, link.caller_nonce, link.listener_nonce)
        with socket.create_connection(("127.0.0.1", link.port), 10) as connection:
            answers = connection.makefile("rb")
            connection.sendall(f"{challenge}\n".encode())
            answers.readline()
            connection.sendall(f"{right}\n".encode())
            assert answers.readline() == b"0\n"
            connection.sendall(b"x" * 1000)
            connection.shutdown(socket.SHUT_WR)
            answers.close()
        eventually(lambda: any(said[0] == "whole" for said in heard.said_))
        assert heard.said_[-1] == ("whole", "sha256sum", hashlib.sha256(b"x" * 1000).hexdigest())
    finally:
        io_thread().submit(hop.stop()).result(30)
        source.close()


# ways


@pytest.mark.slow
@pytest.mark.parametrize("server", ["openssh", "embedded"])
def test_the_first_hop_by_way_of_its_connector(
    nodes: Hosts,
    openssh: Host,
    tmp_path: Path,
    behind_a_gateway: Callable[[Host, bool], Host],
    forwarded: Callable[[Host], list[int]],
    server: str,
) -> None:
    host = behind_a_gateway(nodes[0] if server == "embedded" else openssh, True)
    source = random_file(tmp_path / "file", 3 * MEGABYTE)
    for tool in ("python3", "perl"):
        places = {"place": [tmp_path / "copy" if server == "openssh" else "copy", "copy"]}
        ChainPut([host, nodes[1]], source, "{{place}}", substitutions=places, tools=[tool]).run()
        assert sum_of(source) == host.run(f"sha256sum {places['place'][0]}").stdout.split()[0]
        assert sums(nodes[1:2]) == {sum_of(source)}
    assert len(forwarded(host)) == 2


@pytest.mark.slow
def test_hosts_that_nobody_can_send_to(
    nodes: Hosts, tmp_path: Path, behind_a_gateway: Callable[[Host, bool], Host]
) -> None:
    inside = behind_a_gateway(nodes[1], False)
    source = random_file(tmp_path / "file", MEGABYTE)
    hosts = [nodes[0], inside, *nodes[2:4]]
    group = ChainPut(hosts, source, "copy", tools=PERL, hop_timeout=2, log=False).run(check=False)
    assert group.summary() == "3 ok, 1 not copied"
    assert "could not send to it" in str(group[1].error)
    group = ChainPut(hosts, source, "copy", tools=PERL, hop_timeout=2, fallback=True).run()
    assert [t.tool for t in group] == ["perl", "sftp", "perl", "perl"]
    assert sums(nodes[:4]) == {sum_of(source)}


def test_what_cant_be_meant() -> None:
    for wrong in (
        {"source": []},
        {"tools": "perl"},
        {"tools": ["ruby"]},
        {"tools": []},
        {"hop_timeout": 0},
        {"rate": 0},
        {"target": "a\nb"},
        {"target": ""},
    ):
        with pytest.raises(InvalidInput):
            ChainPut(**{"hosts": ["a"], "source": "x", "target": "y", **wrong})  # type: ignore[arg-type]
