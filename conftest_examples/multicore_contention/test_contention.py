"""100 of 96! orders in which virtual machines are started on 12 cores: how long until the last of the first 12 is up?

A machine's start is stood in for by a checksum of 100 kB. Machines of one core start one after another, those of
different cores side by side.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import pytest

from pytest_execo import Hosts, Trial, sweep

sys.path.insert(0, str(Path(__file__).parent))

from space import CORES, SEED, SETTINGS, SPACE, core, load

STARTED = CORES
START = "head -c 100000 /dev/zero | sha256sum"


@pytest.fixture(scope="module")
def booted(nodes: Hosts) -> Hosts:
    """The node, reached once: what the first contact costs is not to be measured."""
    nodes.run("true")
    return nodes


@sweep(SPACE.sample(SETTINGS, seed=SEED))
def test_contention(booted: Hosts, trial: Trial, order: list[int]) -> None:
    of_core: dict[int, list[int]] = defaultdict(list)
    for vm in order[:STARTED]:
        of_core[core(vm)].append(vm)
    cores = [f"({'; '.join(f'{START} && echo vm {vm}' for vm in vms)}) &" for vms in of_core.values()]
    process = booted[0].run("\n".join([*cores, "wait"]))
    trial.record(duration=process.duration, most_on_a_core=max(load(order, STARTED)), cores_used=len(of_core))
    started = {int(line.split()[1]) for line in process.stdout.splitlines() if line.startswith("vm ")}
    assert started == set(order[:STARTED])
