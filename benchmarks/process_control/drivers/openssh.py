"""The ssh program, some at a time. Variant ``mux``: the first one on a host stays as the master of the others."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from subprocess import DEVNULL, PIPE

from ..job import Job

# Programs at a time: each is a process that computes, more of them only take memory.
_AT_ONCE = 64


def _ssh(job: Job) -> list[str]:
    if job.variant != "mux":
        return ["ssh", "-F", job.ssh_config]
    path = f"{job.directory}/%C"
    mux = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", f"ControlPath={path}"]
    return ["ssh", "-F", job.ssh_config, *mux]


async def _everywhere(job: Job) -> dict[str, str]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def run(host: str) -> tuple[str, str]:
        async with room:
            ssh = await asyncio.create_subprocess_exec(
                *_ssh(job), host, job.command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
            )
            stdout, _ = await ssh.communicate()
        return host, stdout.decode()

    return dict(await asyncio.gather(*(run(host) for host in job.hosts)))


def contact(job: Job) -> Iterator[dict[str, str]]:
    for _ in range(2):
        yield asyncio.run(_everywhere(job))
    if job.variant == "mux":
        for host in job.hosts:
            subprocess.run([*_ssh(job), "-O", "exit", host], stdout=DEVNULL, stderr=DEVNULL)


def ssh_lines(job: Job) -> Iterator[tuple[int, int]]:
    seen, size = 0, 0
    with subprocess.Popen([*_ssh(job), job.hosts[0], job.command], stdin=DEVNULL, stdout=PIPE) as ssh:
        assert ssh.stdout is not None
        for line in ssh.stdout:
            seen += 1
            size += len(line)
    yield seen, size


def put(job: Job) -> Iterator[None]:
    command = ["scp", "-q", "-F", job.ssh_config, job.source]
    copies = [subprocess.Popen([*command, f"{host}:{job.targets}/{host}"], stdin=DEVNULL) for host in job.hosts]
    for copy in copies:
        copy.wait()
    yield
