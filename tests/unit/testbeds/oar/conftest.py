"""A frontend that answers from a script, and testbeds on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo import Host
from pytest_execo.testbeds.oar import OarTestbed
from tests.unit.testbeds.oar.fake_oar import PROPERTIES, FakeOar, full_job, gantt


@pytest.fixture
def oar() -> FakeOar:
    """A frontend where all goes well: job 7 is submitted, runs at once, and ends when it is deleted."""
    fake = FakeOar()
    deleted = False

    def delete(words: list[str]) -> str:
        nonlocal deleted
        deleted = True
        return f"Deleting the job = {words[1]} ...REGISTERED.\nThe job(s) [ {words[1]} ] will be deleted.\n"

    fake.answers = {
        "oarsub": "[ADMISSION RULE] Modify resource description with type constraints\nOAR_JOB_ID=7\n",
        "oarstat -J -g": gantt(),
        "oarstat -f": full_job(),
        "oarstat -s": lambda words: f"{words[-1]}: {'Error' if deleted else 'Running'}\n",
        "oarstat -p": PROPERTIES,
        "oarstat -J -u": "",
        "oardel": delete,
        "date -d": "2026-11-23 01:27:20\n",
    }
    return fake


@pytest.fixture
def make(oar: FakeOar) -> Callable[..., OarTestbed]:
    """Makes a testbed on the frontend of the test."""

    def make_testbed(**options: Any) -> OarTestbed:
        testbed = OarTestbed("front", reach=lambda node: Host(f"at-{node}", user="alice"), **options)
        testbed.frontend = oar
        return testbed

    return make_testbed
