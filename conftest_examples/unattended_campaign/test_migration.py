"""Live migrations of a virtual machine, as in §IV.B of the paper, on leases that hold a few of them each."""

from __future__ import annotations

import pytest

from pytest_execo import Hosts, Trial, sweep

# A migration of 40 s takes 80 ms here.
SCALE = 500
PAGE_SIZE_SENT = 8  # MiB that may be left when the machine is stopped to send the rest
ROUNDS = 30


def migration(memory: int, bandwidth: int, colocated: int, dirty: int, busy: int) -> tuple[float, float]:
    """Return how long pre-copy migration takes, and how long the machine stands still; seconds.

    :param memory: MiB. :param bandwidth: MB/s, shared by ``colocated`` machines that migrate together.
    :param dirty: how fast memory is written, percent of what the network takes away.
    :param busy: how busy the processor is with other things, percent.
    """
    rate = bandwidth / colocated / (1 + busy / 400)
    left, total = float(memory), 0.0
    for _ in range(ROUNDS):
        took = left / rate
        total += took
        left = min(left, dirty / 100 * rate * took)
        if left <= PAGE_SIZE_SENT:
            break
    return total + left / rate, left / rate


@pytest.mark.execo(nodes=2, cluster="taurus", walltime="0:15:00", environment="debian12-min")
@sweep(memory=[2048, 4096, 8192], bandwidth=[32, 125], colocated=[1, 2], dirty=[0, 10, 25, 50, 75], busy=[0, 100])
def test_migration(
    deployed: Hosts, trial: Trial, memory: int, bandwidth: int, colocated: int, dirty: int, busy: int
) -> None:
    source, target = deployed
    duration, downtime = migration(memory, bandwidth, colocated, dirty, busy)
    target.run("test -d /root")
    played = source.run(f"sleep {duration / SCALE:.4f}")
    assert played.start_date is not None
    assert played.end_date is not None
    trial.record(
        migration=duration,
        downtime=downtime,
        played=played.end_date - played.start_date,
    )
