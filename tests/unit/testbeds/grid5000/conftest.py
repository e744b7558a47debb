"""Reference data for the tests of what asks Grid'5000."""

from __future__ import annotations

import pytest

from pytest_execo.emulator.sample import sample_reference
from pytest_execo.testbeds.grid5000.reference import Reference, load_reference


@pytest.fixture(scope="session")
def reference() -> Reference:
    """Three sites, six clusters."""
    return load_reference(sample_reference())
