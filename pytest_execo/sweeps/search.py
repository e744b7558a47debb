"""Sweeps that decide as they go: ask for a point, run it, tell what came of it.

A search has two methods, and needs no base class. Any optimizer that can be asked and told fits in; this is Optuna's,
which this package does not depend on::

    class Tpe:
        def __init__(self, space, seed=0):
            self.space, self.trials = space, {}
            self.study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
            self.choices = {name: list(levels) for name, levels in space.factors.items()}

        def distributions(self):
            return {name: CategoricalDistribution(range(len(levels))) for name, levels in self.choices.items()}

        def ask(self):
            trial = self.study.ask(self.distributions())
            point = self.space.point(self.space.at([trial.params[name] for name in self.choices]))
            self.trials[point] = trial
            return point

        def tell(self, point, result):
            value = result.measurements.get("duration")
            trial = self.trials.pop(point, None)
            if trial is not None:
                self.study.tell(trial, value, state=TrialState.FAIL if value is None else TrialState.COMPLETE)
            elif value is not None:  # recorded by an earlier session
                places = {n: levels.index(point.values[n]) for n, levels in self.choices.items()}
                self.study.add_trial(
                    create_trial(params=places, distributions=self.distributions(), value=value)
                )

    @sweep(size=[…], threads=[…], search=Tpe, trials=40)
    def test_throughput(nodes, trial, size, threads): ...
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from .bisection import Bisect
from .points import Point
from .repeats import Repeats
from .until import Until

__all__ = ("Bisect", "Outcome", "Repeats", "Result", "Search", "Until")
