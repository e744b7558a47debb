"""Sweeps that decide as they go: repetitions until a measurement is precise, and points chosen by a search.

Both live in the process that runs the tests, and learn from what that process measures and from what was recorded
before it began; the tests of a group run in one process, so nothing else is to be known.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import pytest

from ..engine.recording import Past, Result
from ..engine.trial_of import TrialOf
from ..errors import InvalidSpace
from ..sweeps.spaces.points import Point
from .generation import Swept, swept
from .items import TRIAL, test_name, trial_at

if TYPE_CHECKING:
    from ..engine.experiment import Experiment
    from ..sweeps.spaces.search import Search
    from .workers import RemoteExperiment

__all__ = ("Adaptive",)


class Adaptive:
    """Says of each item which trial it is now, or that it is not needed."""

    def __init__(self, experiment: Experiment | RemoteExperiment) -> None:
        self._experiment = experiment
        self._past: dict[str, list[Past]] = {}
        #: For each test with a rule: the values by setting, and how many repetitions of it have ended.
        self._values: dict[str, dict[str, list[float]]] = {}
        self._done: dict[str, collections.Counter[str]] = {}
        self._searches: dict[str, Search] = {}

    def learn(self, tests: set[str]) -> None:
        """Read what was recorded of these tests."""
        self._past = self._experiment.past(tests)

    def ended_before(self, test: str) -> int:
        """Return how many trials of a test were recorded before this run."""
        return len(self._past.get(test, ()))

    def trial(self, item: pytest.Item) -> TrialOf | None:
        """Return the trial that the item is to run; ``None``: it is not needed."""
        trial = item.stash[TRIAL]
        found = swept(item)
        if found is None:
            return trial
        sweep, _ = found
        if sweep.design.until is not None:
            return trial if self._is_needed(sweep, trial) else None
        if sweep.design.search is not None:
            return self._chosen(item, sweep)
        return trial

    def ended(self, item: pytest.Item, trial: TrialOf, result: Result) -> None:
        """Learn from an attempt that has ended."""
        self._learn(item, trial, Past(trial.params_json, trial.repetition, result.outcome, result.measurements))

    def refused(self, item: pytest.Item, trial: TrialOf) -> None:
        """A trial that was chosen is not to be had: another session is at work on it, or has done it."""
        self._learn(item, trial, Past(trial.params_json, trial.repetition, "pending", {}))

    def _learn(self, item: pytest.Item, trial: TrialOf, past: Past) -> None:
        found = swept(item)
        if found is None:
            return
        sweep, _ = found
        if sweep.design.search is not None:
            self._tell(sweep, self._searches[trial.test], past)
        elif sweep.design.until is not None and past.outcome != "pending":
            self._note(sweep, trial.test, past)

    # repetitions

    def _is_needed(self, sweep: Swept, trial: TrialOf) -> bool:
        assert sweep.design.until is not None
        if trial.test not in self._values:
            self._values[trial.test], self._done[trial.test] = {}, collections.Counter()
            for past in self._past.get(trial.test, ()):
                self._note(sweep, trial.test, past)
        values = self._values[trial.test].get(trial.params_json, [])
        return sweep.design.until.needs_more(values, self._done[trial.test][trial.params_json])

    def _note(self, sweep: Swept, test: str, past: Past) -> None:
        assert sweep.design.until is not None
        self._done[test][past.params_json] += 1
        value = sweep.design.until.value(past.measurements)
        if past.outcome == "passed" and value is not None:
            self._values[test].setdefault(past.params_json, []).append(value)

    # searches

    def _chosen(self, item: pytest.Item, sweep: Swept) -> TrialOf | None:
        test = test_name(item)
        search = self._searches.get(test)
        if search is None:
            assert sweep.design.search is not None
            assert sweep.design.space is not None
            search = self._searches[test] = sweep.design.search(sweep.design.space)
            for past in self._past.get(test, ()):
                self._tell(sweep, search, past)
        point = search.ask()
        if point is None:
            return None
        params: dict[str, Any] = item.callspec.params  # type: ignore[attr-defined]
        for name in sweep.names:
            params[name] = point.values.get(name)
        return trial_at(item, test, sweep, point)

    def _tell(self, sweep: Swept, search: Search, past: Past) -> None:
        assert sweep.design.space is not None
        try:
            setting = sweep.design.space.find(past.params_json)
        except InvalidSpace:  # recorded when the space had other levels
            return
        # How often a setting is repeated is the search's own business.
        point = Point(setting.values, setting.params, past.repetition, setting.label, setting.params_json)
        from ..sweeps.spaces.search import Result as Told

        search.tell(point, Told(past.outcome, past.measurements))
