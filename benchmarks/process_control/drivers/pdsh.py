"""pdsh: a C program that runs an ssh program per host. Variant: its fanout."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

from ..job import Job


def _command(job: Job, hosts: tuple[str, ...]) -> list[str]:
    os.environ["PDSH_SSH_ARGS_APPEND"] = f"-F {job.ssh_config}"
    fanout = ["-f", job.variant] if job.variant else []
    return ["pdsh", "-R", "ssh", *fanout, "-w", ",".join(hosts), job.command]


def contact(job: Job) -> Iterator[dict[str, str]]:
    for _ in range(2):
        done = subprocess.run(_command(job, job.hosts), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        yield dict(line.split(": ", 1) for line in done.stdout.splitlines())


def ssh_lines(job: Job) -> Iterator[tuple[int, int]]:
    seen, size = 0, 0
    with subprocess.Popen(_command(job, job.hosts[:1]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as pdsh:
        assert pdsh.stdout is not None
        for line in pdsh.stdout:
            seen += 1
            size += len(line.partition(b": ")[2])
    yield seen, size
