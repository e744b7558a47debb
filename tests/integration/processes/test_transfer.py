"""Copies of files in both directions, over every way that there is: what arrives, what is said, what is left."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_execo import ChainPut, Get, Host, Hosts, Lease, ProcessFailed, Put
from pytest_execo.errors import ConnectionLost, ConnectorError, TransferFailed
from pytest_execo.processes import State, Transfer
from pytest_execo.processes.io_thread import io_thread
from pytest_execo.testbeds.embedded import EmbeddedNode

pytestmark = pytest.mark.integration

Eventually = Callable[[Callable[[], object]], None]
MEGABYTE = 1 << 20


class There:
    """A directory of a host, seen through commands: what was copied is looked at by others than who copied it."""

    def __init__(self, host: Host, path: str) -> None:
        self.host = host
        self.path = path

    def run(self, line: str, **options: Any) -> str:
        return self.host.run(line, cwd=self.path, **options).stdout

    def write(self, name: str, data: bytes = b"x") -> None:
        self.host.run(["sh", "-c", 'cat >"$1"', "sh", name], cwd=self.path, stdin=data)

    def read(self, name: str) -> bytes:
        return self.host.run(["cat", f"./{name}"], cwd=self.path).stdout_bytes

    def __truediv__(self, name: str) -> str:
        return f"{self.path}/{name}"


@pytest.fixture(params=["local", "ssh to openssh", "ssh to embedded"])
def there(request: pytest.FixtureRequest) -> Iterator[There]:
    """An empty directory of the far end."""
    if request.param == "local":
        host = Host("localhost", connector="local")
    elif request.param == "ssh to openssh":
        host = request.getfixturevalue("openssh")
    else:
        host = request.getfixturevalue("embedded").nodes[0]
    path = host.run("mktemp -d").stdout.strip()
    yield There(host, path)
    host.run(["rm", "-rf", path])


@pytest.fixture
def node(embedded: Lease) -> Iterator[EmbeddedNode]:
    """A node whose faults are undone."""
    node = cast(EmbeddedNode, embedded.nodes[1])
    yield node
    node.heal()
    node.power_on()
    node.run("rm -rf ./*")


def copied(copies: Put | Get) -> Transfer:
    (transfer,) = copies
    return transfer


def refused(copies: Put | Get) -> str:
    """Run what can't be done; return why."""
    (transfer,) = copies.run(check=False)
    assert not transfer.ok
    assert transfer.outcome() == "not copied"
    assert isinstance(transfer.error, TransferFailed)
    return transfer.error.reason


def random_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


ODD = ("-n", "a b", "new\nline", "caf\udce9", "$(id)'\"*[x]", "\\back", " ")
LIST = "find . -printf '%P|%M|%l|%T@\\n' | cut -d. -f1 | sort"


def tree(top: Path) -> Path:
    """Make what a copy can meet."""
    (top / "deep/er").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / ".hidden").write_bytes(b"hidden")
    (top / "nothing").write_bytes(b"")
    (top / "big").write_bytes(random_bytes(3 * MEGABYTE + 1))
    (top / "program").write_bytes(b"#!/bin/sh\n")
    (top / "program").chmod(0o4751)
    (top / "secret").write_bytes(b"key")
    (top / "secret").chmod(0o600)
    for name in ODD:
        (top / "deep" / name).write_bytes(os.fsencode(name))
    (top / "link").symlink_to("deep/er")
    (top / "dangling").symlink_to("/nowhere/at all")
    (top / "deep").chmod(0o555)
    for path in [*top.rglob("*"), top]:
        os.utime(path, (1_500_000_000, 1_600_000_000), follow_symlinks=False)
    return top


def listing(directory: Path) -> str:
    return Host("here", connector="local").run(LIST, cwd=str(directory)).stdout


# what arrives


def test_a_tree_there_and_back(there: There, tmp_path: Path) -> None:
    source = tree(tmp_path / "tree")
    there.run("mkdir into")
    put = copied(Put([there.host], source, there / "into").run())
    # A link's own dates are not copied, nor is there a way to: they are left out of the comparison.
    dates = [line for line in listing(source).splitlines() if "|l" not in line]
    assert [line for line in there.run(f"cd into/tree && {LIST}").splitlines() if "|l" not in line] == dates
    assert there.run("readlink into/tree/link into/tree/dangling") == "deep/er\n/nowhere/at all\n"
    for name in ODD:
        assert there.read(f"into/tree/deep/{name}") == os.fsencode(name)
    back = copied(Get([there.host], there / "into/tree", tmp_path / "back").run())
    assert [line for line in listing(tmp_path / "back").splitlines() if "|l" not in line] == dates
    assert (tmp_path / "back/big").read_bytes() == random_bytes(3 * MEGABYTE + 1)
    assert (tmp_path / "back/link").readlink() == Path("deep/er")
    for copy in (put, back):
        size = sum(p.stat().st_size for p in source.rglob("*") if p.is_file() and not p.is_symlink())
        assert (copy.state, copy.ok, copy.verified) == (State.ENDED, True, "sha256")
        assert (copy.bytes_done, copy.bytes_total, copy.bytes_kept) == (size, size, 0)
        assert (copy.files_done, copy.files_total) == (14, 14)
        assert copy.rate > 0


