"""TakTuk with a tree that is built by work stealing, its default; the engine stays for the second command."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from ..job import Job


def _command(job: Job, hosts: tuple[str, ...], *what: str) -> list[str]:
    # -s: the engine is sent along, nothing has to be installed on the hosts.
    machines = [word for host in hosts for word in ("-m", host)]
    streams = ["-o", "default", "-o", r'output="$host $line\n"', "-o", r'status="$host ended\n"']
    return ["taktuk", "-s", "-c", f"ssh -F {job.ssh_config}", *streams, *machines, *what]


def contact(job: Job) -> Iterator[dict[str, str]]:
    with subprocess.Popen(
        _command(job, job.hosts), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as taktuk:
        assert taktuk.stdin is not None
        assert taktuk.stdout is not None
        for _ in range(2):
            taktuk.stdin.write(f"broadcast exec [ {job.command} ]\n")
            outputs: dict[str, str] = {}
            ended = 0
            while ended < len(job.hosts) and (line := taktuk.stdout.readline()):
                host, _, text = line.rstrip("\n").partition(" ")
                if text == "ended":
                    ended += 1
                else:
                    outputs[host] = text
            yield outputs
        taktuk.stdin.write("quit\n")


def put(job: Job) -> Iterator[None]:
    # The name is expanded on the host.
    target = f"{job.targets}/$TAKTUK_HOSTNAME"
    subprocess.run(
        _command(job, job.hosts, "broadcast", "put", "[", job.source, "]", "[", target, "]"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    yield
