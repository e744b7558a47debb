"""This package. Variants: a connector's name; ``shell``; ``chain``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest_execo
from pytest_execo import Host, Local, Process, Put, Remote, connectors

from ..job import Job

_NO_CONNECTOR = ("", "shell", "chain")


def prepare(job: Job) -> None:
    """Load the connector's library, which the others have imported by now."""
    connectors.load(_connector(job))


def _connector(job: Job) -> str:
    if job.row in ("local", "lines"):
        return "local"
    return "ssh" if job.variant in _NO_CONNECTOR else job.variant


def _hosts(job: Job) -> list[Host]:
    how: dict[str, Any] = {
        "user": job.user,
        "port": job.port,
        "keyfile": job.keyfile,
        "host_key": job.host_key,
        "connector": _connector(job),
    }
    return [Host(address, **how) for address in job.hosts]


def _complain(group: Any) -> None:
    if group.failed:
        print(group.summary(), group.failed[0].describe(), sep="\n", file=sys.stderr)


def contact(job: Job) -> Iterator[dict[str, str]]:
    hosts = _hosts(job)
    for _ in range(2):
        group = Remote(job.command, hosts).run(check=False)
        _complain(group)
        yield {process.host.address: process.stdout for process in group if process.host}


def local(job: Job) -> Iterator[list[int | None]]:
    group = Local(["true" if job.variant == "shell" else ["true"]] * job.count).run(check=False)
    _complain(group)
    yield [process.exit_code for process in group]


def lines(job: Job) -> Iterator[tuple[int, int]]:
    yield _lines(job, None)


def ssh_lines(job: Job) -> Iterator[tuple[int, int]]:
    yield _lines(job, _hosts(job)[0])


def _lines(job: Job, host: Host | None) -> tuple[int, int]:
    seen, size = 0, 0

    def handler(process: Process, stream: str, line: str) -> None:
        nonlocal seen, size
        seen += 1
        size += len(line)

    Process(job.command, host, stdout_handlers=handler).run()
    return seen, size if size == job.count else size + seen  # with or without the line's end


def put(job: Job) -> Iterator[None]:
    kind = pytest_execo.ChainPut if job.variant == "chain" else Put
    group = kind(_hosts(job), job.source, f"{job.targets}/{{{{{{host}}}}}}").run(check=False)
    _complain(group)
    yield