def test_where_things_go(there: There, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("f")
    host = there.host
    there.run("mkdir there")
    for source, target, result in (
        ("a", "b", "b"),
        ("a", "there", "there/a"),
        ("a", "new/er/", "new/er/a"),
        ("d", "e", "e/f"),
        ("d/", "there", "there/d/f"),
        ("d/.", "there", "there/f"),
    ):
        Put([host], f"{tmp_path}/{source}", there / target).run()
        assert there.read(result) == source[0].encode().replace(b"d", b"f"), (source, target)
    Put([host], [tmp_path / "a", tmp_path / "d"], there / "both/").run()
    assert there.run("ls both") == "a\nd\n"
    assert "2 sources would go into it" in refused(
        Put([host], [tmp_path / "a", tmp_path / "d"], there / "no", log=False)
    )
    assert "not a directory" in refused(Put([host], tmp_path / "d", there / "b", log=False))
    there.run("mkdir e/a")
    assert "is none" in refused(Put([host], tmp_path / "a", there / "e", log=False))


def test_patterns(there: There, tmp_path: Path) -> None:
    for name in ("a1", "a2", "b1", ".a3", "sub/a4", "[x]"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    Put([there.host], tmp_path / "a?", there / "one/").run()
    Put([there.host], tmp_path / "**" / "a*", there / "two/").run()
    Put([there.host], tmp_path / "[x]", there / "three/").run()
    Get([there.host], there / "two/a[14]", f"{tmp_path}/back/").run()
    assert there.run("ls -A one two three") == "one:\na1\na2\n\nthree:\n[x]\n\ntwo:\na1\na2\na4\n"
    assert sorted(os.listdir(tmp_path / "back")) == ["a1", "a4"]
    assert "no file matches" in refused(Get([there.host], there / "z*", f"{tmp_path}/back/", log=False))


def test_a_big_tree(there: There, tmp_path: Path) -> None:
    for index in range(300):
        path = tmp_path / "tree" / str(index % 7) / f"file {index}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(index))
    put = copied(Put([there.host], tmp_path / "tree", there / "tree").run())
    assert (put.files_done, put.verified) == (300, "sha256")
    get = copied(Get([there.host], there / "tree", tmp_path / "back").run())
    assert get.files_done == 300
    assert listing(tmp_path / "back") == listing(tmp_path / "tree")


@pytest.mark.parametrize("direction", ["put", "get"])
def test_going_on_where_a_copy_ended(there: There, tmp_path: Path, direction: str) -> None:
    data = random_bytes(5 * MEGABYTE)
    half, wrong, longer = data[: 3 * MEGABYTE], bytes(2 * MEGABYTE), data + b"more"
    (tmp_path / "s").mkdir()
    for name in ("half", "wrong", "longer", "same", "new"):
        (tmp_path / "s" / name).write_bytes(data)
    there.run("mkdir s")
    parts = {"half": half, "wrong": wrong, "longer": longer, "same": data}
    if direction == "put":
        for name, part in parts.items():
            there.write(f"s/{name}", part)
        copy = copied(Put([there.host], f"{tmp_path}/s/.", there / "s", resume=True).run())
        results = {name: there.read(f"s/{name}") for name in os.listdir(tmp_path / "s")}
    else:
        Put([there.host], f"{tmp_path}/s/.", there / "s").run()
        (tmp_path / "t").mkdir()
        for name, part in parts.items():
            (tmp_path / "t" / name).write_bytes(part)
        copy = copied(Get([there.host], f"{there.path}/s/.", tmp_path / "t", resume=True).run())
        results = {path.name: path.read_bytes() for path in (tmp_path / "t").iterdir()}
    assert set(results) == {"half", "wrong", "longer", "same", "new"}
    assert all(result == data for result in results.values())
    assert copy.bytes_kept == 3 * MEGABYTE + 5 * MEGABYTE
    assert copy.bytes_done == copy.bytes_total == 5 * len(data)


def test_progress(there: There, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(8 * MEGABYTE))
    seen: list[tuple[int, int]] = []
    Put(
        [there.host],
        tmp_path / "file",
        there / "file",
        on_progress=lambda copy: seen.append((copy.bytes_done, copy.bytes_total)),
    ).run()
    assert seen == sorted(seen)
    assert seen[-1] == (8 * MEGABYTE, 8 * MEGABYTE)
    broken = copied(
        Put([there.host], tmp_path / "file", there / "file", on_progress=lambda copy: 1 / 0).run()  # is logged
    )
    assert broken.ok


# what goes wrong


def test_what_is_not_there_or_not_a_file(there: There, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert refused(Put([there.host], missing, there / "x", log=False)) == f"{missing}: no such file or directory"
    assert refused(Get([there.host], there / "x", missing, log=False)) == f"{there / 'x'}: no such file or directory"
    (tmp_path / "file").write_text("x")
    assert "No such file" in refused(Put([there.host], tmp_path / "file", there / "no/such", log=False))
    os.mkfifo(tmp_path / "fifo")
    assert "neither file nor directory nor link" in refused(
        Put([there.host], tmp_path / "fifo", there / "x", log=False)
    )
    there.run("mkfifo fifo")
    assert "it would be written to" in refused(Put([there.host], tmp_path / "file", there / "fifo", log=False))
    assert there.run("ls") == "fifo\n"


def test_what_may_not_be_read(embedded: Lease, tmp_path: Path) -> None:
    # Root may read everything but this, and is told so when reading.
    path = "/proc/self/mem"
    assert refused(Put([embedded.nodes[0]], path, "x", log=False)) == f"{path}: Input/output error"
    (tmp_path / "file").write_text("x")
    if os.geteuid() != 0:
        (tmp_path / "file").chmod(0)
        assert refused(Put([embedded.nodes[0]], tmp_path / "file", "x", log=False)).endswith("Permission denied")


def test_a_full_disk_there(node: EmbeddedNode, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(4 * MEGABYTE))
    with node.fill_disk(MEGABYTE):
        assert "no space left on device" in refused(Put([node], tmp_path / "file", "file", log=False)).lower()
    Put([node], tmp_path / "file", "file", resume=True).run()
    assert node.run("wc -c <file").stdout == f"{4 * MEGABYTE}\n"


def test_kill_in_the_middle_and_going_on(node: EmbeddedNode, tmp_path: Path, eventually: Eventually) -> None:
    # More than the 4 MiB that may be under way, so that some of it is there.
    data = random_bytes(8 * MEGABYTE)
    (tmp_path / "file").write_bytes(data)
    node.run("true")
    for direction in (Put, Get):
        source, target = (tmp_path / "file", "file") if direction is Put else ("file", tmp_path / "back")
        with node.slow(rate="6MB/s"):
            copies = direction([node], source, target).start()
            copy = copied(copies)
            eventually(lambda: copy.bytes_done > 6 * MEGABYTE)  # noqa: B023
            copies.kill()
        assert (copy.outcome(), copy.ok, copy.killed) == ("killed", True, True)
        assert copy.bytes_done < len(data)
        assert copied(direction([node], source, target, resume=True).run()).bytes_kept > 0
    assert (tmp_path / "back").read_bytes() == data


def test_a_timeout(node: EmbeddedNode, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(6 * MEGABYTE))
    node.run("true")
    with node.slow(rate="2MB/s"):
        put = Put([node], tmp_path / "file", "file", timeout=1, log=False).run(check=False)
    assert put.summary() == "1 timed out"


def test_a_connection_that_breaks(node: EmbeddedNode, tmp_path: Path, eventually: Eventually) -> None:
    # More than the 4 MiB that may be under way, so that some of it is there.
    data = random_bytes(8 * MEGABYTE)
    (tmp_path / "file").write_bytes(data)
    node.run("true")
    with node.slow(rate="6MB/s"):
        put = Put([node], tmp_path / "file", "file", log=False).start()
        eventually(lambda: put[0].bytes_done > 6 * MEGABYTE)
        node.power_off()
        put.wait(30)
    assert isinstance(put[0].error, ConnectionLost)
    assert put.summary() == "1 connection lost"
    node.power_on()
    again = Put([node], tmp_path / "file", "file", resume=True).run()
    assert again[0].bytes_kept > 0
    assert (
        node.run("sha256sum <file").stdout
        == Host("here", connector="local").run("sha256sum <file", cwd=str(tmp_path)).stdout
    )


def test_a_source_that_changes_meanwhile(node: EmbeddedNode, tmp_path: Path, eventually: Eventually) -> None:
    (tmp_path / "file").write_bytes(random_bytes(6 * MEGABYTE))
    node.run("true")
    with node.slow(rate="6MB/s"):
        put = Put([node], tmp_path / "file", "file", log=False).start()
        eventually(lambda: put[0].bytes_done > MEGABYTE)
        os.truncate(tmp_path / "file", 5 * MEGABYTE)
        put.wait(30)
    # What was read is what is there, and that is what is verified.
    assert put[0].ok
    assert put[0].bytes_done == put[0].bytes_total == 5 * MEGABYTE


def test_damage_on_the_way_is_found_out(node: EmbeddedNode, tmp_path: Path, eventually: Eventually) -> None:
    (tmp_path / "file").write_bytes(random_bytes(6 * MEGABYTE))
    node.run("true")
    with node.slow(rate="6MB/s"):
        put = Put([node], tmp_path / "file", "file", log=False).start()
        eventually(lambda: put[0].bytes_done > 3 * MEGABYTE)
        node.run("printf damage | dd of=file conv=notrunc bs=1 2>/dev/null")
        put.wait(30)
    assert "its sha256 is not the source's: it was damaged on the way" in str(put[0].error)
    unverified = Put([node], tmp_path / "file", "file", verify=False).run()
    assert unverified[0].verified is None


def test_hosts_that_are_not_there(openssh: Host, closed: Host, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    copies = Put([openssh, closed], tmp_path / "file", tmp_path / "{{{host}}}", log=False)
    with pytest.raises(ProcessFailed) as failed:
        copies.run()
    assert [p.host for p in failed.value.processes] == [closed]
    assert copies.summary() == "1 ok, 1 unreachable"
    assert (tmp_path / "openssh").read_text() == "x"


@pytest.mark.slow
def test_nothing_leaks(node: EmbeddedNode, tmp_path: Path, eventually: Eventually) -> None:
    async def count() -> int:
        return len(asyncio.all_tasks())

    def numbers() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), io_thread().submit(count()).result(10)

    (tmp_path / "file").write_bytes(bytes(2 * MEGABYTE))

    def all_kinds() -> None:
        Put([node], tmp_path / "file", "file").run()
        Get([node], "file", tmp_path / "back").run()
        Put([node], tmp_path / "missing", "file", log=False).run(check=False)
        with node.slow(rate="1MB/s"):
            copies = Put([node], tmp_path / "file", "file").start()
            eventually(lambda: copies[0].bytes_done > 0)
            copies.kill()

    all_kinds()
    fds, tasks = numbers()
    all_kinds()
    eventually(lambda: all(now <= before for now, before in zip(numbers(), (fds, tasks), strict=True)))


# the verbs of hosts, and which way


def test_the_verbs_of_a_host(embedded: Lease, tmp_path: Path) -> None:
    node = embedded.nodes[0]
    (tmp_path / "file").write_text("x")
    assert isinstance(node.put(tmp_path / "file", "verb", resume=True), Put)
    assert isinstance(node.get("verb", tmp_path / "back"), Get)
    assert (tmp_path / "back").read_text() == "x"
    with pytest.raises(ProcessFailed, match="no such file"):
        node.get("nothing", tmp_path)


def test_the_way_that_is_chosen(embedded: Lease, closed: Host, tmp_path: Path) -> None:
    nodes = embedded.nodes
    (tmp_path / "small").write_text("x")
    (tmp_path / "big").write_bytes(bytes(9 * MEGABYTE))
    assert isinstance(nodes.put(tmp_path / "small", "small"), Put)
    assert isinstance(nodes[:2].put(tmp_path / "big", "big"), Put)
    chosen = nodes.put(tmp_path / "big", "big")
    assert isinstance(chosen, ChainPut)
    assert nodes.run("wc -c <big").by_outcome().keys() == {"ok"}
    assert isinstance(nodes.put(tmp_path / "big", "big", method="sftp"), Put)
    assert isinstance(nodes[:2].put(tmp_path / "small", "small", method="chain"), ChainPut)
    with pytest.raises(ProcessFailed) as failed:
        Hosts([*nodes, closed]).put(tmp_path / "big", "big")
    assert len(failed.value.processes) == 1
    assert isinstance(failed.value.process.error, ConnectorError)


@pytest.mark.slow
def test_hosts_that_a_chosen_chain_cant_use_get_it_by_sftp(
    embedded: Lease, tmp_path: Path, behind_a_gateway: Callable[[Host, bool], Host]
) -> None:
    (tmp_path / "big").write_bytes(random_bytes(9 * MEGABYTE))
    nodes = embedded.nodes
    chosen = Hosts([*nodes[:3], behind_a_gateway(nodes[3], False)]).put(tmp_path / "big", "~/big")
    assert isinstance(chosen, ChainPut)
    assert [t.tool for t in chosen] == ["python3", "python3", "python3", "sftp"]
    assert chosen.summary() == "4 ok"
    assert {p.stdout for p in nodes.run("sha256sum <big")} == {nodes[0].run("sha256sum <big").stdout}
