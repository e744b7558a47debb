"""Record files that were damaged, and places where nothing can be written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TEST = """
import pytest
from pytest_execo import sweep

@sweep(x=range(6))
def test_it(trial, x):
    with open("diary", "a") as diary:
        diary.write(f"{x}\\n")
    trial.record(y=x)
"""


def run(pytester: pytest.Pytester, *args: str, prefix: list[str] | None = None) -> pytest.RunResult:
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:hypothesispytest", *args]
    return pytester.run(*(prefix or []), *command, timeout=100)


def ran(pytester: pytest.Pytester) -> list[int]:
    """Return the trials that ran since the last time, in the order of their numbers."""
    diary = pytester.path / "diary"
    text = diary.read_text() if diary.exists() else ""
    diary.unlink(missing_ok=True)
    return sorted(map(int, text.split()))


def warnings(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("execo: warning: ")]


def test_damaged_records_are_named_and_kept_and_the_rest_counts(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    assert run(pytester, "--execo-campaign=c").ret == 0
    assert ran(pytester) == [0, 1, 2, 3, 4, 5]
    (path,) = Path(pytester.path, "c", "records").iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    records = {json.loads(line)["params"]["x"]: line for line in lines}
    newer = records[2].replace(b"pytest-execo/record/1", b"pytest-execo/record/2")
    # Garbage in the middle, a record of a newer schema, zero bytes, a torn tail; trials 0, 1 and 3 are whole.
    data = records[0] + b"gar\xffbage\n" + records[1] + newer + bytes(100) + b"\n" + records[3] + records[4][:-30]
    path.write_bytes(data)
    shutil.rmtree(pytester.path / ".pytest_cache")  # the checkpoint knew the records while they were whole

    result = run(pytester, "--execo-campaign=c")
    assert result.ret == 0
    assert ran(pytester) == [2, 4, 5]
    name = f"c/records/{path.name}"
    newer_words = "schema pytest-execo/record/2 is newer than pytest-execo/record/1; upgrade pytest-execo"
    assert warnings(result) == [
        f"execo: warning: {name}:{line}: {reason}; kept in quarantine/{path.name}"
        for line, reason in [
            (2, "not UTF-8 at its byte 4"),
            (4, newer_words),
            (5, "100 zero bytes, as a crash of the machine leaves them"),
            (7, "the last line was cut"),
        ]
    ]
    assert path.read_bytes() == data
    kept = (pytester.path / "c" / "quarantine" / path.name).read_bytes()
    assert [json.loads(line)["line"] for line in kept.splitlines()] == [2, 4, 5, 7]

    # All is done, each bad line was told, and it is told once; also when the checkpoint was lost.
    for _ in range(2):
        result = run(pytester, "--execo-campaign=c")
        assert result.ret == 0
        assert ran(pytester) == []
        assert warnings(result) == []
        shutil.rmtree(pytester.path / ".pytest_cache")
    assert path.read_bytes() == data
    assert (pytester.path / "c" / "quarantine" / path.name).read_bytes() == kept


def test_many_bad_lines_are_told_in_a_few(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    assert run(pytester, "--execo-campaign=c").ret == 0
    (path,) = Path(pytester.path, "c", "records").iterdir()
    with path.open("a") as file:
        file.write("garbage\n" * 40)
    # Collecting reads the records too: what it finds is told by it, and kept.
    told = warnings(run(pytester, "--execo-campaign=c", "--collect-only"))
    assert len(told) == 6
    assert told[0] == (f"execo: warning: c/records/{path.name}:7: not JSON; kept in quarantine/{path.name}")
    assert told[5] == "execo: warning: 35 more lines of records can't be read; kept in quarantine/"
    assert warnings(run(pytester, "--execo-campaign=c")) == []


def test_the_record_of_two_machines_is_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    assert run(pytester, "--execo-campaign=c").ret == 0
    (path,) = Path(pytester.path, "c", "records").iterdir()
    shutil.copyfile(path, path.with_name("copy.jsonl"))
    shutil.rmtree(pytester.path / ".pytest_cache")
    ran(pytester)
    result = run(pytester, "--execo-campaign=c")
    assert result.ret == 0
    assert (ran(pytester), warnings(result)) == ([], [])


# What can't be written

RESERVING = """
from pytest_execo.testbeds.embedded import EmbeddedTestbed

