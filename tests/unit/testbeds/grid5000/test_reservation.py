"""Jobs are remembered before they are submitted, and until it is sure that there is none."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_execo.errors import ApiError, ReservationFailed
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.grid5000 import reservation
from pytest_execo.testbeds.grid5000.answers import Submission


@pytest.mark.parametrize(
    ("raised", "expected", "known"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, False),
        (ReservationFailed("lyon: no"), ReservationFailed, True),
        (ApiError("POST", "http://there", 500, "no"), ReservationFailed, True),
    ],
)
def test_after_an_interruption_a_job_may_be_on_its_way(
    monkeypatch: pytest.MonkeyPatch, raised: BaseException, expected: type[BaseException], *, known: bool
) -> None:
    """Without ``jobs`` whoever looks for what is left waits until a job would show."""

    def fails(*given: Any, **more: Any) -> None:
        raise raised

    monkeypatch.setattr(reservation, "submit_together", fails)
    monkeypatch.setattr(reservation, "submissions", lambda *given, **more: {"lyon": Submission("/nodes=1")})
    told: list[Mapping[str, Any]] = []
    testbed = SimpleNamespace(client=None, reference=None, options={}, waiting=None)
    grid = SimpleNamespace(sites=[SimpleNamespace(clusters={"taurus": 1})], start=0.0)
    with pytest.raises(expected):
        reservation.submit(cast("Any", testbed), Request(nodes=1), cast("Any", grid), told.append)
    assert told[0]["sites"] == ["lyon"]
    assert ("jobs" in told[-1]) is known
