"""The rows: what is asked of every peer, and how much of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .farm import Farm
from .job import Job
from .peers import Peer

__all__ = ("ROWS", "Case", "Row", "cases", "job_for")

_LINE = "x" * 79  # and its end
_MB = 10**6
# In MB. The small one is for those whose effort grows faster than the amount, and who would never do the large one.
_LINES = [10, 1000]


@dataclass(frozen=True)
class Row:
    """One kind of work. ``function`` is what a driver calls it, ``steps`` are the titles of what it measures."""

    name: str
    function: str
    steps: tuple[str, ...]


ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        Row("contact", "contact", ("first contact: uname -a on {hosts}", "second command on {hosts}")),
        Row("local", "local", ("{size} times true on this machine",)),
        Row("lines", "lines", ("{size} MB of lines of 80 bytes to a handler, from a local process",)),
        Row("ssh-lines", "ssh_lines", ("{size} MB of lines of 80 bytes to a handler, from a host",)),
        Row("put", "put", ("a file of {size} MB to 16 hosts",)),
    )
}


@dataclass(frozen=True)
class Case:
    """A row with its size: hosts, commands, or MB."""

    row: Row
    size: int

    def titles(self) -> list[str]:
        """Return the title of each step."""
        hosts = "1 host" if self.size == 1 else f"{self.size} hosts"
        return [step.format(size=self.size, hosts=hosts) for step in self.row.steps]


def cases(names: list[str], hosts: list[int], scale: float) -> Iterator[Case]:
    """Return what is to be measured."""
    for name in names:
        sizes = {"contact": hosts, "local": [1000], "lines": _LINES, "ssh-lines": _LINES, "put": [64]}[name]
        for size in sizes:
            yield Case(ROWS[name], size if name == "contact" else max(1, round(size * scale)))


def job_for(case: Case, peer: Peer, farm: Farm, targets: Path) -> Job:
    """Return the order for ``peer``; the file to be copied is made when it is not there."""
    row = case.row.function
    source = farm.directory / f"file-{case.size}"
    command, expected, count, hosts = "", "", case.size, 1
    if row == "contact":
        command, hosts = "uname -a", case.size
        expected = subprocess.run(["uname", "-a"], capture_output=True, text=True, check=True).stdout.strip()
    elif row in ("lines", "ssh_lines"):
        count = case.size * _MB
        # `yes` complains when its pipe is closed, which some tools would take for lines.
        command, expected = f"yes {_LINE} 2>/dev/null | head -c {count}", f"{_LINE}\n"
    elif row == "put":
        hosts = 16
        if not source.exists():
            _random_file(source, case.size * _MB)
    return Job(
        row=row,
        driver=peer.driver,
        variant=peer.variant,
        hosts=tuple(farm.addresses(hosts)),
        user=farm.user,
        port=farm.port,
        host_key=farm.host_key,
        directory=str(farm.directory),
        command=command,
        expected=expected,
        count=count,
        source=str(source),
        targets=str(targets),
    )


def _random_file(path: Path, size: int) -> None:
    # No program can take it for a hole or compress it.
    with open("/dev/urandom", "rb") as random, path.open("wb") as file:
        while size:
            size -= file.write(random.read(min(size, _MB)))
