"""``pytest-execo leases``, ``shell`` and ``release``: what killed and kept runs leave is found, entered, given back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.emulator.testbed import EmulatorTestbed
from pytest_execo.leases.files import LeaseBook

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Eventually = Callable[[Callable[[], object]], None]

#: A controller without pytest: holds a lease, says what it has, and does what it is told.
CONTROLLER = """
import json, os, signal, sys
from pytest_execo.leases.files import LeaseBook
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.registry import open_testbed

name, site, options, then = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
testbed = open_testbed(site, name, options=options)
file = LeaseBook().open(testbed=name, site=site, options=options, campaign="of the test", session="s", walltime=None)

def remember(what):
    file.remember(what)
    if then == "killed before" or (then == "killed between" and ("manager" in what or "jobs" in what)):
        os.kill(os.getpid(), signal.SIGKILL)

lease = testbed.reserve(Request(nodes=2), remember=remember)
file.describe(lease.nodes, lease.end)
lease.nodes.run("true")
remains = json.loads(file.path.read_text())["remains"]
print(json.dumps({"id": file.id, "nodes": lease.nodes.names, "remains": remains}), flush=True)
if then == "keep":
    lease.keep()
    file.keep("on-failure", lease.end)
    sys.exit(0)
sys.stdin.read()
"""


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``pytest-execo`` with lease files of the test's own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest_execo", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=_environment(tmp_path), stdin=subprocess.DEVNULL
        )

    return run


@pytest.fixture
def book(tmp_path: Path) -> LeaseBook:
    return LeaseBook(tmp_path / "pytest-execo" / "leases")


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts controllers; those that still run at the end of the test are ended."""
    with contextlib.ExitStack() as ending:

        def start(testbed: str, site: str, options: dict[str, str], then: str = "wait") -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", CONTROLLER, testbed, site, json.dumps(options), then],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment(tmp_path),
            )  # fmt: skip
            ending.enter_context(process)
            ending.callback(process.kill)
            return process

        yield start


def _environment(state: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(state)}


