"""Campaigns on a real file system that fills up, or turns read-only, while they run.

The file system is a small tmpfs in a mount namespace of its own, which ends with the process that made it.
"""

from __future__ import annotations

import collections
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.torture, pytest.mark.integration, pytest.mark.timeout(300)]

UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]

# What every script begins with. `disk` is a tmpfs of 2 MiB; `mount` changes it.
PRELUDE = """
import json, os, pathlib, subprocess, sys
disk = pathlib.Path("disk").absolute()
disk.mkdir()

def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)

mount("size=2m")
"""


def on_a_small_disk(directory: Path, script: str, *args: str) -> Any:
    """Run a script with a disk of its own; return the JSON that it prints."""
    try:
        done = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False, timeout=30)
    except FileNotFoundError:
        pytest.skip("unshare is not installed (apt-get install util-linux)")
    if done.returncode:
        pytest.skip(f"this machine allows no mount namespaces: {done.stderr.strip()}")
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-c", PRELUDE + script, *args],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_writer_on_a_full_disk(tmp_path: Path) -> None:
    seen = on_a_small_disk(
        tmp_path,
        """
from pytest_execo.errors import RecordError
from pytest_execo.results import RecordWriter

writer = RecordWriter(disk / "records" / "s.jsonl")
seen = {"written": [], "errors": []}
number = 0

def write(size):
    global number
    number += 1
    try:
        writer.write({"number": number, "text": "x" * size})
    except RecordError as error:
        seen["errors"].append(str(error))
    else:
        seen["written"].append(number)

(disk / "filler").write_bytes(bytes(1 << 20))
while not seen["errors"]:
    write(30_000)
for size in (30_000, 8_000, 8_000, 1_000, 1_000, 1_000):  # what still fits is written, what does not leaves nothing
    write(size)
(disk / "filler").unlink()
write(30_000)
seen["path"] = str(writer.path)
seen["read"] = [json.loads(line)["number"] for line in writer.path.read_text().splitlines()]
print(json.dumps(seen))
""",
    )
    assert seen["read"] == seen["written"]
    assert 25 < len(seen["written"]) < 45
    first = seen["errors"][0]
    assert first.startswith(f"{seen['path']}: the record can't be written: No space left on device (30")
    needed, free = [int(part.split()[0]) for part in first.partition("(")[2].split(", ")]
    assert free < needed < 31_000


def test_room_is_missed_before_a_trial_runs(tmp_path: Path) -> None:
    seen = on_a_small_disk(
        tmp_path,
        """
from pytest_execo.errors import RecordError
from pytest_execo.results import RecordWriter, check_writable

seen = []
def told(check):
    try:
        check()
    except RecordError as error:
        seen.append(str(error))
    else:
        seen.append(None)

writer = RecordWriter(disk / "records" / "s.jsonl")
told(writer.check_room)
told(lambda: check_writable(disk / "records"))
(disk / "filler").write_bytes(bytes((2 << 20) - (128 << 10)))
told(writer.check_room)
told(lambda: writer.check_room(4096))
with open(disk / "more", "wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            pass
    except OSError:
        pass
told(lambda: check_writable(disk / "records"))
(disk / "more").unlink()
mount("remount,ro")
told(writer.check_room)
told(lambda: writer.write({}))
told(lambda: check_writable(disk))
print(json.dumps(seen))
""",
    )
    disk = tmp_path / "disk"
    path = disk / "records" / "s.jsonl"
    assert seen == [
        None,
        None,
        f"{path}: no room for the next record: 262144 bytes needed, {128 << 10} free",
        None,
        f"{disk} is not writable: No space left on device (4096 bytes needed, 0 free)",
        f"{path}: no record can be written: Read-only file system",
        f"{path}: the record can't be written: Read-only file system",
        f"{disk} is not writable: Read-only file system",
    ]


TEST = """
import os
from pytest_execo import sweep

@sweep(x=range(40))
def test_it(trial, x):
    with open(os.environ["DIARY"], "a") as diary:
        diary.write(f"{trial.id}\\n")
    trial.record(text="y" * 60_000)
"""

FULL = "the record can't be written|no room for the next record|database or disk is full"
# With the project on the disk, pytest's cache and the checkpoint in it are there too.
RUN = """
place = sys.argv[1]
command = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "--rootdir=."]
if place == "campaign":
    command.append("--execo-campaign=disk/campaign")
else:
    (disk / "test_it.py").symlink_to("../test_it.py")
os.environ["DIARY"] = os.path.abspath("diary")

def run():
    done = subprocess.run(command, capture_output=True, text=True, cwd=disk if place == "project" else None)
    records = [path.read_text() for path in sorted(disk.glob("**/records/*.jsonl"))]
    diary = pathlib.Path("diary").read_text().split()
    output = done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    seen.append({"status": done.returncode, "output": output, "last": last, "records": records, "diary": diary})

seen = []
"""


