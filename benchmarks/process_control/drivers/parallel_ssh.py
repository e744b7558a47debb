"""parallel-ssh on libssh2: one client, as many greenlets as hosts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import gevent
from pssh.clients import ParallelSSHClient

from ..job import Job


def _client(job: Job, hosts: tuple[str, ...]) -> Any:
    return ParallelSSHClient(
        list(hosts), user=job.user, port=job.port, pkey=job.keyfile, pool_size=len(hosts), identity_auth=False
    )


def contact(job: Job) -> Iterator[dict[str, str]]:
    client = _client(job, job.hosts)
    for _ in range(2):
        outputs = client.run_command(job.command, stop_on_errors=False)
        client.join(outputs)
        failed = [output.exception for output in outputs if output.exception]
        if failed:
            print(failed[0], file=sys.stderr)
        yield {output.host: "\n".join(output.stdout) for output in outputs if not output.exception}


def ssh_lines(job: Job) -> Iterator[tuple[int, int]]:
    seen, size = 0, 0
    for output in _client(job, job.hosts[:1]).run_command(job.command):
        for line in output.stdout:
            seen += 1
            size += len(line) + 1  # it comes without its end
    yield seen, size


def put(job: Job) -> Iterator[None]:
    names = [{"local_file": job.source, "remote_file": f"{job.targets}/{host}"} for host in job.hosts]
    copies = _client(job, job.hosts).scp_send("%(local_file)s", "%(remote_file)s", copy_args=names)
    gevent.joinall(copies, raise_error=True)
    yield
