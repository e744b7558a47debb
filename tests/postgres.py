"""PostgreSQL for any test that asks for ``postgres_url``: a plugin of the tests, named in ``tests/conftest.py``."""

from __future__ import annotations

import pytest

from tests.integration.postgres import PostgresServer, postgres, postgres_server

__all__ = ("PostgresServer", "postgres", "postgres_server", "postgres_url")


@pytest.fixture
def postgres_url(postgres: str) -> str:  # the fixture, not the name above
    """The URL of an empty database, its password in it, for one test; skipped (in CI: failed) without PostgreSQL."""
    return postgres
