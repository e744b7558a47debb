from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.unit.sweeps.stores.store_contract")

from pytest_execo.sweeps import SqliteStore  # noqa: E402
from tests.unit.sweeps.stores.store_contract import Clock, Open, StoreContract  # noqa: E402


class TestSqliteStore(StoreContract):
    @pytest.fixture(params=[False, True], ids=["cache", "durable"])
    def open_store(self, tmp_path: Path, clock: Clock, request: pytest.FixtureRequest) -> Open:
        path = tmp_path / "cache" / "checkpoint.db"
        return lambda: SqliteStore(path, campaign="c1", durable=request.param, clock=clock)