def passed(run: dict[str, Any]) -> collections.Counter[str]:
    """Count the records of each trial; every line is one."""
    lines = [line for text in run["records"] for line in text.splitlines()]
    assert all(text.endswith("\n") for text in run["records"] if text)
    records = [json.loads(line) for line in lines]
    assert {record["outcome"] for record in records} == {"passed"}
    return collections.Counter(record["trial"] for record in records)


@pytest.mark.parametrize("place", ["campaign", "project"])
def test_a_campaign_on_a_full_disk(tmp_path: Path, place: str) -> None:
    """It stops with one line, nothing recorded is lost, and the same command goes on when there is room."""
    (tmp_path / "test_it.py").write_text(TEST)
    full, again, after = on_a_small_disk(
        tmp_path,
        RUN
        + """
run()
run()
mount("remount,size=8m")
run()
print(json.dumps(seen))
""",
        place,
    )
    assert full["status"] == 3, full["output"]
    assert "INTERNALERROR" not in full["output"]
    assert "Traceback" not in full["output"]
    (told,) = [line for line in full["output"].splitlines() if re.search(FULL, line)]
    assert "execo: " in told
    if place == "campaign":
        assert " bytes needed, " in told
    assert "left; to go on: " in full["last"], full["output"]
    done = passed(full)
    assert 10 < len(done) < 40
    assert set(done.values()) == {1}
    # At the most the trial whose record did not fit ran in vain.
    assert len(full["diary"]) - len(done) in (0, 1)

    # Still full: refused before a test runs, or stopped by the first one; nothing that was recorded is touched.
    assert again["status"] in (3, 4), again["output"]
    assert "INTERNALERROR" not in again["output"]
    assert "Traceback" not in again["output"]
    assert passed(again) >= done

    assert after["status"] == 0, after["output"]
    assert set(passed(after).values()) == {1}
    assert len(passed(after)) == 40
    assert collections.Counter(after["diary"])[next(iter(done))] == 1
    assert len(after["diary"]) <= 42


ATTACHING = """
from pytest_execo import sweep

@sweep(x=range(40))
def test_it(trial, x):
    with open("diary", "a") as diary:
        diary.write(f"{trial.id}\\n")
    with open("log", "wb") as log:
        log.write(bytes(300_000))
    trial.attach("log")
"""


def test_files_that_do_not_fit_fail_no_trial(tmp_path: Path) -> None:
    """A test that attaches a file to a full disk has not failed: it is to do again, and the run stops."""
    (tmp_path / "test_it.py").write_text(ATTACHING)
    full, after = on_a_small_disk(
        tmp_path,
        RUN
        + """
run()
mount("remount,size=16m")
run()
print(json.dumps(seen))
""",
        "campaign",
    )
    assert full["status"] == 3, full["output"]
    assert "INTERNALERROR" not in full["output"]
    outcomes = [json.loads(line)["outcome"] for text in full["records"] for line in text.splitlines()]
    assert set(outcomes) <= {"passed", "pending"}
    assert 1 < outcomes.count("passed") < 8
    assert len(full["diary"]) < 10
    assert re.search(r"execo: .*(No space left|no room)", full["output"]), full["output"]
    assert "left; to go on: " in full["last"]
    assert after["status"] == 0, after["output"]
    records = [json.loads(line) for text in after["records"] for line in text.splitlines()]
    counted = collections.Counter(record["trial"] for record in records if record["outcome"] == "passed")
    assert len(counted) == 40
    assert set(counted.values()) == {1}


def test_a_campaign_on_a_disk_that_is_read_only_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "diary").touch()
    refused, resumed = on_a_small_disk(
        tmp_path,
        RUN
        + """
mount("remount,ro")
run()
mount("remount,rw,size=8m")
(disk / "campaign").mkdir()
run()
print(json.dumps(seen))
""",
        "campaign",
    )
    assert refused["status"] == 4, refused["output"]
    (line,) = [line for line in refused["output"].splitlines() if line.startswith("ERROR: ")]
    assert "--execo-campaign=disk/campaign" in line
    assert "not writable" in line
    assert refused["diary"] == []
    assert resumed["status"] == 0, resumed["output"]
