"""Nodes from the inside: whether they answer, and what runs on them."""

from __future__ import annotations

from collections.abc import Sequence

from ....hosts import Host, Hosts
from ....processes import Remote
from ..client import Polling
from .waiting import Waiting

__all__ = ("environments_of", "wait_for_ssh")

# Real seconds for one node to answer one question.
_ANSWER = 20.0


def wait_for_ssh(hosts: Sequence[Host], *, timeout: float, waiting: Waiting) -> Hosts:
    """Wait until all hosts run a command, and return those that do; the others had their time.

    The host key that each shows at its first contact is the one it has to show from then on.

    :param timeout: seconds, of the testbed's clock; each host is asked at least twice.
    """
    waiting = waiting.until(timeout)
    polling = Polling(first=2.0, longest=10.0)
    good: set[str] = set()
    rounds = 0
    while True:
        rounds += 1
        missing = [host for host in hosts if host.name not in good]
        good |= _answers(missing, "true").keys()
        if len(good) == len(hosts) or (not waiting.pause(polling.delay(waiting.clock())) and rounds >= 2):
            return Hosts(host for host in hosts if host.name in good)


def environments_of(hosts: Sequence[Host]) -> dict[str, str]:
    """Return the environment that each host says it runs, of those that answer; by name."""
    return {name: said.strip() for name, said in _answers(hosts, "cat /etc/grid5000/release").items()}


def _answers(hosts: Sequence[Host], command: str) -> dict[str, str]:
    """Return what a command writes on each host on which it succeeds. That others fail is not logged."""
    if not hosts:
        return {}
    group = Remote(
        command, hosts, timeout=_ANSWER, ignore_exit_code=True, ignore_timeout=True, ignore_error=True
    ).run(check=False)  # fmt: skip
    return {host.name: process.stdout for host, process in zip(hosts, group, strict=True) if process.exit_code == 0}
