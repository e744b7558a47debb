from __future__ import annotations

import itertools

import pytest

pytest.register_assert_rewrite("tests.unit.sweeps.stores.store_machine")

from pytest_execo.sweeps import PostgresStore  # noqa: E402
from tests.unit.sweeps.stores.store_machine import Open, run  # noqa: E402


@pytest.mark.slow
@pytest.mark.integration
def test_postgres_does_as_the_model_says(postgres: str) -> None:
    numbers = itertools.count()

    def make() -> Open:
        campaign = f"c{next(numbers)}"
        return lambda clock, is_dead: PostgresStore(postgres, campaign=campaign, clock=clock, is_dead=is_dead)

    run(make, examples=15)
