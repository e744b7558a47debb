"""One sample: a driver in an interpreter of its own, watched from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import trees
from .farm import Farm
from .job import Job

__all__ = ("Sample", "measure")

_ROOT = Path(__file__).resolve().parents[2]
# Looking at a large tree costs CPU that the peer and the server need: at most this share of one core.
_SHARE = 0.02
_INTERVAL = 0.05
# Seconds for a driver to end after its last step; one that does not is no failure of what was measured.
_LEAVE = 60
# Seconds for what a driver started to end after it: execo has a guard that looks every second.
_GRACE = 3


@dataclass
class Sample:
    """What one step of a driver cost; ``error`` is set when it did not come to its end."""

    wall: float | None = None
    cpu: float | None = None
    memory: int | None = None
    ok: int = 0
    of: int = 0
    error: str | None = None
    #: Seconds after which it was given up.
    given_up: float | None = None
    #: Seconds that importing the libraries took, before.
    loaded: float | None = None
    #: Average number of processes that wanted a core in the minute before.
    load: float = 0.0
    #: Processes that were left behind, and were ended.
    left: int = 0


def measure(job: Job, python: Path, farm: Farm, *, steps: int, timeout: float) -> list[Sample]:
    """Run ``job`` and return its samples, one for each step. It never raises for what the peer does."""
    load = os.getloadavg()[0]
    order, result, log = (farm.directory / name for name in ("job", "result", "driver.log"))
    job.write(order)
    result.unlink(missing_ok=True)
    with log.open("wb") as output:
        driver = subprocess.Popen(
            [python, "-m", f"{__package__}.driver", order, result],
            cwd=_ROOT,
            env=_environment(farm),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        held, late = _watch(driver, result, steps, time.monotonic() + timeout)
    finally:
        if driver.poll() is None:
            driver.send_signal(signal.SIGKILL)
            driver.wait()
        left = _left(farm)
    unfinished = farm.quiet()
    samples = [_sample(line, held) for line in _lines(result)][:steps]
    if len(samples) < steps:
        said = log.read_text(errors="replace").strip().splitlines()
        why = f"not done within {timeout:g} s" if late else said[-1] if said else f"exit code {driver.returncode}"
        samples.append(Sample(error=why, given_up=timeout if late else None))
    for sample in samples:
        sample.load = load
        sample.left = left + unfinished
        if sample.error is None and sample.ok < sample.of:
            sample.error = next(reversed(log.read_text(errors="replace").strip().splitlines()), None)
    return samples


def _left(farm: Farm) -> int:
    """Return how many processes the driver left, which are ours now, after a moment to end by themselves; end them."""
    deadline = time.monotonic() + _GRACE
    while (left := trees.descendants(os.getpid(), but=farm.pid)) and time.monotonic() < deadline:
        if not trees.running(left):
            break
        time.sleep(0.05)
    running = trees.running(left)
    trees.end(left)
    return len(running)


def _environment(farm: Farm) -> dict[str, str]:
    # Neither an agent nor somebody's configuration takes part.
    hidden = ("SSH_AUTH_SOCK", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    home = farm.directory / "home"
    home.mkdir(exist_ok=True)
    return {**kept, "HOME": str(home), "LC_ALL": "C.UTF-8"}


def _watch(
    driver: subprocess.Popen[bytes], result: Path, steps: int, deadline: float
) -> tuple[list[tuple[float, int]], bool]:
    """Wait for the driver's end; return (date, bytes held by its tree)* and whether it was too late."""
    held: list[tuple[float, int]] = []
    done = 0
    while driver.poll() is None:
        start = time.monotonic()
        held.append((start, trees.memory([driver.pid, *trees.descendants(driver.pid)])))
        if done < steps and (done := len(_lines(result))) == steps:
            deadline = start + _LEAVE
        if start > deadline:
            return held, done < steps
        try:
            driver.wait(max(_INTERVAL, (time.monotonic() - start) / _SHARE))
        except subprocess.TimeoutExpired:
            continue
    return held, False


def _lines(result: Path) -> list[dict[str, float]]:
    if not result.exists():
        return []
    return [json.loads(line) for line in result.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _sample(line: dict[str, float], held: list[tuple[float, int]]) -> Sample:
    seen = [size for date, size in held if line["start"] <= date <= line["start"] + line["wall"]]
    return Sample(
        wall=line["wall"],
        cpu=line["cpu"],
        memory=int(max(line["memory"], *seen, 0)),
        ok=int(line["ok"]),
        of=int(line["of"]),
        loaded=line["loaded"],
    )
