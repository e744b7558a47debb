"""Statuses as the API answers them, made from a line per job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_execo.testbeds.grid5000.answers import SiteStatus
from pytest_execo.testbeds.grid5000.planning import Occupation

NOW = 1_750_000_000


def _job(uid: int, **fields: Any) -> dict[str, Any]:
    return {"uid": uid, "user": "alice", "state": "running", "queue": "default", "types": [], **fields}


def _status(
    site: str,
    nodes: Mapping[str, Sequence[Mapping[str, Any]] | str],
    *,
    date: int = NOW,
    **sections: Mapping[str, Mapping[str, Any]],
) -> SiteStatus:
    """Node → its jobs, or its hard state when that is not alive."""
    entries = {
        name: {
            "hard": jobs if isinstance(jobs, str) else "alive",
            "soft": "free",
            "reservations": [] if isinstance(jobs, str) else list(jobs),
        }
        for name, jobs in nodes.items()
    }
    return SiteStatus.from_json(site, {"uid": date, "nodes": entries, **sections})


def _occupied(
    busy: Mapping[str, Sequence[tuple[float, float]]], window: tuple[float, float] = (0, 1000), **fields: Any
) -> dict[str, Occupation]:
    """Full name of a node → when it is busy; as occupations by site."""
    by_site: dict[str, dict[str, tuple[tuple[float, float], ...]]] = {}
    for name, times in busy.items():
        by_site.setdefault(name.split(".")[1], {})[name] = tuple(times)
    return {site: Occupation(site, window, nodes, **fields) for site, nodes in by_site.items()}


@pytest.fixture(scope="session")
def now() -> int:
    return NOW


@pytest.fixture(scope="session")
def job() -> Callable[..., dict[str, Any]]:
    return _job


@pytest.fixture(scope="session")
def status() -> Callable[..., SiteStatus]:
    return _status


@pytest.fixture(scope="session")
def occupied() -> Callable[..., dict[str, Occupation]]:
    return _occupied
