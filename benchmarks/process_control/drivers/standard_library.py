"""Python's own: asyncio and subprocess. Variants of asyncio: ``pipes``, ``no pipes``, ``shell`` (with pipes)."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from subprocess import DEVNULL, PIPE

from ..job import Job


async def _true(variant: str) -> int | None:
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), DEVNULL if variant == "no pipes" else PIPE)
    if variant == "shell":
        process = await asyncio.create_subprocess_shell("true", **streams)
    else:
        process = await asyncio.create_subprocess_exec("true", **streams)
    await process.communicate()
    return process.returncode


async def _all(job: Job) -> list[int | None]:
    return await asyncio.gather(*(_true(job.variant) for _ in range(job.count)))


def local(job: Job) -> Iterator[list[int | None]]:
    if job.variant != "popen":
        yield asyncio.run(_all(job))
        return
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), PIPE)
    processes = [subprocess.Popen(["true"], **streams) for _ in range(job.count)]
    for process in processes:
        process.communicate()
    yield [process.returncode for process in processes]


async def _lines(job: Job) -> tuple[int, int]:
    seen, size = 0, 0
    process = await asyncio.create_subprocess_shell(job.command, stdin=DEVNULL, stdout=PIPE)
    assert process.stdout is not None
    async for line in process.stdout:
        seen += 1
        size += len(line)
    await process.wait()
    return seen, size


def lines(job: Job) -> Iterator[tuple[int, int]]:
    if job.variant != "popen":
        yield asyncio.run(_lines(job))
        return
    seen, size = 0, 0
    with subprocess.Popen(job.command, shell=True, stdin=DEVNULL, stdout=PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seen += 1
            size += len(line)
    yield seen, size
