"""The space of the paper's first experiment: in which order are 96 virtual machines started on 12 cores?

Core c holds the machines 8c to 8c + 7, so that at any time it runs 0 to 8 of them. Each order is a setting: there are
96! ≈ 9.9e149, of which not one is listed.

python space.py    prints the size of the space and the first settings of the sample
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from pytest_execo import Space
from pytest_execo.sweeps import permutations

CORES = 12
VMS_PER_CORE = 8
VMS = CORES * VMS_PER_CORE
SEED = 2013
SETTINGS = 100

SPACE = Space(order=permutations(range(VMS)))


def core(vm: int) -> int:
    """Return the core that a virtual machine belongs to."""
    return vm // VMS_PER_CORE


def load(order: Sequence[int], running: int) -> list[int]:
    """Return how many of the first ``running`` machines each core has."""
    held = Counter(core(vm) for vm in order[:running])
    return [held[number] for number in range(CORES)]


if __name__ == "__main__":
    started = time.perf_counter()
    sample = SPACE.sample(SETTINGS, seed=SEED)
    points = list(sample)
    took = time.perf_counter() - started
    print(f"{SPACE.size} settings, about {SPACE.size:.4g}")
    print(f"{len(points)} drawn with seed {SEED} in {took:.3f} s")
    for point in points[:3]:
        order = point.values["order"]
        print(f"number {SPACE.index(point):.6g}: starts {order[:12]}…; after 24, the cores run {load(order, 24)}")
