"""The experiment of a pytest run: its options, and what the books need to know of how it was started."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..engine.experiment import Experiment
from ..engine.start import Start
from ..leases.events import Event
from . import settings, terminal

__all__ = ("open_experiment",)


def open_experiment(config: pytest.Config) -> Experiment:
    """Return the books of this run. Nothing is reserved or written.

    :raises InvalidInput: a site or testbed that is not there.
    :raises CampaignError: a campaign that can't be used.
    """
    start = Start(
        root=config.rootpath,
        directory=Path(config.invocation_params.dir),
        command=["pytest", *map(str, config.invocation_params.args)],
        resume=lambda more: f"{terminal.resume_command(config)} {more}".rstrip(),
        writes=not config.option.collectonly,
        cache=lambda: _cache(config),
        # A plan is for the run that would follow, with its workers.
        side_by_side=getattr(config.option, "dist", "no") != "no" or config.getoption("execo_plan"),
        quiet=getattr(config.option, "verbose", 0) < 0,
    )

    def pytest_execo_event(event: Event) -> None:
        config.hook.pytest_execo_event(config=config, event=event)

    return Experiment(
        start,
        settings.read(config),
        say=lambda line: terminal.write_line(config, line),
        call=pytest_execo_event,
    )


def _cache(config: pytest.Config) -> Path | None:
    """Return our place in pytest's cache; ``None``: -p no:cacheprovider, or a read-only project."""
    try:
        return Path(config.cache.mkdir("execo"))
    except (AttributeError, OSError):
        return None
