"""Settings that somebody has listed: in Python, in a CSV file, in a JSON file."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_execo.errors import InvalidSpace

from ..identity import canonical_json, plain
from .factors import Factor, check_name, factor_of, shown
from .parts import Cell, Part, numbered
from .points import Level

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ("Listed",)


class Listed(Part):
    """Cells in the order of a list."""

    def __init__(self, factors: Mapping[str, Factor], cells: Sequence[Cell], numbers: Mapping[str, int]) -> None:
        self._factors = dict(factors)
        self._cells = tuple(cells)
        self._numbers = dict(numbers)
        self.names: tuple[str, ...] = tuple(factors)

    @classmethod
    def of(cls, points: Iterable[Mapping[str, Any]], where: Sequence[str] | None = None) -> Listed:
        """Return the cells of a list of settings.

        :param where: what to call each of them in a message. Default: its place in the list.
        :raises InvalidSpace: in one line, with that.
        """
        rows = list(points)
        if not rows:
            raise InvalidSpace("the list has no setting; give at least one")
        levels: dict[str, dict[str, Any]] = {}
        seen: dict[str, int] = {}
        for number, row in enumerate(rows):
            at = where[number] if where is not None else f"setting {number}"
            if not isinstance(row, Mapping):
                raise InvalidSpace(f"{at} is {shown(row)}; write a mapping from factor to level")
            params: dict[str, Any] = {}
            for name, level in row.items():
                try:
                    params[check_name(name)] = level.id if isinstance(level, Level) else plain(level)
                except (InvalidSpace, ValueError) as error:
                    raise InvalidSpace(f"{at}: {name!r}: {error}") from None
                levels.setdefault(name, {}).setdefault(canonical_json(params[name]), level)
            first = seen.setdefault(canonical_json(params), number)
            if first != number:
                other = where[first] if where is not None else f"setting {first}"
                raise InvalidSpace(f"{at} is the same as {other}; list it once, and repeat the whole")
        factors = {name: factor_of(name, list(some.values())) for name, some in levels.items()}
        places = {name: {key: place for place, key in enumerate(some)} for name, some in levels.items()}
        cells = []
        for row in rows:
            keys = {name: canonical_json(v.id if isinstance(v, Level) else plain(v)) for name, v in row.items()}
            cells.append(tuple((factors[name], places[name][keys[name]]) for name in factors if name in row))
        return cls(factors, cells, seen)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Listed:
        """Return the cells of the settings in a file; see :meth:`~pytest_execo.sweeps.Space.read`."""
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise InvalidSpace(f"{file}: can't be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InvalidSpace(f"{file}: not UTF-8 at byte {error.start}") from error
        if file.suffix.lower() == ".json":
            return cls._json(file, text)
        if file.suffix.lower() == ".csv":
            return cls._csv(file, text)
        raise InvalidSpace(f"{file}: not known what it holds; name it .csv or .json")

    @classmethod
    def _json(cls, file: Path, text: str) -> Listed:
        try:
            rows = json.loads(text, object_pairs_hook=_once)
        except RecursionError as error:
            raise InvalidSpace(f"{file}: nested too deep; write a list of objects") from error
        except ValueError as error:
            raise InvalidSpace(f"{file}: not JSON: {error}") from error
        if not isinstance(rows, list):
            raise InvalidSpace(f"{file}: {shown(rows)}; write a list of objects")
        return cls.of(rows, [f"{file}: object {number}" for number in range(len(rows))])

    @classmethod
    def _csv(cls, file: Path, text: str) -> Listed:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows: list[dict[str, Any]] = []
        where: list[str] = []
        header: list[str] = []
        try:
            for cells in reader:
                if not cells:
                    continue
                at = f"{file}:{reader.line_num}"
                if not header:
                    header = [name.strip() for name in cells]
                    _check_header(at, header)
                    continue
                if len(cells) != len(header):
                    raise InvalidSpace(f"{at}: {len(cells)} cells below {len(header)} factors")
                rows.append({name: _level(cell) for name, cell in zip(header, cells, strict=True) if cell.strip()})
                where.append(at)
        except csv.Error as error:
            raise InvalidSpace(f"{file}:{reader.line_num}: not CSV: {error}") from error
        if not rows:
            raise InvalidSpace(f"{file}: no setting; the first line has the factors, the others a setting each")
        return cls.of(rows, where)

    @property
    def size(self) -> int:
        return len(self._cells)

    def cell(self, number: int) -> Cell:
        return self._cells[number]

    def number(self, params: Mapping[str, Any]) -> int | None:
        return self._numbers.get(canonical_json(params))

    def strategy(self) -> SearchStrategy[Cell]:
        return numbered(self)

    @property
    def identity(self) -> tuple[object, ...]:
        return ("listed", *self._numbers)

    @property
    def required(self) -> frozenset[str]:
        return frozenset.intersection(*(frozenset(factor.name for factor, _ in cell) for cell in self._cells))

    def factors(self) -> Iterator[Factor]:
        yield from self._factors.values()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # JSON takes the last one and says nothing; whoever wrote the file meant both.
        names = [name for name, _ in pairs]
        raise ValueError(f"{max(names, key=names.count)!r} is twice in one object")
    return found


def _check_header(at: str, header: Sequence[str]) -> None:
    if len(set(header)) != len(header):
        raise InvalidSpace(f"{at}: two columns have one name")
    for name in header:
        try:
            check_name(name)
        except InvalidSpace as error:
            raise InvalidSpace(f"{at}: {error}") from None


def _level(cell: str) -> Any:
    """A cell of a CSV file: JSON where it is a number or a word of JSON, else text."""
    text = cell.strip()
    try:
        level = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if level is None or isinstance(level, bool | int) or (isinstance(level, float) and math.isfinite(level)):
        return level
    return text
