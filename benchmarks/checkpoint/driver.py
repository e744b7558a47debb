"""One peer in an interpreter of its own: ``python -m benchmarks.checkpoint.driver JOB RESULT``."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from .job import Job
from .workers import WORKERS


def main() -> None:
    """Do the job, and write what it took."""
    job = Job.read(Path(sys.argv[1]))
    steps = WORKERS[job.peer](job)
    begun = time.monotonic()
    next(steps)
    ready, before = time.monotonic(), time.process_time()
    next(steps)
    through, spent = time.monotonic(), time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    kept = next(steps)
    figures = {"wall": through - ready, "cpu": spent, "opened": ready - begun, "memory": peak, "kept": kept}
    Path(sys.argv[2]).write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
