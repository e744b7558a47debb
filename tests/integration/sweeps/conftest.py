from __future__ import annotations

from tests.integration.postgres import postgres, postgres_server

__all__ = ("postgres", "postgres_server")
