"""The scale and the seed of the torture, and what can be counted of a process from outside."""

from __future__ import annotations

import os
import random
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.postgres import postgres, postgres_server

__all__ = ("postgres", "postgres_server")


@pytest.fixture
def scaled(pytestconfig: pytest.Config) -> Callable[[int], int]:
    """Return how many there are to be at the scale of this run, of so many at scale 10 (the whole torture)."""
    scale: float = pytestconfig.getoption("--torture-scale")
    return lambda whole: max(2, round(whole * scale / 10))


@pytest.fixture
def chance(pytestconfig: pytest.Config) -> random.Random:
    """Chance that can be repeated: its seed is printed."""
    seed = pytestconfig.getoption("--torture-seed")
    seed = secrets.randbits(32) if seed is None else seed
    print(f"--torture-seed={seed}")
    return random.Random(seed)


def descriptors() -> int:
    """Count the open file descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def children(pid: int | None = None) -> list[str]:
    """List the children of a process, zombies among them."""
    pid = pid or os.getpid()
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += (task / "children").read_text().split()
    return found


def threads() -> list[str]:
    """List the threads of this process."""
    return sorted(thread.name for thread in threading.enumerate())


def having(word: str) -> list[int]:
    """List the processes of this machine, in whatever namespace, that have ``word`` on their command line."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in line.read_bytes().split(b"\0"):
                found.append(int(line.parent.name))
        except OSError:
            continue  # gone meanwhile
    return found
