"""One sample: a driver in an interpreter of its own, bounded in time."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .job import Job

__all__ = ("IN_MEMORY", "Sample", "file_system", "measure")

_ROOT = Path(__file__).resolve().parents[2]

#: File systems that a sync does nothing for.
IN_MEMORY = ("tmpfs", "ramfs")


@dataclass
class Sample:
    """What one peer did, once; ``error`` is set when it did not come to its end, or lost something."""

    count: int
    before: int
    wall: float | None = None
    cpu: float | None = None
    #: Seconds to make the sweep, libraries and all, before the clock starts.
    opened: float | None = None
    #: Bytes, at the most.
    memory: int | None = None
    error: str | None = None
    #: Average number of processes that wanted a core in the minute before.
    load: float = 0.0

    @property
    def rate(self) -> float | None:
        """Trials a second."""
        return self.count / self.wall if self.wall and self.error is None else None


def measure(peer: str, size: int, before: int, count: int, *, python: Path, where: Path, timeout: float) -> Sample:
    """Run a peer in a new directory below ``where``, and return its sample. It never raises for what the peer does."""
    sample = Sample(count, before, load=os.getloadavg()[0])
    with tempfile.TemporaryDirectory(prefix="checkpoint-", dir=where) as room:
        order, result, sweep = (Path(room, name) for name in ("job", "result", "sweep"))
        sweep.mkdir()
        Job(peer, size, before, count, str(sweep)).write(order)
        command = [str(python), "-m", f"{__package__}.driver", str(order), str(result)]
        try:
            done = subprocess.run(
                command, cwd=_ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            sample.error = f"not done after {timeout:g} s"
            return sample
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            sample.error = said[-1] if said else f"exit status {done.returncode}"
            return sample
        figures = json.loads(result.read_text())
    kept = figures.pop("kept")
    for name, figure in figures.items():
        setattr(sample, name, figure)
    if kept != before + count:
        sample.error = f"{before + count} done, and {kept} kept"
    return sample


def file_system(path: Path) -> str:
    """Return the type of the file system that a directory is on; "" where the system does not say."""
    best, found = -1, ""
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return found
    for _, mount, kind, *_ in (line.split() for line in mounts):
        place = mount.encode().decode("unicode_escape")
        if path.resolve().is_relative_to(place) and len(place) >= best:
            best, found = len(place), kind
    return found
