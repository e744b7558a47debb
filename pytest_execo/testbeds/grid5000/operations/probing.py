"""Nodes from the inside: whether they answer, and what runs on them."""

from __future__ import annotations

from collections.abc import Sequence

from ....connectors.host_keys import host_keys
from ....errors import ExecoError
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
    good: dict[str, Host] = {}
    rounds = 0
    while True:
        rounds += 1
        missing = [host for host in hosts if host.name not in good]
        good.update({name: host for name, host in _run(missing, "true").items() if host is not None})
        if len(good) == len(hosts) or (not waiting.pause(polling.delay(waiting.clock())) and rounds >= 2):
            return Hosts(host for host in hosts if host.name in good)


def _run(hosts: Sequence[Host], command: str) -> dict[str, Host | None]:
    if not hosts:
        return {}
    group = Remote(command, hosts, timeout=_ANSWER)
    try:
        group.run(check=False)
    except ExecoError:
        return {}
    return {host.name: host if process.ok else None for host, process in zip(hosts, group, strict=True)}


def environments_of(hosts: Sequence[Host]) -> dict[str, str]:
    """Return the environment that each host says it runs, of those that answer; by name."""
    if not hosts:
        return {}
    group = Remote("cat /etc/grid5000/release", hosts, timeout=_ANSWER).run(check=False)
    host_keys.forget([host for host, process in zip(hosts, group, strict=True) if not process.ok])
    return {host.name: process.stdout.strip() for host, process in zip(hosts, group, strict=True) if process.ok}
