"""What a test holds while it runs one trial: parameters in, measurements and files out."""

from __future__ import annotations

import datetime as dt
import logging
import math
import os
import shutil
import stat
from collections.abc import Mapping
from os import PathLike
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from pytest_execo.errors import InvalidMeasurement, RecordError
from pytest_execo.sweeps.identity import JSON, plain

__all__ = ("Trial",)

_log = logging.getLogger(__name__)


class Trial:
    """One attempt at a trial.

    Measurements and attachments are collected here; whoever runs the test writes them into the record when the
    attempt ends, whatever its outcome, so that a test that fails half-way keeps what it had measured.

    :param id: the identity of the trial (:func:`~pytest_execo.sweeps.trial_id`).
    :param test: the qualified name of the test.
    :param params: the parameters as in the identity.
    :param repetition: from 0.
    :param attempt: from 1.
    :param directory: ``<campaign>/trials/<id>``; it is made on first use.
    """

    __test__ = False

    def __init__(
        self,
        *,
        id: str,
        test: str,
        params: Mapping[str, JSON],
        repetition: int,
        attempt: int,
        directory: str | PathLike[str],
    ) -> None:
        self.id = id
        self.test = test
        self.repetition = repetition
        self.attempt = attempt
        self._params: dict[str, Any] = plain(params)
        self._directory = Path(directory)
        self._measurements: dict[str, Any] = {}
        self._attachments: list[str] = []

    @property
    def params(self) -> Mapping[str, JSON]:
        """The parameters, read-only."""
        return MappingProxyType(plain(self._params))

    @property
    def directory(self) -> Path:
        """The directory of the trial's files, made when it is asked for. All the attempts share it."""
        self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory

    @property
    def measurements(self) -> dict[str, Any]:
        """What was recorded so far, as it will stand in the record. A copy."""
        copy: dict[str, Any] = plain(self._measurements)
        return copy

    @property
    def attachments(self) -> list[str]:
        """The files attached so far, relative to the directory of the campaign. A copy."""
        return list(self._attachments)

    def record(self, **measurements: Any) -> None:
        """Keep measurements: ``trial.record(duration=3.2, losses=[0, 1])``.

        A second value of the same name replaces the first. Values are JSON; numbers and arrays of numpy become
        numbers and lists; NaN and infinities are written as ``"NaN"``, ``"Infinity"``, ``"-Infinity"``.

        :raises InvalidMeasurement: a value that is none of these; nothing of this call is kept.
        """
        self._measurements.update({_name(name): _value(name, value) for name, value in measurements.items()})

    def attach(self, path: str | PathLike[str], name: str | None = None) -> Path:
        """Copy a file or a directory beside the record, and return the copy.

        It goes to ``attempt-<n>/`` in the trial's directory. Nothing is overwritten: where the name is taken, the
        copy is called ``log-2.txt``. In a directory, symbolic links stay links; sockets and pipes are left out.

        :param name: what to call the copy; it may have directories (``"node-1/log.txt"``). Default: as it is called.
        :raises InvalidMeasurement: there is no such file, or the name leads out of the directory.
        :raises RecordError: it can't be copied (disk full, no permission); no part of it stays.
        """
        source = Path(path)
        relative = _relative(source.absolute().name if name is None else name)
        try:
            mode = source.stat().st_mode
        except OSError as error:
            raise InvalidMeasurement(f"attach({os.fspath(path)!r}): {error.strerror}") from error
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise InvalidMeasurement(f"attach({os.fspath(path)!r}): neither a file nor a directory")
        base = self._directory / f"attempt-{self.attempt}"
        if stat.S_ISDIR(mode) and base.resolve().is_relative_to(source.resolve()):
            raise InvalidMeasurement(
                f"attach({os.fspath(path)!r}): the copy would be inside of it; attach a part of it"
            )
        try:
            target = _claim(base, relative, directory=stat.S_ISDIR(mode))
            _copy(source, target)
        except OSError as error:
            raise RecordError(f"attach({os.fspath(path)!r}): it can't be copied: {_reason(error)}") from error
        self._attachments.append(target.relative_to(self._directory.parent.parent).as_posix())
        return target

    def __repr__(self) -> str:
        return f"<Trial {self.id} {self.test} attempt {self.attempt}>"


def _name(name: str) -> str:
    if not name.replace(".", "_").replace("-", "_").isidentifier():
        raise InvalidMeasurement(f"measurement {name!r} can't be a column's name; name it like a Python variable")
    return name


def _value(name: str, value: object) -> Any:
    try:
        return plain(_scalar(value), nonfinite=_nonfinite)
    except ValueError as error:
        raise InvalidMeasurement(f"measurement {name!r} is {error}{_hint(value)}") from None


def _scalar(value: object) -> object:
    # A number of a library that has item() and not tolist().
    if not isinstance(value, str | int | float | list | tuple | Mapping) and not hasattr(value, "tolist"):
        item = getattr(value, "item", None)
        if callable(item):
            return item()
    return value


def _nonfinite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _hint(value: object) -> str:
    if isinstance(value, dt.timedelta):
        return "; write value.total_seconds()"
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return "; write value.isoformat()"
    if isinstance(value, set | frozenset):
        return "; write sorted(value)"
    return "; write numbers, text, lists and mappings of them"


def _relative(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
        raise InvalidMeasurement(
            f"attach(name={name!r}): not a name inside the trial's directory; write 'logs/node-1.txt'"
        )
    return path


def _claim(base: Path, relative: PurePosixPath, *, directory: bool) -> Path:
    """Make the file or directory that the copy goes into, under the first free name."""
    parent = base / relative.parent
    base.mkdir(parents=True, exist_ok=True)
    # Before it is made: a directory attached earlier may hold a link that leads elsewhere.
    if not parent.resolve().is_relative_to(base.resolve()):
        raise InvalidMeasurement(f"attach(name={os.fspath(relative)!r}): a link leads out of the trial's directory")
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        name = relative.name if number == 1 else f"{relative.stem}-{number}{relative.suffix}"
        target = parent / name
        try:
            if directory:
                target.mkdir()
            else:
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return target
        except FileExistsError:
            number += 1


def _copy(source: Path, target: Path) -> None:
    try:
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=_special, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)
    except BaseException:
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)
        raise


def _special(directory: str, names: list[str]) -> list[str]:
    left_out = []
    for name in names:
        path = os.path.join(directory, name)
        mode = os.lstat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            _log.warning("%s: neither a file nor a directory; not attached", path)
            left_out.append(name)
    return left_out


def _reason(error: OSError) -> str:
    # copytree gathers its failures: (source, target, why) for each of them.
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return f"{error.args[0][0][2]} ({len(error.args[0])} files failed)"
    return error.strerror or str(error)
