"""The published formats, as JSON Schemas (2020-12): ``record-1`` for a record, ``campaign-1`` for campaign.json.

The number is the version. A reader of version N reads all the earlier ones; a change that an earlier reader would
misunderstand makes a new version.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ("load_schema", "schema_path")


def schema_path(name: str) -> Path:
    """Return the file of a schema: ``schema_path("record-1")``.

    :raises KeyError: there is none of that name.
    """
    path = Path(__file__).with_name(f"{name}.json")
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.json")))
        raise KeyError(f"no schema {name!r}; there are {known}")
    return path


def load_schema(name: str) -> dict[str, Any]:
    """Return a schema: ``load_schema("record-1")``.

    :raises KeyError: there is none of that name.
    """
    schema: dict[str, Any] = json.loads(schema_path(name).read_text(encoding="utf-8"))
    return schema
