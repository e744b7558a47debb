"""Under pytest-xdist."""

from __future__ import annotations

import pytest

from .usage import uses_execo

__all__ = ("NoWorkers",)


class NoWorkers:
    """Refuses tests with nodes or trials in a pytest-xdist worker.

    Leases, records and the checkpoint are the business of one process, and a worker is not it. Tests that use
    nothing of execo run in workers as ever.
    """

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if uses_execo(item):
            pytest.fail(
                "execo: tests with nodes or trials do not run in pytest-xdist workers; leave -n out", pytrace=False
            )
