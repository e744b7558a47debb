"""ClusterShell's Task with its ssh worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ClusterShell.Event import EventHandler
from ClusterShell.NodeSet import NodeSet
from ClusterShell.Task import task_self

from ..job import Job


def _task(job: Job) -> Any:
    task = task_self()
    task.set_info("ssh_options", f"-F {job.ssh_config}")
    task.set_info("scp_options", f"-F {job.ssh_config}")
    if job.variant:
        task.set_info("fanout", int(job.variant))
    return task


def contact(job: Job) -> Iterator[dict[str, str]]:
    task, nodes = _task(job), NodeSet.fromlist(job.hosts)
    for _ in range(2):
        task.shell(job.command, nodes=nodes)
        task.resume()
        yield {node: output.message().decode() for output, nodes in task.iter_buffers() for node in nodes}


def local(job: Job) -> Iterator[list[int]]:
    task = _task(job)
    workers = [task.shell("true", key=index) for index in range(job.count)]
    task.resume()
    yield [task.key_retcode(worker.key) for worker in workers]


class _Handler(EventHandler):  # type: ignore[misc]
    lines = 0
    size = 0

    def ev_read(self, worker: Any, node: str, sname: str, msg: bytes) -> None:
        self.lines += 1
        self.size += len(msg) + 1  # it comes without its end


def lines(job: Job) -> Iterator[tuple[int, int]]:
    yield _lines(job)


def ssh_lines(job: Job) -> Iterator[tuple[int, int]]:
    yield _lines(job, nodes=job.hosts[0])


def _lines(job: Job, **where: str) -> tuple[int, int]:
    task, handler = _task(job), _Handler()
    task.set_default("stdout_msgtree", False)  # else it keeps every line too
    task.shell(job.command, handler=handler, **where)
    task.resume()
    return handler.lines, handler.size


def put(job: Job) -> Iterator[None]:
    task = _task(job)
    for host in job.hosts:
        task.copy(job.source, f"{job.targets}/{host}", nodes=host)
    task.resume()
    yield
