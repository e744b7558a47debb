"""How long pytest takes to collect a sweep, beside plain ``pytest.mark.parametrize`` of the same items, in one run.

python benchmarks/collection.py [--trials 1000 10000 100000] [--repeat 3] [--json FILE]

``seconds`` is the wall time of ``pytest --collect-only -q`` as a process, ``cpu`` its user and system time, medians of
the repetitions, which take turns. ``ratio`` is that of the wall times; at 100 000 trials it is to be 1.5 at most.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLAIN = """
import itertools, pytest

@pytest.mark.parametrize("a,b,c", list(itertools.product(range({a}), range({b}), range({c}))))
def test_it(a, b, c): pass
"""
SWEEP = """
from pytest_execo import sweep

@sweep(a=list(range({a})), b=list(range({b})), c=list(range({c})))
def test_it(a, b, c): pass
"""
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
COMMAND = [sys.executable, "-m", "pytest", "--collect-only", "-q", *WITHOUT]


def collect(text: str, trials: int) -> tuple[float, float]:
    """Return wall and CPU seconds of one collection, checked for the number of items."""
    levels = {"a": trials // 100, "b": 10, "c": 10}
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "test_it.py").write_text(text.format(**levels))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        done = subprocess.run(COMMAND, cwd=directory, capture_output=True, text=True, timeout=600, check=True)
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if f"{trials} tests collected" not in done.stdout:
        sys.exit(f"not {trials} tests collected:\n{done.stdout[-500:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000, 100_000], metavar="N")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if any(trials < 100 or trials % 100 for trials in options.trials):
        parser.error("--trials: write multiples of 100")
    rows = []
    print(f"{'trials':>8} {'parametrize':>12} {'cpu':>6} {'sweep':>8} {'cpu':>6} {'ratio':>6}   (seconds)")
    for trials in options.trials:
        taken: dict[str, list[tuple[float, float]]] = {PLAIN: [], SWEEP: []}
        for _ in range(options.repeat):
            for text, samples in taken.items():
                samples.append(collect(text, trials))
        plain, sweep = (tuple(map(statistics.median, zip(*samples, strict=True))) for samples in taken.values())
        ratio = statistics.median(two[0] / one[0] for one, two in zip(*taken.values(), strict=True))
        rows.append({"trials": trials, "parametrize": plain, "sweep": sweep, "ratio": ratio})
        print(f"{trials:8} {plain[0]:12.2f} {plain[1]:6.2f} {sweep[0]:8.2f} {sweep[1]:6.2f} {ratio:6.2f}")
    if options.json:
        facts = {"python": platform.python_version(), "cpus": os.cpu_count(), "load": os.getloadavg()}
        options.json.write_text(json.dumps({"machine": facts, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
