from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.unit.sweeps.stores.store_contract")

from pytest_execo.sweeps import PostgresStore  # noqa: E402
from tests.integration.postgres import PostgresServer  # noqa: E402
from tests.unit.sweeps.stores.store_contract import Clock, Open, StoreContract  # noqa: E402

pytestmark = pytest.mark.integration


_NUMBERS = itertools.count()


# One database: the campaigns in it are to know nothing of each other.
@pytest.fixture(scope="module")
def url(postgres_server: PostgresServer) -> Iterator[str]:
    postgres_server.execute("CREATE DATABASE contract")
    yield postgres_server.url("contract")
    postgres_server.execute("DROP DATABASE contract WITH (FORCE)")


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def open_store(self, url: str, clock: Clock) -> Open:
        campaign = f"c{next(_NUMBERS)}"
        return lambda: PostgresStore(url, campaign=campaign, clock=clock)
