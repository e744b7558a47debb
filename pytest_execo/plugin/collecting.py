"""From collected items to a run: check what they ask for, leave out what is done, order the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pytest

from ..errors import CampaignError, InvalidInput
from ..testbeds import Request
from .experiment import Experiment, Group, Workload
from .generation import swept
from .items import REQUEST, TRIAL, Requests, TrialOf, trial_of
from .session import ExperimentSession
from .source import source_digest
from .usage import asks_for_nodes, uses_execo, uses_nodes

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

    try:
        experiment = Experiment(config)
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
    requests = Requests()
    for item in mine:
        try:
            item.stash[REQUEST] = requests.of(item)
        except InvalidInput as error:
            lines.append(str(error))
        if not lines and item.get_closest_marker("execo_sweep") and swept(item) is None:
            lines.append(f"{item.nodeid}: @sweep is for functions and methods that pytest can parametrize")
    if lines:
        # The items of one sweep share their faults.
        raise pytest.UsageError("\n".join(dict.fromkeys(lines)))
    try:
        self = ExperimentSession(session.config, experiment)
        left_out = _select(self, items, mine)
    except (InvalidInput, CampaignError) as error:
        raise pytest.UsageError(str(error)) from None
    if left_out:
        session.config.hook.pytest_deselected(items=left_out)
    for plugin in self.plugins:
        session.config.pluginmanager.register(plugin)
    return self


def _select(self: ExperimentSession, items: list[pytest.Item], mine: list[pytest.Item]) -> list[pytest.Item]:
    """Leave out what is done, and bring together what asks for the same. Return what was left out."""
    trials: dict[str, pytest.Item] = {}
    adaptive: set[str] = set()
    for item in mine:
        trial = item.stash[TRIAL] = trial_of(item)
        if trial.id in trials and trial.resumable:
            raise InvalidInput(
                f"{item.nodeid} is the same trial as {trials[trial.id].nodeid}: same test and parameters"
            )
        trials[trial.id] = item
        if trial.resumable and _is_adaptive(item):
            adaptive.add(trial.test)
    if adaptive:
        self.adaptive.learn(adaptive)
    experiment = self.experiment
    planned = tuple(item.stash[TRIAL].planned() for item in mine if item.stash[TRIAL].resumable and not _is_slot(item))
    sources = {item.stash[TRIAL].test: source_digest(item.function) for item in _one_each(mine)}  # type: ignore[attr-defined]
    selection = experiment.select(planned, sources)
    left_out = [item for item in mine if item.stash[TRIAL].id in selection.done or _is_used_up(self, item)]
    groups = {request: index for index, request in enumerate(dict.fromkeys(i.stash[REQUEST] for i in mine))}
    gone = set(left_out)
    mine = [item for item in mine if item not in gone]
    if experiment.settings.order == "random":
        mine.sort(key=lambda item: _shuffled(selection.seed, item.stash[TRIAL]))
    mine.sort(key=lambda item: groups[item.stash[REQUEST]])
    # What needs no nodes runs before any are taken.
    items[:] = [item for item in items if TRIAL not in item.stash] + mine
    for item in mine:
        if uses_nodes(item):
            request = item.stash[REQUEST]
            self.waiting[request] = self.waiting.get(request, 0) + 1
    experiment.load(Workload(planned, tuple(_groups(items))))
    return left_out


def _is_slot(item: pytest.Item) -> bool:
    found = swept(item)
    return found is not None and found[0].design.search is not None


def _is_used_up(self: ExperimentSession, item: pytest.Item) -> bool:
    """Tell whether a slot of a search was used by an earlier session."""
    found = swept(item)
    if found is None or found[0].design.search is None:
        return False
    return found[1] < self.adaptive.ended_before(item.stash[TRIAL].test)


def _one_each(items: Sequence[pytest.Item]) -> Iterable[pytest.Item]:
    """One item of each test."""
    return {item.stash[TRIAL].test: item for item in items}.values()


def _shuffled(seed: int, trial: TrialOf) -> tuple[int, bytes]:
    # Each repetition has an order of its own, and is over before the next one begins: a randomized complete block
    # design. By trial rather than by place, so that the order of the others does not change when trials are added.
    return trial.repetition, hashlib.sha256(f"{seed}:{trial.id}".encode()).digest()


def _groups(items: Sequence[pytest.Item]) -> Iterable[Group]:
    members: dict[tuple[Request | None, str], list[tuple[int, pytest.Item]]] = {}
    for place, item in enumerate(items):
        if TRIAL not in item.stash:
            continue
        request = item.stash[REQUEST] if asks_for_nodes(item) else None
        # A rule or a search learns from what its own process has measured.
        test = item.stash[TRIAL].test if request is None and _is_adaptive(item) else ""
        members.setdefault((request, test), []).append((place, item))
    for (request, test), group in members.items():
        yield Group(
            request=request,
            trials=tuple(item.stash[TRIAL].id for _, item in group),
            places=tuple(place for place, _ in group),
            using=tuple(place for place, item in group if uses_nodes(item)),
            together=request is not None or bool(test),
        )


def _is_adaptive(item: pytest.Item) -> bool:
    found = swept(item)
    return found is not None and (found[0].design.until is not None or found[0].design.search is not None)