def reserve(self, request, **more):
    open(PATH, "w").close()
    raise AssertionError("reserved")

EmbeddedTestbed.reserve = reserve
"""

NODES = """
from pytest_execo import sweep

@sweep(x=range(2))
def test_it(nodes, trial, x):
    raise AssertionError("it ran")
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose testbed leaves a file, ``reserved``, when it is asked for nodes."""
    reserved = pytester.path / "reserved"
    pytester.makeconftest(RESERVING.replace("PATH", repr(str(reserved))))
    pytester.makepyfile(NODES)
    return pytester


def refused(pytester: pytest.Pytester, result: pytest.RunResult) -> str:
    """Return the one line of a run that was refused before anything was reserved."""
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == pytest.ExitCode.USAGE_ERROR, text
    assert "Traceback" not in text
    assert not (pytester.path / "reserved").exists()
    (line,) = [line for line in result.errlines if line.startswith("ERROR: ")]
    return line


@pytest.fixture
def obeying() -> list[str]:
    """Return what goes before a command that is to obey permission bits: root does so without two capabilities."""
    if os.geteuid() != 0:
        return []
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if shutil.which("setpriv") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("root obeys no permission bits here: setpriv is missing or not allowed")
    return prefix


def make_campaign(pytester: pytest.Pytester) -> Path:
    """Make a campaign with a record; return its directory."""
    path = pytester.makepyfile(test_first="from pytest_execo import sweep\n@sweep(x=[1])\ndef test_a(x): pass")
    assert run(pytester, path.name).ret == 0
    path.unlink()
    (directory,) = Path(pytester.path, "execo-results").iterdir()
    return directory


@pytest.mark.parametrize("what", ["execo-results", "campaign", "records", "given"])
def test_permission_bits(project: pytest.Pytester, obeying: list[str], what: str) -> None:
    args: list[str] = []
    if what == "given":
        place = project.mkdir("results")
        args = ["--execo-campaign=results/mine"]
    elif what == "execo-results":
        place = project.mkdir("execo-results")
    else:
        directory = make_campaign(project)
        place = directory if what == "campaign" else directory / "records"
    place.chmod(0o555)
    try:
        line = refused(project, run(project, *args, prefix=obeying))
    finally:
        place.chmod(0o755)
    assert f"{place} is not writable" in line or f"{place.relative_to(project.path)} is not writable" in line
    assert "--execo-campaign=" in line


def test_a_record_file_system_that_is_read_only(project: pytest.Pytester) -> None:
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("this machine allows no mount namespaces")
    directory = make_campaign(project)
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    for place in (directory.parent, directory, directory / "records"):
        line = refused(project, run(project, prefix=[*unshare, "sh", "-c", script, str(place)]))
        assert "is not writable" in line
        assert str(directory.parent) in line
    # By its name, too.
    args = [f"--execo-campaign={directory}", "--execo-rerun=all"]
    line = refused(project, run(project, *args, prefix=[*unshare, "sh", "-c", script, str(directory)]))
    assert f"--execo-campaign={directory}" in line


def test_a_checkpoint_that_cannot_be_written(project: pytest.Pytester, obeying: list[str]) -> None:
    place = project.mkdir("elsewhere")
    place.chmod(0o555)
    try:
        line = refused(project, run(project, "--execo-checkpoint=elsewhere/store.sqlite", prefix=obeying))
    finally:
        place.chmod(0o755)
    assert "--execo-checkpoint" in line
    assert "elsewhere" in line


def test_a_checkpoint_of_another_campaign(project: pytest.Pytester) -> None:
    (project.path / "test_a.py").write_text(TEST)
    first = run(project, "test_a.py", "--execo-campaign=one", "--execo-checkpoint=store.sqlite")
    assert first.ret == 0, first.stdout.str()
    records = [path.read_bytes() for path in (project.path / "one" / "records").iterdir()]
    line = refused(project, run(project, "--execo-campaign=two", "--execo-checkpoint=store.sqlite"))
    assert "store.sqlite" in line
    assert "another campaign" in line or "of campaign" in line
    assert [path.read_bytes() for path in (project.path / "one" / "records").iterdir()] == records
