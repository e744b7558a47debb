"""``pytest-execo leases``, ``shell`` and ``release``: what killed and kept runs leave is found, entered, given back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.cli import main
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


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs ``pytest-execo`` with lease files of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def run(*arguments: str) -> Done:
        if arguments[0] == "shell":  # becomes another program
            command = [sys.executable, "-m", "pytest_execo", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
            return Done(done.returncode, done.stdout, done.stderr)
        capfd.readouterr()
        code = main(arguments)
        return Done(code, *capfd.readouterr())

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


Cli = Callable[..., Done]
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


@contextlib.contextmanager
def _emulator() -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """``pytest-execo emulator`` in a process of its own, and the options that lead there."""
    with subprocess.Popen(
        [sys.executable, "-m", "pytest_execo", "emulator", "--speed=600"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        uri, key = (process.stdout.readline().split()[1] for _ in range(2))
        try:
            yield process, {"uri": uri, "key": key, "walltime": "100:00:00"}
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def emulator() -> Iterator[dict[str, str]]:
    """The options that lead to an emulator. Shared: leave no job there."""
    with _emulator() as (_, options):
        yield options


@pytest.fixture
def jobs(emulator: dict[str, str]) -> Callable[[], list[str]]:
    """States of the jobs that are not over."""
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
    other = controller("emulator", "nancy", emulator)
    said(other)
    process = controller("emulator", "lyon", emulator, when)
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


def test_kept_jobs_go_on_and_are_entered(
    cli: Cli, controller: Controller, emulator: dict[str, str], jobs: Callable[[], list[str]], eventually: Eventually
) -> None:
    process = controller("emulator", "lyon", emulator, "keep")
    lease = said(process)
    assert process.wait(30) == 0
    node = lease["nodes"][0]
    assert cli("shell", node.partition(".")[0], "echo", "here").stdout == "here\n"
    assert cli("release").stdout == "nothing to give back\n"
    assert jobs() == ["running"]
    assert cli("release", "--all").stdout.endswith("at lyon deleted\n")
    eventually(lambda: jobs() == [])


def test_two_releases_at_once(
    controller: Controller,
    emulator: dict[str, str],
    jobs: Callable[[], list[str]],
    eventually: Eventually,
    tmp_path: Path,
) -> None:
    processes = [controller("emulator", "lyon", emulator) for _ in range(2)]
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


def test_an_emulator_that_has_ended_has_taken_all_with_it(cli: Cli, controller: Controller, book: LeaseBook) -> None:
    with _emulator() as (_, options):
        process = controller("emulator", "lyon", options)
        said(process)
        killed(process)
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
