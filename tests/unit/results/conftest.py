"""Records as the plugin writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.results import Record
from pytest_execo.sweeps import trial_id
from pytest_execo.units import iso_date

MakeRecord = Callable[..., Record]


@pytest.fixture
def make_record() -> MakeRecord:
    """Return a function that makes a record of a trial by its number; other fields by keyword."""

    def make(number: int = 0, **fields: Any) -> Record:
        params = fields.get("params", {"x": number})
        attempt = fields.get("attempt", 1)
        start = 1_800_000_000.0 + number + attempt
        return {
            "schema": "pytest-execo/record/1",
            "campaign": "c" * 32,
            "session": "20260101T000000Z-1-abcd",
            "trial": trial_id("test_a.py::test_b", params, 0),
            "test": "test_a.py::test_b",
            "params": params,
            "repetition": 0,
            "attempt": attempt,
            "outcome": "passed",
            "reason": None,
            "started_at": iso_date(start),
            "ended_at": iso_date(start + 0.5),
            "duration": 0.5,
            "nodes": ["node-1"],
            "measurements": {},
            "attachments": [],
            "error": None,
            **fields,
        }

    return make
