"""The peers: each opens an empty sweep, does a number of trials, and opens it again to see what was kept.

A worker is a generator. It yields when it is ready, then when it is through, and last how many trials are done. Its
libraries are imported in it: the interpreter of one peer need not have those of another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from .job import Job

__all__ = ("WORKERS",)


def _through(sweeper: Any, count: int) -> None:
    for _ in range(count):
        sweeper.done(sweeper.get_next())


def param_sweeper(job: Job) -> Iterator[int]:
    from pytest_execo.sweeps import ParamSweeper

    with ParamSweeper(job.directory, job.factors) as sweeper:
        sweeper.done_batch(sweeper.get_next_batch(job.before))
        yield 0
        _through(sweeper, job.count)
        yield 0
    with ParamSweeper(job.directory, job.factors) as sweeper:
        yield len(sweeper.get_done())


def execo(job: Job) -> Iterator[int]:
    from execo_engine import ParamSweeper, sweep  # type: ignore[import-not-found,unused-ignore]

    sweeper = ParamSweeper(job.directory, sweep(job.factors))
    if job.before:
        sweeper.done_batch(sweeper.get_next_batch(job.before))
    yield 0
    _through(sweeper, job.count)
    yield 0
    yield len(ParamSweeper(job.directory, sweep(job.factors)).get_done())


def sqlite_store(job: Job) -> Iterator[int]:
    from pytest_execo.sweeps import Attempt, Owner, Planned, SqliteStore, State
    from pytest_execo.units import iso_date

    path = os.path.join(job.directory, "checkpoint.db")
    owner = Owner.current("benchmark")
    names = [f"{number:016x}" for number in range(job.size)]
    with SqliteStore(path, campaign="benchmark", durable=True) as store:
        store.plan(Planned(name, "benchmark", f'{{"size":{number}}}') for number, name in enumerate(names))
        done = [Attempt(name, "passed", 1, iso_date()) for name in names[: job.before]]
        store.ingest(done, source="before", position=0)
        yield 0
        for _ in range(job.count):
            claim = store.claim(owner)
            assert claim is not None
            store.finish(owner, Attempt(claim.trial, "passed", claim.attempt, iso_date()))
        yield 0
    with SqliteStore(path, campaign="benchmark") as store:
        yield store.stats()[State.PASSED]


def sync(job: Job) -> Iterator[int]:
    path = os.path.join(job.directory, "lines")
    line = b'{"trial":"0123456789abcdef","outcome":"passed","attempt":1}\n'
    with open(path, "ab", buffering=0) as file:
        file.write(line * job.before)
        os.fsync(file.fileno())
        yield 0
        for _ in range(job.count):
            file.write(line)
            os.fdatasync(file.fileno())
        yield 0
    yield os.path.getsize(path) // len(line)


WORKERS: dict[str, Callable[[Job], Iterator[int]]] = {
    "ParamSweeper": param_sweeper,
    "SqliteStore": sqlite_store,
    "execo": execo,
    "sync": sync,
}
