"""What is left of embedded nodes is ended, and nothing that only looks like it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.errors import TestbedError
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.embedded import EmbeddedTestbed, remains
from pytest_execo.testbeds.embedded.namespaces import is_running, started


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "execo-1234"
    path.mkdir()
    (path / "key").write_text("")
    return path


@contextlib.contextmanager
def _process(*arguments: str, code: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits; ``code`` is run before. It says when it is there."""
    script = f"import signal, sys\n{code}\nprint(1, flush=True)\nsys.stdin.read()"
    command = [sys.executable, "-S", "-E", "-c", script, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_a_manager_is_ended_and_its_directory_removed_once(directory: Path) -> None:
    with _process() as manager:
        what = remains.remains_of(str(directory), manager.pid)
        assert EmbeddedTestbed().reclaim(what) == [f"node manager {manager.pid} ended with its nodes"]
        assert manager.wait(10) != 0
    assert not directory.exists()
    assert EmbeddedTestbed().reclaim(what) == []


def test_one_that_does_not_listen_is_killed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _process(code="signal.signal(signal.SIGTERM, signal.SIG_IGN)") as manager:
        monkeypatch.setattr(remains, "END_TIMEOUT", 0.5)
        remains.reclaim(remains.remains_of(str(directory), manager.pid))
        assert manager.wait(10) == -9


def test_a_process_that_has_got_the_number_later_is_left_alone(directory: Path) -> None:
    with _process() as somebody:
        what = remains.remains_of(str(directory), somebody.pid)
        what["manager"]["started"] = "1"
        assert remains.reclaim(what) == [f"directory {directory} removed"]
        assert is_running(somebody.pid)


def test_a_manager_whose_number_was_not_told_is_found_by_its_directory(directory: Path) -> None:
    name = "pytest_execo.testbeds.embedded.manager"
    with _process(name, str(directory)) as manager, _process(name, f"{directory}5") as other:
        what = remains.remains_of(str(directory))
        assert remains.reclaim(what) == [f"node manager {manager.pid} ended with its nodes"]
        assert is_running(other.pid)


def test_after_a_restart_of_the_machine_numbers_mean_others(directory: Path) -> None:
    with _process() as somebody:
        what = remains.remains_of(str(directory), somebody.pid) | {"boot": "an earlier one"}
        assert remains.reclaim(what) == [f"directory {directory} removed"]
        assert is_running(somebody.pid)


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"pids": "another"}])
def test_what_is_on_another_machine_is_left_there(directory: Path, elsewhere: dict[str, Any]) -> None:
    with pytest.raises(TestbedError, match="give them back there"):
        remains.reclaim(remains.remains_of(str(directory)) | elsewhere)
    assert directory.exists()


@pytest.mark.parametrize("what", ["another name", "a link", "a file"])
def test_only_the_directory_of_a_lease_is_removed(directory: Path, tmp_path: Path, what: str) -> None:
    place = tmp_path / "execo-5678"
    if what == "another name":
        place = tmp_path / "results"
        directory.rename(place)
    elif what == "a link":
        place.symlink_to(directory)
    else:
        place.write_text("")
    with pytest.raises(TestbedError, match="by hand"):
        remains.reclaim(remains.remains_of(str(place)))
    assert place.exists()


@pytest.mark.parametrize("what", [{}, {"name": "n"}, {"directory": "/tmp/execo-1", "host": "h", "boot": "b"}])
def test_what_is_of_another_testbed_is_refused(what: dict[str, Any]) -> None:
    with pytest.raises(TestbedError, match="no lease of embedded nodes"):
        remains.reclaim(what)


def test_nodes_that_are_dying_are_waited_for(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(remains.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(remains.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + 7))
    (directory / "pids").write_text(f"{os.getpid()} {started(os.getpid())}\n{os.getpid()} 1\nnonsense\n")
    remains.wait_for_nodes(remains.Paths(str(directory)))
    assert clock[0] == 35.0


def test_nothing_is_made_that_was_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def full(what: object) -> None:
        assert not list(tmp_path.iterdir())
        raise OSError("the disk is full")

    with pytest.raises(Exception, match="the disk is full"):
        EmbeddedTestbed().reserve(Request(nodes=1), remember=full)
    assert not list(tmp_path.iterdir())
