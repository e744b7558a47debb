"""Hooks of this plugin that a ``conftest.py`` or another plugin may implement."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from ..leases.events import Event
    from ..results import Campaign


def pytest_execo_report(config: pytest.Config, campaign: Campaign) -> Iterable[Path] | Path | None:
    """Make pictures or tables from the records of ``campaign``, and return their paths for the terminal.

    Called once, on the way out, when the nodes were given back and all records are on disk; also after Ctrl-C. An
    exception is reported as a warning: results are never lost for a picture.
    """


def pytest_execo_event(config: pytest.Config, event: Event) -> None:
    """Something happened that people who do not watch want to hear of: see :class:`pytest_execo.leases.events.Event`.

    ``event.kind`` is ``started``, ``lease-taken``, ``lease-lost``, ``node-lost``, ``needs-help`` or ``finished``.
    Called in the main thread; an exception is reported as a warning.
    """
