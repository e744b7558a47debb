"""execo with its default parameters: one ssh or scp program per host, all at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from execo import Host, Process, Put, Remote, SshProcess
from execo.process import ProcessOutputHandler

from ..job import Job


def _hosts(job: Job) -> list[Any]:
    return [Host(address, user=job.user, port=job.port, keyfile=job.keyfile) for address in job.hosts]


def contact(job: Job) -> Iterator[dict[str, str]]:
    hosts = _hosts(job)
    for _ in range(2):
        group = Remote(job.command, hosts).run()
        yield {process.host.address: process.stdout for process in group.processes}


def local(job: Job) -> Iterator[list[int]]:
    processes = [Process("true").start() for _ in range(job.count)]
    for process in processes:
        process.wait()
    yield [process.exit_code for process in processes]


class _Handler(ProcessOutputHandler):  # type: ignore[misc]
    lines = 0
    size = 0

    def read_line(self, process: Any, stream: int, string: str) -> None:
        self.lines += 1
        self.size += len(string) + 1  # it comes without its end


def lines(job: Job) -> Iterator[tuple[int, int]]:
    handler = _Handler()
    Process(job.command, shell=True, stdout_handlers=[handler], default_stdout_handler=False).run()
    yield handler.lines, handler.size


def ssh_lines(job: Job) -> Iterator[tuple[int, int]]:
    handler = _Handler()
    # Without the terminal that execo asks for (-tt), which would turn each line's end into two characters.
    options = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
    SshProcess(
        job.command,
        _hosts(job)[0],
        {"ssh_options": options},
        stdout_handlers=[handler],
        default_stdout_handler=False,
    ).run()
    yield handler.lines, handler.size


def put(job: Job) -> Iterator[None]:
    Put(_hosts(job), [job.source], f"{job.targets}/{{{{{{host}}}}}}").run()
    yield
