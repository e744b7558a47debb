"""Copies and commands through TakTuk's tree: the same verdicts, and nobody waits for the slow."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_execo import (
    ConnectionFailed,
    ConnectionLost,
    Host,
    InvalidInput,
    Lease,
    TaktukGet,
    TaktukPut,
    TaktukRemote,
    TransferFailed,
)
from pytest_execo.processes.io_thread import io_thread

from ..conftest import require

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _taktuk() -> None:
    require("taktuk", "taktuk")


@pytest.fixture
def hosts(openssh: Host) -> Iterator[list[Host]]:
    """Four names of one server."""
    found = [dataclasses.replace(openssh, name=f"h{number}") for number in range(4)]
    yield found
    io_thread().disconnect(found)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with what there may be."""
    root = tmp_path / "source"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "secret").mkdir(mode=0o700)
    (root / "secret" / "key").write_bytes(bytes(range(256)) * 100)
    (root / "secret" / "key").chmod(0o600)
    (root / "run me").write_text("#!/bin/sh\n")
    (root / "run me").chmod(0o755)
    (root / "empty").touch()
    (root / "!  [a]\tb\nc").write_text("odd name")
    (root / os.fsdecode(b"caf\xe9")).write_text("not UTF-8")
    (root / "deep" / "er" / "big").write_bytes(os.urandom(3_000_000))
    (root / "link").symlink_to("secret/key")
    os.utime(root / "empty", (1_000_000_000, 1_000_000_000))
    return root


