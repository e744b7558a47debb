"""fabric's ThreadingGroup: paramiko, a thread per host."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fabric import Connection, ThreadingGroup
from fabric.exceptions import GroupException

from ..job import Job


def _options(job: Job) -> dict[str, Any]:
    return {"user": job.user, "port": job.port, "connect_kwargs": {"key_filename": job.keyfile}}


def contact(job: Job) -> Iterator[dict[str, str]]:
    group = ThreadingGroup(*job.hosts, **_options(job))
    for _ in range(2):
        try:
            results = group.run(job.command, hide=True, in_stream=False)
        except GroupException as error:
            results = error.result
            print(next(iter(results.failed.values())), file=sys.stderr)
        yield {connection.host: result.stdout for connection, result in results.succeeded.items()}
    group.close()


class _Lines:
    """A file for the output: it gets pieces, and makes lines of them."""

    def __init__(self) -> None:
        self.lines = 0
        self.size = 0
        self._rest = ""

    def write(self, text: str) -> None:
        *complete, self._rest = (self._rest + text).split("\n")
        for line in complete:
            self.lines += 1
            self.size += len(line) + 1

    def flush(self) -> None:
        """Nothing is held but a line without its end."""


def ssh_lines(job: Job) -> Iterator[tuple[int, int]]:
    handler = _Lines()
    with Connection(job.hosts[0], **_options(job)) as connection:
        connection.run(job.command, out_stream=handler, hide="stderr", in_stream=False)
    yield handler.lines, handler.size


def put(job: Job) -> Iterator[None]:
    # Not the group's put: it gives every copy the same name.
    with ThreadingGroup(*job.hosts, **_options(job)) as group, ThreadPoolExecutor(len(group)) as threads:
        copies = [threads.submit(each.put, job.source, f"{job.targets}/{each.host}") for each in group]
        for copy in copies:
            copy.result()
        yield