def said(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the controller has ended"
    answer: dict[str, Any] = json.loads(line)
    return answer


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(30)


def commands_with(word: str) -> list[int]:
    """Return the processes that have ``word`` on their command line."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if word.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                found.append(int(name))
    return found


Cli = Callable[..., subprocess.CompletedProcess[str]]
Controller = Callable[..., subprocess.Popen[str]]


# embedded nodes


def test_kept_nodes_are_entered_and_given_back(cli: Cli, controller: Controller, book: LeaseBook) -> None:
    process = controller("embedded", "local", {}, "keep")
    lease = said(process)
    directory = lease["remains"]["directory"]
    assert process.wait(30) == 0
    listed = cli("leases").stdout.splitlines()[1].split()
    assert listed[:3] == [lease["id"], "kept", "embedded/local"]
    (entry,) = json.loads(cli("leases", "--json").stdout)
    assert (entry["nodes"], entry["kept"], entry["campaign"]) == (lease["nodes"], "on-failure", "of the test")
    entered = cli("shell", "node-2", "hostname; exit 7")
    assert (entered.returncode, entered.stderr) == (7, "")
    assert entered.stdout in ("node-2.local\n", f"{os.uname().nodename}\n")
    # Not among those that nobody wants.
    assert cli("release").stdout == "nothing to give back\n"
    assert commands_with(directory)
    released = cli("release", lease["id"])
    assert (released.returncode, released.stderr) == (0, "")
    assert released.stdout.startswith(f"{lease['id']}: node manager ")
    assert not os.path.exists(directory)
    assert not commands_with(directory)
    assert list(book.directory.iterdir()) == []
    assert cli("release", lease["id"]).stdout == "nothing to give back\n"


@pytest.mark.parametrize("when", ["killed before", "killed between", "killed after", "manager too"])
def test_nothing_is_left_of_embedded_nodes(cli: Cli, controller: Controller, book: LeaseBook, when: str) -> None:
    process = controller("embedded", "local", {}, when)
    if when in ("killed after", "manager too"):
        remains = said(process)["remains"]
        if when == "manager too":
            os.kill(remains["manager"]["pid"], signal.SIGKILL)
        killed(process)
    else:
        assert process.wait(30) == -signal.SIGKILL
        remains = book.entries()[0].remains
        assert remains is not None
    assert cli("leases").stdout.splitlines()[1].split()[1] == "abandoned"
    released = cli("release")
    assert (released.returncode, released.stderr) == (0, "")
    assert not os.path.exists(remains["directory"])
    assert not commands_with(remains["directory"])
    assert list(book.directory.iterdir()) == []


def test_a_living_run_is_left_alone(cli: Cli, controller: Controller) -> None:
    process = controller("embedded", "local", {})
    lease = said(process)
    assert cli("release", "--all").stdout == "nothing to give back\n"
    refused = cli("release", lease["id"])
    assert refused.returncode == 1
    assert refused.stderr == (
        f"pytest-execo: {lease['id']}: held by process {process.pid}, which runs; "
        "end that one, it gives its nodes back\n"
    )
    assert cli("shell", "node-1.local", "true").returncode == 0
    killed(process)
    assert cli("release", "--older-than=1h").stdout == "nothing to give back\n"
    assert cli("release").returncode == 0
    assert cli("leases").stdout == "no leases\n"


# jobs


@pytest.fixture
def emulator() -> Iterator[dict[str, str]]:
    """``pytest-execo emulator`` in a process of its own: where it is, and its key."""
    with subprocess.Popen(
        [sys.executable, "-m", "pytest_execo", "emulator", "--speed=600"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        uri, key = (process.stdout.readline().split()[1] for _ in range(2))
        try:
            yield {"uri": uri, "key": key, "pid": str(process.pid)}
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture
def jobs(emulator: dict[str, str]) -> Callable[[], list[str]]:
    """States of the jobs at Lyon that are not over."""
    testbed = EmulatorTestbed("lyon", options={"uri": emulator["uri"], "key": emulator["key"]})

    def states() -> list[str]:
        found = [job.state for site in ("lyon", "nancy") for job in testbed.client.jobs(site)]
        return [state for state in found if state not in ("terminated", "error")]

    return states


@pytest.mark.parametrize("when", ["killed before", "killed between", "killed after"])
def test_no_job_is_left(
    cli: Cli,
    controller: Controller,
    book: LeaseBook,
    emulator: dict[str, str],
    jobs: Callable[[], list[str]],
    eventually: Eventually,
    when: str,
) -> None:
    options = {"uri": emulator["uri"], "key": emulator["key"], "walltime": "300:00:00"}
    other = controller("emulator", "nancy", options)
    said(other)
    process = controller("emulator", "lyon", options, when)
    if when == "killed after":
        said(process)
        killed(process)
    else:
        assert process.wait(30) == -signal.SIGKILL
    assert jobs() == (["running"] if when == "killed before" else [jobs()[0], "running"])
    assert emulator["key"] not in "".join(path.read_text() for path in book.directory.iterdir())
    released = cli("release")
    assert (released.returncode, released.stderr) == (0, "")
    assert ("deleted" in released.stdout) == (when != "killed before")
    # The one that another run has goes on.
    eventually(lambda: jobs() == ["running"])
    assert len(book.entries()) == 1
    killed(other)
    assert cli("release").stdout.endswith("at nancy deleted\n")
    eventually(lambda: jobs() == [])
    assert list(book.directory.iterdir()) == []


def test_two_releases_at_once(
    controller: Controller,
    emulator: dict[str, str],
    jobs: Callable[[], list[str]],
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    options = {"uri": emulator["uri"], "key": emulator["key"], "walltime": "300:00:00"}
    processes = [controller("emulator", "lyon", options) for _ in range(2)]
    for process in processes:
        said(process)
    for process in processes:
        killed(process)
    command = [sys.executable, "-m", "pytest_execo", "release"]
    releases = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment(tmp_path))
        for _ in range(2)
    ]
    outputs = [release.communicate(timeout=60) for release in releases]
    assert [release.returncode for release in releases] == [0, 0], outputs
    assert "".join(out for out, _ in outputs).count(" deleted\n") == 2
    eventually(lambda: jobs() == [])


def test_an_emulator_that_has_ended_has_taken_all_with_it(
    cli: Cli, controller: Controller, emulator: dict[str, str], book: LeaseBook
) -> None:
    process = controller("emulator", "lyon", {"uri": emulator["uri"], "key": emulator["key"]})
    said(process)
    killed(process)
    os.kill(int(emulator["pid"]), signal.SIGTERM)
    deadline = time.monotonic() + 30
    while commands_with("pytest_execo\0emulator\0--speed=600"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    released = cli("release")
    assert (released.returncode, released.stderr) == (0, "")
    assert released.stdout.endswith("nothing was left\n")
    assert book.entries() == []


def test_an_emulator_of_the_runs_own_ends_with_it(cli: Cli, controller: Controller, book: LeaseBook) -> None:
    process = controller("emulator", "lyon", {"speed": "600"}, "keep")
    said(process)
    # It can't keep its nodes: an error, and so the end.
    assert process.wait(60) == 1
    assert cli("release").stdout.endswith("nothing was left\n")
    assert book.entries() == []


# what is wrong with a command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["release", "--older-than=soon"], "--older-than soon: 'soon' is not a duration"),
        (["release", "--option=key"], "--option key: write NAME=VALUE"),
        (["release", "x", "--all"], "name leases, or give --all"),
        (["release", "x"], "x: no such lease"),
        (["shell", "node-1"], "node-1: no such node: no lease file tells of any"),
        (["shell", "node-1", "--lease=x"], "no such node"),
    ],
)
def test_errors_are_one_line(cli: Cli, arguments: list[str], words: str) -> None:
    done = cli(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("pytest-execo: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
