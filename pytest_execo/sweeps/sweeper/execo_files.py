"""Reads the files of a sweep of execo, without running anything in them and without changing them.

``done`` is a concatenation of pickles, one for each combination; ``inprogress``, and ``sweeps`` where it was saved, are
one pickle of a set each.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from pytest_execo.errors import CheckpointError, InvalidSpace

from .combinations import Combination, combination
from .inert_pickle import Malformed, read_pickle
from .inert_values import Foreign, Items, NotPlain, plain_value

__all__ = ("ExecoSweep", "Problem", "read_execo")

MAX_BYTES = 64 << 20
"""The largest file that is read: more than half a million combinations."""

_SET_OPCODES = 5_000_000
_DONE_OPCODES = 20_000
# After so many places that are no pickle the rest of a file is left out: a file could be made to last for days.
_MAX_BROKEN = 100
# How pickles of protocol 2 and later begin: where to go on after a line that was cut in the middle of the file.
_BEGINNING = re.compile(rb"\x80[\x02-\x05]")
_MAX_PROBLEMS = 1000


@dataclass(frozen=True)
class Problem:
    """Something that could not be understood: in which file, from which byte on (from 0), and what it is."""

    file: str
    offset: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}, byte {self.offset}: {self.what}"


@dataclass(frozen=True)
class ExecoSweep:
    """What is in the directory of a sweep of execo: the combinations, in the order of the files, each once.

    :param done: what is done.
    :param inprogress: what was being worked on, or was when a worker died: execo doesn't tell.
    :param sweeps: all of the sweep, where execo was asked to save it (``save_sweeps=True``); empty otherwise.
    :param problems: what could not be understood.
    """

    done: tuple[Combination, ...]
    inprogress: tuple[Combination, ...]
    sweeps: tuple[Combination, ...]
    problems: tuple[Problem, ...]


def read_execo(directory: str | PathLike[str]) -> ExecoSweep:
    """Read a sweep directory of execo.

    A class of somebody else's inside of a combination costs this combination, which is reported.

    :param directory: the ``persistence_dir`` of execo's sweeper.
    :raises CheckpointError: ``directory`` is not execo's, or a file can't be read or is too large.
    """
    path = Path(directory)
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such directory; give the directory that execo's ParamSweeper was given")
    files = {name: _content(path / name) for name in ("done", "inprogress", "sweeps")}
    if all(data is None for data in files.values()):
        raise CheckpointError(
            f"{path}: no sweep of execo, which has a file 'done' or 'inprogress'; give the directory that its "
            "ParamSweeper was given"
        )
    problems: list[Problem] = []
    done = _unique(_concatenated("done", files["done"] or b"", problems))
    inprogress = _unique(_set("inprogress", files["inprogress"] or b"", problems))
    sweeps = _unique(_set("sweeps", files["sweeps"] or b"", problems))
    return ExecoSweep(done, inprogress, sweeps, tuple(problems))


def _content(path: Path) -> bytes | None:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise CheckpointError(f"{path}: larger than {MAX_BYTES >> 20} MiB, which no sweep of execo's is; not read")
    return data


def _unique(combinations: Iterator[Combination]) -> tuple[Combination, ...]:
    return tuple(dict.fromkeys(combinations))


def _concatenated(file: str, data: bytes, problems: list[Problem]) -> Iterator[Combination]:
    """The combinations of ``done``: one pickle after another."""
    stream = io.BytesIO(data)
    broken = 0
    while (start := stream.tell()) < len(data):
        try:
            value = read_pickle(stream, is_dict=_is_execo, limit=_DONE_OPCODES)
        except Malformed as error:
            broken += 1
            # A writer that was killed leaves the beginning of a pickle, and the next one may stand behind it.
            behind = _BEGINNING.search(data, start + 1) if broken < _MAX_BROKEN else None
            following = len(data) if behind is None else behind.start()
            _note(problems, file, start, f"{following - start} bytes left out, no whole pickle: {error}")
            stream.seek(following)
            continue
        yield from _one(file, start, value, problems)


def _set(file: str, data: bytes, problems: list[Problem]) -> Iterator[Combination]:
    """The combinations of ``inprogress`` or ``sweeps``: one pickle of a set."""
    if not data:  # nothing was ever in progress
        return
    stream = io.BytesIO(data)
    try:
        value = read_pickle(stream, is_dict=_is_execo, limit=_SET_OPCODES)
    except Malformed as error:
        _note(problems, file, error.offset, f"not a pickle from here on, all of the file is left out: {error}")
        return
    if stream.tell() < len(data):
        _note(problems, file, stream.tell(), f"{len(data) - stream.tell()} bytes after the end")
    if not isinstance(value, Items) or value.kind != "set" or value.foreign is not None:
        _note(problems, file, 0, f"{_kind(value)}, not a set of combinations")
        return
    for item in value.items:
        yield from _one(file, item.offset if isinstance(item, Items) else 0, item, problems)


def _one(file: str, offset: int, value: Any, problems: list[Problem]) -> Iterator[Combination]:
    try:
        found = plain_value(value)
        if not isinstance(found, Mapping):
            raise NotPlain(f"{_kind(value)}, not a combination")
        yield combination(found)
    except NotPlain as error:
        _note(problems, file, offset if error.offset is None else error.offset, f"a combination left out: {error}")
    except InvalidSpace as error:  # a number that is not finite, or too large
        _note(problems, file, offset, f"a combination left out: {error}")


def _note(problems: list[Problem], file: str, offset: int, what: str) -> None:
    if len(problems) == _MAX_PROBLEMS:
        what = f"and more of the kind; only the first {_MAX_PROBLEMS} are told"
    if len(problems) <= _MAX_PROBLEMS:
        problems.append(Problem(file, offset, what))


def _kind(value: object) -> str:
    if isinstance(value, Foreign):
        return value.what
    return f"a {value.kind}" if isinstance(value, Items) else f"a {type(value).__name__}"


def _is_execo(module: str, name: str) -> bool:
    # It has moved between modules of execo_engine over the years.
    return name == "HashableDict" and module.partition(".")[0] == "execo_engine"
