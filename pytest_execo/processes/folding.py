"""Equal outputs shown once, under the names of their hosts: what clubak and ``dshbak -c`` do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..connectors import Stream
from .process import Process

__all__ = ("Fold", "Folds", "fold", "fold_names")

_RULE = "-" * 15
_DIGITS = re.compile(r"[0-9]+")
# They separate and enclose in a node-set; a name with one of them stands for itself.
_RESERVED = set("[],")


@dataclass(frozen=True)
class Fold:
    """One output, and the processes that gave it, in the order of their group."""

    output: str
    processes: tuple[Process, ...]

    @property
    def names(self) -> list[str]:
        """The names of their hosts; ``localhost`` is this machine."""
        return [process.host.name if process.host else "localhost" for process in self.processes]

    def __str__(self) -> str:
        count = f" ({len(self.processes)})" if len(self.processes) > 1 else ""
        output = self.output if self.output.endswith("\n") or not self.output else f"{self.output}\n"
        return f"{_RULE}\n{fold_names(self.names)}{count}\n{_RULE}\n{output}"


class Folds(list[Fold]):
    """Several of them; ``print()`` shows them below each other."""

    def __str__(self) -> str:
        return "".join(map(str, self))


def fold(processes: Iterable[Process], stream: Stream = "stdout") -> Folds:
    """Return the outputs of ``processes`` so far, equal ones once: the one of most processes first.

    What everybody said is on top, and who differs at the end. Among equally frequent ones the order is that of
    the processes.
    """
    found: dict[str, list[Process]] = {}
    for process in processes:
        text = process.stdout if stream == "stdout" else process.stderr
        found.setdefault(text, []).append(process)
    folds = [Fold(output, tuple(same)) for output, same in found.items()]
    return Folds(sorted(folds, key=lambda fold: -len(fold.processes)))


def fold_names(names: Iterable[str]) -> str:
    """Return a set of names in short: ``node-[1-3,7],web``; each is there once, numbers are in order.

    One number of a name is folded, the one that makes the result shortest: ``graphene-[1-3].nancy``. Zeros in front
    are kept: ``[08-10]`` is 08, 09 and 10.
    """
    shapes: dict[tuple[str, ...], list[str]] = {}
    for name in dict.fromkeys(names):
        # What is between the numbers.
        shape = (name,) if _RESERVED & set(name) else tuple(_DIGITS.split(name))
        shapes.setdefault(shape, []).append(name)
    return ",".join(term for shape, members in shapes.items() for term in _fold_shape(shape, members))


def _fold_shape(shape: tuple[str, ...], names: list[str]) -> list[str]:
    """Fold names that differ in their numbers alone, by the number that leaves the fewest terms."""
    if len(shape) == 1:
        return names
    candidates = [_fold_number(names, number) for number in reversed(range(len(shape) - 1))]
    return min(candidates, key=len)


def _fold_number(names: list[str], number: int) -> list[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for name in names:
        match = list(_DIGITS.finditer(name))[number]
        found.setdefault((name[: match.start()], name[match.end() :]), []).append(match[0])
    return [f"{before}{_ranges(numbers)}{after}" for (before, after), numbers in found.items()]


def _ranges(numbers: list[str]) -> str:
    """Return ``[1-3,7]``; a single number stays as it is."""
    if len(numbers) == 1:
        return numbers[0]
    runs: list[tuple[str, str]] = []
    # By what would go on with a run, written as its first number is: 9 is followed by 10, 09 too, 009 by 010.
    open_runs: dict[str, int] = {}
    for text in sorted(numbers, key=lambda text: (int(text), len(text))):
        place = open_runs.pop(text, len(runs))
        first = text if place == len(runs) else runs[place][0]
        runs[place : place + 1] = [(first, text)]
        open_runs[str(int(text) + 1).zfill(len(first))] = place
    return f"[{','.join(first if first == last else f'{first}-{last}' for first, last in runs)}]"
