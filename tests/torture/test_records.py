"""Writers of records killed by SIGKILL in the middle of a line, while others read: nothing lost, no early fault."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_execo.results import Fault, sync_store
from pytest_execo.sweeps import SqliteStore

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]

# Lines of megabytes: a kernel gives up a long write in the middle when its process is killed.
WRITER = """
import os, sys
from pytest_execo.results import RecordWriter
from pytest_execo.units import iso_date

session = sys.argv[2]
with RecordWriter(os.path.join(sys.argv[1], f"{session}.jsonl")) as writer:
    for number in range(10_000):
        trial = f"{int(session):08x}{number:08x}"
        date = iso_date()
        writer.write({
            "schema": "pytest-execo/record/1", "campaign": "c", "session": session, "trial": trial, "test": "t",
            "params": {}, "repetition": 0, "attempt": 1, "outcome": "passed", "reason": None, "started_at": date,
            "ended_at": date, "duration": 0.0, "nodes": [], "measurements": {"text": "x" * 4_000_000},
            "attachments": [], "error": None,
        })
        print(trial, flush=True)
"""


def kill(pid: int, killing: threading.Event) -> None:
    killing.set()
    os.kill(pid, signal.SIGKILL)


def test_killed_while_others_read(
    tmp_path: Path, scaled: Callable[[int], int], chance: random.Random, capsys: pytest.CaptureFixture[str]
) -> None:
    records = tmp_path / "records"
    records.mkdir()
    torn = 0
    with SqliteStore(tmp_path / "a.db", campaign="c") as store:
        for session in range(scaled(80)):
            command = [sys.executable, "-c", WRITER, str(records), str(session)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
                assert writer.stdout is not None
                written = [writer.stdout.readline().strip()]
                killing = threading.Event()
                timer = threading.Timer(chance.uniform(0.0, 0.1), kill, (writer.pid, killing))
                timer.start()
                faults: list[Fault] = []
                while not killing.is_set():
                    faults = sync_store(store, records)
                    assert killing.is_set() or not faults, "reported while its session lived"
                written += [line.strip() for line in writer.stdout if line.endswith("\n")]
            assert writer.wait() == -signal.SIGKILL
            faults += sync_store(store, records)
            torn += len(faults)
            assert [(fault.path.name, fault.reason) for fault in faults] in (
                [],
                [(f"{session}.jsonl", "the last line was cut")],
            )
            known = store.look(written)
            assert {one.state.value for one in known.values()} == {"passed"}
            assert sync_store(store, records) == []
            for path in records.iterdir():  # read, and large
                os.truncate(path, 0)
    with capsys.disabled():
        print(f"{torn} lines cut", end=" ")
