"""A site of the size of all Grid'5000 is planned in no time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.slow
def test_939_nodes_and_200_jobs(make_bench: Callable[..., Any], make_cluster: Callable[..., dict[str, Any]]) -> None:
    clusters = {f"c{n}": make_cluster(f"c{n}", 6 if n else 3) for n in range(157)}
    bench = make_bench({"uid": "lyon", "clusters": clusters})
    assert len(bench.resources) == 939 * 4
    draw = random.Random(5)
    for number in range(200):
        bench.submit(f"nodes={draw.randint(1, 400)},walltime=0:{draw.randint(1, 59)}", user=f"u{number % 20}")
    began = time.process_time()
    bench.go(1)
    assert time.process_time() - began < 1
    assert all(job.scheduled for job in bench.oar.jobs())
    first = max((job for job in bench.oar.jobs() if job.state == "Launching"), key=lambda job: job.assigned.bit_count())
    bench.go(1)
    bench.oar.end_command(first.id)
    began = time.process_time()
    bench.go(5)
    assert first.over
    assert time.process_time() - began < 1
