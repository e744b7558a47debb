from __future__ import annotations

import itertools
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.unit.sweeps.stores.store_machine")

from pytest_execo.sweeps import SqliteStore  # noqa: E402
from tests.unit.sweeps.stores.store_machine import Open, run  # noqa: E402


@pytest.mark.slow
@pytest.mark.parametrize("durable", [False, True])
def test_sqlite_does_as_the_model_says(tmp_path: Path, durable: bool) -> None:
    numbers = itertools.count()

    def make() -> Open:
        path = tmp_path / f"{next(numbers)}.db"
        return lambda clock, is_dead: SqliteStore(path, campaign="c", durable=durable, clock=clock, is_dead=is_dead)

    run(make, examples=40)
