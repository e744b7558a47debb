"""Runs one job of one peer in this interpreter: ``python -m benchmarks.process_control.driver JOB RESULT``.

A driver is a module of :mod:`.drivers` with a function for each row that the peer can do. The function is a generator:
what it does up to its first ``yield`` is the first step, up to the second one the second step, and so on; what comes
after the last is not measured. It yields what can be checked: for ``contact`` the output of each host that was reached,
for ``local`` the exit codes, for the two kinds of ``lines`` how many lines and bytes the handler was given, for ``put``
nothing. ``prepare(job)``, if there is one, is called before the clock starts, like the import of the module.

One JSON line is written to RESULT for each step as soon as it is done: what fails later takes nothing back.
"""

from __future__ import annotations

import contextlib
import filecmp
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import trees
from .job import Job

__all__ = ("main",)


def _cpu() -> float:
    own, reaped = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + reaped.ru_utime + reaped.ru_stime


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): the high-water mark starts anew


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _checked(job: Job, result: Any) -> tuple[int, int]:
    """Return how many results are right, and how many there have to be."""
    if job.row == "contact":
        return sum(result.get(host, "").strip() == job.expected for host in job.hosts), len(job.hosts)
    if job.row == "local":
        return sum(code == 0 for code in result), job.count
    if job.row == "put":
        copies = [f"{job.targets}/{host}" for host in job.hosts]
        filecmp.clear_cache()
        return sum(os.path.exists(copy) and filecmp.cmp(job.source, copy, False) for copy in copies), len(copies)
    lines, size = result
    return (lines if size == job.count else 0), job.count // len(job.expected)


def _steps(job: Job) -> Iterator[Any]:
    module = importlib.import_module(f".drivers.{job.driver}", __package__)
    if prepare := getattr(module, "prepare", None):
        prepare(job)
    steps: Iterator[Any] = getattr(module, job.row)(job)
    return steps


def main() -> None:
    """Do the job whose file the command line names."""
    job, result = Job.read(Path(sys.argv[1])), Path(sys.argv[2])
    trees.adopt_orphans()  # what makes itself a daemon (an ssh master) is still the peer's
    me = os.getpid()
    start = time.monotonic()
    steps = _steps(job)
    loaded = time.monotonic() - start
    with result.open("w", buffering=1) as report:
        while True:
            _reset_peak()
            living, own, start = trees.cpu_seconds(trees.descendants(me)), _cpu(), time.monotonic()
            try:
                outcome = next(steps)
            except StopIteration:
                break
            finish, spent = time.monotonic(), _cpu() - own
            tree = trees.descendants(me)
            spent += trees.cpu_seconds(tree) - living
            peak = max(_peak(), trees.memory([me, *tree]))
            ok, of = _checked(job, outcome)
            figures = {"start": start, "wall": finish - start, "cpu": spent, "memory": peak, "ok": ok, "of": of}
            report.write(json.dumps({**figures, "loaded": loaded}) + "\n")


if __name__ == "__main__":
    main()
