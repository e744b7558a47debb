"""Takes over a sweep of execo, one way."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

from .execo_files import ExecoSweep, Problem, read_execo
from .sweeper import ParamSweeper

__all__ = ("ExecoImport", "import_execo")


@dataclass(frozen=True)
class ExecoImport:
    """What an import did.

    :param done: how many combinations are done by it.
    :param known: how many were done in the sweep before; they were left as they are.
    :param inprogress: how many were in progress, and are to do.
    :param sweeps: how many combinations the saved sweep has; 0 when it was not saved.
    :param outside: how many of ``done`` are not in the sweep that was imported into; they are kept nevertheless.
    :param problems: what could not be understood.
    """

    done: int
    known: int
    inprogress: int
    sweeps: int
    outside: int
    problems: tuple[Problem, ...]


def import_execo(
    directory: str | PathLike[str], into: ParamSweeper | str | PathLike[str], *, name: str | None = None
) -> ExecoImport:
    """Take over what is done in a sweep directory of execo's ``ParamSweeper``.

    The files are read and not changed, and nothing in them is run: a class of somebody else's inside of a combination
    costs this combination, which is reported. What was in progress is to do. Importing again changes nothing.

    :param directory: the ``persistence_dir`` of execo's sweeper. Nobody should be working with it.
    :param into: a sweeper; or where one is to be: a directory, which may be the same, or a URL. A sweeper made here
        has the combinations of the directory as its sweep.
    :param name: of the sweep, where ``into`` is a URL.
    :raises CheckpointError: ``directory`` is not execo's, or a file can't be read or is too large.
    """
    found = read_execo(directory)
    if isinstance(into, ParamSweeper):
        return _import(found, into)
    with ParamSweeper(into, name=name) as sweeper:
        # Beside what is there already, in the order in which execo would have had them.
        sweeper.set_sweeps([*sweeper.get_sweeps(), *found.sweeps, *found.done, *found.inprogress])
        return _import(found, sweeper)


def _import(found: ExecoSweep, sweeper: ParamSweeper) -> ExecoImport:
    before = sweeper.stats()
    new = [comb for comb in found.done if comb not in before.done]
    outside = sum(comb not in before.sweeps for comb in new)
    sweeper.done_batch(new)
    todo = sum(comb not in found.done for comb in found.inprogress)
    return ExecoImport(len(new), len(found.done) - len(new), todo, len(found.sweeps), outside, found.problems)
