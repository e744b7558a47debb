"""From collected items to a run: check what they ask for, leave out what is done, order the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pytest

from ..engine.experiment import Experiment, Group, Workload
from ..engine.settings import Settings
from ..engine.source import source_digest
from ..errors import CampaignError, InvalidInput, InvalidRequest
from ..leases.sharing import can_be_split
from ..sweeps import Planned
from ..testbeds import Request
from .items import REQUEST, TRIAL, About, Reader, located
from .session import ExperimentSession
from .usage import asks_for_nodes, needs_environment, uses_execo

if TYPE_CHECKING:
    from .workers import RemoteExperiment

__all__ = ("begin",)


def begin(session: pytest.Session, items: list[pytest.Item], faults: Iterable[str]) -> None:
    """Check, order and thin out the collected tests, and register what runs them.

    :raises pytest.UsageError: with one line for each thing that is wrong; nothing was reserved or written.
    """
    from . import SESSION

    config = session.config
    if hasattr(config, "workerinput"):
        from .workers import RemoteExperiment

        remote = RemoteExperiment(config)
        try:
            config.stash[SESSION] = _begin(session, items, faults, remote)
        except pytest.UsageError as error:
            # The controller says it, once for all workers; an error here would have xdist replace this worker.
            remote.refuse(str(error))
            items.clear()
        return
    from .bookkeeping import Bookkeeping
    from .opening import open_experiment

    try:
        experiment = open_experiment(config)
    except (InvalidInput, CampaignError) as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[SESSION] = _begin(session, items, faults, experiment)
    for plugin in Bookkeeping(session, experiment).plugins:
        config.pluginmanager.register(plugin)


def _begin(
    session: pytest.Session, items: list[pytest.Item], faults: Iterable[str], experiment: Experiment | RemoteExperiment
) -> ExperimentSession:
    lines = list(faults)
    mine = [item for item in items if uses_execo(item)]
    reader = Reader()
    for item in mine:
        try:
            item.stash[REQUEST], _ = reader.request(item)
        except InvalidInput as error:
            lines.append(str(error))
            continue
        if needs_environment(item) and item.stash[REQUEST].environment is None:
            lines.append(located(item, "the fixture deployed needs an environment: execo(environment='debian12-min')"))
        if not lines and reader.about(item).sweep is None and item.get_closest_marker("execo_sweep"):
            lines.append(f"{item.nodeid}: @sweep is for functions and methods that pytest can parametrize")
    if lines:
        # The items of one sweep share their faults.
        raise pytest.UsageError("\n".join(dict.fromkeys(lines)))
    try:
        self = ExperimentSession(session.config, experiment)
        left_out = _select(self, items, mine, reader)
    except (InvalidInput, CampaignError) as error:
        raise pytest.UsageError(str(error)) from None
    lines = _refused([item for item in items if TRIAL in item.stash], experiment)
    if lines:
        raise pytest.UsageError("\n".join(lines))
    if left_out:
        session.config.hook.pytest_deselected(items=left_out)
    for plugin in self.plugins:
        session.config.pluginmanager.register(plugin)
    return self


def _refused(items: Sequence[pytest.Item], experiment: Experiment | RemoteExperiment) -> list[str]:
    """Return what is wrong with requests in the eyes of the testbed, which knows its properties, for instance."""
    first = {item.stash[REQUEST]: item for item in reversed(items) if asks_for_nodes(item)}
    lines = []
    for request, item in first.items():
        try:
            experiment.plan(request)
        except InvalidRequest as error:
            lines.append(located(item, str(error)))
    return lines


def _select(
    self: ExperimentSession, items: list[pytest.Item], mine: list[pytest.Item], reader: Reader
) -> list[pytest.Item]:
    """Leave out what is done, and bring together what asks for the same. Return what was left out."""
    trials: dict[str, pytest.Item] = {}
    planned: list[Planned] = []
    tests: dict[str, pytest.Item] = {}
    adaptive: set[str] = set()
    for item in mine:
        trial = item.stash[TRIAL] = reader.trial(item)
        if trial.resumable and trial.id in trials:
            raise InvalidInput(
                f"{item.nodeid} is the same trial as {trials[trial.id].nodeid}: same test and parameters"
            )
        trials[trial.id] = item
        tests.setdefault(trial.test, item)
        sweep = reader.about(item).sweep
        if sweep is not None and sweep.adapts:
            adaptive.add(trial.test)
        if sweep is not None and sweep.design.search is None:
            planned.append(trial.planned())
    if adaptive:
        self.adaptive.learn(adaptive)
    experiment = self.experiment
    sources = {test: source_digest(getattr(item, "function", None)) for test, item in tests.items()}
    selection = experiment.select(tuple(planned), sources)
    left_out: list[pytest.Item] = []
    kept: list[pytest.Item] = []
    for item in mine:
        is_done = item.stash[TRIAL].id in selection.done or _is_used_up(self, item, reader.about(item))
        (left_out if is_done else kept).append(item)
    groups = {request: index for index, request in enumerate(dict.fromkeys(i.stash[REQUEST] for i in mine))}
    if experiment.settings.order == "random":
        kept.sort(key=lambda item: item.stash[TRIAL].drawn(selection.seed))
    if len(groups) > 1:
        kept.sort(key=lambda item: groups[item.stash[REQUEST]])
    # What needs no nodes runs before any are taken.
    items[:] = [item for item in items if TRIAL not in item.stash] + kept
    for item in kept:
        if reader.about(item).uses_nodes:
            request = item.stash[REQUEST]
            self.waiting[request] = self.waiting.get(request, 0) + 1
    experiment.load(Workload(tuple(planned), tuple(_groups(items, reader, experiment.settings))))
    return left_out


def _is_used_up(self: ExperimentSession, item: pytest.Item, about: About) -> bool:
    """Tell whether a slot of a search was used by an earlier session."""
    if about.sweep is None or about.sweep.design.search is None:
        return False
    return about.sweep.number(item) < self.adaptive.ended_before(about.name)


def _groups(items: Sequence[pytest.Item], reader: Reader, settings: Settings) -> Iterable[Group]:
    adaptive: set[Request] = set()
    members: dict[tuple[Request | None, str], list[tuple[int, pytest.Item]]] = {}
    for place, item in enumerate(items):
        if TRIAL not in item.stash:
            continue
        about = reader.about(item)
        request, marked = reader.request(item)
        # A rule or a search learns from what its own process has measured.
        adapts = about.sweep is not None and about.sweep.adapts
        if adapts:
            adaptive.add(request)
        if not (marked or about.uses_nodes):
            members.setdefault((None, about.name if adapts else ""), []).append((place, item))
        else:
            members.setdefault((request, ""), []).append((place, item))
    for (request_, test), group in members.items():
        yield Group(
            request=request_,
            trials=tuple(item.stash[TRIAL].id for _, item in group),
            tests=tuple(dict.fromkeys(item.stash[TRIAL].test for _, item in group)),
            places=tuple(place for place, _ in group),
            using=tuple(place for place, item in group if reader.about(item).uses_nodes),
            workers=_workers(request_, test, None if request_ in adaptive else settings),
        )


def _workers(request: Request | None, test: str, settings: Settings | None) -> int | None:
    if request is not None:
        if settings is None:
            return 1
        return max(settings.leases, settings.parts if can_be_split(request) else 1)
    return 1 if test else None