def content(root: Path) -> dict[str, tuple[object, ...]]:
    """Describe all that is in a directory."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        entry = path.lstat()
        data = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        dates = () if path.is_symlink() else (int(entry.st_mtime),)
        found[str(path.relative_to(root))] = (entry.st_mode, data, *dates)
    return found


# commands


def test_a_remote_over_taktuk(hosts: list[Host]) -> None:
    group = TaktukRemote("echo {{{host}}} {{word}}; exit 3", hosts, substitutions={"word": ["a", "b"]}, timeout=30)
    group.run(check=False)
    assert [p.stdout for p in group] == ["h0 a\n", "h1 b\n", "h2 a\n", "h3 b\n"]
    assert group.summary() == "4 exit 3"
    assert {p.connector for p in group} == {"taktuk"}


# put


def test_a_directory_is_put(hosts: list[Host], tree: Path, tmp_path: Path) -> None:
    copies = TaktukPut(hosts, tree, tmp_path / "to-{{{host}}}", timeout=60).run()
    for copy, host in zip(copies, hosts, strict=True):
        assert content(tmp_path / f"to-{host.name}") == content(tree)
        assert (copy.ok, copy.verified, copy.outcome()) == (True, "sha256", "ok")
        assert (copy.files_done, copy.bytes_done) == (copy.files_total, copy.bytes_total) == (7, 3_025_627)


def test_one_stream_serves_all(hosts: list[Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_execo.connectors.taktuk.tree import Tree

    written = 0
    real = Tree._write

    def counted(self: Tree, data: bytes) -> None:
        nonlocal written
        written += len(data)
        real(self, data)

    monkeypatch.setattr(Tree, "_write", counted)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(4_000_000))
    TaktukPut(hosts, source, tmp_path / "to-{{{host}}}", timeout=60).run()
    assert 4 / 3 * 4_000_000 < written < 2 * 4_000_000
    assert all((tmp_path / f"to-{host.name}").read_bytes() == source.read_bytes() for host in hosts)


def test_several_sources_go_into_a_directory(hosts: list[Host], tmp_path: Path) -> None:
    for name in ("a.log", "b.log", "c.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "into").mkdir()
    TaktukPut(hosts[:1], [tmp_path / "*.log", tmp_path / "c.txt"], tmp_path / "into", timeout=60).run()
    assert sorted(os.listdir(tmp_path / "into")) == ["a.log", "b.log", "c.txt"]


def test_errors_are_each_hosts_own(hosts: list[Host], closed: Host, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100_000)
    (tmp_path / "into").mkdir()
    targets = [str(tmp_path / "good"), "/no/such/place", "/dev/full", str(tmp_path / "into"), "never"]
    five = [*hosts, closed]
    copies = TaktukPut(five, source, "{{path}}", substitutions={"path": targets}, timeout=60).run(check=False)
    assert [copy.outcome() for copy in copies] == ["ok", "not copied", "not copied", "ok", "unreachable"]
    assert (tmp_path / "good").read_bytes() == source.read_bytes()
    assert "/no/such/place" in str(copies[1].error)
    assert "device" in str(copies[2].error)
    assert isinstance(copies[4].error, ConnectionFailed)


def test_a_source_that_is_not_there(hosts: list[Host], tmp_path: Path) -> None:
    copies = TaktukPut(hosts, tmp_path / "missing", "x", timeout=60).run(check=False)
    assert {type(copy.error) for copy in copies} == {TransferFailed}
    assert "missing" in str(copies[0].error)


def test_a_full_disk_is_told_before_all_is_sent(openssh: Host, tmp_path: Path) -> None:
    # A limit on what a file may have stands for the disk: it fails in the middle too.
    source = tmp_path / "source"
    source.write_bytes(os.urandom(6_000_000))
    fine, full = (dataclasses.replace(openssh, name=name) for name in ("fine", "full"))
    TaktukRemote("prlimit --pid $PPID --fsize=500000", [full], timeout=30).run()
    copies = TaktukPut([fine, full], source, tmp_path / "to-{{{host}}}", timeout=60).run(check=False)
    assert [copy.outcome() for copy in copies] == ["ok", "not copied"]
    assert "File too large" in str(copies[1].error)
    assert copies[1].bytes_done < 6_000_000
    io_thread().disconnect([fine, full])


def test_one_that_takes_nothing_does_not_hold_up_the_others(hosts: list[Host], tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(8_000_000))
    # Its relay is stopped, as a host is that has no memory left.
    relay = int(TaktukRemote("echo $PPID", hosts[:1], timeout=30).run()[0].stdout)
    copies = TaktukPut(hosts, source, tmp_path / "to-{{{host}}}", timeout=90)
    begun = threading.Event()

    def stop(_: object) -> None:
        if not begun.is_set():
            begun.set()
            os.kill(relay, signal.SIGSTOP)

    copies[0].on_progress = stop
    copies.start()
    try:
        assert begun.wait(30)
        for copy in copies[1:]:
            copy.wait(30)
            assert copy.ok
    finally:
        os.kill(relay, signal.SIGCONT)
    copies.wait(60)
    assert copies.ok, copies.summary()
    assert (tmp_path / "to-h0").read_bytes() == source.read_bytes()


def test_killed_and_timed_out(hosts: list[Host], tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.truncate(2_000_000_000)
    copies = TaktukPut(hosts[:2], source, "/dev/null", timeout=60)
    assert copies.run(check=False).summary() == "2 not copied"
    target = tmp_path / "to-{{{host}}}"
    begun = threading.Event()
    copies = TaktukPut(hosts[:2], source, target, timeout=60, on_progress=lambda _: begun.set()).start()
    assert begun.wait(30)
    copies.kill()
    assert {(copy.ended, copy.killed, copy.ok) for copy in copies} == {(True, True, True)}
    copies = TaktukPut(hosts[:2], source, target, timeout=1.5).run(check=False)
    assert copies.summary() == "2 timed out"


def test_resume_is_refused(hosts: list[Host]) -> None:
    with pytest.raises(InvalidInput, match="resume"):
        TaktukPut(hosts, "x", "y", resume=True)


def test_power_cut_in_the_middle(embedded: Lease, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1_000_000) * 60)
    begun = threading.Event()
    nodes = [embedded.nodes[1], embedded.nodes[3]]
    copies = TaktukPut(nodes, source, "taktuk-copy", timeout=90, on_progress=lambda copy: begun.set())
    copies.start()
    assert begun.wait(30)
    with nodes[1].power_off():  # type: ignore[attr-defined]
        copies.wait(90)
    assert [copy.outcome() for copy in copies] == ["ok", "connection lost"]
    assert isinstance(copies[1].error, ConnectionLost)
    nodes[0].run("rm taktuk-copy")


# get


def test_a_directory_is_got(hosts: list[Host], tree: Path, tmp_path: Path) -> None:
    copies = TaktukGet(hosts, tree, tmp_path / "{{{host}}}", timeout=60).run()
    for copy, host in zip(copies, hosts, strict=True):
        assert content(tmp_path / host.name) == content(tree)
        assert (copy.ok, copy.verified, copy.files_done) == (True, "sha256", 7)


def test_patterns_are_the_hosts(hosts: list[Host], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("a.log", "b.log", "c.txt"):
        (tmp_path / "logs" / name).write_text(name)
    TaktukGet(hosts[:2], tmp_path / "logs" / "*.log", str(tmp_path / "{{{host}}}") + "/", timeout=60).run()
    assert sorted(os.listdir(tmp_path / "h1")) == ["a.log", "b.log"]


def test_what_can_not_be_got(hosts: list[Host], closed: Host, tmp_path: Path) -> None:
    copies = TaktukGet([hosts[0], closed], "/no/such/file", tmp_path / "{{{host}}}", timeout=60).run(check=False)
    assert [copy.outcome() for copy in copies] == ["not copied", "unreachable"]
    assert "/no/such/file" in str(copies[0].error)


def test_files_that_are_made_when_they_are_read(hosts: list[Host], tmp_path: Path) -> None:
    TaktukGet(hosts[:1], "/proc/version", tmp_path / "version", timeout=60).run()
    assert (tmp_path / "version").read_text() == Path("/proc/version").read_text()
