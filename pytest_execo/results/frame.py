"""The records of a campaign as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_execo.errors import CampaignError

from .records import Record, read_records

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, unused-ignore]

__all__ = ("load",)

_COLUMNS = ("trial", "test", "repetition", "attempt", "outcome", "started_at", "ended_at", "nodes")
_SOURCE = ("digest", "commit", "dirty")
_NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def load(directory: str | PathLike[str], *, attempts: bool = False, source: bool = False) -> pd.DataFrame:
    """Return a table with a row for each trial: its last attempt; of all the attempts when ``attempts``.

    Columns: trial, test, repetition, attempt, outcome, started_at and ended_at (dates in UTC), nodes
    (lists of names); then one for each parameter and one for each measurement. A name that is taken gets a
    prefix: ``params.nodes``, ``measurements.nodes``. Rows are in the order of their start. Trials that did not
    pass are there too: ``table[table.outcome == "passed"]``.

    Lines that can't be read are left out, with a warning in the log that names the first of them. An attempt that is
    recorded twice is one.

    The measurements ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` are numbers again.

    :param directory: the campaign's directory.
    :param attempts: all the attempts at a trial, not only the last one.
    :param source: three more columns say what was run: ``source.digest`` (of the test's source), ``source.commit``
        and ``source.dirty`` (git); missing where it was not recorded.
    :raises CampaignError: it is not a campaign's.
    :raises ImportError: pandas is missing, which the extra ``pytest-execo[report]`` brings.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "load() makes a pandas table, and pandas is missing: pip install 'pytest-execo[report]'"
        ) from error

    records_dir = Path(directory) / "records"
    if not records_dir.is_dir():
        raise CampaignError(f"{directory}: not a campaign's directory, it has no records/; give one of execo-results/")
    records = list(read_records(records_dir))
    if not attempts:
        records = _last(records)
    records.sort(key=lambda record: (record.get("started_at") or "", record["trial"], record["attempt"]))

    params = _names(record["params"] for record in records)
    measurements = _names(record["measurements"] for record in records)
    columns: dict[str, list[Any]] = {name: [record.get(name) for record in records] for name in _COLUMNS}
    for name in params:
        clash = name in _COLUMNS or name in measurements
        columns[f"params.{name}" if clash else name] = [record["params"].get(name) for record in records]
    for name in measurements:
        clash = name in _COLUMNS or name in params
        values = [_number(record["measurements"].get(name)) for record in records]
        columns[f"measurements.{name}" if clash else name] = values
    if source:
        for name in _SOURCE:
            columns[f"source.{name}"] = [_source(record).get(name) for record in records]
    table = pd.DataFrame(columns)
    for name in ("started_at", "ended_at"):
        table[name] = pd.to_datetime(table[name], utc=True, format="ISO8601")
    return table


def _last(records: Iterable[Record]) -> list[Record]:
    """The rule of the checkpoint: the highest attempt, then the latest end."""
    last: dict[str, Record] = {}
    for record in records:
        known = last.get(record["trial"])
        if known is None or (record["attempt"], record["ended_at"]) > (known["attempt"], known["ended_at"]):
            last[record["trial"]] = record
    return list(last.values())


def _names(mappings: Iterable[dict[str, Any]]) -> dict[str, None]:
    # A dict, for the order in which they first appear.
    return {name: None for mapping in mappings for name in mapping}


def _source(record: Record) -> dict[str, Any]:
    source = record.get("source")
    return source if isinstance(source, dict) else {}


def _number(value: Any) -> Any:
    if isinstance(value, str):
        return _NONFINITE.get(value, value)
    if isinstance(value, list):
        return [_number(item) for item in value]
    if isinstance(value, dict):
        return {name: _number(item) for name, item in value.items()}
    return value
